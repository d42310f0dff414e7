"""Segments a cohort scan by scan and goes on past a bad one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
from monai.data import Dataset
from monai.data.utils import no_collation
from monai.engines import SupervisedEvaluator
from monai.utils import convert_to_numpy
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from tqdm import tqdm

from pipeline.inference.concurrency import Background, ReadAhead, is_large
from pipeline.inference.phases import IMAGE, PhasePreprocessing
from pipeline.inference.prediction import Prediction, ScanPredictor
from pipeline.inference.reading import ReadScan, ScanReader, attempt
from pipeline.inference.results import CohortError, CohortResult, ScanResult, write_case_names
from pipeline.inference.sharing import is_first, merged, own_scans
from pipeline.inference.source import ScanSource, open_source
from pipeline.inference.study import StudyOptions, StudyResult, StudyWriter, extreme_phases, volumes_ml
from pipeline.inference.targets import MaskTargets
from pipeline.inference.uncertainty_map import write_uncertainty
from pipeline.metrics.summary import EXPECTED_DICE
from pipeline.progress import bar_pace

DrawOverlay = Callable[..., Any]


def segment_cohort(
    evaluator: SupervisedEvaluator,
    output_dir: str | Path,
    overlays: bool = False,
    progress: bool = True,
    options: StudyOptions | None = None,
    publish: Callable[[str, str], None] | None = None,
) -> CohortResult:
    """Segment all scans of an evaluator and write a mask for each, under the scan's own name and on its own grid.

    A scan that cannot be read, predicted or written is listed, and the next one follows. While one is predicted the
    next is read and the last one written, unless they are large. Each mask is written as soon as it is done, and with
    it what :class:`StudyOptions` asks for. At the end, and also when the run is interrupted,
    ``segmentation.json`` and ``segmentation.csv`` list scan, mask, volumes, time and reason of failure, and
    ``studies.csv`` the clinical numbers, a study a row. What goes wrong before the first scan (a checkpoint that does
    not load) is no scan's fault and is raised at once.

    Where ``torch.distributed`` has been initialized the processes share the scans, each gets the result of all, and the
    first one writes the listings and raises.

    Args:
        evaluator: its data loader reads a MONAI ``Dataset`` of items with ``image`` and ``case_id`` by
            ``collate_phases``; its postprocessing leaves ``pred`` of each phase as label map ``(1, X, Y, Z)`` on the
            grid of the scan.
        output_dir: folder of the masks.
        overlays: also draw ``overlays/<case_id>.png``; of a cine the phases of largest and smallest LV volume.
        progress: show a progress bar.
        options: what is written beside the masks; the numbers alone where None.
        publish: takes file name and text of each report without the scan's name, see :class:`StudyWriter`.

    Returns:
        What became of each scan.

    Raises:
        CohortError: some scans failed; its ``result`` has them all.
        InputError: ``output_dir`` cannot be written, also where the disk is full in the end, or masks would replace
            scans or each other.
        TypeError: the evaluator reads something else than a data loader.
    """
    loader = _loader(evaluator)
    datalist = cast(Dataset, loader.dataset).data
    preprocessing = PhasePreprocessing(cast(Dataset, loader.dataset).transform, loader.collate_fn)
    scans = own_scans(len(datalist))
    targets = MaskTargets(output_dir, datalist)
    if is_first():
        write_case_names(targets.output_dir, datalist)
    write_study = StudyWriter(output_dir, options or StudyOptions(), publish)
    draw_overlay = _overlay_drawer() if overlays else None
    shown = progress and is_first()
    with tqdm(total=len(scans), desc="segment", unit="scan", **bar_pace(), disable=not shown) as bar:
        predict = ScanPredictor(evaluator, evaluator._process_function, preprocessing)
        background = Background()
        segmenter = _Segmenter(datalist, predict, targets, write_study, draw_overlay, bar, background)
        results = segmenter.results
        reader = ScanReader(datalist, preprocessing.read, scans)
        try:
            with background, _scan_by_scan(evaluator, reader, segmenter.step):
                evaluator.run()
                background.wait()
            results = merged(results)
        finally:
            left_out = tuple(getattr(datalist, "left_out", ()))
            result = CohortResult(Path(output_dir), tuple(results), left_out)
            if result.scans and is_first():
                result.write()
    if result.failed and is_first():
        raise CohortError(result)
    return result


def _loader(evaluator: SupervisedEvaluator) -> DataLoader[Any]:
    loader = evaluator.data_loader
    if not isinstance(loader, DataLoader) or not isinstance(loader.dataset, Dataset):
        raise TypeError(f"evaluator must read a MONAI Dataset by a DataLoader, got {loader}.")
    return loader


def _overlay_drawer() -> DrawOverlay:
    # matplotlib is slow to import, and only overlays need it
    from pipeline.reporting.overlay import as_displayed, save_overlay

    def draw(path: Path, affine: NDArray[np.float64], voxels: NDArray[Any], mask: NDArray[Any], title: str) -> None:
        (image, pred), spacing_mm = as_displayed(affine, voxels, mask)
        save_overlay(path, image, pred, spacing_mm=spacing_mm, title=title)

    return draw


@contextmanager
def _scan_by_scan(
    evaluator: SupervisedEvaluator, reader: ScanReader, step: Callable[[ReadScan], Any]
) -> Iterator[None]:
    """Let the evaluator's run call ``step`` on each scan as read, around its own process function."""
    process, epoch_length = evaluator._process_function, evaluator.state.epoch_length
    loader = _loader(evaluator)
    workers = loader.num_workers
    in_processes = DataLoader(reader, batch_size=None, num_workers=workers, collate_fn=no_collation)
    evaluator.data_loader = in_processes if workers else ReadAhead(reader)
    evaluator.state.epoch_length = len(reader)
    # ignite has no public place for this: an exception that leaves the process function ends the run, the next run() of
    # the same engine does nothing without a word, and each run() loads the checkpoint again
    evaluator._process_function = lambda _, scan: step(scan)
    try:
        yield
    finally:
        evaluator._process_function, evaluator.data_loader = process, loader
        evaluator.state.epoch_length = epoch_length


