"""A run from its start to its end."""

from __future__ import annotations

import ast
import json
import re
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient

from pipeline.errors import InputError
from pipeline.tracking import RunTracker, Terminated
from pipeline.tracking import tracker as tracker_module
from pipeline.tracking.provenance import code_digest

NewTracker = Callable[..., RunTracker]


def ended(client: MlflowClient, run_id: str) -> tuple[str, str]:
    """Status and error of a run."""
    run = client.get_run(run_id)
    return run.info.status, run.data.tags.get("error", "")


def run_that_raises(tracker: RunTracker, error: BaseException) -> str:
    with pytest.raises(type(error)), tracker.start("training") as run:
        raise error
    return run.id


def test_run_ends_finished(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start("training") as run:
        assert client.get_run(run.id).info.status == "RUNNING"
    assert ended(client, run.id) == ("FINISHED", "")


def test_run_that_raises_is_failed(tracker: RunTracker, client: MlflowClient) -> None:
    run_id = run_that_raises(tracker, ZeroDivisionError("division by zero"))
    assert ended(client, run_id) == ("FAILED", "ZeroDivisionError: division by zero")


def wrapped(cause: Exception) -> RuntimeError:
    """As MONAI does when an expression of a config fails."""
    error = RuntimeError("Failed to evaluate ConfigExpression")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "message"),
    [(InputError("no images in DIR"), "no images in DIR"), (KeyError("image"), "KeyError: 'image'")],
)
def test_error_is_what_monai_has_wrapped(
    tracker: RunTracker, client: MlflowClient, cause: Exception, message: str
) -> None:
    assert ended(client, run_that_raises(tracker, wrapped(cause))) == ("FAILED", message)


@pytest.mark.parametrize(("code", "status"), [(0, "FINISHED"), (None, "FINISHED"), (2, "FAILED")])
def test_exit_with_a_code(tracker: RunTracker, client: MlflowClient, code: int | None, status: str) -> None:
    assert ended(client, run_that_raises(tracker, SystemExit(code)))[0] == status


def test_interrupted_run_is_killed(tracker: RunTracker, client: MlflowClient) -> None:
    run_id = run_that_raises(tracker, KeyboardInterrupt())
    assert ended(client, run_id) == ("KILLED", "interrupted by the keyboard")


def test_terminated_run_is_killed(tracker: RunTracker, client: MlflowClient) -> None:
    with pytest.raises(Terminated), tracker.start("training") as run:
        signal.raise_signal(signal.SIGTERM)
    assert ended(client, run.id) == ("KILLED", "interrupted by SIGTERM")


def test_run_whose_worker_died_of_the_signal_is_killed(tracker: RunTracker, client: MlflowClient) -> None:
    with pytest.raises(RuntimeError), tracker.start("training") as run:
        try:
            signal.raise_signal(signal.SIGTERM)
        except Terminated as error:
            raise RuntimeError("DataLoader worker is killed by signal: Terminated") from error
    assert ended(client, run.id)[0] == "KILLED"


def test_name_says_job_and_time(tracker: RunTracker) -> None:
    with tracker.start("evaluating") as run:
        assert re.fullmatch(r"evaluating-\d{8}-\d{6}-[0-9a-f]{4}", run.name)


def test_given_name_is_taken(new_tracker: NewTracker, client: MlflowClient) -> None:
    with new_tracker(run_name="baseline").start() as run:
        pass
    assert client.get_run(run.id).info.run_name == "baseline"


