"""The files that an evaluation leaves: a case a row, a study a row, the summary, pictures of chosen cases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch.distributed as dist
from ignite.engine import Engine, Events

from pipeline.files import atomic_path
from pipeline.labels import FOREGROUND
from pipeline.metrics import SegmentationMetrics, summarize
from pipeline.metrics.segmentation import case_items
from pipeline.metrics.studies import pair_studies, summarize_studies
from pipeline.reporting.agreement import write_studies
from pipeline.reporting.cases import KeptCase
from pipeline.reporting.evaluation_page import write_evaluation_page
from pipeline.reporting.montage import Panel, thumbnail
from pipeline.reporting.overlay import as_displayed, save_overlay

MAX_PICTURES = 12
"""Worst cases that the page shows by a picture: each is read from its file again."""


class EvaluationReport:
    """Write ``metrics.csv``, ``volumes.csv``, ``summary.json``, ``overlays/*.png`` and ``report.html``.

    They are written when an evaluation completes.

    A handler for ``val_handlers`` of MONAI's ``SupervisedEvaluator``. The masks of each case are kept compressed until
    the end (about 15 kB a case), the scans of the chosen cases are then read again. With ``torch.distributed`` only
    rank 0 writes.

    Where patients have an ED and an ES case with labels, ``volumes.csv`` lists EDV, ESV, SV, EF and LV mass of each
    study by prediction and by label, and the summary has an ``agreement`` section; else there is no such file.

    Args:
        output_dir: folder of the files; made if missing.
        metric: the metric of the same evaluator, whose rows are written.
        overlays: also draw the best, median and worst case by ``mean_dice``. Needs the items' ``image`` to be a
            MetaTensor that names its file, and ``pred`` and ``label`` on the grid of that file.

    Attributes:
        artifacts: the files written by the last evaluation.
        summary: what ``summary.json`` holds.
        studies: what ``volumes.csv`` holds, as ``pipeline.metrics.studies.pair_studies`` returns it.
    """

    def __init__(self, output_dir: str | Path, metric: SegmentationMetrics, overlays: bool = True) -> None:
        self.output_dir = Path(output_dir)
        self.metric = metric
        self.overlays = overlays
        self.artifacts: list[Path] = []
        self.summary: dict[str, Any] = {}
        self.studies: list[dict[str, Any]] = []
        self._kept: dict[str, KeptCase] = {}

    def attach(self, engine: Engine) -> None:
        """Register with the evaluator; the metric must be attached to it too."""
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.COMPLETED, self._write)
        if self.overlays:
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._keep)

    def _start(self, _engine: Engine) -> None:
        self.artifacts, self.summary, self.studies, self._kept = [], {}, [], {}

    def _keep(self, engine: Engine) -> None:
        for item in case_items(engine.state.batch, engine.state.output):
            kept = KeptCase.from_item(item)
            self._kept[kept.case_id] = kept

    def _write(self, _engine: Engine) -> None:
        rows = self.metric.rows
        self.summary, self.studies = summarize(rows), pair_studies(rows)
        agreement = summarize_studies(self.studies)
        if agreement:
            self.summary["agreement"] = agreement
        chosen = choose_cases(rows) if self.overlays else {}
        pictured = [*chosen.values(), *(worst_first(rows)[:MAX_PICTURES] if self.overlays else [])]
        kept = _gather({row["case_id"]: self._kept.get(row["case_id"]) for row in pictured})
        self._kept = {}
        if not _is_first_rank():
            return
        self.artifacts = [self._write_rows(rows), *self._write_studies(), self._write_summary()]
        for rank, row in chosen.items():
            self.artifacts.append(self._write_overlay(rank, row, kept[row["case_id"]]))
        pictures = {case_id: _picture(case) for case_id, case in kept.items()}
        page = write_evaluation_page(self.output_dir / "report.html", rows, self.studies, pictures)
        self.artifacts.append(page)

    def _write_rows(self, rows: Sequence[Mapping[str, Any]]) -> Path:
        path = self.output_dir / "metrics.csv"
        with atomic_path(path) as partial:
            pd.DataFrame(rows).to_csv(partial, index=False, encoding="utf-8")
        return path

    def _write_studies(self) -> list[Path]:
        path = self.output_dir / "volumes.csv"
        if "agreement" not in self.summary:
            path.unlink(missing_ok=True)  # of an earlier evaluation in this folder
            return []
        return [write_studies(path, self.studies)]

    def _write_summary(self) -> Path:
        path = self.output_dir / "summary.json"
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(self.summary, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        return path

    def _write_overlay(self, rank: str, row: Mapping[str, Any], case: KeptCase) -> Path:
        volumes, spacing_mm = as_displayed(case.affine, case.load_image(), case.pred.unpack(), case.label.unpack())
        image, pred, label = volumes
        path = self.output_dir / "overlays" / f"{rank}_{case.case_id}.png"
        return save_overlay(path, image, pred, label, spacing_mm=spacing_mm, title=_title(rank, row))


def choose_cases(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Choose the cases worth looking at.

    Args:
        rows: a case each, with ``case_id`` and ``mean_dice``; those whose mean is NaN are left out.

    Returns:
        ``best``, ``median`` and ``worst`` by ``mean_dice``: the worst alone of one case, worst and best of two.
    """
    ordered = worst_first(rows)
    places = {"worst": 0, "best": len(ordered) - 1, "median": (len(ordered) - 1) // 2}
    chosen: dict[str, Mapping[str, Any]] = {}
    for rank, place in places.items():
        if ordered and not any(ordered[place] is row for row in chosen.values()):
            chosen[rank] = ordered[place]
    return chosen


def worst_first(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort cases by ``mean_dice``, the lowest first; those whose mean is NaN are left out."""
    counted = [row for row in rows if not np.isnan(row["mean_dice"])]
    return sorted(counted, key=lambda row: (row["mean_dice"], row["case_id"]))


def _picture(case: KeptCase) -> Panel:
    return thumbnail(case.load_image(), case.pred.unpack(), case.affine, case.label.unpack())


def _title(rank: str, row: Mapping[str, Any]) -> str:
    dice = ", ".join(
        f"{structure.name} {row[f'dice_{structure.key}']:.3f}"
        for structure in FOREGROUND
        if not np.isnan(row[f"dice_{structure.key}"])
    )
    return f"{row['case_id']} ({rank} case)   Dice: {dice}"


def _is_first_rank() -> bool:
    return not (dist.is_available() and dist.is_initialized()) or dist.get_rank() == 0


def _gather(kept: dict[str, KeptCase | None]) -> dict[str, KeptCase]:
    by_rank: list[Any] = [kept]
    if dist.is_available() and dist.is_initialized():
        by_rank = [None] * dist.get_world_size()
        dist.all_gather_object(by_rank, kept)
    return {case_id: case for of_rank in by_rank for case_id, case in of_rank.items() if case is not None}
