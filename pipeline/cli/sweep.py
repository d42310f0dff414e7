"""The command ``sweep``: a search for better settings."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.cli.command import Commands, add_command
from pipeline.cli.training import add_training, interrupted, tell

_EXAMPLES = """\
examples:
  python -m pipeline sweep learning_rate.yaml --bundle_root B \\
    --config_file "['train.yaml','acdc.yaml']" --dataset_dir DIR --output_dir runs/sweep
  more trials later
    … --num_trials 40

The same command again goes on with the sweep, and with the trial that was under way.
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(commands, "sweep", "search for better settings by many short trainings", _EXAMPLES)
    parser.add_argument("file", type=Path, help="YAML file with the space that is searched")
    add_training(parser)
    parser.add_argument("--num_trials", type=int, help="trainings in all (default: that of the file)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from pipeline.workflows.launch import BundleTraining, parse_overrides
    from pipeline.workflows.sweep import sweep

    training = BundleTraining(options.bundle_root, options.config_file, parse_overrides(options.overrides))
    try:
        sweep(training, options.file, options.output_dir, options.num_trials, tell=tell)
    except KeyboardInterrupt:
        return interrupted()
    return 0
