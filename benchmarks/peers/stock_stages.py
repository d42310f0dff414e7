"""Segment a folder by a stock MONAI configuration in this process and say where the time went.

    python -m benchmarks.peers.stock_stages OVERLAY INPUT_DIR OUTPUT_DIR [--rounds 3]

The last line is JSON: ``rounds``, each as ``stage_clock.time_stages`` has it, after one that warms up.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from monai.bundle import ConfigParser

from benchmarks.stage_clock import Watched, time_stages

FOLDER = Path(__file__).resolve().parent
STAGES = {
    "LoadImaged": "read",
    "Activationsd": "postprocess",
    "AsDiscreted": "postprocess",
    "Invertd": "invert",
    "SaveImaged": "write",
}
"""By transform; all others preprocess."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overlay", help="on stock_inference.yaml, a file beside it")
    parser.add_argument("input_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    config = read_stock(options.overlay, options.input_dir, options.output_dir)
    evaluator = config.get_parsed_content("evaluator")

    def work() -> int:
        evaluator.run()
        return len(config.get_parsed_content("datalist"))

    work()  # warms up
    methods = watched_methods(config)
    print(json.dumps({"rounds": [time_stages(work, methods) for _ in range(options.rounds)]}))


def read_stock(overlay: str, input_dir: Path, output_dir: Path) -> ConfigParser:
    """Return a stock configuration on a folder."""
    config = ConfigParser()
    config.read_config([str(FOLDER / "stock_inference.yaml"), str(FOLDER / overlay)])
    config.update({"dataset_dir": str(input_dir), "output_dir": str(output_dir)})
    return config


def watched_methods(config: ConfigParser) -> list[Watched]:
    """Return all that is timed."""
    transforms: list[Any] = [
        part for name in ("preprocessing", "postprocessing") for part in config.get_parsed_content(name).transforms
    ]
    network, inferer = (type(config.get_parsed_content(name)) for name in ("network", "inferer"))
    return [
        (network, "__call__", "network"),
        (inferer, "__call__", "windows"),
        *((kind, "__call__", STAGES.get(kind.__name__, "preprocess")) for kind in map(type, transforms)),
    ]


if __name__ == "__main__":
    main()
