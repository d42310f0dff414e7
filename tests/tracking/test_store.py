"""Where runs are recorded, and what happens when that place is not usable."""

from __future__ import annotations

import http.server
import shlex
import socket
import sqlite3
import ssl
import threading
import time
import urllib.error
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline import __version__
from pipeline.errors import InputError
from pipeline.tracking import store as store_module
from pipeline.tracking.store import (
    artifact_location,
    ensure_experiment,
    open_store,
    require_write_access,
    resolve_tracking_uri,
    ui_command,
)


@pytest.fixture
def closed_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def mute_port() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield int(server.getsockname()[1])


@pytest.fixture
def strange_port() -> Iterator[int]:
    """A web server that is not MLflow's."""

    class NotFound(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NotFound)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_default_is_a_file_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert resolve_tracking_uri("") == f"sqlite:///{(tmp_path / 'mlruns.db').as_posix()}"


def test_environment_variable_comes_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000/")
    assert resolve_tracking_uri("") == "http://server:5000"


def test_setting_comes_before_the_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert resolve_tracking_uri("postgresql://other/db") == "postgresql://other/db"


def test_relative_file_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_tracking_uri("sqlite:///runs/a.db") == f"sqlite:///{(tmp_path / 'runs' / 'a.db').as_posix()}"


@pytest.mark.parametrize("uri", ["mlruns", "file:///x/mlruns", "C:\\x\\mlruns"])
def test_plain_folder_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match=r"must be a server .* plain folders: use sqlite:///mlruns\.db"):
        resolve_tracking_uri(uri)


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///:memory:", "sqlite:mlruns.db"])
def test_sqlite_without_a_file_is_refused(uri: str) -> None:
    with pytest.raises(InputError, match=r"must name a file as sqlite:///path/to/mlruns\.db, got 'sqlite:"):
        resolve_tracking_uri(uri)


def test_path_that_no_address_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match=r"cannot name a path with '%' or '\?'.*Give another place"):
        resolve_tracking_uri("sqlite:///50%/mlruns.db")


def test_artifacts_lie_beside_the_file(tmp_path: Path) -> None:
    file = tmp_path / "my runs.db"
    assert artifact_location(f"sqlite:///{file.as_posix()}") == (tmp_path / "mlruns").as_uri()


def test_artifacts_of_a_server_lie_where_it_wants() -> None:
    assert artifact_location("http://server:5000") is None


def test_artifacts_of_a_database_lie_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert artifact_location("postgresql+psycopg2://server/db") == (tmp_path / "mlruns").as_uri()


@pytest.mark.parametrize(
    "uri", ["http://127.0.0.1:{}", "https://127.0.0.1:{}", "postgresql://me:secret@127.0.0.1:{}/db"]
)
def test_server_that_is_not_there_is_an_error_within_seconds(uri: str, closed_port: int) -> None:
    begin = time.monotonic()
    with pytest.raises(InputError, match=rf":{closed_port}.* does not answer .*--tracking_uri sqlite") as caught:
        open_store(uri.format(closed_port))
    assert time.monotonic() - begin < 10
    assert "secret" not in str(caught.value)


def test_server_that_never_answers_is_an_error(mute_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PROBE_TIMEOUT_S", 0.2)
    with pytest.raises(InputError, match=r"does not answer \(.*timed out"):
        open_store(f"http://127.0.0.1:{mute_port}")


def test_server_that_is_not_mlflow_is_an_error(strange_port: int) -> None:
    with pytest.raises(InputError, match=rf"The MLflow store http://127\.0\.0\.1:{strange_port} refuses: .*404"):
        open_store(f"http://127.0.0.1:{strange_port}")


def test_certificate_is_left_to_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, timeout: float) -> None:
        raise urllib.error.URLError(ssl.SSLCertVerificationError("self-signed"))

    monkeypatch.setattr(store_module.urllib.request, "urlopen", refuse)
    store_module._probe_server("https://server")


def test_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"mlruns\.db cannot be written \(.*Give another place"):
        open_store(f"sqlite:///{(tmp_path / 'file' / 'mlruns.db').as_posix()}")


