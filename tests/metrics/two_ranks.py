"""One of two processes that evaluate together: ``python two_ranks.py FOLDER RANK``; writes ``FOLDER/RANK.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from pipeline.metrics import SegmentationMetrics


class Label(torch.Tensor):
    """A tensor with an affine, which is all that the metric needs of a MetaTensor: it spares importing MONAI."""

    affine = torch.eye(4)


def case(number: int) -> dict[str, object]:
    label = torch.full((1, 4, 4, 4), 3)
    pred = label if number == 0 else torch.zeros_like(label)
    return {"case_id": str(number), "pred": pred, "label": label.as_subclass(Label)}


def main(folder: Path, rank: int) -> None:
    dist.init_process_group("gloo", init_method=(folder / "store").resolve().as_uri(), rank=rank, world_size=2)
    metric = SegmentationMetrics(surface=False)
    metric.update([case(number) for number in ((0, 1), (1, 2))[rank]])
    result = {"mean_dice": metric.compute(), "case_ids": [row["case_id"] for row in metric.rows]}
    (folder / f"{rank}.json").write_text(json.dumps(result), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
