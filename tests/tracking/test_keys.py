"""Names and values as MLflow takes them."""

from __future__ import annotations

import pytest
from mlflow.utils.validation import _validate_param_name

from pipeline.tracking.keys import cut, hide_credentials, record_key


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("train.trainer.max_epochs", "train.trainer.max_epochs"),
        ("train#trainer", "train_trainer"),
        ("a::b", "a__b"),
        ("loss (mean)", "loss _mean_"),
        ("all/dice_lv", "all/dice_lv"),
        ("/a//b/../c/", "a/b/c"),
        ("..", "_"),
        ("", "_"),
        ("größe", "größe"),
        ("x" * 251, "x" * 250),
        ("x" * 249 + "/y", "x" * 249),
    ],
)
def test_key_is_one_that_mlflow_takes(name: str, key: str) -> None:
    assert record_key(name) == key
    _validate_param_name(key)


@pytest.mark.parametrize(("value", "result"), [("abcd", "abcd"), ("abcde", "abc…")])
def test_long_value_is_cut_and_marked(value: str, result: str) -> None:
    assert cut(value, 4) == result


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("https://me:secret@host:5000/x", "https://***@host:5000/x"),
        ("run --uri http://u@h --next a@b", "run --uri http://***@h --next a@b"),
        ("http://host/a@b", "http://host/a@b"),
        ("['http://host', 'a@b']", "['http://host', 'a@b']"),
    ],
)
def test_credentials_are_hidden(text: str, result: str) -> None:
    assert hide_credentials(text) == result
