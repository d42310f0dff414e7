from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.engines.utils import IterationEvents
from monai.handlers import CheckpointLoader

from pipeline.data.scans import find_scans
from pipeline.errors import InputError
from pipeline.inference.cohort import segment_cohort
from pipeline.inference.inferer import SliceWindowInferer
from pipeline.inference.results import CohortError
from pipeline.metrics.quality import QualityFlag

SaveScan = Callable[..., Path]
MakeEvaluator = Callable[..., SupervisedEvaluator]

VOXEL_ML = 0.024
VOLUMES = {"rv": 1 * VOXEL_ML, "myo": 2 * VOXEL_ML, "lv": 3 * VOXEL_ML}


@pytest.fixture
def three_scans(save_scan: SaveScan, labels: np.ndarray) -> Path:
    """Folder of the scans a, b and p/c, all with the same voxels."""
    for name in ("a.nii.gz", "b.nii.gz"):
        save_scan(name, labels)
    return save_scan("p/c.nii", labels).parents[1]


def masks_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.nii*"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def test_masks_equal_the_labels_on_the_scans_grid(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator, labels: np.ndarray
) -> None:
    segment_cohort(make_evaluator(find_scans(three_scans)), tmp_path / "out", progress=False)
    mask = nib.load(tmp_path / "out" / "p" / "c.nii")
    np.testing.assert_array_equal(mask.dataobj, labels)
    np.testing.assert_array_equal(mask.affine, nib.load(three_scans / "p" / "c.nii").affine)


def test_volumes_come_in_ml(tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator) -> None:
    result = segment_cohort(make_evaluator(find_scans(three_scans / "p")), tmp_path / "out", progress=False)
    assert result.scans[0].volumes_ml == [pytest.approx(VOLUMES, abs=1e-3)]


def test_cine_is_segmented_phase_by_phase(
    tmp_path: Path, save_scan: SaveScan, make_evaluator: MakeEvaluator, labels: np.ndarray
) -> None:
    phases = np.stack([labels, np.flip(labels, 0), np.where(labels == 3, 2, labels)], axis=-1)
    scan = save_scan("cine.nii.gz", phases)
    result = segment_cohort(make_evaluator(find_scans(scan)), tmp_path / "out", progress=False)
    np.testing.assert_array_equal(nib.load(tmp_path / "out" / "cine.nii.gz").dataobj, phases)
    assert [phase["lv"] for phase in result.scans[0].volumes_ml] == pytest.approx([0.072, 0.072, 0.0], abs=1e-3)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_cohort_goes_on_past_a_bad_scan(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator, num_workers: int
) -> None:
    truncate(three_scans / "b.nii.gz")
    evaluator = make_evaluator(find_scans(three_scans), num_workers)
    with pytest.raises(CohortError, match=r"1 of 3 scans failed.*\n.*b.nii.gz: the file is damaged or incomplete"):
        segment_cohort(evaluator, tmp_path / "out", progress=False)
    assert masks_of(tmp_path / "out") == ["a.nii.gz", "p/c.nii"]


def test_good_masks_beside_a_bad_scan_are_right(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator, labels: np.ndarray
) -> None:
    truncate(three_scans / "a.nii.gz")
    with pytest.raises(CohortError):
        segment_cohort(make_evaluator(find_scans(three_scans)), tmp_path / "out", progress=False)
    np.testing.assert_array_equal(nib.load(tmp_path / "out" / "b.nii.gz").dataobj, labels)


def test_constant_scan_is_named_with_its_reason(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator, save_scan: SaveScan, labels: np.ndarray
) -> None:
    save_scan("b.nii.gz", np.full_like(labels, 7))
    with pytest.raises(CohortError, match=r"b.nii.gz is constant: all voxels are 7"):
        segment_cohort(make_evaluator(find_scans(three_scans)), tmp_path / "out", progress=False)
    listing = json.loads((tmp_path / "out" / "segmentation.json").read_text(encoding="utf-8"))
    assert [scan["status"] for scan in listing["scans"]] == ["ok", "failed", "ok"]


