"""Segment volumes of ACDC with some options of inference.yaml and say what they cost.

    python -m benchmarks.children.option_costs OPTION FOLDER [--is_reference] [--fold 0] [--volumes 6] …

``OPTION`` is a ``benchmarks.options.Option`` as JSON. ``FOLDER`` has the masks and logits of the reference, which
writes them. The last line is JSON: ``inferer_ms`` and ``whole_ms`` a volume, ``ready_s``, ``peak_gb``, mean ``dice``
against the labels, ``voxels`` and ``logit``: how many differ from the reference and by how much at most.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.engines import SupervisedEvaluator
from numpy.typing import NDArray

from benchmarks.machine import ROOT
from benchmarks.settings import BUNDLE
from benchmarks.stage_clock import Watched, time_stages
from pipeline.data import acdc_datalist, make_split
from pipeline.inference.cohort import segment_cohort
from pipeline.inference.heart_window import HeartWindowInferer, WindowInferer
from pipeline.labels import FOREGROUND

LOGITS_OF = 6
"""Volumes whose logits are compared: those of a fold would fill the memory."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("option", type=json.loads)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dataset_dir", type=Path, required=True)
    parser.add_argument("--is_reference", action="store_true")
    parser.add_argument("--fold", type=int)
    parser.add_argument("--volumes", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ckpt_path", default="")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cases = choose_cases(options.dataset_dir, options.fold, options.volumes)
    config = read_option(options.option, cases, options.ckpt_path)
    start = time.perf_counter()
    config.get_parsed_content("network")
    ready_s = time.perf_counter() - start
    costs, masks = segment(config)
    others = compare(config.get_parsed_content("evaluator"), masks, options)
    print(json.dumps({"ready_s": ready_s, **costs, "dice": mean_dice(masks, cases), **others}))


def choose_cases(dataset_dir: Path, fold: int | None, number: int) -> list[dict[str, Any]]:
    """Return volumes, evenly spaced over the data set or over the validation cases of a fold.

    Args:
        dataset_dir: ACDC's folder ``training``.
        fold: None: of all patients.
        number: how many; 0 for all.
    """
    cases = acdc_datalist(dataset_dir)
    found = cases if fold is None else make_split(cases, fold).val
    number = min(number or len(found), len(found))
    return [dict(found[place * len(found) // number]) for place in range(number)]


def read_option(option: dict[str, Any], cases: Sequence[dict[str, Any]], ckpt_path: str) -> ConfigParser:
    """Return the bundle's inference.yaml with an option, on some cases."""
    config = ConfigParser()
    files = [BUNDLE / "configs" / "inference.yaml", *(ROOT / file for file in option["files"])]
    config.read_config([str(file) for file in files])
    datalist = [{"image": case["image"], "case_id": case["case_id"]} for case in cases]
    weights = {"ckpt_path": ckpt_path} if ckpt_path else {}
    config.update({"bundle_root": str(BUNDLE), "record": False, "datalist": datalist, **weights, **option["settings"]})
    return config


def segment(config: ConfigParser) -> tuple[dict[str, float], list[NDArray[np.uint8]]]:
    """Segment the cohort twice, and return what the second time took and the masks."""
    evaluator = config.get_parsed_content("evaluator")
    written: list[str] = []
    with tempfile.TemporaryDirectory() as folder:

        def work() -> int:
            options = {"overlays": config["overlays"], "options": config.get_parsed_content("study_options")}
            scans = segment_cohort(evaluator, folder, progress=False, **options).scans
            written[:] = [scan.output for scan in scans]
            return len(scans)

        work()  # warms up
        found = time_stages(work, inferer_methods(evaluator))
        masks = [np.asarray(nib.load(Path(folder) / name).dataobj).astype(np.uint8) for name in written]
    each = 1000 / found["volumes"]
    costs = {"inferer_ms": found["stages"]["inferer"] * each, "whole_ms": found["wall_s"] * each}
    return {**costs, "peak_gb": peak_gb()}, masks


def inferer_methods(evaluator: SupervisedEvaluator) -> list[Watched]:
    """Return what a cohort calls of its inferer."""
    if isinstance(evaluator.inferer, HeartWindowInferer):
        return [(HeartWindowInferer, "decide", "inferer"), (WindowInferer, "__call__", "inferer")]
    return [(type(evaluator.inferer), "__call__", "inferer")]


def compare(
    evaluator: SupervisedEvaluator, masks: Sequence[NDArray[np.uint8]], options: argparse.Namespace
) -> dict[str, float]:
    """Return by how much masks, and logits where asked for, differ from those of the reference, or keep its own."""
    logits = logits_of(evaluator) if options.option["logits"] else []
    files = {"masks": masks, "logits": logits}
    if options.is_reference:
        for name, arrays in files.items():
            np.savez(options.folder / f"{name}.npz", *arrays)
    reference = {name: list(np.load(options.folder / f"{name}.npz").values()) for name in files}
    differences = [np.abs(one - other).max() for one, other in zip(logits, reference["logits"], strict=False)]
    pairs = zip(masks, reference["masks"], strict=True)
    return {
        "voxels": sum(int((one != other).sum()) for one, other in pairs),
        "logit": float(max(differences, default=0.0)),
    }


def logits_of(evaluator: SupervisedEvaluator) -> list[NDArray[np.float32]]:
    """Return the logits of the first volumes."""
    with torch.inference_mode():
        return [
            evaluator.inferer(batch["image"], evaluator.network).as_tensor().numpy()
            for batch in islice(evaluator.data_loader, LOGITS_OF)
        ]


def mean_dice(masks: Sequence[NDArray[np.uint8]], cases: Sequence[dict[str, Any]]) -> float:
    """Return the mean Dice over structures and cases."""
    labels = [np.asarray(nib.load(case["label"]).dataobj) for case in cases]
    pairs = list(zip(masks, labels, strict=True))
    return float(np.mean([dice(mask == value, label == value) for mask, label in pairs for value in FOREGROUND]))


def dice(mask: NDArray[np.bool_], label: NDArray[np.bool_]) -> float:
    """Return the Dice of a structure; 1 where it is in neither."""
    total = int(mask.sum()) + int(label.sum())
    return 2 * int((mask & label).sum()) / total if total else 1.0


def peak_gb() -> float:
    """Return the most memory that this process had resident."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e9
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


if __name__ == "__main__":
    main()
