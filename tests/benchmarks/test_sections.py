"""What the sections make of measured times: the sums are worked out by hand."""

from __future__ import annotations

import pytest

from benchmarks.pairing import Line, Spread
from benchmarks.processes import Measured
from benchmarks.sections import scale
from benchmarks.sections.inference import OURS, Program, compare, goal_of, per_volume, shared_name
from benchmarks.sections.quick_training import section_of
from benchmarks.sections.stages import others_share, peak_table, stage_table
from benchmarks.sections.start_up import over_imports
from benchmarks.sections.training import stage_table as training_stages


def test_a_cohort_is_start_up_and_seconds_a_volume() -> None:
    found = {"few": [2], "many": [6], "few_s": [5.0], "many_s": [7.0]}
    # 0.5 s a volume, 4 s of start, 100 volumes: 54 s
    assert per_volume(found) == ([0.5], [4.0], [54.0])


def test_peers_stand_beside_ours_in_their_round() -> None:
    times = {
        OURS: {"few": [2], "many": [6], "few_s": [5.0], "many_s": [7.0], "peak_gb": [0.7]},
        shared_name(): {"few": [2], "many": [6], "few_s": [6.0], "many_s": [7.0], "peak_gb": [0.7]},
        "nnU-Net 2D": {"few": [2], "many": [4], "few_s": [18.0], "many_s": [26.0], "peak_gb": []},
    }
    programs = [Program(name, lambda source, target: [], 2) for name in times]
    table, ratios = compare(times, programs, 2)
    # 4 s a volume against 0.25 by all cores, and 0.5 by the plain command
    assert ratios == {"nnU-Net 2D": Spread(16.0, 16.0, 16.0, 1)}
    assert table.rows[2] == ["nnU-Net 2D", "4.00", "15", "10.0", "8.0", "410.0", "7.6", ""]


@pytest.mark.parametrize(("ratio", "met"), [(24.9, False), (25.0, True)])
def test_goal_is_met_from_its_value_on(ratio: float, met: bool) -> None:
    assert goal_of("nnU-Net 2D", Spread(ratio, ratio, ratio, 1)).met is met


def test_what_no_stage_accounts_for_is_the_rest() -> None:
    rounds = [{"wall_s": 2.0, "stages": {"network": 1.5, "read": 0.3}, "volumes": 10}]
    rows = {row[0]: row[1:] for row in stage_table(rounds)[0].rows}
    assert rows["the rest (engine, listings)"] == ["20.0", "10.0"]


def test_everything_but_the_network() -> None:
    rounds = [{"wall_s": 2.0, "stages": {"network": 1.5}, "volumes": 10}]
    assert others_share(rounds).median == pytest.approx(0.25)


def test_share_of_the_peak_weighs_inputs_by_their_time() -> None:
    # 2 * 30 + 10 GFLOP in 2 * 0.2 + 0.3 s: 100 GFLOP/s
    shapes = [
        {"shape": [8, 1, 128, 128], "calls": 2, "flops": 30e9, "seconds": 0.2},
        {"shape": [5, 1, 128, 128], "calls": 1, "flops": 10e9, "seconds": 0.3},
    ]
    assert peak_table(shapes, 200e9, "float32")[1] == pytest.approx(0.5)


def test_share_of_forward_and_backward_includes_the_loss() -> None:
    epoch = {"wall_s": 10.0, "iterations": 5, "stages": {"forward": 3.0, "loss": 1.0, "backward": 5.0, "augment": 0.5}}
    assert training_stages([epoch])[1] == pytest.approx(0.9)


def test_start_up_counts_from_imports_and_work() -> None:
    assert over_imports([6.0, 9.0], [3.0, 4.0], 1.0) == Spread(1.65, 1.5, 1.8, 2)


def test_biobank_costs_the_slope_times_the_cores() -> None:
    # 0.36 s a volume on 2 cores are 20 core-hours for 100,000 volumes, 1,000 for cines of 50 phases
    table = scale.biobank_table({1: Line(0.36, 9.0, 1.0), 2: Line(0.18, 12.0, 1.0)}, cores=2)
    assert table.rows == [["one process", "0.360", "20.0", "1000"], ["2 processes", "0.180", "10.0", "500"]]


def test_cohorts_are_listed_with_time_and_memory_of_each_way() -> None:
    found = {1: [Measured(9.5, 800_000_000, ""), Measured(12.0, None, "")], 2: [Measured(11.0, None, "")] * 2}
    table = scale.sizes_table([1, 1000], found)
    assert table.columns == ["scans", "one process: s", "one process: GB", "2 processes: s", "2 processes: GB"]
    assert table.rows == [["1", "9.5", "0.80", "11.0", ""], ["1,000", "12.0", "", "11.0", ""]]


@pytest.mark.parametrize(
    ("minutes", "dice", "met"), [(7.9, 0.901, True), (8.1, 0.901, False), (7.9, 0.899, False), (8.0, 0.9, True)]
)
def test_training_is_good_by_its_dice_in_time(minutes: float, dice: float, met: bool) -> None:
    (goal,) = section_of(minutes, {"mean_dice": dice}).goals
    assert goal.met is met
