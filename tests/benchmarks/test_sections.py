"""What the sections make of measured times: the sums are worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.pairing import Spread
from benchmarks.processes import Measured
from benchmarks.sections import scale
from benchmarks.sections.inference import OURS, Program, compare, goal_of, per_volume, shared_name
from benchmarks.sections.quick_training import section_of
from benchmarks.sections.stages import others_share, peak_table, programs_table, share_within, stage_table
from benchmarks.sections.start_up import over_imports
from benchmarks.sections.training import stage_table as training_stages
from benchmarks.settings import Settings


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


def test_programs_stand_beside_each_other_by_their_stages() -> None:
    programs = {
        OURS: [{"wall_s": 2.0, "stages": {"network": 1.5, "read": 0.4}, "volumes": 10}],
        "nnU-Net 2D": [{"wall_s": 6.0, "stages": {"network": 5.0, "load": 0.5}, "volumes": 2}],
    }
    rows = {row[0]: row[1:] for row in programs_table(programs).rows}
    assert rows["network"] == ["150.0", "2500.0"]
    assert rows["load the weights, for each volume"] == ["", "250.0"]
    assert rows["the rest (engine, listings)"] == ["10.0", "250.0"]
    assert rows["all"] == ["200", "3000"]


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


def took(seconds: float, peak: int | None = None, tree: int | None = None) -> Measured:
    return Measured(seconds, peak, "", tree_bytes=tree)


def test_biobank_costs_the_slope_times_the_cores() -> None:
    # 0.36 s a volume on 2 cores: 2 volumes of 100,000 scans are 40 core-hours; a cine of 9 s makes 500
    volumes = {1: {1: took(9.36), 10: took(12.6), 100: took(45.0)}, 2: {2: took(12.36), 10: took(13.8)}}
    cines = {1: {1: took(18.0), 4: took(45.0)}, 2: {2: took(18.0), 8: took(45.0)}}
    assert scale.biobank_table(volumes, cines, cores=2).rows == [
        ["one process", "0.360", "0.360 to 0.360", "1.0000", "9.0", "40", "500"],
        ["2 processes", "0.180", "", "1.0000", "4.5", "20", "250"],
    ]


def test_cohorts_are_listed_with_time_and_memory_of_each_way() -> None:
    found = {1: {1: took(9.5, 800_000_000), 1000: took(12.0)}, 2: {1000: took(11.0, 700_000_000, 1_500_000_000)}}
    table = scale.sizes_table(found, "Volumes")
    assert table.columns == ["scans", "one process: s", "one process: GB", "2 processes: s", "2 processes: GB"]
    assert table.rows == [["1", "9.5", "0.80", "", ""], ["1,000", "12.0", "", "11.0", "0.70, all 1.50"]]


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("cores", [1, 2, 64, 1000])
def test_at_least_two_cohorts_have_a_scan_for_each_process(cores: int, quick: bool) -> None:
    sizes = scale.sizes_for(cores, quick)
    assert len([size for size in sizes if size >= cores]) >= 2


def test_cohorts_too_small_for_the_processes_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "volumes_folder", lambda size, settings: Path())
    monkeypatch.setattr(scale, "segment", lambda source, processes, settings: took(1.0))
    assert list(scale.segment_volumes(2, [1, 2, 10], Settings(Path(), Path()))) == [2, 10]


@pytest.mark.parametrize(("processes", "volumes", "copies"), [(1, 6, (1, 32)), (2, 1, (2, 64)), (64, 6, (11, 352))])
def test_each_process_has_a_scan_in_the_smaller_cohort(processes: int, volumes: int, copies: tuple[int, int]) -> None:
    program = Program(OURS, lambda source, target: [], 32, processes=processes)
    assert program.copies_of(volumes) == copies


def test_a_goal_says_that_it_rests_on_one_round() -> None:
    assert goal_of("myopari", Spread(29.2, 29.2, 29.2, 1)).reached == "29.2x (one round)"
    assert goal_of("myopari", Spread(29.2, 28.7, 31.5, 3)).reached == "29.2 (28.7 to 31.5)x"


def test_network_within_the_cohort_has_its_stage_s_time() -> None:
    # 2 * 30 GFLOP in 0.5 and 0.3 s: 120 and 200 GFLOP/s
    shapes = [{"shape": [8, 1, 128, 128], "calls": 2, "flops": 30e9, "seconds": 0.2}]
    rounds = [{"wall_s": 1.0, "stages": {"network": seconds}, "volumes": 1} for seconds in (0.5, 0.3)]
    assert share_within(rounds, shapes, 400e9) == Spread(0.4, 0.3, 0.5, 2)


@pytest.mark.parametrize(
    ("minutes", "dice", "met"), [(7.9, 0.901, True), (8.1, 0.901, False), (7.9, 0.899, False), (8.0, 0.9, True)]
)
def test_training_is_good_by_its_dice_in_time(minutes: float, dice: float, met: bool) -> None:
    (goal,) = section_of(minutes, {"mean_dice": dice}).goals
    assert goal.met is met
