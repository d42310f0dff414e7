from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from benchmarks.variants import (
    DEFAULT,
    Cost,
    format_seeds,
    format_table,
    input_of,
    latest_by_name,
    measure,
    overlays,
    run_name,
    undisturbed_minutes,
)
from pipeline.comparison.records import RunRecord

FIGURES = {"best_mean_dice": 0.9, "best_dice_rv": 0.85, "best_hd95_mm_lv": 3.25, "best_missed_rv": 1.0}


def record(name: str, start_ms: int = 0, status: str = "FINISHED") -> RunRecord:
    times = {"start_ms": start_ms, "end_ms": start_ms + 120_000}
    return RunRecord(f"{name}{start_ms}abcdefgh", name, status, metrics=FIGURES, **times)


def test_default_is_the_first_row_and_all_variants_follow() -> None:
    assert next(iter(overlays())) == DEFAULT
    assert {"baseline", "no_aspp", "volumetric", "adversarial"} <= overlays().keys()


def test_convolution_costs_two_operations_a_weight_and_pixel() -> None:
    cost = measure(nn.Conv2d(1, 4, 3, padding=1, bias=False), forwards=1)
    assert cost.parameters == 36
    assert cost.gflop == pytest.approx(2 * 36 * 256 * 256 / 1e9)


def test_costs_of_a_volumetric_network_are_those_of_a_slice() -> None:
    cost = measure(nn.Conv3d(1, 4, (3, 3, 1), padding=(1, 1, 0), bias=False), forwards=1)
    assert cost.gflop == pytest.approx(2 * 36 * 256 * 256 / 1e9)


def test_input_has_the_channels_of_the_network() -> None:
    x, slices = input_of(nn.Conv2d(3, 4, 3))
    assert (tuple(x.shape), slices) == ((1, 3, 256, 256), 1)
    assert x.dtype == torch.float32


def test_latest_finished_run_of_a_name_counts() -> None:
    runs = latest_by_name([record("a", 2), record("a", 1), record("a", 3, "FAILED")])
    assert runs["a"].start_ms == 2


def test_row_has_costs_and_figures() -> None:
    table = format_table({"no_aspp": Cost(1_500_000, 4.0, 25.25)}, {"no_aspp": record("no_aspp")}, {"no_aspp": 12.4})
    assert table.splitlines()[2] == (
        "| no_aspp | 1.50 | 4.00 | 25.2 | 0.850 | – | – | 0.900 | – | – | 3.2 | 1 | 12 | no_aspp0 |"
    )


def test_variant_without_a_run_has_dashes() -> None:
    line = format_table({"default": Cost(1_500_000, 4.0, 25.0)}, {}, {}).splitlines()[2]
    assert line == f"| default | 1.50 | 4.00 | 25.0 | {' | '.join('–' * 10)} |"


def test_minutes_are_those_of_an_idle_machine() -> None:
    # 3 epochs of 40 s each
    assert undisturbed_minutes([60.0, 40.0, 95.0]) == 2.0
    assert math.isnan(undisturbed_minutes([]))


def test_seeds_of_a_variant_are_summed_up() -> None:
    runs = {name: record(name) for name in ("default", "no_aspp", "no_aspp_seed1", "no_aspp_seed2")}
    figures = {**FIGURES, "best_mean_dice": 0.93, "best_missed_rv": 3.0}
    runs["no_aspp_seed2"] = RunRecord("x", "x", "FINISHED", metrics=figures, start_ms=0, end_ms=1)
    line = format_seeds(runs).splitlines()[2]
    assert line.startswith("| no_aspp | 3 | 0.850 (0.850 to 0.850) |")
    assert "| 0.910 (0.900 to 0.930) |" in line
    assert line.endswith("| 2 (1 to 3) |")
    assert len(format_seeds(runs).splitlines()) == 3


def test_one_seed_has_no_spread() -> None:
    assert format_seeds({"default": record("default"), "no_aspp": record("no_aspp")}) == ""


@pytest.mark.parametrize(("seed", "name"), [(0, "no_aspp"), (2, "no_aspp_seed2")])
def test_run_is_named_after_variant_and_seed(seed: int, name: str) -> None:
    assert run_name("no_aspp", seed) == name