class _Segmenter:
    """Predicts a cohort's scans, one a step, while the one before is written and listed."""

    def __init__(
        self,
        datalist: Sequence[Mapping[str, Any]],
        predict: ScanPredictor,
        targets: MaskTargets,
        write_study: StudyWriter,
        draw_overlay: DrawOverlay | None,
        bar: tqdm[Any],
        background: Background,
    ) -> None:
        self.datalist = datalist
        self.predict = predict
        self.targets = targets
        self.write_study = write_study
        self.draw_overlay = draw_overlay
        self.bar = bar
        self.background = background
        self.results: list[ScanResult] = []

    def step(self, scan: ReadScan) -> Any:
        """Predict one scan, have it written, and return the evaluator's output, None where nothing was predicted."""
        start = time.perf_counter()
        prediction, reason, read = None, scan.reason, scan.item
        if read is not None:
            prediction, reason = attempt(lambda: self.predict(read))
        state = self.predict.evaluator.state
        if prediction is None:
            state.batch = state.output = None
        seconds = scan.seconds + time.perf_counter() - start
        self.background.do(lambda: self._finish(scan, prediction, reason, seconds))
        if is_large(scan):
            self.background.wait()
        return state.output

    def _finish(self, scan: ReadScan, prediction: Prediction | None, reason: str, seconds: float) -> None:
        start = time.perf_counter()
        item, read = self.datalist[scan.index], scan.item
        done: tuple[str, StudyResult] | None = None
        if read is not None and prediction is not None:
            done, reason = attempt(lambda: self._write(scan.index + 1, item, read, prediction))
        self._keep(item, seconds + time.perf_counter() - start, reason, done)

    def _write(
        self, number: int, item: Mapping[str, Any], read: Mapping[str, Any], prediction: Prediction
    ) -> tuple[str, StudyResult]:
        case_id = str(item["case_id"])
        mask, phases = prediction.mask, prediction.phases
        source = open_source(item["image"], self.write_study.options.series)
        voxels = np.moveaxis(convert_to_numpy(read[IMAGE]), 0, -1)
        if voxels.shape == mask.shape:
            source.keep_voxels(voxels)
        path = source.write_mask(self.targets[case_id], mask)
        write_uncertainty(self.targets.output_dir, case_id, phases, path)
        expected = [float(phase[EXPECTED_DICE]) for phase in phases if EXPECTED_DICE in phase]
        study = self.write_study(case_id, number, source, mask, expected, prediction.flags)
        if self.draw_overlay is not None:
            self._draw(self.draw_overlay, case_id, source, mask, extreme_phases(study.function))
        return path.relative_to(self.targets.output_dir).as_posix(), study

    def _draw(
        self, draw: DrawOverlay, case_id: str, source: ScanSource, mask: NDArray[Any], phases: Sequence[int]
    ) -> None:
        voxels = source.voxels()
        one = mask.shape[-1] == 1
        for phase in phases:
            name = case_id if one else f"{case_id}_phase{phase:02d}"
            # names of files need not be UTF-8
            shown = case_id.encode(errors="backslashreplace").decode()
            title = shown if one else f"{shown}, phase {phase + 1} of {mask.shape[-1]}"
            path = self.targets.output_dir / "overlays" / f"{name}.png"
            draw(path, source.affine, voxels[..., phase], mask[..., phase], title)

    def _keep(self, item: Mapping[str, Any], seconds: float, reason: str, done: tuple[str, StudyResult] | None) -> None:
        output, study = done or ("", None)
        volumes = volumes_ml(study.function, study.further_ml) if study else []
        case_id, scan = str(item["case_id"]), scan_name(item["image"])
        if "name" in item:
            # which scan it is stands in case_names.csv alone
            reason, scan = reason.replace(scan, case_id), case_id
        result = ScanResult(case_id, scan, output, reason, round(seconds, 3), volumes, study)
        self.results.append(result)
        self.bar.set_postfix(failed=sum(bool(result.reason) for result in self.results), refresh=False)
        self.bar.update()


def scan_name(image: str | Sequence[str]) -> str:
    """Return the file or folder of an item's image: of a list of files the folder that they share."""
    return image if isinstance(image, str) else os.path.commonpath([os.path.dirname(path) for path in image])
