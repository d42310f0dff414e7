"""Plain settings of the wrong kind or out of range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.errors import InputError
from pipeline.workflows.settings import FLAGS, NUMBERS, check_settings, wants_auto

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIGS = REPOSITORY / "bundles" / "cardiac_sax_segmentation" / "configs"
FILES = [*CONFIGS.glob("*.yaml"), *(REPOSITORY / "configs").glob("*.yaml"), *REPOSITORY.glob("configs/[rv]*/*.yaml")]


@pytest.mark.parametrize("path", sorted(FILES), ids=lambda path: path.stem)
def test_settings_of_the_project_fit(path: Path) -> None:
    check_settings(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_each_setting_is_one_of_a_configuration() -> None:
    ids = {key for path in FILES for key in yaml.safe_load(path.read_text(encoding="utf-8"))}
    assert {*NUMBERS, *FLAGS} <= ids


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("max_epochs", "three", "a whole number of at least 1"),
        ("max_epochs", 0, "a whole number of at least 1"),
        ("max_epochs", -1, "a whole number of at least 1"),
        ("max_epochs", 1.5, "a whole number of at least 1"),
        ("max_epochs", True, "a whole number of at least 1"),
        ("max_epochs", None, "a whole number of at least 1"),
        ("batch_size", 0, "a whole number of at least 1"),
        ("learning_rate", -0.1, "a number above 0 and at most 1000"),
        ("learning_rate", float("nan"), "a number above 0 and at most 1000"),
        ("learning_rate", "fast", "a number above 0 and at most 1000"),
        ("num_workers", -3, "a whole number of at least 0"),
        ("seed", "abc", "a whole number of at least 0 and at most 4294967295"),
        ("seed", 2**32, "a whole number of at least 0 and at most 4294967295"),
        ("val_interval", 0, "a whole number of at least 1"),
        ("max_grad_norm", 0, "a number above 0"),
        ("early_stop_patience", -1, "a whole number of at least 1"),
        ("neighbors", -1, "a whole number of at least 0"),
        ("ema_momentum", 1.1, "a number above 0 and below 1"),
        ("ema_momentum", 1, "a number above 0 and below 1"),
        ("memory_share", 2, "a number above 0 and at most 1"),
    ],
)
def test_number_that_does_not_fit_is_named(name: str, value: Any, rule: str) -> None:
    with pytest.raises(InputError) as caught:
        check_settings({name: value})
    assert str(caught.value) == f"{name} must be {rule}, got {value!r}."


def test_all_of_them_are_named_at_once() -> None:
    with pytest.raises(InputError, match=r"(?s)max_epochs must be .*seed must be"):
        check_settings({"seed": "abc", "max_epochs": 0})


@pytest.mark.parametrize("text", ["1e-3", "0.001"])
def test_number_that_came_as_text_is_shown_as_a_number(text: str) -> None:
    with pytest.raises(InputError, match=f"got '{text}'. That is text: write 0.001 without quotes"):
        check_settings({"learning_rate": text})


@pytest.mark.parametrize("value", ["$2 * @batch_size", "@batch_size", "%batch_size"])
def test_what_is_computed_later_passes(value: str) -> None:
    check_settings({"max_epochs": value, "fold": value, "num_folds": 3, "record": value, "resume": value})


@pytest.mark.parametrize("value", [True, False, "true", "No", "auto", "AUTO"])
def test_resume_is_a_flag_or_auto(value: Any) -> None:
    check_settings({"resume": value})


def test_other_words_for_resume_are_refused() -> None:
    with pytest.raises(InputError, match="resume must be true, false or auto, got 'maybe'"):
        check_settings({"resume": "maybe"})


@pytest.mark.parametrize("name", FLAGS)
def test_flag_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} must be true or false, got 'maybe'"):
        check_settings({name: "maybe"})


def test_fold_may_be_all() -> None:
    check_settings({"fold": "all", "num_folds": 5})


def test_fold_beyond_the_last_is_refused() -> None:
    with pytest.raises(InputError, match="fold must be from 0 to num_folds - 1 = 4, got 9"):
        check_settings({"fold": 9, "num_folds": 5})


def test_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="device must be one of this machine"):
        check_settings({"device": "cuda:77"})


@pytest.mark.parametrize(("value", "expected"), [("auto", True), (" Auto", True), (True, False), ("true", False)])
def test_auto_is_told_from_the_flags(value: Any, expected: bool) -> None:
    assert wants_auto(value) is expected
