from __future__ import annotations

import math

import pytest
from mlflow import MlflowClient

from pipeline.comparison import records
from pipeline.comparison.records import RunRecord, choose_runs, read_run, read_runs
from pipeline.errors import InputError

RUNS = [RunRecord("aaaa1111", "first"), RunRecord("aaaa2222", "twice"), RunRecord("bbbb3333", "twice")]


@pytest.mark.parametrize(("wanted", "found"), [("first", "aaaa1111"), ("aaaa2222", "aaaa2222"), ("bbbb", "bbbb3333")])
def test_run_is_chosen_by_name_id_or_beginning(wanted: str, found: str) -> None:
    assert [run.id for run in choose_runs(RUNS, [wanted])] == [found]


def test_run_is_chosen_once() -> None:
    assert [run.id for run in choose_runs(RUNS, ["first", "aaaa1111"])] == ["aaaa1111"]


@pytest.mark.parametrize("wanted", ["twice", "aaaa"])
def test_ambiguous_name_is_refused(wanted: str) -> None:
    with pytest.raises(InputError, match=rf"2 runs are called '{wanted}'. Give the id of one: aaaa"):
        choose_runs(RUNS, [wanted])


def test_unknown_name_is_refused_with_what_is_near() -> None:
    with pytest.raises(InputError, match=r"None of the 3 runs has the id or name 'frist'. Did you mean first"):
        choose_runs(RUNS, ["frist"])


def test_short_beginning_of_an_id_is_none() -> None:
    with pytest.raises(InputError, match="None of the 3 runs"):
        choose_runs(RUNS, ["bbb"])


def test_minutes() -> None:
    assert RunRecord("a", "a", start_ms=60_000, end_ms=150_000).minutes == 1.5


def test_minutes_of_a_run_that_goes_on_are_unknown() -> None:
    assert math.isnan(RunRecord("a", "a", start_ms=60_000).minutes)


def test_clock_that_was_set_back_gives_no_negative_time() -> None:
    run = RunRecord("a", "a", start_ms=60_000, end_ms=0)
    assert math.isnan(run.minutes) and run.clock_jumped


def test_figures_of_the_best_weights_win() -> None:
    run = RunRecord("a", "a", metrics={"val_mean_dice": 0.5, "best_mean_dice": 0.9, "best_dice_rv": 0.8})
    assert run.figures == {"mean_dice": 0.9, "dice_rv": 0.8}


def test_figures_of_the_latest_validation_else() -> None:
    assert RunRecord("a", "a", metrics={"val_mean_dice": 0.5, "train_loss": 1}).figures == {"mean_dice": 0.5}


def test_run_without_validation_has_no_figures() -> None:
    assert RunRecord("a", "a", metrics={"train_loss": 1.0}).figures == {}


def test_runs_are_read_page_by_page(client: MlflowClient, new_run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "PAGE_SIZE", 2)
    ids = [new_run(f"run {number}", 0.5, params={"seed": str(number)}) for number in range(5)]
    found = read_runs(client, client.get_run(ids[0]).info.experiment_id)
    assert [run.id for run in found] == ids
    assert [run.params["seed"] for run in found] == ["0", "1", "2", "3", "4"]


def test_runs_in_the_trash_are_left_out(client: MlflowClient, new_run) -> None:
    kept, gone = new_run("kept"), new_run("gone")
    client.delete_run(gone)
    assert [run.id for run in read_runs(client, client.get_run(kept).info.experiment_id)] == [kept]


def test_run_is_read_whole(client: MlflowClient, store: str, new_run) -> None:
    run = read_run(client, store, new_run("one", 0.75, minutes=3, params={"seed": "1"}))
    assert (run.name, run.status, run.minutes, run.digest) == ("one", "FINISHED", 3.0, "d" * 64)
    assert (run.figures["mean_dice"], run.params) == (0.75, {"seed": "1"})


@pytest.mark.parametrize("run_id", ["0" * 32, "no such id!"])
def test_unknown_run_is_refused(client: MlflowClient, store: str, run_id: str) -> None:
    with pytest.raises(InputError, match=f"There is no run '{run_id}'"):
        read_run(client, store, run_id)


def test_run_in_the_trash_is_refused(client: MlflowClient, store: str, new_run) -> None:
    run_id = new_run("gone")
    client.delete_run(run_id)
    with pytest.raises(InputError, match=f"in the trash .* mlflow runs restore --run-id {run_id}"):
        read_run(client, store, run_id)
