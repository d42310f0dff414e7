"""Segments a cohort scan by scan and goes on past a bad one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import nibabel as nib
import numpy as np
from monai.data import Dataset
from monai.data.utils import no_collation
from monai.engines import SupervisedEvaluator
from monai.utils import convert_to_numpy
from numpy.typing import NDArray
from torch.utils.data import DataLoader
from tqdm import tqdm

from pipeline.geometry import nifti_affine, voxel_volume_ml
from pipeline.inference.reading import ReadScan, ScanReader, attempt
from pipeline.inference.results import CohortError, CohortResult, ScanResult
from pipeline.inference.writer import MaskWriter, load_nifti
from pipeline.labels import FOREGROUND, Structure

DrawOverlay = Callable[..., Any]
Process = Callable[[Any, Any], Any]
Volumes = dict[str, float]


def segment_cohort(
    evaluator: SupervisedEvaluator, output_dir: str | Path, overlays: bool = False, progress: bool = True
) -> CohortResult:
    """Segment all scans of an evaluator and write a mask for each, under the scan's own name and on its own grid.

    A scan that cannot be read, predicted or written is listed, and the next one follows. Each mask is written as soon
    as it is done. At the end, and also when the run is interrupted, ``segmentation.json`` and ``segmentation.csv`` list
    scan, mask, volumes, time and reason of failure. What goes wrong before the first scan (a checkpoint that does not
    load) is no scan's fault and is raised at once.

    Args:
        evaluator: its data loader reads a MONAI ``Dataset`` of items with ``image`` (a NIfTI path) and ``case_id`` by
            ``collate_phases``; its postprocessing leaves ``pred`` of each phase as label map ``(1, X, Y, Z)`` on the
            grid of the scan.
        output_dir: folder of the masks.
        overlays: also draw ``overlays/<case_id>.png``; of a cine the phases of largest and smallest LV volume.
        progress: show a progress bar.

    Returns:
        What became of each scan.

    Raises:
        CohortError: some scans failed; its ``result`` has them all.
        InputError: ``output_dir`` cannot be written, or masks would replace scans or each other.
        TypeError: the evaluator reads something else than a data loader.
    """
    loader = _loader(evaluator)
    datalist = cast(Dataset, loader.dataset).data
    writer = MaskWriter(output_dir, datalist)
    draw_overlay = _overlay_drawer() if overlays else None
    with tqdm(total=len(datalist), desc="segment", unit="scan", disable=not progress) as bar:
        segmenter = _Segmenter(datalist, writer, draw_overlay, bar)
        try:
            with _scan_by_scan(evaluator, loader, segmenter.step):
                evaluator.run()
        finally:
            result = CohortResult(Path(output_dir), tuple(segmenter.results))
            if result.scans:
                result.write()
    if result.failed:
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
    evaluator: SupervisedEvaluator,
    loader: DataLoader[Any],
    step: Callable[[Process, Any, ReadScan], Any],
) -> Iterator[None]:
    """Let the evaluator's run call ``step`` on each scan as read, around its own process function."""
    process, epoch_length = evaluator._process_function, evaluator.state.epoch_length
    reader = ScanReader(cast(Dataset, loader.dataset), loader.collate_fn)
    evaluator.data_loader = DataLoader(reader, batch_size=None, num_workers=loader.num_workers, collate_fn=no_collation)
    evaluator.state.epoch_length = len(reader)
    # ignite has no public place for this: an exception that leaves the process function ends the run, the next run() of
    # the same engine does nothing without a word, and each run() loads the checkpoint again
    evaluator._process_function = lambda engine, scan: step(process, engine, scan)
    try:
        yield
    finally:
        evaluator._process_function, evaluator.data_loader = process, loader
        evaluator.state.epoch_length = epoch_length


class _Segmenter:
    """Predicts, writes and lists a cohort's scans, one a step."""

    def __init__(
        self,
        datalist: Sequence[Mapping[str, Any]],
        writer: MaskWriter,
        draw_overlay: DrawOverlay | None,
        bar: tqdm[Any],
    ) -> None:
        self.datalist = datalist
        self.writer = writer
        self.draw_overlay = draw_overlay
        self.bar = bar
        self.results: list[ScanResult] = []

    def step(self, process: Process, engine: Any, scan: ReadScan) -> Any:
        """Segment one scan and return the evaluator's output, None where it failed."""
        start = time.perf_counter()
        item = self.datalist[scan.index]
        done: tuple[str, list[Volumes]] | None = None
        reason, batch = scan.reason, scan.batch
        if batch is not None:
            # MONAI's handlers decollate and postprocess what they find here
            engine.state.batch = batch
            done, reason = attempt(lambda: self._segment(item, process(engine, batch)))
        if done is None:
            engine.state.batch = engine.state.output = None
        output, volumes = done or ("", [])
        self._keep(item, scan.seconds + time.perf_counter() - start, reason, output, volumes)
        return engine.state.output

    def _segment(self, item: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]) -> tuple[str, list[Volumes]]:
        mask = np.stack([convert_to_numpy(output["pred"])[0] for output in outputs], axis=-1)
        path = self.writer(item, mask)
        scan = load_nifti(item["image"])
        volumes = [_volumes_ml(phase, voxel_volume_ml(nifti_affine(scan))) for phase in np.moveaxis(mask, -1, 0)]
        if self.draw_overlay is not None:
            for phase in _extreme_phases(volumes):
                self._overlay(self.draw_overlay, item, scan, mask, phase)
        return path.relative_to(self.writer.output_dir).as_posix(), volumes

    def _overlay(
        self, draw: DrawOverlay, item: Mapping[str, Any], scan: nib.Nifti1Image, mask: NDArray[Any], phase: int
    ) -> None:
        one = mask.shape[-1] == 1
        name = item["case_id"] if one else f"{item['case_id']}_phase{phase:02d}"
        path = self.writer.output_dir / "overlays" / f"{name}.png"
        voxels = np.asarray(scan.dataobj[..., phase] if scan.ndim > 3 else scan.dataobj)
        title = item["case_id"] if one else f"{item['case_id']}, phase {phase}"
        draw(path, nifti_affine(scan), voxels, mask[..., phase], title)

    def _keep(self, item: Mapping[str, Any], seconds: float, reason: str, output: str, volumes: list[Volumes]) -> None:
        self.results.append(
            ScanResult(str(item["case_id"]), str(item["image"]), output, reason, round(seconds, 3), volumes)
        )
        self.bar.set_postfix(failed=sum(bool(result.reason) for result in self.results), refresh=False)
        self.bar.update()


def _volumes_ml(phase: NDArray[Any], voxel_ml: float) -> Volumes:
    return {structure.key: round(int((phase == structure).sum()) * voxel_ml, 3) for structure in FOREGROUND}


def _extreme_phases(volumes: Sequence[Volumes]) -> list[int]:
    """Return the phases of the largest and the smallest LV, in order; one where they are the same."""
    lv = [phase[Structure.LV.key] for phase in volumes]
    return sorted({int(np.argmax(lv)), int(np.argmin(lv))})
