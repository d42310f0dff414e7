"""The command ``data check``: look a data set over."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import Any

import yaml

from pipeline.cli.command import Commands, add_command

_EXAMPLES = """\
examples:
  python -m pipeline data check path/to/acdc/training
  python -m pipeline data check path/to/data --data_format folder --label_map mnms
  python -m pipeline data check path/to/data --label_map "{1: 1, 2: 2, 3: 3, 4: 4}"

exit status: 0 where training can start, 1 where it would fail, 2 where the folder is no data set
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(commands, "check", "read every case of a data set and list all problems", _EXAMPLES)
    parser.add_argument("dataset_dir", help="folder of the data set")
    parser.add_argument(
        "--data_format", default="auto", help="auto (default), acdc, mnms, decathlon, sunnybrook or folder"
    )
    parser.add_argument(
        "--label_map",
        help="whose label values the masks have: a name, e.g. acdc or mnms, or a mapping; the format's if left out",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from pipeline.data.check import check_directory, format_report

    label_map = None if options.label_map is None else _name_or_mapping(options.label_map)
    report = check_directory(options.dataset_dir, options.data_format, label_map, progress=True)
    print(format_report(report))
    return 1 if report.errors else 0


def _name_or_mapping(text: str) -> Any:
    """Read a label map as the command line of monai.bundle does; what is no mapping stays a name, to be looked up."""
    with suppress(yaml.YAMLError):
        found = yaml.safe_load(text)
        if isinstance(found, dict):
            return found
    return text
