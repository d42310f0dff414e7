from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.comparison import Comparison, compare_experiment, format_comparison, write_comparison

GOOD = {"a_ed": (0.9, 0.8, 0.9), "a_es": (0.8, 0.8, 0.9), "b_ed": (0.9, 0.9, 0.9)}
WORSE = {case: tuple(value - 0.1 for value in dice) for case, dice in GOOD.items()}


@pytest.fixture
def comparison(store: str, client, new_run) -> Comparison:
    """Two trainings; one has a name that HTML would take for a tag, and a curve."""
    new_run("<i>worse</i>", 0.74, WORSE, params={"learning_rate": "0.1", "amp": "true"})
    run_id = new_run("good", 0.86, GOOD, params={"learning_rate": "0.2", "amp": "true"}, num_parameters="1234567")
    client.log_metric(run_id, "val_mean_dice", 0.8, step=5)
    return compare_experiment("hearts", store)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_are_written(comparison: Comparison, tmp_path: Path) -> None:
    names = [path.name for path in write_comparison(comparison, tmp_path / "out")]
    tables = ["comparison.html", "runs.csv", "settings.csv", "paired.csv", "paired_cases.csv", "curves.svg"]
    assert names == [*tables, "scatter_1_good_-i-worse-i-.svg"]


def test_table_of_runs(comparison: Comparison, tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path)
    rows = read(tmp_path / "runs.csv")
    assert [(row["rank"], row["run"], row["mean_dice"]) for row in rows] == [
        ("1", "good", "0.86"),
        ("2", "<i>worse</i>", "0.74"),
    ]
    assert (rows[0]["minutes"], rows[0]["num_parameters"]) == ("60.0", "1234567.0")
    assert (rows[0]["setting.learning_rate"], rows[1]["num_parameters"]) == ("0.2", "")


def test_table_of_pairs(comparison: Comparison, tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path)
    row = read(tmp_path / "paired.csv")[0]
    assert (row["run_a"], row["figure"], row["num_cases"], row["better"]) == ("good", "mean_dice", "3", "good")
    assert float(row["difference"]) == pytest.approx(0.1)


@pytest.mark.parametrize(("named", "cases"), [(False, ["1", "2", "3"]), (True, ["a_ed", "a_es", "b_ed"])])
def test_cases_are_named_only_where_asked(
    comparison: Comparison, tmp_path: Path, named: bool, cases: list[str]
) -> None:
    write_comparison(comparison, tmp_path, with_identifiers=named)
    rows = [row for row in read(tmp_path / "paired_cases.csv") if row["figure"] == "mean_dice"]
    assert [row["case"] for row in rows] == cases
    assert ("a_ed" in (tmp_path / "comparison.html").read_text(encoding="utf-8")) is named


def test_page_stands_alone_and_escapes_names(comparison: Comparison, tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path)
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "<i>worse" not in page and "&lt;i&gt;worse&lt;/i&gt;" in page
    assert re.findall(r'(?:src|href)="', page) == []
    assert page.count("<svg") == 2


def test_page_marks_the_best_figure(comparison: Comparison, tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path)
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert '<td class="best" data-value="0.86">0.8600</td>' in page


def test_text_for_the_terminal(comparison: Comparison) -> None:
    lines = format_comparison(comparison).splitlines()
    assert lines[0].startswith("hearts in sqlite:///") and lines[0].endswith(": 2 runs")
    assert lines[2].split()[:4] == ["#", "run", "status", "Dice"]
    assert lines[4].split() == [
        "1",
        "good",
        "FINISHED",
        "0.8600",
        "-",
        "-",
        "0.860",
        "-",
        "-",
        "60.0",
        "1.23",
        "M",
        "cpu",
    ]
    assert "  learning_rate: 0.2 (#1); 0.1 (#2)" in lines
    assert "A = good, B = <i>worse</i>: 3 cases in both (A has 3, B 3)" in lines


def test_text_is_cut_to_the_limit(comparison: Comparison) -> None:
    text = format_comparison(comparison, limit=1)
    assert "... and 1 more runs" in text


def test_comparison_without_pairs_has_fewer_files(store: str, new_run, tmp_path: Path) -> None:
    new_run("alone", 0.9)
    names = [path.name for path in write_comparison(compare_experiment("hearts", store), tmp_path / "out")]
    assert names == ["comparison.html", "runs.csv"]


def test_latest_validation_is_marked(store: str, new_run) -> None:
    new_run("goes on", 0.5, prefix="val_", minutes=None)
    assert " 0.5000* " in format_comparison(compare_experiment("hearts", store))


def test_several_pairs_are_shown_by_their_first_figure(store: str, new_run) -> None:
    for name, dice in (("best", 0.9), ("second", 0.8), ("third", 0.7)):
        new_run(name, dice, {case: (dice, dice, dice) for case in GOOD})
    lines = format_comparison(compare_experiment("hearts", store)).splitlines()
    start = lines.index("A = best, mean_dice case by case:")
    assert [line.split()[0] for line in lines[start + 3 : start + 5]] == ["second", "third"]
    assert "dice_rv" not in "\n".join(lines)


def test_files_of_an_earlier_comparison_are_replaced(comparison: Comparison, tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path / "out")
    write_comparison(replace(comparison, pairs=(), curves={}), tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["comparison.html", "runs.csv", "settings.csv"]


def test_interval_of_one_patient_is_left_out(store: str, new_run) -> None:
    for name, dice in (("one", 0.9), ("two", 0.8)):
        new_run(name, dice, {"a_ed": (dice, 0.8, 0.9)})
    lines = format_comparison(compare_experiment("hearts", store)).splitlines()
    assert next(line.split()[4] for line in lines if line.startswith("mean_dice")) == "-"
