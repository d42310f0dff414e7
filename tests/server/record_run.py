"""One of several processes that record at once: ``python record_run.py URI EXPERIMENT FOLDER NUMBER``."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.tracking import RunTracker


def main(uri: str, experiment: str, folder: str, number: str) -> None:
    tracker = RunTracker(uri, experiment, output_dir=Path(folder) / number, system_metrics=False)
    with tracker.start("training", params={"number": number}) as run:
        for epoch in range(5):
            for iteration in range(40):
                run.log_metrics({"train_loss": 1.0 / (1 + iteration)}, step=40 * epoch + iteration)
            run.flush()
        run.log_text(number, "notes.txt")


if __name__ == "__main__":
    main(*sys.argv[1:])
