"""The command ``compare``: the runs of an experiment side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.cli.command import Commands, add_command, add_tracking_uri

_EXAMPLES = """\
examples:
  python -m pipeline compare cardiac_sax_segmentation
  python -m pipeline compare cardiac_sax_segmentation --paired baseline wide
  python -m pipeline compare sweep --runs 3fa2c1 9be011 --tracking_uri http://localhost:5000
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(commands, "compare", "compare the runs of an MLflow experiment, also case by case", _EXAMPLES)
    parser.add_argument("experiment", help="name or id of the experiment")
    parser.add_argument(
        "--runs", nargs="+", default=[], metavar="RUN", help="ids, beginnings of ids or names; else all"
    )
    parser.add_argument(
        "--paired",
        nargs=2,
        default=[],
        metavar=("A", "B"),
        help="two runs to compare case by case (default: the best with each of the next)",
    )
    parser.add_argument("--sort", default="mean_dice", help="figure to sort by (default: mean_dice)")
    parser.add_argument(
        "--limit", type=int, default=20, help="lines to print at most; the files have all (default: 20)"
    )
    parser.add_argument(
        "--output_dir",
        type=Path,
        default=Path("runs/comparison"),
        help="folder for comparison.html, tables and charts (default: runs/comparison)",
    )
    parser.add_argument(
        "--allow_different_data", action="store_true", help="compare cases although the data sets differ or are unknown"
    )
    parser.add_argument("--with_identifiers", action="store_true", help="name the cases in the files")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    add_tracking_uri(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from pipeline.comparison import compare_experiment, format_comparison, write_comparison

    comparison = compare_experiment(
        options.experiment,
        options.tracking_uri,
        options.runs,
        options.paired,
        measure=options.sort,
        allow_different_data=options.allow_different_data,
        seed=options.seed,
    )
    files = write_comparison(comparison, options.output_dir, with_identifiers=options.with_identifiers)
    print(format_comparison(comparison, options.limit))
    print(f"\nWritten to {options.output_dir}: {', '.join(path.name for path in files)}")
    return 0
