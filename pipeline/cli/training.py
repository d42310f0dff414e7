"""What the commands that start trainings have in common."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_training(parser: argparse.ArgumentParser) -> None:
    """Add what both commands hand on to `monai.bundle run`; what is left over are overrides."""
    parser.add_argument("--bundle_root", required=True, help="folder of the bundle")
    parser.add_argument(
        "--config_file", required=True, help="as of `monai.bundle run`: a file, or \"['a.yaml','b.yaml']\""
    )
    parser.add_argument("--output_dir", type=Path, required=True, help="folder of the whole")
    parser.set_defaults(takes_overrides=True)


def tell(line: str) -> None:
    """Show a line at once."""
    print(line, flush=True)  # among the lines of the trainings


def interrupted() -> int:
    """Tell how to go on, and return the exit status."""
    print("Interrupted. The same command goes on where this one has stopped.", file=sys.stderr)
    return 130
