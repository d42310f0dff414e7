from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.exceptions import NotComputableError
from monai.data import DataLoader, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.transforms import AsDiscreted

from pipeline.errors import InputError
from pipeline.metrics import SegmentationMetrics, measure_case
from pipeline.metrics.segmentation import case_items, item_affine, item_spacing_mm, mask_array

TWO_RANKS = Path(__file__).with_name("two_ranks.py")
SHAPE = (12, 10, 4)
# short axis: oblique, 1.5 x 2 x 8 mm
TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
AFFINE = torch.eye(4, dtype=torch.float64)
AFFINE[:3, :3] = torch.from_numpy(TURN @ np.diag([1.5, 2.0, 8.0]))


def mask(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, SHAPE).astype(np.uint8)


def item(number: int, phase: str = "ed") -> dict[str, Any]:
    """Return a case whose image already holds the values that the network below will predict."""
    return {
        "image": MetaTensor(torch.from_numpy(mask(number))[None].float(), affine=AFFINE),
        "label": MetaTensor(torch.from_numpy(mask(number + 50))[None].float(), affine=AFFINE),
        "case_id": f"case{number}_{phase}",
        "patient_id": f"case{number}",
        "phase": phase,
        "group": "NOR",
    }


def evaluation_item(number: int) -> dict[str, Any]:
    return item(number) | {"pred": item(number)["image"]}


