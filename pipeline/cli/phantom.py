"""The command ``data phantom``: synthetic hearts."""

from __future__ import annotations

import argparse

from pipeline.cli.command import Commands, add_command

_EXAMPLES = """\
examples:
  python -m pipeline data phantom runs/phantom --num_patients 12 --seed 0
  python -m pipeline data phantom runs/unseen --num_patients 1 --seed 1000 --cine
  python -m pipeline data phantom runs/scanner --num_patients 1 --dicom enhanced
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(commands, "phantom", "make synthetic beating hearts in ACDC's layout", _EXAMPLES)
    parser.add_argument("output_dir", help="folder to write to")
    parser.add_argument("--num_patients", type=int, default=12, help="how many (default: 12)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same patients (default: 0)")
    parser.add_argument("--cine", action="store_true", help="also write every phase of the beat, as a 4D file")
    parser.add_argument(
        "--dicom",
        nargs="?",
        const="classic",
        default="",
        help="also write every phase as DICOM: classic (a file an image; the default), series_a_slice or enhanced",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from pipeline.data.phantom import make_phantom_cohort

    make_phantom_cohort(
        options.output_dir,
        options.num_patients,
        options.seed,
        write_cine=options.cine,
        write_dicom=options.dicom,
        progress=True,
    )
    print(f"Wrote {options.num_patients} phantom patients to {options.output_dir}")
    return 0
