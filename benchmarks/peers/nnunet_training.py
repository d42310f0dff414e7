"""Time some iterations of nnU-Net's own trainer on the 2D data that nnunet_prepare.py has preprocessed.

    PYTHON benchmarks/peers/nnunet_training.py WORK_DIR [--iterations 3]

The last line is JSON: ``seconds`` of each iteration after one that warms up, loading included, and ``batch``, the shape
of one. Augmentation runs in processes of its own, as many as there are cores.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

DATASET = "Dataset027_ACDC"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--iterations", type=int, default=3)
    options = parser.parse_args()
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(options.work_dir.resolve() / name)
    os.environ.setdefault("nnUNet_n_proc_DA", str(os.cpu_count()))
    # nnU-Net reads the paths of its environment at import
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    folder = options.work_dir / "preprocessed" / DATASET
    plans, description = (
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("nnUNetPlans.json", "dataset.json")
    )
    plans["continue_training"] = False  # as nnUNetv2_train does
    trainer = nnUNetTrainer(plans, "2d", 0, description, torch.device("cpu"))
    trainer.initialize()
    batches, others = trainer.get_dataloaders()
    trainer.network.train()
    seconds = []
    for _ in range(options.iterations + 1):
        start = time.perf_counter()
        batch = next(batches)
        trainer.train_step(batch)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds[1:], "batch": list(batch["data"].shape)}), flush=True)
    for loader in (batches, others):
        getattr(loader, "_finish", lambda: None)()


if __name__ == "__main__":
    main()
