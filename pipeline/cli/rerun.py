"""The command ``rerun``: a training made again from its record."""

from __future__ import annotations

import argparse

from pipeline.cli.command import Commands, add_command, add_tracking_uri

_EXAMPLES = """\
examples:
  python -m pipeline rerun 4c5bb55b8ce84c1c9f6ff0a1c44b0f04
  python -m pipeline rerun 4c5bb55b8ce84c1c9f6ff0a1c44b0f04 --dataset_dir /mnt/acdc/training --force

exit status: 0 where all figures are equal, 1 where some differ, 2 where the run cannot be made again
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(commands, "rerun", "train again from what an MLflow run has recorded", _EXAMPLES)
    parser.add_argument("run_id", help="id of the training")
    parser.add_argument("--output_dir", default="", help="folder of the results (default: runs/rerun_ID)")
    parser.add_argument("--dataset_dir", default="", help="where the data set lies today (default: where it lay)")
    parser.add_argument("--force", action="store_true", help="train although code, packages or Python differ")
    add_tracking_uri(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    import logging

    from pipeline.workflows.rerun import rerun

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    done = rerun(options.run_id, options.tracking_uri, options.output_dir, options.dataset_dir, force=options.force)
    print(f"\nRun {done.run_id}, results in {done.output_dir}")
    print(f"{done.num_equal} figures are those of {options.run_id}, to the last digit")
    for name, (old, new) in done.different.items():
        print(f"  {name}: {old!r}, again {new!r}")
    return 1 if done.different else 0
