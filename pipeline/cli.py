"""The command line ``python -m pipeline``: argument parsing, and printing what the library returns."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.errors import InputError

# Each command imports what it needs when it runs: torch and MLflow take seconds, --help must not.

_EXAMPLES = """\
examples:
  look a data set over before training on it
    python -m pipeline data check path/to/acdc/training
  make a cohort of synthetic beating hearts, in ACDC's layout, to try everything on
    python -m pipeline data phantom runs/phantom --num_patients 12
  show what an evaluation found, and where its files are
    python -m pipeline summary runs/demo

Training, evaluation and inference are run by `python -m monai.bundle run`: see README.md.
"""

_CHECK_EXAMPLES = """\
examples:
  python -m pipeline data check path/to/acdc/training
  python -m pipeline data check path/to/data --data_format folder --label_map mnms

exit status: 0 where training can start, 1 where it would fail, 2 where the folder is no data set
"""

_PHANTOM_EXAMPLES = """\
examples:
  python -m pipeline data phantom runs/phantom --num_patients 12 --seed 0
  python -m pipeline data phantom runs/unseen --num_patients 1 --seed 1000 --cine
"""

_SUMMARY_EXAMPLES = """\
examples:
  python -m pipeline summary runs/demo
  python -m pipeline summary runs/acdc --tracking_uri http://localhost:5000
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after ``python -m pipeline``; those of the process if ``None``.

    Returns:
        Exit status: 0 for success, 1 for a check that found errors, 2 for input that the user can mend.
    """
    options = _make_parser().parse_args(arguments)
    try:
        status: int = options.run(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return status


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline",
        description="Cardiac short-axis MR segmentation: data sets, phantoms, results.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    data = commands.add_parser("data", help="check a data set, or make a synthetic one")
    data_commands = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_check(data_commands)
    _add_phantom(data_commands)
    _add_summary(commands)
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, purpose: str, examples: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(commands, "check", "read every case of a data set and list all problems", _CHECK_EXAMPLES)
    parser.add_argument("dataset_dir", help="folder of the data set")
    parser.add_argument("--data_format", default="auto", help="auto (default), acdc, mnms, decathlon or folder")
    parser.add_argument(
        "--label_map", help="whose label values the masks have, e.g. acdc or mnms; the format's if left out"
    )
    parser.set_defaults(run=_check)


def _add_phantom(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(commands, "phantom", "make synthetic beating hearts in ACDC's layout", _PHANTOM_EXAMPLES)
    parser.add_argument("output_dir", help="folder to write to")
    parser.add_argument("--num_patients", type=int, default=12, help="how many (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same patients (default: 0)")
    parser.add_argument("--cine", action="store_true", help="also write every phase of the beat, as a 4D file")
    parser.set_defaults(run=_phantom)


def _add_summary(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _add_command(
        commands, "summary", "show the results of an evaluation and where its files are", _SUMMARY_EXAMPLES
    )
    parser.add_argument("output_dir", type=Path, help="the output_dir of the evaluation")
    parser.add_argument("--tracking_uri", default="", help="where MLflow keeps the runs, as in the training")
    parser.set_defaults(run=_summary)


def _check(options: argparse.Namespace) -> int:
    from pipeline.data.check import check_directory, format_report

    report = check_directory(options.dataset_dir, options.data_format, options.label_map, progress=True)
    print(format_report(report))
    return 1 if report.errors else 0


def _phantom(options: argparse.Namespace) -> int:
    from pipeline.data.phantom import make_phantom_cohort

    make_phantom_cohort(options.output_dir, options.num_patients, options.seed, write_cine=options.cine, progress=True)
    print(f"Wrote {options.num_patients} phantom patients to {options.output_dir}")
    return 0


def _summary(options: argparse.Namespace) -> int:
    summary = _read_summary(options.output_dir / "summary.json")
    from pipeline.reporting import format_summary
    from pipeline.tracking import ui_command

    print(format_summary(summary))
    print(f"\nFiles:\n{_format_files(options.output_dir)}")
    print(f"\nThe runs in MLflow:\n  {ui_command(options.tracking_uri)}")
    return 0


def _read_summary(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"output_dir must be that of an evaluation, got '{path.parent}': it has no {path.name}. Run `python -m "
            "monai.bundle run evaluating` with this --output_dir first, as README.md shows."
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
