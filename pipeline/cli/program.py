"""All commands in one parser, and what comes of errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pipeline import __version__
from pipeline.cli import check, compare, cross_validate, dicom, phantom, register, rerun, summary, sweep
from pipeline.errors import InputError

_EXAMPLES = """\
examples:
  look a data set over before training on it
    python -m pipeline data check path/to/acdc/training
  list the DICOM series of a study, and which is taken for the short-axis cine
    python -m pipeline data dicom path/to/study
  make a cohort of synthetic beating hearts, in ACDC's layout, to try everything on
    python -m pipeline data phantom runs/phantom --num_patients 12
  show what an evaluation found, and where its files are
    python -m pipeline summary runs/demo
  train every fold, and pool the figures of all cases
    python -m pipeline cross-validate --bundle_root B --config_file FILES --dataset_dir DIR --output_dir runs/cv
  search for better settings
    python -m pipeline sweep learning_rate.yaml --bundle_root B --config_file FILES --output_dir runs/sweep
  compare the runs of an experiment, also case by case
    python -m pipeline compare cardiac_sax_segmentation
  make a training again from its record, or a model of it that can be served
    python -m pipeline rerun RUN_ID
    python -m pipeline register RUN_ID

A single training, evaluation and inference are run by `python -m monai.bundle run`: see README.md.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: words after ``python -m pipeline``; those of the process if ``None``.

    Returns:
        Exit status: 0 for success, 1 for a check that found errors, 2 for input that the user can mend.
    """
    parser = _make_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and not getattr(options, "takes_overrides", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.overrides = rest
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
    check.add(data_commands)
    dicom.add(data_commands)
    phantom.add(data_commands)
    summary.add(commands)
    compare.add(commands)
    rerun.add(commands)
    register.add(commands)
    cross_validate.add(commands)
    sweep.add(commands)
    return parser
