from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import AsDiscreted, LoadImaged

from pipeline.labels import Structure
from pipeline.metrics import SegmentationMetrics, summarize
from pipeline.reporting.evaluation import EvaluationReport, choose_cases

AFFINE = np.diag([-1.5, -2.0, 8.0, 1.0])


class Echo(torch.nn.Module):
    """The class whose number is nearest to the image's value gets the highest logit."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([-(image - value).abs() for value in range(4)], dim=1)


def heart(shift: int = 0) -> np.ndarray:
    volume = np.zeros((40, 32, 5), dtype=np.uint8)
    volume[10:14, 12:20, 1:4] = Structure.RV
    volume[14:26, 10:22, 1:4] = Structure.MYO
    volume[17:23, 13:19, 1:4] = Structure.LV
    return np.roll(volume, shift, axis=0)


def datalist(folder: Path, shifts: tuple[int, ...]) -> list[dict[str, Any]]:
    items = []
    for shift in shifts:
        paths = {"image": folder / f"p{shift}.nii.gz", "label": folder / f"p{shift}_gt.nii.gz"}
        for path, volume in zip(paths.values(), (heart(shift).astype(np.float32), heart()), strict=True):
            nib.save(nib.Nifti1Image(volume, AFFINE), path)
        names = {"case_id": f"p{shift}_ed", "patient_id": f"p{shift}", "phase": "ed", "group": "NOR"}
        items.append({key: str(path) for key, path in paths.items()} | names)
    return items


def evaluate(folder: Path, shifts: tuple[int, ...] = (2, 0, 1, 3), overlays: bool = True) -> EvaluationReport:
    return evaluate_items(folder, datalist(folder, shifts), overlays)


def evaluate_items(folder: Path, items: list[dict[str, Any]], overlays: bool) -> EvaluationReport:
    metric = SegmentationMetrics()
    report = EvaluationReport(folder / "out", metric, overlays)
    load = LoadImaged(keys=["image", "label"], ensure_channel_first=True)
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(items, load), batch_size=1),
        network=Echo(),
        postprocessing=AsDiscreted(keys="pred", argmax=True),
        key_val_metric={"val_mean_dice": metric},
        val_handlers=[report],
    )
    evaluator.run()
    return report


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> EvaluationReport:
    return evaluate(tmp_path_factory.mktemp("evaluation"))


def test_artifacts_are_the_files_written(report: EvaluationReport) -> None:
    written = {path for path in report.output_dir.rglob("*") if path.is_file()}
    assert set(report.artifacts) == written


def test_best_median_and_worst_are_drawn(report: EvaluationReport) -> None:
    names = {path.name for path in (report.output_dir / "overlays").iterdir()}
    assert names == {"best_p0_ed.png", "median_p2_ed.png", "worst_p3_ed.png"}


def test_table_has_a_case_a_row(report: EvaluationReport) -> None:
    table = pd.read_csv(report.output_dir / "metrics.csv")
    assert table["case_id"].tolist() == ["p0_ed", "p1_ed", "p2_ed", "p3_ed"]


def test_table_begins_with_the_names(report: EvaluationReport) -> None:
    table = pd.read_csv(report.output_dir / "metrics.csv")
    assert table.columns[:5].tolist() == ["case_id", "patient_id", "phase", "group", "mean_dice"]


def test_table_has_the_metrics_figures(report: EvaluationReport) -> None:
    table = pd.read_csv(report.output_dir / "metrics.csv")
    assert table["dice_lv"].tolist() == pytest.approx([row["dice_lv"] for row in report.metric.rows])


def test_shift_of_one_voxel_is_its_size(report: EvaluationReport) -> None:
    assert report.metric.rows[1]["hd95_mm_lv"] == pytest.approx(1.5)


def test_summary_file_is_the_summary(report: EvaluationReport) -> None:
    written = json.loads((report.output_dir / "summary.json").read_text(encoding="utf-8"))
    assert written == report.summary == summarize(report.metric.rows)


def test_masks_are_let_go(report: EvaluationReport) -> None:
    assert report._kept == {}


def test_without_overlays(tmp_path: Path) -> None:
    artifacts = evaluate(tmp_path, overlays=False).artifacts
    assert [path.name for path in artifacts] == ["metrics.csv", "summary.json", "report.html"]


def rows(*dices: float) -> list[dict[str, Any]]:
    return [{"case_id": str(number), "mean_dice": dice} for number, dice in enumerate(dices)]


@pytest.mark.parametrize(
    ("dices", "expected"),
    [
        ((0.5,), {"worst": "0"}),
        ((0.5, 0.9), {"worst": "0", "best": "1"}),
        ((0.9, 0.5, 0.7), {"worst": "1", "best": "0", "median": "2"}),
        ((0.9, math.nan, 0.7, 0.5), {"worst": "3", "best": "0", "median": "2"}),
        ((math.nan,), {}),
    ],
)
def test_chosen_cases(dices: tuple[float, ...], expected: dict[str, str]) -> None:
    assert {rank: row["case_id"] for rank, row in choose_cases(rows(*dices)).items()} == expected


def paired(folder: Path) -> EvaluationReport:
    """Evaluate two patients at ED and ES; the ES label is the inner half of the ED label."""
    systole = heart()
    systole[17:20][systole[17:20] == Structure.LV] = Structure.MYO
    items = []
    for patient, shift in (("a", 0), ("b", 1)):
        for phase, label in (("ed", heart()), ("es", systole)):
            case_id = f"{patient}_{phase}"
            paths = {"image": folder / f"{case_id}.nii.gz", "label": folder / f"{case_id}_gt.nii.gz"}
            nib.save(nib.Nifti1Image(np.roll(heart(), shift, axis=0).astype(np.float32), AFFINE), paths["image"])
            nib.save(nib.Nifti1Image(label, AFFINE), paths["label"])
            names = {"case_id": case_id, "patient_id": patient, "phase": phase, "group": "NOR"}
            items.append({key: str(path) for key, path in paths.items()} | names)
    return evaluate_items(folder, items, overlays=False)


@pytest.fixture(scope="module")
def paired_report(tmp_path_factory: pytest.TempPathFactory) -> EvaluationReport:
    return paired(tmp_path_factory.mktemp("paired"))


def test_studies_have_a_file(paired_report: EvaluationReport) -> None:
    table = pd.read_csv(paired_report.output_dir / "volumes.csv")
    assert table["study_id"].tolist() == ["a", "b"]


def test_studies_have_the_numbers_of_prediction_and_label(paired_report: EvaluationReport) -> None:
    # the prediction stays as it is at ES; of the label's LV half is left. 6 x 6 x 3 voxels of 0.024 mL are 2.592 mL
    table = pd.read_csv(paired_report.output_dir / "volumes.csv")
    numbers = table[["lv_edv_ml", "lv_ef_percent", "label_lv_ef_percent"]].iloc[0]
    assert numbers.tolist() == pytest.approx([2.592, 0.0, 50.0])


def test_agreement_is_in_the_summary(paired_report: EvaluationReport) -> None:
    written = json.loads((paired_report.output_dir / "summary.json").read_text(encoding="utf-8"))
    assert written["agreement"]["quantities"]["lv_ef_percent"]["bias"] == pytest.approx(-50.0)


def test_file_of_studies_is_an_artifact(paired_report: EvaluationReport) -> None:
    names = [path.name for path in paired_report.artifacts]
    assert names == ["metrics.csv", "volumes.csv", "summary.json", "report.html"]


def test_studies_of_an_earlier_evaluation_are_removed(tmp_path: Path) -> None:
    paired(tmp_path)
    evaluate(tmp_path, overlays=False)
    assert not (tmp_path / "out" / "volumes.csv").exists()
