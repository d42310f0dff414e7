"""How much of the Dice is left when scans are turned, rescaled, noisy, of another contrast, or cut off.

    python benchmarks/robustness.py --dataset_dir DIR --checkpoint MODEL.pt [--fold 0] [--num_cases 40]
        [--sunnybrook_dir DIR] [--config_file configs/variants/no_aspp.yaml …] [--only NAME …] [--output robustness.md]

Takes validation cases of a fold of ACDC, writes each with each change as NIfTI files, image and label, and evaluates
the weights on them by the bundle's own train.yaml and evaluate.yaml, so that the whole way from the file to the mask is
measured. Case and seed decide what is drawn: two runs agree. Sunnybrook's patients are evaluated as they are: another
scanner, LV alone. Prints a table and writes it; 31 changes of 40 cases take some minutes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser
from robustness_corruptions import CORRUPTIONS, Case, Corruption
from robustness_table import format_table

from pipeline.geometry import nifti_affine
from pipeline.labels import resolve_label_map

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "bundles" / "cardiac_sax_segmentation" / "configs"
REFERENCE = "as it is"
SUNNYBROOK = "Sunnybrook, as it is"


def main() -> None:
    """Evaluate, print and write."""
    options = _parse()
    torch.set_num_threads(options.threads)
    start_s = time.perf_counter()
    rows = {}
    cases = choose(validation_cases(options), options.num_cases)
    for name in [REFERENCE, *(name for name in CORRUPTIONS if name != REFERENCE and _wanted(name, options.only))]:
        rows[name] = evaluate_changed(cases, CORRUPTIONS[name], options)
        print(f"{name}: {np.nanmean([row['mean_dice'] for row in rows[name]]):.3f}", flush=True)
    if options.sunnybrook_dir:
        rows[SUNNYBROOK] = evaluate_sunnybrook(options)
    seconds = time.perf_counter() - start_s
    head = (
        f"{len(cases)} validation cases of fold {options.fold}, seed {options.seed}, {Path(options.checkpoint).name}, "
        f"{seconds:.0f} s on {options.threads} threads.\n\n"
    )
    text = head + format_table(rows, REFERENCE)
    Path(options.output).write_text(text, encoding="utf-8")
    print(f"\n{text}")


def read_config(options: argparse.Namespace, *overlays: Path, **settings: Any) -> ConfigParser:
    """Read the evaluation's configuration, without record and progress."""
    parser = ConfigParser()
    files = [BUNDLE / "train.yaml", BUNDLE / "evaluate.yaml", *overlays, *options.config_file]
    parser.read_config([str(file) for file in files])
    fixed = {"record": False, "is_main": False, "ckpt_path": options.checkpoint, "fold": options.fold}
    parser.update({**fixed, "validate#key_metric#val_mean_dice#surface": False, **settings})
    return parser


def validation_cases(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the validation side of the fold."""
    parser = read_config(options, ROOT / "configs" / "acdc.yaml", dataset_dir=options.dataset_dir)
    return list(parser.get_parsed_content("split").val)


def choose(cases: Sequence[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """Return whole patients, ED and ES, spread over the list, so that no more than ``number`` cases come together.

    Args:
        cases: of the validation, with ``patient_id``.
        number: at most so many cases, at least one patient's.
    """
    patients = sorted({case["patient_id"] for case in cases})
    count = min(max(number * len(patients) // len(cases), 1), len(patients))
    chosen = {patients[place * len(patients) // count] for place in range(count)}
    return [case for case in cases if case["patient_id"] in chosen]


def evaluate_changed(cases: Sequence[dict[str, Any]], change: Corruption, options: argparse.Namespace) -> list[Any]:
    """Write all cases with one change into a temporary folder, and evaluate there."""
    with tempfile.TemporaryDirectory() as folder:
        items = [
            write_changed(case, change, np.random.default_rng([options.seed, place]), Path(folder))
            for place, case in enumerate(cases)
        ]
        # the files hold the project's labels
        parser = read_config(options, ROOT / "configs" / "acdc.yaml", dataset_dir=options.dataset_dir)
        return evaluate(parser, items)


def write_changed(
    item: Mapping[str, Any], change: Corruption, rng: np.random.Generator, folder: Path
) -> dict[str, Any]:
    """Change one case, write its files, and return its item of the datalist."""
    image, label = nib.load(item["image"]), nib.load(item["label"])
    labels = resolve_label_map("acdc")
    project = np.vectorize(lambda value: int(labels[int(value)]), otypes=[np.uint8])(np.asarray(label.dataobj))
    case = change(Case(image.get_fdata(), project, nifti_affine(image)), rng)
    written = dict(item)
    for key, voxels in (("image", case.image.astype(np.float32)), ("label", case.label.astype(np.uint8))):
        path = folder / f"{item['case_id']}_{key}.nii"
        file = nib.Nifti1Image(np.ascontiguousarray(voxels), case.affine)
        file.set_qform(case.affine, code="scanner")
        file.set_sform(case.affine, code="scanner")
        nib.save(file, path)
        written[key] = str(path)
    return written


def evaluate_sunnybrook(options: argparse.Namespace) -> list[Any]:
    """Evaluate on all patients of Sunnybrook Cardiac Data."""
    with tempfile.TemporaryDirectory() as folder:
        overlay = ROOT / "configs" / "sunnybrook.yaml"
        settings = {"dataset_dir": options.sunnybrook_dir, "output_dir": folder, "fold": 0}
        parser = read_config(options, overlay, **settings)
        return evaluate(parser, "@datalist")


def evaluate(parser: ConfigParser, data: Sequence[dict[str, Any]] | str) -> list[Any]:
    """Run the validation's evaluator on a datalist or the id of one, and return a row a case."""
    parser["validate#dataset"] = {"_target_": "Dataset", "data": data, "transform": "@validate#preprocessing"}
    parser.get_parsed_content("validate#evaluator").run()
    rows: list[Any] = parser.get_parsed_content("validate#key_metric#val_mean_dice").rows
    return rows


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(part in name for part in only)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", required=True, help="ACDC's folder training")
    parser.add_argument("--checkpoint", required=True, help="weights, a plain state_dict")
    parser.add_argument("--fold", type=int, default=0, help="whose validation cases the weights have not seen")
    parser.add_argument("--num_cases", type=int, default=40, help="at most so many, whole patients")
    parser.add_argument("--sunnybrook_dir", default="", help="Sunnybrook Cardiac Data (default: left out)")
    parser.add_argument("--config_file", nargs="*", default=[], help="overlays of the training of the weights")
    parser.add_argument("--only", nargs="*", default=[], help="parts of the names of the changes wanted (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of torch (default: its own)")
    parser.add_argument("--output", default="robustness.md", help="Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