class Echo(torch.nn.Module):
    """The class whose number is nearest to the image's value gets the highest logit."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([-(image - value).abs() for value in range(4)], dim=1)


def evaluate(metric: SegmentationMetrics, items: list[dict[str, Any]]) -> SupervisedEvaluator:
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(items, batch_size=2),
        network=Echo(),
        postprocessing=AsDiscreted(keys="pred", argmax=True),
        key_val_metric={"val_mean_dice": metric},
    )
    evaluator.run()
    return evaluator


ITEMS = [item(0), item(1, "es"), item(2)]


@pytest.fixture(scope="module")
def evaluated() -> tuple[SegmentationMetrics, SupervisedEvaluator]:
    metric = SegmentationMetrics()
    return metric, evaluate(metric, ITEMS)


def test_evaluator_reads_the_mean_dice_over_cases(evaluated) -> None:
    rows = [measure_case(mask(number), mask(number + 50), (1.5, 2.0, 8.0)) for number in range(3)]
    assert evaluated[1].state.best_metric == pytest.approx(np.mean([row["mean_dice"] for row in rows]))


@pytest.mark.parametrize("name", ["val_dice_rv", "val_iou_myo", "val_hd95_mm_lv", "val_mean_iou", "val_accuracy"])
def test_other_figures_are_in_the_engines_metrics(evaluated, name: str) -> None:
    rows = [measure_case(mask(number), mask(number + 50), (1.5, 2.0, 8.0)) for number in range(3)]
    expected = np.mean([row[name.removeprefix("val_")] for row in rows])
    assert evaluated[1].state.metrics[name] == pytest.approx(expected)


def test_phases_are_in_the_engines_metrics(evaluated) -> None:
    expected = measure_case(mask(1), mask(51), (1.5, 2.0, 8.0))["dice_lv"]
    assert evaluated[1].state.metrics["val_dice_lv_es"] == pytest.approx(expected)


def test_engines_metrics_are_numbers(evaluated) -> None:
    assert {type(value) for value in evaluated[1].state.metrics.values()} == {float}


def test_rows_carry_the_case(evaluated) -> None:
    names = {"case_id": "case1_es", "patient_id": "case1", "phase": "es", "group": "NOR"}
    assert evaluated[0].rows[1].items() >= names.items()


def test_rows_carry_the_figures(evaluated) -> None:
    assert evaluated[0].rows[2].items() >= measure_case(mask(2), mask(52), (1.5, 2.0, 8.0)).items()


def test_second_evaluation_starts_anew() -> None:
    metric = SegmentationMetrics(surface=False)
    evaluator = evaluate(metric, ITEMS)
    evaluator.run()
    assert len(metric.rows) == 3


def test_without_surface_no_distances() -> None:
    assert "val_mean_hd95_mm" not in evaluate(SegmentationMetrics(surface=False), ITEMS).state.metrics


def test_names_take_a_prefix() -> None:
    assert "test_dice_lv" in evaluate(SegmentationMetrics(surface=False, prefix="test_"), ITEMS).state.metrics


def test_missing_names_are_empty() -> None:
    metric = SegmentationMetrics(surface=False)
    case = evaluation_item(0)
    metric.update([{key: case[key] for key in ("pred", "label", "case_id")}])
    assert (metric.rows[0]["phase"], metric.rows[0]["patient_id"]) == ("", "")


def test_case_without_structures_does_not_count() -> None:
    metric = SegmentationMetrics(surface=False)
    empty = MetaTensor(torch.zeros(1, *SHAPE), affine=AFFINE)
    metric.update([evaluation_item(0), evaluation_item(1) | {"pred": empty, "label": empty}])
    assert metric.compute() == pytest.approx(metric.rows[0]["mean_dice"])


def test_two_ranks_count_each_case_once(tmp_path: Path) -> None:
    command = [sys.executable, str(TWO_RANKS), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(TWO_RANKS.parents[2])}
    ranks = [subprocess.Popen([*command, str(rank)], env=environment) for rank in range(2)]
    assert [rank.wait(timeout=120) for rank in ranks] == [0, 0]
    results = [json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    # cases 0 and 1 on rank 0, 1 and 2 on rank 1, with Dice 1, 0 and 0
    assert results == [{"case_ids": ["0", "1", "2"], "mean_dice": pytest.approx(1 / 3)}] * 2


def test_no_case() -> None:
    with pytest.raises(NotComputableError, match="at least one case"):
        SegmentationMetrics().compute()


def test_cohort_without_structures_is_refused() -> None:
    metric = SegmentationMetrics()
    empty = MetaTensor(torch.zeros(1, *SHAPE), affine=AFFINE)
    metric.update([{"pred": empty, "label": empty, "case_id": "a"}])
    with pytest.raises(InputError, match="None of the 1 validation cases has a structure"):
        metric.compute()


def test_case_id_is_needed() -> None:
    case = evaluation_item(0)
    case.pop("case_id")
    with pytest.raises(InputError, match="needs a 'case_id', got the keys"):
        SegmentationMetrics().update([case])


def test_case_id_must_be_unique() -> None:
    with pytest.raises(InputError, match="case_id 'case0_ed' came twice"):
        SegmentationMetrics(surface=False).update([evaluation_item(0), evaluation_item(0)])


def test_output_must_be_decollated() -> None:
    with pytest.raises(TypeError, match=r"list of dictionaries \(decollate=True\), got dict"):
        case_items({}, {"pred": torch.zeros(1)})


def test_output_wins_over_batch() -> None:
    assert case_items([{"label": 1, "case_id": "a"}], [{"label": 2}]) == [{"label": 2, "case_id": "a"}]


def test_output_without_batch() -> None:
    assert case_items(None, [{"label": 2}]) == [{"label": 2}]


def test_spacing_of_an_oblique_label() -> None:
    assert item_spacing_mm(item(0)) == pytest.approx([1.5, 2.0, 8.0])


def test_spacing_of_a_plane() -> None:
    plane = MetaTensor(torch.zeros(1, 12, 10), affine=AFFINE)
    assert item_spacing_mm({"label": plane}) == pytest.approx([1.5, 2.0])


def test_label_needs_an_affine() -> None:
    with pytest.raises(TypeError, match="label must be a MetaTensor, whose affine gives the spacing, got Tensor"):
        item_affine({"label": torch.zeros(1, *SHAPE)})


def test_mask_of_several_channels() -> None:
    with pytest.raises(ValueError, match=r"pred must have one channel, \(1, X, Y, Z\), got \(4, 12, 10, 4\)"):
        mask_array("pred", torch.zeros(4, *SHAPE))


@pytest.mark.parametrize("value", [0.5, -1.0, math.nan])
def test_mask_of_other_than_whole_numbers(value: float) -> None:
    with pytest.raises(ValueError, match="label must hold whole numbers from 0 to 255, got others"):
        mask_array("label", torch.full((1, *SHAPE), value))


@pytest.mark.realdata
def test_spacing_of_acdc_is_that_of_the_header(real_data_dir: Path) -> None:
    from monai.transforms import LoadImage

    path = real_data_dir / "acdc" / "training" / "patient001" / "patient001_frame01_gt.nii.gz"
    label = LoadImage(image_only=True, ensure_channel_first=True)(path)
    assert item_spacing_mm({"label": label}) == pytest.approx([1.5625, 1.5625, 10.0])


def test_rows_carry_what_the_masks_expect_of_themselves() -> None:
    metric = SegmentationMetrics(surface=False)
    metric.update([evaluation_item(1) | {"expected_mean_dice": 0.75}])
    assert metric.rows[0]["expected_mean_dice"] == 0.75


def test_further_label_of_one_case_has_a_column_in_all() -> None:
    scarred = evaluation_item(2)
    scarred["label"] = scarred["label"].clone()
    scarred["label"][0, 0, 0, 0] = 4
    metric = SegmentationMetrics(surface=False)
    metric.update([evaluation_item(1), scarred])
    assert [row["missed_label_4"] for row in metric.rows] == [0.0, 1.0]
