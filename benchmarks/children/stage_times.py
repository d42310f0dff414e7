"""Segment a folder in this process and say where the time went, and how hard the network worked.

    python -m benchmarks.children.stage_times INPUT_DIR OUTPUT_DIR [--rounds 3]

The last line is JSON: ``rounds`` (wall seconds, seconds a stage, volumes), ``shapes`` (what the network was given:
calls a round, FLOPs a call, seconds a call), ``amp`` (mixed precision) and ``peak_flops`` (a second, of the fastest of
large convolutions and products in the same precision).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.engines import SupervisedEvaluator
from monai.transforms import Activationsd, Invertd
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.children.convolution_peak import fastest, peak_flops
from benchmarks.settings import BUNDLE
from benchmarks.stage_clock import Watched, time_stages
from pipeline.inference.cohort import segment_cohort
from pipeline.inference.heart_window import HeartWindowInferer, WindowInferer
from pipeline.inference.phases import PhasePreprocessing
from pipeline.inference.reading import ScanReader
from pipeline.inference.source import FileSource
from pipeline.inference.study import StudyWriter
from pipeline.transforms import ExpectedDiced, KeepLargestComponentd, LoadVolumed, MostProbabled

POSTPROCESSING = (Activationsd, ExpectedDiced, MostProbabled, KeepLargestComponentd)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    config = read_inference(options.input_dir, options.output_dir)
    evaluator = config.get_parsed_content("evaluator")
    shapes = watch_shapes(evaluator.network)
    time_round(evaluator, options.output_dir)  # warms up
    shapes.clear()
    rounds = [time_round(evaluator, options.output_dir) for _ in range(options.rounds)]
    counted = {shape: calls / options.rounds for shape, calls in shapes.items()}
    definition = config.get_parsed_content("network_def").eval()
    works = [work_of(shape, calls, definition, evaluator.network) for shape, calls in sorted(counted.items())]
    amp = bool(config.get_parsed_content("amp"))
    print(json.dumps({"rounds": rounds, "shapes": works, "amp": amp, "peak_flops": peak_flops(amp)}))


def read_inference(input_dir: Path, output_dir: Path) -> ConfigParser:
    """Return the bundle's inference.yaml on a folder."""
    config = ConfigParser()
    config.read_config(str(BUNDLE / "configs" / "inference.yaml"))
    places = {"bundle_root": BUNDLE, "dataset_dir": input_dir, "output_dir": output_dir}
    config.update({**{name: str(path) for name, path in places.items()}, "record": False})
    return config


def watch_shapes(network: torch.nn.Module) -> Counter[tuple[int, ...]]:
    """Return a counter of what the network is given from now on."""
    shapes: Counter[tuple[int, ...]] = Counter()
    network.register_forward_pre_hook(lambda _, inputs: shapes.update([tuple(inputs[0].shape)]))
    return shapes


def time_round(evaluator: SupervisedEvaluator, output_dir: Path) -> dict[str, Any]:
    """Segment the cohort once, see :func:`time_stages`."""
    return time_stages(
        lambda: len(segment_cohort(evaluator, output_dir, progress=False).scans), watched_methods(evaluator)
    )


def watched_methods(evaluator: SupervisedEvaluator) -> list[Watched]:
    """Return all that is timed."""
    return [
        (ScanReader, "__getitem__", "preprocess"),
        (PhasePreprocessing, "batch", "preprocess"),
        (LoadVolumed, "__call__", "read"),
        (HeartWindowInferer, "decide", "windows"),
        (WindowInferer, "__call__", "windows"),
        (type(evaluator.network), "__call__", "network"),
        (Invertd, "__call__", "invert"),
        *((kind, "__call__", "postprocess") for kind in POSTPROCESSING),
        (FileSource, "write_mask", "write"),
        (StudyWriter, "__call__", "measure"),
    ]


def work_of(
    shape: tuple[int, ...], calls: float, definition: torch.nn.Module, network: torch.nn.Module
) -> dict[str, Any]:
    """Return what the network costs on one shape of input, by itself."""
    images = torch.rand(shape)
    with torch.inference_mode():
        seconds = fastest(lambda: network(images))
    return {"shape": list(shape), "calls": calls, "flops": flops_of(definition, images), "seconds": seconds}


def flops_of(definition: torch.nn.Module, images: torch.Tensor) -> int:
    """Return the operations of a network, two for a multiplication with its addition.

    Args:
        definition: of PyTorch's own layers: the counter does not see the operators that the back end ``fused`` calls.
        images: its input.
    """
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        definition(images)
    return int(counter.get_total_flops())


if __name__ == "__main__":
    main()
