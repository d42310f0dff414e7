"""What a run on record is told, and what MLflow then has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from pipeline.tracking import RunTracker
from pipeline.tracking.run import MlflowRun, Run


@pytest.fixture
def run(client: MlflowClient, tmp_path: Path) -> MlflowRun:
    experiment = client.create_experiment("heart", artifact_location=(tmp_path / "mlruns").as_uri())
    return MlflowRun(client, client.create_run(experiment).info.run_id, "name", tmp_path / "out")


def artifact(client: MlflowClient, run: Run, path: str) -> str:
    return Path(client.download_artifacts(run.id, path)).read_text(encoding="utf-8")


def test_metrics_keep_their_steps(run: MlflowRun, client: MlflowClient) -> None:
    for step in (1, 2):
        run.log_metrics({"val_mean_dice": step / 10}, step)
    run.flush()
    history = client.get_metric_history(run.id, "val_mean_dice")
    assert [(item.step, item.value) for item in history] == [(1, 0.1), (2, 0.2)]


def test_more_params_than_a_request_takes(run: MlflowRun, client: MlflowClient) -> None:
    run.log_params({f"p{i}": i for i in range(201)})
    assert client.get_run(run.id).data.params == {f"p{i}": str(i) for i in range(201)}


def test_params_are_cut_and_hide_passwords(run: MlflowRun, client: MlflowClient) -> None:
    run.log_params({"a#b": "x" * 7000, "uri": "http://me:secret@server"})
    params = client.get_run(run.id).data.params
    assert (len(params["a_b"]), params["uri"]) == (6000, "http://***@server")


def test_param_keeps_its_first_value_and_the_change_is_told(run: MlflowRun, client: MlflowClient) -> None:
    run.log_params({"max_epochs": 3, "seed": 0})
    run.log_params({"max_epochs": 5, "seed": 0})
    data = client.get_run(run.id).data
    assert data.params == {"max_epochs": "3", "seed": "0"}
    assert data.tags["resume.changed_params"] == "max_epochs: 3 -> 5"


def test_params_that_stay_the_same_leave_no_trace(run: MlflowRun, client: MlflowClient) -> None:
    run.log_params({"seed": 0})
    run.log_params({"seed": 0})
    assert "resume.changed_params" not in client.get_run(run.id).data.tags


def test_file_is_recorded_under_its_folder(run: MlflowRun, client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("case_id\n", encoding="utf-8")
    run.log_artifact(tmp_path / "metrics.csv", "evaluation")
    assert artifact(client, run, "evaluation/metrics.csv") == "case_id\n"


def test_folder_is_recorded_under_its_name(run: MlflowRun, client: MlflowClient, tmp_path: Path) -> None:
    (tmp_path / "overlays").mkdir()
    (tmp_path / "overlays" / "a.txt").write_text("a", encoding="utf-8")
    run.log_artifact(tmp_path / "overlays", "evaluation")
    assert artifact(client, run, "evaluation/overlays/a.txt") == "a"


def test_missing_artifact_is_told_and_no_trouble(run: MlflowRun, caplog: pytest.LogCaptureFixture) -> None:
    run.log_artifact("no/such/file.png")
    assert "file.png does not exist: it is missing among the artifacts of the run name" in caplog.text


@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_dict_is_recorded_as_a_file(run: MlflowRun, client: MlflowClient, name: str) -> None:
    run.log_dict({"uri": "http://me:secret@server", "größe": [1, 2]}, name)
    assert yaml.safe_load(artifact(client, run, name)) == {"uri": "http://***@server", "größe": [1, 2]}


def test_tag_is_cut(run: MlflowRun, client: MlflowClient) -> None:
    run.set_tags({"note": "x" * 6000})
    assert len(client.get_run(run.id).data.tags["note"]) == 5000


def test_rest_that_cannot_be_kept_ends_nothing(
    run: MlflowRun,
    client: MlflowClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(client, "set_terminated", fail)
    (tmp_path / "out").touch()
    run.close("FINISHED")
    assert "and it cannot be kept" in caplog.text


def test_run_that_records_nothing_takes_everything() -> None:
    with RunTracker(enabled=False).start() as run:
        run.log_metrics({"loss": 1.0}, step=1)
        run.log_params({"a": 1})
        run.set_tags({"a": 1})
        run.log_artifact("no/such/file")
        run.log_text("a", "a.txt")
        run.log_dict({}, "a.yaml")
        assert (run.id, run.flush()) == ("", True)
