"""The table of the variants: what each network costs, and what its training reached where it is on record.

    python -m benchmarks.variants [--tracking_uri URI] [--experiment_name variants] [--threads 2] [--output variants.md]

A row is the default or an overlay in configs/variants and configs/recipes/baseline.yaml. Parameters, GFLOP (two a
multiplication and addition) and ms are those of network_def, a slice of 256 x 256 pixels, the median of some forwards.
Of a run that bears the name of its variant ("no_aspp"; the latest that is finished) come Dice and HD95 a class on its
validation cases, misses and id: ``python -m benchmarks.variants_training`` makes them. Minutes are those of as many
epochs as it had, each as fast as its fastest, validation left out: what else the machine did does not count. Where a
variant was trained with several seeds ("no_aspp_seed1"), a second table has their mean and spread.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from monai.bundle import ConfigParser
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.machine import ROOT
from pipeline.comparison.records import RunRecord, read_runs
from pipeline.labels import FOREGROUND
from pipeline.tracking.reading import open_to_read
from pipeline.workflows import place

BASE = [ROOT / "bundles/cardiac_sax_segmentation/configs/train.yaml", ROOT / "configs/acdc.yaml"]
DEFAULT = "default"
EXPERIMENT = "variants"
"""Of MLflow, where ``benchmarks.variants_training`` records its runs."""
SLICE_SIZE = (256, 256)
SLICES = 8
"""Of a stack that a 3D network is measured on; its costs are divided by them."""
FORWARDS = 11
WARM_UP = 5
"""Forwards before those that are timed."""
FIGURES = (
    *(f"dice_{structure.key}" for structure in FOREGROUND),
    "mean_dice",
    *(f"hd95_mm_{structure.key}" for structure in FOREGROUND),
)
_HEADS = (
    *(f"Dice {structure.name}" for structure in FOREGROUND),
    "mean Dice",
    *(f"HD95 {structure.name}, mm" for structure in FOREGROUND),
)


@dataclass(frozen=True)
class Cost:
    """What one slice of 256 x 256 pixels costs.

    Attributes:
        parameters: of the network.
        gflop: of a forward; a multiplication and an addition count two.
        ms: of a forward, the median.
    """

    parameters: int
    gflop: float
    ms: float


def main() -> None:
    """Measure, read, print and write."""
    options = _parse()
    torch.set_num_threads(options.threads)
    runs, minutes = _recorded(options.tracking_uri, options.experiment_name)
    costs = {}
    for name, overlay in overlays().items():
        costs[name] = measure(network_of(overlay))
        print(f"{name}: {costs[name]}", flush=True)
    text = "\n".join(filter(None, [format_table(costs, runs, minutes), format_seeds(runs)]))
    Path(options.output).write_text(text, encoding="utf-8")
    print(f"\n{text}")


def overlays() -> dict[str, Path | None]:
    """Return the rows: name to overlay, the default first."""
    paths = [ROOT / "configs/recipes/baseline.yaml", *sorted((ROOT / "configs/variants").glob("*.yaml"))]
    return {DEFAULT: None} | {path.stem: path for path in paths}


def run_name(name: str, seed: int) -> str:
    """Return the name of the run of a variant and seed; that of seed 0 is the variant's."""
    return f"{name}_seed{seed}" if seed else name


def network_of(overlay: Path | None) -> nn.Module:
    """Return the network of the training's configuration under an overlay, on the CPU and ready to predict."""
    parser = ConfigParser()
    parser.read_config([str(path) for path in (*BASE, overlay) if path])
    return place(parser.get_parsed_content("network_def"), "cpu").eval()


def input_of(network: nn.Module) -> tuple[torch.Tensor, int]:
    """Return what a network is measured on, and how many slices that is."""
    kernel = next(weight for weight in network.parameters() if weight.ndim >= 4)
    volumetric = kernel.ndim == 5
    size = (*SLICE_SIZE, SLICES) if volumetric else SLICE_SIZE
    return torch.rand(1, kernel.shape[1], *size), SLICES if volumetric else 1


@torch.inference_mode()
def measure(network: nn.Module, forwards: int = FORWARDS) -> Cost:
    """Measure the cost of a slice."""
    x, slices = input_of(network)
    with FlopCounterMode(display=False) as counter:
        network(x)
    times = []
    for _ in range(WARM_UP):
        network(x)
    for _ in range(forwards):
        start_s = time.perf_counter()
        network(x)
        times.append(time.perf_counter() - start_s)
    parameters = sum(weight.numel() for weight in network.parameters())
    return Cost(parameters, counter.get_total_flops() / 1e9 / slices, 1000 * statistics.median(times) / slices)