def test_params_tags_and_job_are_recorded(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start("inference", params={"overlap": 0.25}, tags={"dataset_digest": "abc"}) as run:
        pass
    data = client.get_run(run.id).data
    assert data.params == {"overlap": "0.25"}
    assert (data.tags["job"], data.tags["dataset_digest"]) == ("inference", "abc")
    assert data.tags["version.torch"] == str(torch.__version__)


def test_environment_is_an_artifact(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start() as run:
        pass
    content = Path(client.download_artifacts(run.id, "environment.json")).read_text(encoding="utf-8")
    assert "command" in json.loads(content)


def test_runs_side_by_side_never_mix(new_tracker: NewTracker, client: MlflowClient) -> None:
    with new_tracker().start() as one, new_tracker().start() as two:
        one.log_metrics({"a": 1.0})
        two.log_metrics({"b": 2.0})
    assert [client.get_run(run.id).data.metrics for run in (one, two)] == [{"a": 1.0}, {"b": 2.0}]


def test_crashed_run_is_not_taken_up_by_the_next(tracker: RunTracker, client: MlflowClient) -> None:
    tracker.check()
    experiment = client.get_experiment_by_name("cardiac_sax_segmentation").experiment_id
    crashed = client.create_run(experiment).info.run_id
    with tracker.start() as run:
        run.log_metrics({"a": 1.0})
    assert run.id != crashed
    assert client.get_run(crashed).data.metrics == {}


def test_tracker_records_one_run_at_a_time(tracker: RunTracker) -> None:
    with tracker.start() as run, pytest.raises(RuntimeError, match=f"'{run.name}' has not ended"), tracker.start():
        pass


def test_resumed_run_goes_on(tracker: RunTracker, client: MlflowClient) -> None:
    run_id = run_that_raises(tracker, KeyboardInterrupt())
    with tracker.start(run_id=run_id) as run:
        assert client.get_run(run_id).info.status == "RUNNING"
        run.log_metrics({"loss": 1.0}, step=2)
    assert run.id == run_id
    assert ended(client, run_id) == ("FINISHED", "")
    assert client.get_run(run_id).data.metrics == {"loss": 1.0}


def test_resumed_run_keeps_its_params(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start(params={"max_epochs": 3, "seed": 0}) as run:
        pass
    with tracker.start(params={"max_epochs": 5, "seed": 0, "new": 1}, run_id=run.id):
        pass
    data = client.get_run(run.id).data
    assert data.params == {"max_epochs": "3", "seed": "0", "new": "1"}
    assert data.tags["resume.changed_params"] == "max_epochs: 3 -> 5"


def test_resumed_run_keeps_its_name_and_first_environment(new_tracker: NewTracker, client: MlflowClient) -> None:
    with new_tracker(run_name="first").start() as run:
        pass
    with new_tracker(run_name="second").start(run_id=run.id) as again:
        assert again.name == "first"
    files = [file.path for file in client.list_artifacts(run.id)]
    assert [re.sub(r"\d", "0", file) for file in files] == ["environment.json", "environment_00000000-000000.json"]


def test_run_that_does_not_exist_cannot_be_resumed(tracker: RunTracker) -> None:
    with pytest.raises(InputError, match=r"no run 'abc' in sqlite.*--tracking_uri"), tracker.start(run_id="abc"):
        pass


def test_deleted_run_cannot_be_resumed(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start() as run:
        pass
    client.delete_run(run.id)
    with (
        pytest.raises(InputError, match=r"in the trash of sqlite.*runs restore --run-id"),
        tracker.start(run_id=run.id),
    ):
        pass


def test_run_of_a_living_process_cannot_be_resumed(new_tracker: NewTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.tracking.liveness.os.getpid", lambda: 1)
    with new_tracker().start() as run:
        monkeypatch.undo()
        with pytest.raises(InputError, match="still being recorded by process 1"), new_tracker().start(run_id=run.id):
            pass


def test_store_that_takes_no_run_is_an_error(tracker: RunTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(MlflowClient, "create_run", fail)
    with pytest.raises(InputError, match=r"The MLflow store sqlite.* takes no run: disk full"), tracker.start():
        pass


def lose_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ConnectionError("connection refused")

    for method in ("log_batch", "log_artifact", "log_text", "set_terminated"):
        monkeypatch.setattr(MlflowClient, method, fail)


def test_run_outlives_its_server(tracker: RunTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tracker.start() as run:
        lose_server(monkeypatch)
        run.log_metrics({"loss": 0.5}, step=1)
        run.flush()
    unsent = json.loads((tmp_path / "out" / "unsent_metrics.json").read_text(encoding="utf-8"))
    assert [(item["key"], item["value"], item["step"]) for item in unsent["metrics"]] == [("loss", 0.5, 1)]
    assert unsent["not_sent"] == ["status FINISHED"]


def test_resumed_run_sends_what_was_left(
    tracker: RunTracker, client: MlflowClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracker.start() as run:
        lose_server(monkeypatch)
        run.log_metrics({"loss": 0.5}, step=1)
    monkeypatch.undo()
    with tracker.start(run_id=run.id):
        pass
    assert client.get_run(run.id).data.metrics == {"loss": 0.5}
    assert not (tmp_path / "out" / "unsent_metrics.json").exists()


def test_check_opens_the_experiment_and_starts_no_run(new_tracker: NewTracker, client: MlflowClient) -> None:
    new_tracker(experiment_name="heart").check()
    assert client.search_runs([client.get_experiment_by_name("heart").experiment_id]) == []


def test_check_finds_a_server_that_is_away() -> None:
    with pytest.raises(InputError, match="does not answer"):
        RunTracker("http://127.0.0.1:9").check()


def test_disabled_tracker_touches_no_store(new_tracker: NewTracker) -> None:
    tracker = new_tracker(tracking_uri="http://127.0.0.1:9", enabled=False)
    tracker.check()
    with tracker.start() as run:
        assert run.id == ""
    assert tracker.ui_command() == ""


def test_disabled_run_ends_by_the_signal_all_the_same() -> None:
    with pytest.raises(Terminated), RunTracker(enabled=False).start():
        signal.raise_signal(signal.SIGTERM)


def test_disabled_tracking_does_not_import_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)  # from now on an import of it fails
    with RunTracker(enabled=False).start() as run:
        run.log_metrics({"loss": 1.0})


@pytest.mark.parametrize("file", sorted(Path(tracker_module.__file__).parent.glob("*.py")), ids=lambda file: file.stem)
def test_mlflow_is_imported_where_it_is_used_and_no_earlier(file: Path) -> None:
    statements = ast.parse(file.read_text(encoding="utf-8")).body
    imports = [ast.unparse(node) for node in statements if isinstance(node, ast.Import | ast.ImportFrom)]
    assert [text for text in imports if "mlflow" in text.replace("MlflowRun", "")] == []


@pytest.mark.parametrize("value", [True, "true", "True", "yes", "1", 1])
def test_flag_as_the_command_line_gives_it(value: Any) -> None:
    assert RunTracker(enabled=value).enabled is True


@pytest.mark.parametrize(("name", "setting"), [("enabled", "record"), ("system_metrics", "system_metrics")])
def test_flag_that_is_none_is_refused(name: str, setting: str) -> None:
    with pytest.raises(InputError, match=f"^{setting} must be true or false, got 'maybe'"):
        RunTracker(**{name: "maybe"})


def test_empty_experiment_name_is_refused() -> None:
    with pytest.raises(InputError, match="experiment_name must not be empty"):
        RunTracker(experiment_name="")


def test_only_the_first_process_records(tracker: RunTracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with tracker.start() as run:
        assert run.id == ""


@pytest.mark.parametrize(("rank", "first"), [(0, True), (1, False)])
def test_processes_that_have_met_know_the_first(rank: int, first: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    assert tracker_module._is_first_process() is first


def test_ui_command_is_that_of_the_store(tracker: RunTracker, store: str) -> None:
    assert store in tracker.ui_command()


def test_epoch_that_is_trained_again_is_recorded_once(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start() as run:
        run.log_metrics({"loss": 1.0}, step=1)
    with tracker.start(run_id=run.id) as run:
        for step in (1, 2):
            run.log_metrics({"loss": 0.5}, step)
    assert [(item.step, item.value) for item in client.get_metric_history(run.id, "loss")] == [(1, 1.0), (2, 0.5)]


def test_run_is_the_child_of_the_run_in_the_environment(
    tracker: RunTracker, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_PARENT_RUN_ID", "abc")
    with tracker.start() as run:
        pass
    assert client.get_run(run.id).data.tags["mlflow.parentRunId"] == "abc"


def test_run_adopts_another(new_tracker: NewTracker, client: MlflowClient) -> None:
    with new_tracker().start() as child, new_tracker().start() as parent:
        parent.adopt(child.id, {"sweep.trial": "3"}, status="KILLED")
        found = client.get_run(child.id)
        assert (found.data.tags["mlflow.parentRunId"], found.data.tags["sweep.trial"]) == (parent.id, "3")
        assert found.info.status == "KILLED"


def test_code_is_a_tag(tracker: RunTracker, client: MlflowClient) -> None:
    with tracker.start() as run:
        pass
    assert client.get_run(run.id).data.tags["code_digest"] == code_digest()


def test_end_is_not_before_the_start(
    tracker: RunTracker, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    with tracker.start() as run:
        monkeypatch.setattr(time, "time", lambda: now - 3600)
    info = client.get_run(run.id).info
    assert info.end_time >= info.start_time


def refuse_writing(file: Path, refuse: bool) -> None:
    """Let the store answer to each figure what it answers when its disk was mounted read-only, or no longer."""
    with closing(sqlite3.connect(file)) as database, database:
        for table in ("metrics", "latest_metrics"):
            database.execute(f"DROP TRIGGER IF EXISTS refuse_{table}")
            if refuse:
                database.execute(
                    f"CREATE TRIGGER refuse_{table} BEFORE INSERT ON {table} "
                    "BEGIN SELECT RAISE(ABORT, 'attempt to write a readonly database'); END"
                )


def test_store_that_turns_read_only_in_mid_run_gets_everything_later(
    tracker: RunTracker, client: MlflowClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with tracker.start() as run:
        run.log_metrics({"train_loss": 3.0}, 1)
        assert run.flush()
        refuse_writing(tmp_path / "mlruns.db", True)
        run.log_metrics({"train_loss": 2.0}, 2)
        assert not run.flush()
        assert "readonly database" in caplog.text and (tmp_path / "out" / "unsent_metrics.json").is_file()
        refuse_writing(tmp_path / "mlruns.db", False)
    history = client.get_metric_history(run.id, "train_loss")
    assert [(item.step, item.value) for item in history] == [(1, 3.0), (2, 2.0)]
    assert not (tmp_path / "out" / "unsent_metrics.json").exists()
