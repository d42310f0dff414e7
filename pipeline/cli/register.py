"""The command ``register``: a training as a model of the registry."""

from __future__ import annotations

import argparse

from pipeline.cli.command import Commands, add_command, add_tracking_uri

_EXAMPLES = """\
examples:
  python -m pipeline register 4c5bb55b8ce84c1c9f6ff0a1c44b0f04
  python -m pipeline register 4c5bb55b8ce84c1c9f6ff0a1c44b0f04 --promote --margin 0.001
"""


def add(commands: Commands) -> None:
    """Add the command to a parser."""
    parser = add_command(commands, "register", "make a training a model of the MLflow registry", _EXAMPLES)
    parser.add_argument("run_id", help="id of the training")
    parser.add_argument("--name", default="cardiac_sax_segmentation", help="registered model (default: %(default)s)")
    parser.add_argument("--alias", default="candidate", help="alias of the new version (default: %(default)s)")
    parser.add_argument(
        "--promote", action="store_true", help="make it the champion, if it is better than that on the same cases"
    )
    parser.add_argument(
        "--margin", type=float, default=0.0, help="Dice that the interval of the difference must exclude (default: 0)"
    )
    parser.add_argument("--bundle_root", default="", help="folder of the bundle (default: that of the training)")
    add_tracking_uri(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from pipeline.registry import register_run

    done = register_run(
        options.run_id,
        options.name,
        options.alias,
        options.tracking_uri,
        options.bundle_root,
        promotes=options.promote,
        margin=options.margin,
    )
    print(f"Version {done.version} of {done.name}, alias {options.alias}")
    if done.promotion is not None:
        print(f"Champion: {done.promotion.reason}")
    print("Serve it with MLFLOW_TRACKING_URI set to the store:")
    print(f"  mlflow models serve --env-manager local -m {done.model_uri}")
    return 0