def _recorded(tracking_uri: str, experiment_name: str) -> tuple[dict[str, RunRecord], dict[str, float]]:
    if not tracking_uri:
        return {}, {}
    client, _ = open_to_read(tracking_uri)
    experiment = client.get_experiment_by_name(experiment_name)
    runs = latest_by_name(read_runs(client, experiment.experiment_id) if experiment else [])
    epochs = {name: client.get_metric_history(run.id, "epoch_seconds") for name, run in runs.items()}
    return runs, {name: undisturbed_minutes([one.value for one in found]) for name, found in epochs.items()}


def undisturbed_minutes(epoch_seconds: Sequence[float]) -> float:
    """Return the minutes of a training whose epochs all take as long as its fastest."""
    return len(epoch_seconds) * min(epoch_seconds, default=math.nan) / 60


def latest_by_name(records: Sequence[RunRecord]) -> dict[str, RunRecord]:
    """Return the finished run of each name that began last."""
    finished = [record for record in records if record.status == "FINISHED" and record.figures]
    return {record.name: record for record in sorted(finished, key=lambda record: record.start_ms)}


def format_table(costs: Mapping[str, Cost], runs: Mapping[str, RunRecord], minutes: Mapping[str, float]) -> str:
    """Lay out a line a variant in Markdown; what is not on record is a dash.

    Args:
        costs: of each variant.
        runs: by the name of their variant.
        minutes: of their trainings, by the same names.
    """
    heads = ["variant", "parameters, M", "GFLOP", "ms", *_HEADS, "missed", "minutes", "MLflow run"]
    lines = [_line(heads), _line(["---"] + ["---:"] * (len(heads) - 2) + ["---"])]
    lines += [_line(_cells(name, cost, runs.get(name), minutes.get(name))) for name, cost in costs.items()]
    return "\n".join(lines) + "\n"


def format_seeds(runs: Mapping[str, RunRecord]) -> str:
    """Lay out the variants that were trained with several seeds: mean, lowest and highest of each figure.

    Args:
        runs: by the name of their variant and seed, see :func:`run_name`.

    Returns:
        Markdown, empty where there is none.
    """
    by_variant: dict[str, list[RunRecord]] = {}
    for name, run in sorted(runs.items()):
        by_variant.setdefault(name.partition("_seed")[0], []).append(run)
    several = {name: found for name, found in by_variant.items() if len(found) > 1}
    if not several:
        return ""
    heads = ["variant", "seeds", *_HEADS, "missed"]
    lines = [_line(heads), _line(["---"] + ["---:"] * (len(heads) - 1))]
    for name, found in several.items():
        cells = [_spread([run.figures.get(key) for run in found], 1 if "mm" in key else 3) for key in FIGURES]
        lines.append(_line([name, str(len(found)), *cells, _spread([_missed(run) for run in found], 0)]))
    return "\n".join(lines) + "\n"


def _spread(values: Sequence[float | None], digits: int) -> str:
    known = [value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return "–"
    mean, low, high = (f"{value:.{digits}f}" for value in (statistics.mean(known), min(known), max(known)))
    return f"{mean} ({low} to {high})"


def _cells(name: str, cost: Cost, run: RunRecord | None, minutes: float | None) -> list[str]:
    costs = [f"{cost.parameters / 1e6:.2f}", f"{cost.gflop:.2f}", f"{cost.ms:.1f}"]
    figures = run.figures if run else {}
    shown = [_number(figures.get(key), 1 if "mm" in key else 3) for key in FIGURES]
    missed = _number(_missed(run) if run else None, 0)
    return [name, *costs, *shown, missed, _number(minutes, 0), run.id[:8] if run else "–"]


def _missed(run: RunRecord) -> float | None:
    found = [run.figures[f"missed_{one.key}"] for one in FOREGROUND if f"missed_{one.key}" in run.figures]
    return sum(found) if found else None


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracking_uri", default="", help="store of the trainings (default: costs alone)")
    parser.add_argument("--experiment_name", default=EXPERIMENT)
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--output", default="variants.md", help="Markdown file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
