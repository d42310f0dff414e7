from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, RESOURCE_DOES_NOT_EXIST

from pipeline.comparison.cases import Cases
from pipeline.comparison.paired import Difference
from pipeline.comparison.records import RunRecord
from pipeline.errors import InputError
from pipeline.registry import promotion as module
from pipeline.registry.promotion import find_alias, judge, promote


def difference(value: float, low: float, high: float) -> Difference:
    return Difference("mean_dice", 40, 20, 0.9 + value, 0.9, value, low, high, 0.01)


def test_evidence_is_told() -> None:
    assert judge(difference(0.02, 0.01, 0.03)) == (
        "mean_dice 0.9200 against 0.9000 of the champion on 40 cases of 20 patients: difference +0.0200, 95% interval "
        "[+0.0100, +0.0300], Wilcoxon p 0.01. The interval lies above the margin of 0."
    )


@pytest.mark.parametrize(
    ("found", "margin"),
    [
        (difference(0.02, 0.0, 0.03), 0.0),
        (difference(0.02, 0.01, 0.03), 0.01),
        (difference(-0.02, -0.03, -0.01), 0.0),
        (difference(0.02, math.nan, math.nan), 0.0),
    ],
)
def test_weak_evidence_is_refused(found: Difference, margin: float) -> None:
    with pytest.raises(InputError, match=f"Not promoted: .* The interval must lie above the margin of {margin:g}"):
        judge(found, margin)


class Registry:
    """A registry of one model, whose versions are numbered as their runs."""

    def __init__(self, champion: str = "") -> None:
        self.champion = champion
        self.tags: dict[tuple[str, str], str] = {}

    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        if not self.champion:
            raise MlflowException("no alias", error_code=RESOURCE_DOES_NOT_EXIST)
        return self.get_model_version(name, self.champion)

    def get_model_version(self, name: str, version: str) -> Any:
        return SimpleNamespace(name=name, version=version, run_id=f"run{version}" if version != "9" else "")

    def set_model_version_tag(self, _name: str, version: str, key: str, value: str) -> None:
        self.tags[version, key] = value

    def set_registered_model_alias(self, _name: str, _alias: str, version: str) -> None:
        self.champion = version


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[float]]:
    """Dice of the cases of each run, to be filled by the test."""
    dice: dict[str, list[float]] = {}

    def read(_client: object, record: RunRecord) -> Cases:
        names = tuple(f"case{place}" for place in range(len(dice[record.id])))
        return Cases(names, names, {"mean_dice": np.array(dice[record.id])})

    monkeypatch.setattr(
        module, "read_run", lambda _client, _uri, run_id: RunRecord(run_id, run_id, tags={"dataset_digest": "d"})
    )
    monkeypatch.setattr("pipeline.comparison.experiment.read_cases", read)
    return dice


def test_first_version_becomes_the_champion() -> None:
    registry = Registry()
    done = promote(registry, "sqlite:///x", "heart", "1")  # type: ignore[arg-type]
    assert (registry.champion, done.replaced) == ("1", "")
    assert registry.tags["1", "promotion.reason"] == "There was no champion to compare with."


def test_better_version_replaces_the_champion(cases: dict[str, list[float]]) -> None:
    cases |= {"run1": [0.8, 0.7, 0.9], "run2": [0.85, 0.75, 0.95]}
    registry = Registry("1")
    done = promote(registry, "sqlite:///x", "heart", "2", margin=0.01)  # type: ignore[arg-type]
    assert (registry.champion, done.replaced) == ("2", "1")
    assert float(registry.tags["2", "promotion.difference"]) == pytest.approx(0.05)
    assert (registry.tags["2", "promotion.num_cases"], registry.tags["1", "promotion.replaced_by"]) == ("3", "2")


def test_refusal_keeps_the_champion_and_is_recorded(cases: dict[str, list[float]]) -> None:
    cases |= {"run1": [0.8, 0.7, 0.9], "run2": [0.9, 0.6, 0.9]}
    registry = Registry("1")
    with pytest.raises(InputError, match="Not promoted"):
        promote(registry, "sqlite:///x", "heart", "2")  # type: ignore[arg-type]
    assert registry.champion == "1"
    assert registry.tags["2", "promotion.refused"].startswith("Not promoted: mean_dice 0.8000 against 0.8000")


def test_champion_is_not_promoted_again() -> None:
    with pytest.raises(InputError, match="Version 1 of 'heart' is the champion already"):
        promote(Registry("1"), "sqlite:///x", "heart", "1")  # type: ignore[arg-type]


def test_version_without_run_is_refused(cases: dict[str, list[float]]) -> None:
    with pytest.raises(InputError, match="Version 9 of 'heart' names no run to compare by"):
        promote(Registry("1"), "sqlite:///x", "heart", "9")  # type: ignore[arg-type]


@pytest.mark.parametrize("margin", [-0.1, math.nan])
def test_margin_must_not_be_negative(margin: float) -> None:
    with pytest.raises(InputError, match="margin must be a Dice of at least 0"):
        promote(Registry("1"), "sqlite:///x", "heart", "2", margin)  # type: ignore[arg-type]


def test_trouble_with_the_store_is_not_taken_for_a_missing_alias() -> None:
    def fail(*_: str) -> None:
        raise MlflowException("broken", error_code=INTERNAL_ERROR)

    with pytest.raises(MlflowException, match="broken"):
        find_alias(SimpleNamespace(get_model_version_by_alias=fail), "heart", "champion")  # type: ignore[arg-type]
