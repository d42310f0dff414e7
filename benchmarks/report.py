"""What a section of the benchmark says: kept as JSON, one file a section, and shown as ``RESULTS.md``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table of texts.

    Attributes:
        columns: heads.
        rows: as many texts a row as there are heads.
        caption: a line above it.

    Raises:
        ValueError: a row has another number of texts.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"rows must have {len(self.columns)} texts, one a column, got {list(row)}.")

    def markdown(self) -> str:
        """Return it as Markdown; the first column to the left, the others to the right."""
        lines = [_line(self.columns), _line(["---", *["---:"] * (len(self.columns) - 1)]), *map(_line, self.rows)]
        return "\n".join([f"{self.caption}\n", *lines] if self.caption else lines)


@dataclass(frozen=True)
class Goal:
    """A goal and what was reached.

    Attributes:
        what: is measured.
        goal: as a text, such as ``"at most 20 %"``.
        reached: as a text.
        met: whether it was reached.
    """

    what: str
    goal: str
    reached: str
    met: bool


@dataclass(frozen=True)
class Section:
    """One section's results.

    Attributes:
        title: heading.
        tables: what was found.
        notes: how it was measured, a sentence or two each.
        goals: of the section.
        measured: the raw figures, for later questions; JSON-able.
    """

    title: str
    tables: Sequence[Table]
    notes: Sequence[str] = ()
    goals: Sequence[Goal] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)


def save(section: Section, path: Path, facts: Mapping[str, Any]) -> None:
    """Write a section as JSON.

    Args:
        section: the results.
        path: file to write.
        facts: ``commit``, ``command``, ``machine`` and ``versions`` of the run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**asdict(section), **facts}, indent=1) + "\n", encoding="utf-8", newline="\n")


def results_markdown(sections: Sequence[Mapping[str, Any]]) -> str:
    """Return ``RESULTS.md`` from the sections as :func:`save` wrote them.

    Args:
        sections: in the order of the page.
    """
    parts = ["# Benchmarks", "Written by `make bench` (`python -m benchmarks.bench`); do not edit."]
    goals = [Goal(**goal) for section in sections for goal in section["goals"]]
    if goals:
        parts += ["## Goals", _goals_table(goals).markdown()]
    for section in sections:
        parts += [f"## {section['title']}", *_tables(section), *_notes(section), _origin(section)]
    return "\n\n".join(parts) + "\n"


def _goals_table(goals: Sequence[Goal]) -> Table:
    rows = [[goal.what, goal.goal, goal.reached, "yes" if goal.met else "no"] for goal in goals]
    return Table(["", "goal", "measured", "met"], rows)


def _tables(section: Mapping[str, Any]) -> list[str]:
    return [Table(**table).markdown() for table in section["tables"]]


def _notes(section: Mapping[str, Any]) -> list[str]:
    return ["\n".join(f"- {note}" for note in section["notes"])] if section["notes"] else []


def _origin(section: Mapping[str, Any]) -> str:
    machine = ", ".join(f"{name} {value}" for name, value in section["machine"].items())
    packages = "; ".join(
        f"{owner}: " + ", ".join(f"{name} {version}" for name, version in found.items())
        for owner, found in section["versions"].items()
    )
    return f"`{section['command']}`, commit {section['commit']}. Machine: {machine}. Versions: {packages}."


def _line(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"
