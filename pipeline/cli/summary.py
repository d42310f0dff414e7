"""The command ``summary``: what an evaluation or an inference has found."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from pipeline.cli.command import Commands, add_command
from pipeline.errors import InputError

_EXAMPLES = """\
examples:
  python -m pipeline summary runs/demo
  python -m pipeline summary runs/segmented
  python -m pipeline summary runs/acdc --tracking_uri http://localhost:5000
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(
        commands,
        "summary",
        "show the results of an evaluation or an inference and where its files are",
        _EXAMPLES,
    )
    parser.add_argument("output_dir", type=Path, help="the output_dir of the evaluation or the inference")
    parser.add_argument("--tracking_uri", default="", help="where MLflow keeps the runs, as in the training")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    studies = options.output_dir / "studies.csv"
    inferred = studies.is_file() and not (options.output_dir / "summary.json").is_file()
    summary = {} if inferred else _read_summary(options.output_dir / "summary.json")
    from pipeline.reporting import format_summary
    from pipeline.reporting.studies_table import format_studies
    from pipeline.tracking import ui_command

    print(format_studies(studies) if inferred else format_summary(summary))
    print(f"\nFiles:\n{_format_files(options.output_dir)}")
    print(f"\nThe runs in MLflow:\n  {ui_command(options.tracking_uri)}")
    return 0


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"output_dir must be that of an evaluation or an inference, got '{path.parent}': it has no {path.name} and "
            "no studies.csv. Run `python -m monai.bundle run evaluating` with this --output_dir first, as README.md "
            "shows."
        )
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}). Run the evaluation again.") from error
    return summary


def _format_files(output_dir: Path) -> str:
    """Return a line a kind of file: the first path, and how many more there are."""
    kinds = {
        "metrics a case": sorted(output_dir.glob("metrics.csv")),
        "numbers a study": [*sorted(output_dir.glob("volumes.csv")), *sorted(output_dir.rglob("studies.csv"))],
        "reports": sorted(output_dir.rglob("report.html")),
        "best weights": sorted(output_dir.glob("models/model.pt")),
        "overlay pictures": sorted(output_dir.rglob("overlays/**/*.png")),
        "masks": [mask for listing in sorted(output_dir.rglob("segmentation.json")) for mask in _masks(listing)],
    }
    lines = []
    for kind, paths in kinds.items():
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        lines.append(f"  {kind:<17} {paths[0]}{more}" if paths else f"  {kind:<17} none")
    return "\n".join(lines)


def _masks(listing: Path) -> list[Path]:
    scans = json.loads(listing.read_text(encoding="utf-8"))["scans"]
    return [listing.parent / scan["output"] for scan in scans if scan["output"]]