def test_file_that_another_process_holds_is_an_error(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOCK_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect("mlruns.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match=r"cannot be written \(database is locked\)\. If another process"):
            open_store(store)


def test_store_that_another_process_is_making_is_waited_for(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MIGRATION_TIMEOUT_S", 0.1)
    Path("mlruns").mkdir()
    with closing(sqlite3.connect("mlruns/.lock", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InputError, match="has been in the making by another process"):
            open_store(store)


def test_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mlruns.db").write_text("patient,age\n" * 100, encoding="utf-8")
    with pytest.raises(InputError, match=r"is no SQLite database \(file is not a database\)"):
        open_store(f"sqlite:///{(tmp_path / 'mlruns.db').as_posix()}")


def test_database_of_another_mlflow_is_an_error(store: str) -> None:
    with closing(sqlite3.connect("mlruns.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.commit()
    with pytest.raises(InputError, match=r"refuses: .*out-of-date database schema .*mlflow db upgrade"):
        open_store(store)


def test_experiment_is_created_once(store: str, client: MlflowClient) -> None:
    assert ensure_experiment(client, store, "heart") == ensure_experiment(client, store, "heart")


def test_artifacts_of_a_new_experiment_lie_beside_the_file(store: str, client: MlflowClient, tmp_path: Path) -> None:
    id_ = ensure_experiment(client, store, "heart")
    assert client.get_experiment(id_).artifact_location == (tmp_path / "mlruns").as_uri()


def test_new_experiment_opens_as_model_training(store: str, client: MlflowClient) -> None:
    experiment = client.get_experiment(ensure_experiment(client, store, "new"))
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_experiment_that_another_process_has_just_created_is_taken(
    store: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = client.create_experiment("heart")
    answers = iter([None, client.get_experiment(id_)])
    monkeypatch.setattr(client, "get_experiment_by_name", lambda name: next(answers))
    assert ensure_experiment(client, store, "heart") == id_


def test_deleted_experiment_is_an_error(store: str, client: MlflowClient) -> None:
    client.delete_experiment(client.create_experiment("heart"))
    with pytest.raises(InputError, match=r"'heart' is in the trash of sqlite.*experiments restore --experiment-id 1"):
        ensure_experiment(client, store, "heart")


def test_experiment_that_the_store_refuses_is_an_error(store: str, client: MlflowClient) -> None:
    with pytest.raises(InputError, match=r"refuses: .*exceeds the maximum length"):
        ensure_experiment(client, store, "x" * 501)


def test_ui_command_names_the_file(store: str) -> None:
    assert shlex.split(ui_command(store), posix=True)[-3:] == ["ui", "--backend-store-uri", store]


def test_ui_of_a_server_is_its_address() -> None:
    assert ui_command("https://me:secret@server/mlflow/") == "https://***@server/mlflow"


def test_ui_command_for_windows_has_double_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "_mlflow_command", lambda: ["mlflow"])
    monkeypatch.setattr(store_module, "resolve_tracking_uri", lambda uri: "sqlite:///C:/my runs/mlruns.db")
    monkeypatch.setattr(store_module.os, "name", "nt")
    assert ui_command() == 'mlflow ui --backend-store-uri "sqlite:///C:/my runs/mlruns.db"'


@pytest.mark.parametrize(
    ("interpreter", "found", "command"),
    [
        ("env/bin/python", "env/bin/mlflow", ["mlflow"]),
        ("env/bin/python", "other/bin/mlflow", ["env/bin/python", "-m", "mlflow"]),
        ("env/bin/python", None, ["env/bin/python", "-m", "mlflow"]),
    ],
)
def test_ui_command_uses_the_mlflow_of_this_environment(
    interpreter: str, found: str | None, command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store_module.sys, "executable", str(tmp_path / interpreter))
    monkeypatch.setattr(store_module.shutil, "which", lambda name: found and str(tmp_path / found))
    assert [Path(word).as_posix() for word in store_module._mlflow_command()] == command


def test_store_that_is_read_only_is_an_error(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect

    def read_only(file: Path, **options: object) -> sqlite3.Connection:
        return connect(f"file:{file}?mode=ro" if Path(file).name == "mlruns.db" else file, uri=True, **options)

    monkeypatch.setattr(store_module.sqlite3, "connect", read_only)
    with pytest.raises(InputError, match=r"cannot be written \(attempt to write a readonly database\)"):
        open_store(store)


def test_experiment_that_may_only_be_read_is_an_error(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError("Permission denied\nlong story")

    monkeypatch.setattr(client, "set_experiment_tag", refuse)
    with pytest.raises(InputError, match=r"http://server cannot be written \(Permission denied\).*leave to edit"):
        require_write_access(client, "http://server", "1")


def test_experiment_is_marked_by_the_version_that_writes(store: str, client: MlflowClient) -> None:
    id_ = client.create_experiment("heart")
    require_write_access(client, "http://server", id_)
    assert client.get_experiment(id_).tags["pipeline.version"] == __version__
