"""Segment a folder by myopari in this process and say where the time went.

    PYTHON -m benchmarks.peers.myopari_stages INPUT_DIR OUTPUT_DIR [--rounds 3]

The last line is JSON: ``rounds``, each as ``stage_clock.time_stages`` has it, after one that warms up.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from benchmarks.peers import myopari_predict
from benchmarks.stage_clock import Watched, time_stages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    processor = myopari_predict.load_processor()

    def work() -> int:
        return myopari_predict.segment_folder(processor, options.input_dir, options.output_dir)

    work()  # warms up
    methods = watched_methods(type(processor))
    print(json.dumps({"rounds": [time_stages(work, methods) for _ in range(options.rounds)]}))


def watched_methods(processor: type) -> list[Watched]:
    """Return all that is timed; what is left of ``segment`` itself is that it opens its network for each scan."""
    functions = importlib.import_module("myopari.processors.functions_utils")
    module = importlib.import_module(processor.__module__)
    return [
        (myopari_predict, "read_scan", "read"),
        (module, "preprocess_data_array", "preprocess"),
        (processor, "segment", "load"),
        (functions, "predict_patches_onnx_gpu", "network"),
        (module, "predict_data_model", "postprocess"),
        (functions, "restore_mask", "invert"),
        (myopari_predict, "write_mask", "write"),
    ]


if __name__ == "__main__":
    main()
