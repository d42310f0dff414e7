"""The command ``cross-validate``: every fold, and the figures of all cases."""

from __future__ import annotations

import argparse

from pipeline.cli.command import Commands, add_command
from pipeline.cli.training import add_training, interrupted, tell

_EXAMPLES = """\
examples:
  python -m pipeline cross-validate --bundle_root B --config_file "['train.yaml','acdc.yaml']" \\
    --dataset_dir DIR --output_dir runs/cv
  two folds at a time, each on half of the cores, the last of five on all
    … --jobs 2
  only some folds, and any setting of the configuration
    … --folds 0,1 --max_epochs 40

The same command again skips finished folds, goes on with an interrupted one, and pools all.
exit status: 0 where all folds are pooled, 2 where some failed or a setting cannot be, 130 after Ctrl-C
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(commands, "cross-validate", "train every fold and pool the figures of all cases", _EXAMPLES)
    add_training(parser)
    parser.add_argument("--folds", type=_numbers, help="such as 0,1,2 (default: all of the configuration)")
    parser.add_argument("--jobs", type=int, default=1, help="folds to train at a time (default: 1)")
    parser.add_argument("--any_code", action="store_true", help="also pool folds of other versions of this package")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from pipeline.workflows.cross_validation import cross_validate
    from pipeline.workflows.launch import BundleTraining, parse_overrides

    training = BundleTraining(options.bundle_root, options.config_file, parse_overrides(options.overrides))
    try:
        cross_validate(
            training, options.output_dir, options.folds, any_code=options.any_code, jobs=options.jobs, tell=tell
        )
    except KeyboardInterrupt:
        return interrupted()
    return 0


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]
