"""The commands that start trainings: what they hand on, and their exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.cli import main
from pipeline.errors import InputError
from pipeline.workflows import cross_validation, sweep
from pipeline.workflows.launch import BundleTraining

COMMON = ["--bundle_root", "B", "--config_file", "['a.yaml']", "--output_dir", "out"]
COMMANDS = [["cross-validate", *COMMON], ["sweep", "s.yaml", *COMMON]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the library was asked for."""
    made: list[tuple[Any, ...]] = []

    def take(*args: Any, tell: Any, **options: Any) -> None:
        made.append((*args, options))
        tell("done")

    monkeypatch.setattr(cross_validation, "cross_validate", take)
    monkeypatch.setattr(sweep, "sweep", take)
    return made


def test_cross_validation_hands_settings_on(calls: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cross-validate", *COMMON, "--folds", "0,2", "--max_epochs", "3", "--any_code", "--jobs", "2"]) == 0
    training = BundleTraining("B", "['a.yaml']", {"max_epochs": "3"})
    assert calls == [(training, Path("out"), [0, 2], {"any_code": True, "jobs": 2})]
    assert capsys.readouterr().out == "done\n"


def test_fold_is_no_short_form_of_folds(calls: list[Any]) -> None:
    main(["cross-validate", *COMMON, "--fold", "1"])
    assert (calls[0][0].overrides, calls[0][2]) == ({"fold": "1"}, None)


def test_sweep_hands_settings_on(calls: list[Any]) -> None:
    assert main(["sweep", "s.yaml", *COMMON, "--num_trials", "7", "--seed=3"]) == 0
    assert calls == [(BundleTraining("B", "['a.yaml']", {"seed": "3"}), Path("s.yaml"), Path("out"), 7, {})]


@pytest.mark.parametrize("words", COMMANDS, ids=["cross-validate", "sweep"])
@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt(), 130), (InputError("bad"), 2)])
def test_status_says_how_it_ended(
    words: list[str], error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(cross_validation, "cross_validate", fail)
    monkeypatch.setattr(sweep, "sweep", fail)
    assert main(words) == status


@pytest.mark.parametrize("words", COMMANDS, ids=["cross-validate", "sweep"])
def test_word_that_is_no_override_is_refused(
    calls: list[Any], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "max_epochs=3"]) == 2
    assert "overrides are written as --key value, got 'max_epochs=3'" in capsys.readouterr().err


@pytest.mark.parametrize("folds", ["a", "0;1", ""])
def test_folds_that_are_no_numbers_show_the_usage(folds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cross-validate", *COMMON, "--folds", folds])
    assert "argument --folds" in capsys.readouterr().err


def test_other_commands_take_no_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["summary", "out", "--max_epochs", "3"])
    assert "unrecognized arguments: --max_epochs 3" in capsys.readouterr().err
