"""What all commands have in common."""

from __future__ import annotations

import argparse
from typing import TypeAlias

# argparse has a public name for this in no version; at run time it takes no parameter
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(commands: Commands, name: str, purpose: str, examples: str) -> argparse.ArgumentParser:
    """Add a command to a parser; its purpose is its line in the list of all, and the head of its own help."""
    return commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,  # --fold 1 is a setting of the configuration, and no short form of --folds
    )


def add_tracking_uri(parser: argparse.ArgumentParser) -> None:
    """Add the address of the store."""
    parser.add_argument(
        "--tracking_uri", default="", help="where MLflow keeps the runs (default: MLFLOW_TRACKING_URI, else mlruns.db)"
    )
