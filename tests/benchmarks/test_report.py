"""Tables, and the page that is written from the sections' JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.report import Goal, Section, Table, results_markdown, save

FACTS = {
    "commit": "abc1234",
    "command": "python -m benchmarks.bench",
    "machine": {"processor": "Zen", "cores": "2"},
    "versions": {"ours": {"torch": "2.13.0"}, "peers": {"nnunetv2": "2.8.1"}},
}


def saved(folder: Path, section: Section) -> dict[str, Any]:
    save(section, folder / "results" / "section.json", FACTS)
    return json.loads((folder / "results" / "section.json").read_text(encoding="utf-8"))


@pytest.fixture
def section() -> Section:
    table = Table(["program", "s"], [["ours", "0.3"], ["a|b", "4.0"]], "2 volumes")
    goals = [Goal("against nnU-Net", "25x", "13.3x", False)]
    return Section("Inference", [table], ["In turns."], goals, {"times": [1.0]})


def test_table_in_markdown() -> None:
    assert Table(["a", "b"], [["x", "1"]]).markdown() == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_caption_stands_above_the_table() -> None:
    assert Table(["a"], [], "Above").markdown().startswith("Above\n\n| a |")


def test_a_bar_in_a_text_splits_no_cell() -> None:
    assert "| a\\|b |" in Table(["x"], [["a|b"]]).markdown()


def test_rows_must_fit_the_columns() -> None:
    with pytest.raises(ValueError, match=r"rows must have 2 texts, one a column, got \['x'\]"):
        Table(["a", "b"], [["x"]])


def test_json_keeps_the_raw_figures_and_the_facts(tmp_path: Path, section: Section) -> None:
    found = saved(tmp_path, section)
    assert (found["measured"], found["commit"]) == ({"times": [1.0]}, "abc1234")


def test_page_has_the_table_of_a_section(tmp_path: Path, section: Section) -> None:
    page = results_markdown([saved(tmp_path, section)])
    assert "## Inference\n\n2 volumes\n\n| program | s |\n| --- | ---: |\n| ours | 0.3 |" in page


def test_page_names_commit_machine_and_versions_of_each_section(tmp_path: Path, section: Section) -> None:
    origin = results_markdown([saved(tmp_path, section)]).splitlines()[-1]
    assert origin == (
        "`python -m benchmarks.bench`, commit abc1234. Machine: processor Zen, cores 2. "
        "Versions: ours: torch 2.13.0; peers: nnunetv2 2.8.1."
    )


def test_page_begins_with_the_goals_of_all_sections(tmp_path: Path, section: Section) -> None:
    other = Section("Other", [], goals=[Goal("memory", "at most 2 GB", "1.4 GB", True)])
    page = results_markdown([saved(tmp_path, section), saved(tmp_path, other)])
    assert "| against nnU-Net | 25x | 13.3x | no |\n| memory | at most 2 GB | 1.4 GB | yes |" in page


def test_notes_are_a_list(tmp_path: Path, section: Section) -> None:
    assert "\n\n- In turns.\n\n" in results_markdown([saved(tmp_path, section)])


def test_no_goals_no_table_of_goals() -> None:
    assert "## Goals" not in results_markdown([])
