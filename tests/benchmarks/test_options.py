"""The table of the options, and what one of them costs on a phantom."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import options
from benchmarks.children import option_costs
from benchmarks.options import DEFAULT, EAGER, Option
from benchmarks.processes import CommandError
from pipeline.data.phantom import make_phantom_cohort

COSTS = {"inferer_ms": 80.0, "whole_ms": 120.0, "ready_s": 0.31, "peak_gb": 0.8, "dice": 0.9, "voxels": 0, "logit": 0.0}


def asked(**given: Any) -> argparse.Namespace:
    usual = {"ensemble": "", "fold": None, "ckpt_path": "", "dataset_dir": "data", "threads": 1, "volumes": 6}
    return argparse.Namespace(**{**usual, "rounds": 1, **given})


def test_a_row_stands_beside_the_reference() -> None:
    found = {EAGER: [COSTS], "fused": [{**COSTS, "inferer_ms": 60.0, "voxels": 3, "logit": 1e-5}]}
    rows = {EAGER: Option(logits=True), "fused": Option(logits=True)}
    table = options.table_of(found, rows, EAGER)
    assert (table.columns[2], table.columns[-1]) == ("times eager", "logit")
    assert table.rows[1] == ["fused", "60", "0.75", "120", "0.3", "0.80", "0.9000", "3", "1.0e-05"]


def test_an_ensemble_that_was_trained_on_the_cases_has_no_dice() -> None:
    rows = options.others(asked(ensemble="a.pt,b.pt", fold=0))
    name = "configs/ensemble.yaml, 2 networks"
    table = options.table_of({DEFAULT: [COSTS], name: [COSTS]}, {DEFAULT: Option(), name: rows[name]}, DEFAULT)
    assert table.rows[1][6] == "trained on them"


def test_a_row_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_round(option: Option, is_reference: bool, *others: object) -> dict[str, Any]:
        if is_reference:
            return COSTS
        raise CommandError("python ended with 1:\nTraceback\nInputError: backend onnx needs the package onnxruntime.")

    monkeypatch.setattr(options, "_one_round", one_round)
    rows = {EAGER: Option(), "onnx": Option()}
    table = options.table_of(options.measure(rows, EAGER, asked(rounds=2)), rows, EAGER)
    assert table.rows[1][1] == "could not run: InputError: backend onnx needs the package onnxruntime."


@pytest.fixture(scope="module")
def dataset_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five phantom patients in ACDC's layout, of few slices."""
    folder = tmp_path_factory.mktemp("options") / "training"
    sizes = {"in_plane_size": (128, 128), "num_slices": (4, 5)}
    spacings = {"in_plane_spacing_mm": (1.5, 1.6), "slice_spacing_mm": (10.0, 20.0)}
    make_phantom_cohort(folder, num_patients=5, num_phases=2, **sizes, **spacings)
    return folder


def test_cases_of_a_fold_are_those_that_its_weights_have_not_seen(dataset_dir: Path) -> None:
    assert len(option_costs.choose_cases(dataset_dir, None, 0)) == 10
    (patient,) = {case["patient_id"] for case in option_costs.choose_cases(dataset_dir, 0, 0)}
    assert patient not in {case["patient_id"] for case in option_costs.choose_cases(dataset_dir, 1, 0)}


@pytest.mark.parametrize("name", [DEFAULT, "configs/sliding_window.yaml", "configs/uncertainty.yaml"])
def test_an_option_has_its_costs(dataset_dir: Path, name: str) -> None:
    option = json.loads(json.dumps(asdict(options.others(asked())[name])))
    cases = option_costs.choose_cases(dataset_dir, None, 1)
    costs, masks = option_costs.segment(option_costs.read_option(option, cases, ""))
    assert 0 < costs["inferer_ms"] < costs["whole_ms"]
    assert option_costs.mean_dice(masks, cases) > 0.1


def test_every_other_option_is_one_of_inference_yaml(dataset_dir: Path) -> None:
    cases = option_costs.choose_cases(dataset_dir, None, 1)
    for option in options.others(asked()).values():
        config = option_costs.read_option(asdict(option), cases, "")
        config.get_parsed_content("inferer")
        config.get_parsed_content("study_options")


def test_dice_of_a_structure_that_is_in_neither_is_one() -> None:
    nothing, one = np.zeros(4, bool), np.array([True, False, False, False])
    assert (option_costs.dice(nothing, nothing), option_costs.dice(one, nothing)) == (1.0, 0.0)
