"""How long the work itself takes before a first result, in a process where everything is imported and warm.

    python -m benchmarks.children.warm_work SCAN_DIR DATASET_DIR OUTPUT_DIR

The last line is JSON: ``mask_s``, seconds to segment the scans of a folder, and ``batch_s``, seconds to fill the cache
of a training and cut its first batch; each the second time.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.children.stage_times import read_inference
from benchmarks.children.train_epochs import read_training
from pipeline.inference.cohort import segment_cohort


def main() -> None:
    """Measure and print."""
    scans, dataset_dir, output_dir = map(Path, sys.argv[1:])
    evaluator = read_inference(scans, output_dir).get_parsed_content("evaluator")

    def segment() -> None:
        segment_cohort(evaluator, output_dir, progress=False)

    def first_batch() -> None:
        config = read_training(dataset_dir, output_dir, epochs=1)
        next(iter(config.get_parsed_content("train#dataloader")))

    print(json.dumps({"mask_s": second_time(segment), "batch_s": second_time(first_batch)}))


def second_time(work: Callable[[], None]) -> float:
    """Return the seconds of the second of two runs."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
