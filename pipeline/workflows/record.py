"""What every run puts on record before it starts: its whole configuration, its split and its data."""

from __future__ import annotations

from typing import Any

import yaml
from monai.bundle import ConfigParser

from pipeline.data import Split, dataset_digest
from pipeline.tracking.run import Run
from pipeline.workflows.config import config_params, resolved_config

SPLIT_FILE = "split.json"
CONFIG_FILE = "config.yaml"
COMPUTED = ("precision", "backend")
"""Of the parameters, what an expression chooses by machine."""


def run_params(parser: ConfigParser) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the configuration twice: flat, as MLflow's parameters, and whole, as it is written to a file.

    The parameters have the precision and the back end that the expressions for them give on this machine.
    """
    config = resolved_config(parser)
    computed: dict[str, Any] = {
        key: parser.get_parsed_content(key) for key in ("precision", "backend") if key in config
    }
    return config_params({**config, **computed}), config


def record_inputs(run: Run, config: dict[str, Any], split: Split) -> None:
    """Write configuration and split to the run, and tag the run with the data's digest.

    The digest is the SHA-256 over the contents of all files of the split: equal digests, equal data.
    """
    if not run.id:
        return
    run.log_dict(split.as_dict(), f"inputs/{SPLIT_FILE}")
    run.log_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), f"inputs/{CONFIG_FILE}")
    run.set_tags(
        {
            "dataset_digest": dataset_digest([*split.train, *split.val]),
            "num_train_cases": len(split.train),
            "num_val_cases": len(split.val),
        }
    )