def test_cohort_goes_on_past_a_network_that_fails(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    evaluator = make_evaluator(find_scans(three_scans))
    infer, calls = evaluator.inferer, []

    def fail_once(inputs: torch.Tensor, network: torch.nn.Module) -> torch.Tensor:
        calls.append(inputs)
        if len(calls) == 2:
            raise torch.OutOfMemoryError("out of memory")
        return infer(inputs, network)

    evaluator.inferer = fail_once
    with pytest.raises(CohortError, match=r"b.nii.gz: OutOfMemoryError: out of memory"):
        segment_cohort(evaluator, tmp_path / "out", progress=False)
    assert masks_of(tmp_path / "out") == ["a.nii.gz", "p/c.nii"]


def test_cohort_goes_on_past_postprocessing_that_fails(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    evaluator = make_evaluator(find_scans(three_scans))
    evaluator.inferer = lambda inputs, network: inputs.repeat(1, 4, 1, 1, 1)[..., :1]
    with pytest.raises(CohortError, match="3 of 3 scans failed; the masks of the other 0"):
        segment_cohort(evaluator, tmp_path / "out", progress=False)
    assert masks_of(tmp_path / "out") == []


def test_evaluator_is_as_before_and_runs_again(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    truncate(three_scans / "a.nii.gz")
    evaluator = make_evaluator(find_scans(three_scans))
    loader, process = evaluator.data_loader, evaluator._process_function
    for folder in ("once", "again"):
        with pytest.raises(CohortError, match="1 of 3"):
            segment_cohort(evaluator, tmp_path / folder, progress=False)
    assert masks_of(tmp_path / "once") == masks_of(tmp_path / "again") == ["b.nii.gz", "p/c.nii"]
    assert (evaluator.data_loader, evaluator._process_function, evaluator.state.epoch_length) == (loader, process, 3)


def test_checkpoint_is_loaded_once_and_before_the_scans(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    events: list[str] = []
    evaluator = make_evaluator(find_scans(three_scans))
    evaluator.add_event_handler(Events.STARTED, lambda: events.append("load"))
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda: events.append("scan"))
    segment_cohort(evaluator, tmp_path / "out", progress=False)
    assert events == ["load", "scan", "scan", "scan"]


def test_missing_checkpoint_is_no_failure_of_the_scans(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    evaluator = make_evaluator(find_scans(three_scans))
    CheckpointLoader(str(tmp_path / "none.pt"), {"model": evaluator.network}).attach(evaluator)
    with pytest.raises(FileNotFoundError, match=r"none.pt"):
        segment_cohort(evaluator, tmp_path / "out", progress=False)
    assert list((tmp_path / "out").iterdir()) == []


def test_interruption_passes_and_leaves_the_listing(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    evaluator = make_evaluator(find_scans(three_scans))

    def interrupt(engine: Any) -> None:
        if engine.state.iteration == 2:
            raise KeyboardInterrupt

    evaluator.add_event_handler(Events.ITERATION_COMPLETED, interrupt)
    with pytest.raises(KeyboardInterrupt):
        segment_cohort(evaluator, tmp_path / "out", progress=False)
    listing = json.loads((tmp_path / "out" / "segmentation.json").read_text(encoding="utf-8"))
    assert [scan["case_id"] for scan in listing["scans"]] == ["a", "b"]


def test_output_over_the_scans_is_refused_before_any_work(three_scans: Path, make_evaluator: MakeEvaluator) -> None:
    before = {path: path.stat().st_mtime_ns for path in three_scans.rglob("*")}
    with pytest.raises(InputError, match="would replace 3 scans"):
        segment_cohort(make_evaluator(find_scans(three_scans)), three_scans, progress=False)
    assert {path: path.stat().st_mtime_ns for path in three_scans.rglob("*")} == before


def test_overlay_is_drawn_on_request(tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator) -> None:
    segment_cohort(make_evaluator(find_scans(three_scans / "p")), tmp_path / "out", overlays=True, progress=False)
    assert [path.name for path in (tmp_path / "out" / "overlays").iterdir()] == ["c.png"]


def test_overlays_of_a_cine_show_the_largest_and_the_smallest_lv(
    tmp_path: Path, save_scan: SaveScan, make_evaluator: MakeEvaluator, labels: np.ndarray
) -> None:
    small = np.where(labels == 3, 0, labels)
    small[4, 1, 2] = 3
    middle = np.where(labels == 3, 0, labels)
    middle[4, 1:3, 2] = 3
    scan = save_scan("cine.nii.gz", np.stack([middle, labels, middle, small], axis=-1))
    segment_cohort(make_evaluator(find_scans(scan)), tmp_path / "out", overlays=True, progress=False)
    names = sorted(path.name for path in (tmp_path / "out" / "overlays").iterdir())
    assert names == ["cine_phase01.png", "cine_phase03.png"]


def test_progress_bar_counts_scans_and_failures(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator, capsys: pytest.CaptureFixture[str]
) -> None:
    truncate(three_scans / "a.nii.gz")
    with pytest.raises(CohortError):
        segment_cohort(make_evaluator(find_scans(three_scans)), tmp_path / "out")
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "failed=1" in shown


def test_evaluator_without_data_loader_is_refused(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    evaluator = make_evaluator(find_scans(three_scans))
    evaluator.data_loader = []
    with pytest.raises(TypeError, match="must read a MONAI Dataset by a DataLoader"):
        segment_cohort(evaluator, tmp_path / "out")


def test_numbered_scans_are_named_in_one_file_alone(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    (three_scans / "b.nii.gz").rename(three_scans / "Doe.nii.gz")
    truncate(three_scans / "Doe.nii.gz")
    with pytest.raises(CohortError) as error:
        segment_cohort(make_evaluator(find_scans(three_scans, case_names="number")), tmp_path / "out", progress=False)
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    naming = [path.name for path in files if b"Doe" in path.read_bytes() or "Doe" in path.name]
    assert naming == ["case_names.csv"]
    assert "Doe" not in str(error.value)
    assert masks_of(tmp_path / "out") == ["study_002.nii.gz", "study_003.nii.gz"]


def test_pictures_count_the_phases_from_one(
    tmp_path: Path, save_scan: SaveScan, make_evaluator: MakeEvaluator, labels: np.ndarray, monkeypatch: Any
) -> None:
    titles: list[str] = []
    monkeypatch.setattr("pipeline.reporting.overlay.save_overlay", lambda *_, title, **__: titles.append(title))
    scan = save_scan("a.nii.gz", np.stack([labels, np.where(labels == 3, 2, labels)], axis=-1))
    segment_cohort(make_evaluator(find_scans(scan)), tmp_path / "out", overlays=True, progress=False)
    assert titles == ["a, phase 1 of 2", "a, phase 2 of 2"]


def test_masks_are_listed_with_the_dice_that_they_expect(
    tmp_path: Path, three_scans: Path, make_evaluator: MakeEvaluator
) -> None:
    evaluator = make_evaluator(find_scans(three_scans / "p"))

    def estimate(engine: Any) -> None:
        # as the postprocessing leaves it: MONAI puts new keys into the output
        engine.state.output = [output | {"expected_mean_dice": 0.75} for output in engine.state.output]

    evaluator.add_event_handler(IterationEvents.MODEL_COMPLETED, estimate)
    result = segment_cohort(evaluator, tmp_path / "out", progress=False)
    assert result.scans[0].study is not None
    assert result.scans[0].study.expected_mean_dice == (0.75,)
    assert ",0.75," in (tmp_path / "out" / "studies.csv").read_text(encoding="utf-8")


class Noticing(SliceWindowInferer):
    """Decides by the middle phase, and notices something."""

    flags = (QualityFlag("odd", "Something is odd."),)
    decided_by: torch.Tensor

    def deciding_phases(self, count: int) -> list[int]:
        return [count // 2]

    def decide(self, inputs: torch.Tensor, network: torch.nn.Module) -> Noticing:
        self.decided_by = inputs
        return self


@pytest.mark.parametrize("group_voxels", [2**23, 1])
def test_what_the_inferer_notices_is_told_of_the_study(
    tmp_path: Path,
    save_scan: SaveScan,
    make_evaluator: MakeEvaluator,
    labels: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,
    group_voxels: int,
) -> None:
    monkeypatch.setattr("pipeline.inference.prediction.GROUP_VOXELS", group_voxels)
    phases = np.stack([labels, np.where(labels == 3, 2, labels), labels], axis=-1)
    evaluator = make_evaluator(find_scans(save_scan("cine.nii.gz", phases)))
    evaluator.inferer = inferer = Noticing(roi_size=(16, 16))
    result = segment_cohort(evaluator, tmp_path / "out", progress=False)
    assert result.scans[0].study.flags[-1].code == "odd"
    assert (inferer.decided_by.shape[0], float(inferer.decided_by.max())) == (1, 2.0)
    assert evaluator.inferer is inferer
