"""The command ``data dicom``: what DICOM is there."""

from __future__ import annotations

import argparse

from pipeline.cli.command import Commands, add_command

_EXAMPLES = """\
examples:
  python -m pipeline data dicom path/to/study
  python -m pipeline data dicom path/to/study --series 7

exit status: 0 where each study has a short-axis cine that can be read, 1 where one has none, 2 where there is no DICOM
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(
        commands, "dicom", "list the DICOM series of a folder and which is the short-axis cine", _EXAMPLES
    )
    parser.add_argument("dicom_dir", help="folder that is searched for DICOM, or a file")
    parser.add_argument("--series", default="", help="Series Number or UID to take, where the choice is not yours")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from pipeline.data.dicom import find_cines, format_cines

    studies = find_cines(options.dicom_dir, options.series)
    print(format_cines(studies))
    return 1 if any(study.problem for study in studies) else 0
