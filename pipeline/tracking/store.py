"""Where runs are recorded: a SQLite file with an artifact folder beside it, or a tracking server."""

from __future__ import annotations

import http.client
import logging
import os
import shlex
import shutil
import socket
import sqlite3
import ssl
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pipeline import __version__
from pipeline.errors import InputError
from pipeline.tracking.keys import hide_credentials

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment, Run

DATABASE_NAME = "mlruns.db"
ARTIFACT_FOLDER = "mlruns"
LOCK_NAME = ".lock"
SQLITE = "sqlite:///"
_ANOTHER_PLACE = f"Give another place: --tracking_uri {SQLITE}/path/to/{DATABASE_NAME}"
PROBE_TIMEOUT_S = 4.0
"""Seconds to wait for a connection, and again for the answer: a dead server is an error after at most twice this."""
LOCK_TIMEOUT_S = 5.0
MIGRATION_TIMEOUT_S = 60.0
"""Seconds to wait for another process that is creating the tables: it takes 4 s on an idle machine."""

# A server that goes away in mid-run must not hold up the training for minutes, as MLflow's own 7 retries of 120 s
# would; what fails is kept and sent later. Telemetry would name the runs of a clinic to a third party.
_MLFLOW_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_TALKATIVE = {
    "mlflow.store.db.utils": logging.WARNING,
    "mlflow.system_metrics.system_metrics_monitor": logging.ERROR,
    "alembic": logging.WARNING,
    "urllib3.connectionpool": logging.ERROR,
}
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}


def resolve_tracking_uri(tracking_uri: str = "") -> str:
    """Return the absolute address of the store.

    Args:
        tracking_uri: ``http(s)://…`` of a server, ``sqlite:///…`` of a file, or another database that MLflow takes.
            Where empty: ``MLFLOW_TRACKING_URI``, else ``mlruns.db`` in the working directory.

    Returns:
        The address, with the path of a SQLite file made absolute.

    Raises:
        InputError: it is a plain folder, which MLflow has given up, or a path that a SQLite address cannot hold.
    """
    uri = str(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", "")).strip() or f"{SQLITE}{DATABASE_NAME}"
    scheme = urllib.parse.urlsplit(uri).scheme
    # one letter is a drive of Windows
    if len(scheme) < 2 or scheme == "file":
        raise InputError(
            f"tracking_uri must be a server (http://host:port) or a database, got '{uri}'. MLflow no longer keeps runs "
            f"in plain folders: use {SQLITE}{DATABASE_NAME} for a file."
        )
    if scheme != "sqlite":
        return uri.rstrip("/")
    return _absolute_sqlite(uri)


def _absolute_sqlite(uri: str) -> str:
    path = uri.removeprefix(SQLITE)
    if path == uri or path in ("", ":memory:"):
        raise InputError(f"tracking_uri must name a file as {SQLITE}path/to/{DATABASE_NAME}, got '{uri}'.")
    file = Path(path).absolute()
    if set(file.as_posix()) & set("%?"):
        raise InputError(f"tracking_uri cannot name a path with '%' or '?', got '{file}'. {_ANOTHER_PLACE}")
    return f"{SQLITE}{file.as_posix()}"


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a resolved SQLite address, None for any other store."""
    return Path(uri.removeprefix(SQLITE)) if uri.startswith(SQLITE) else None


def artifact_location(uri: str) -> str | None:
    """Return where a new experiment keeps its artifacts: beside the SQLite file; None where the server decides."""
    file = sqlite_file(uri)
    if file is not None:
        return (file.parent / ARTIFACT_FOLDER).as_uri()
    if urllib.parse.urlsplit(uri).scheme.split("+")[0] in _DATABASE_PORTS:
        return (Path.cwd() / ARTIFACT_FOLDER).as_uri()
    return None


def open_store(uri: str) -> MlflowClient:
    """Connect to a store, creating the SQLite file where there is none.

    Args:
        uri: a resolved address.

    Returns:
        A client of that store alone: nothing global of MLflow is touched.

    Raises:
        InputError: the server does not answer, the file is locked, damaged, of another MLflow, or not writable.
    """
    _probe(uri)
    prepare_client()
    with _one_migration_at_a_time(uri):
        try:
            from mlflow import MlflowClient

            client = MlflowClient(tracking_uri=uri)
            client.search_experiments(max_results=1)
        except Exception as error:  # each store has its own: MLflow's, SQLAlchemy's, the driver's, the network's
            raise InputError(_refusal(uri, error)) from error
    return client


# MLflow's web page opens with the views for training, not with those for language models
EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.note.content": "Short-axis cardiac MR segmentation. Compare the runs, also case by case: "
    "`python -m pipeline compare` with the name of this experiment.",
}


def ensure_experiment(client: MlflowClient, uri: str, name: str) -> str:
    """Return the id of the experiment, created where it is new; several processes may ask at once.

    Raises:
        InputError: the experiment is deleted, or the store refuses.
    """
    try:
        experiment = client.get_experiment_by_name(name) or _create_experiment(client, uri, name)
    except Exception as error:  # see open_store
        raise InputError(_refusal(uri, error)) from error
    if experiment.lifecycle_stage == "deleted":
        raise InputError(
            f"experiment_name '{name}' is in the trash of {hide_credentials(uri)}. Restore it (mlflow experiments "
            f"restore --experiment-id {experiment.experiment_id}, with MLFLOW_TRACKING_URI set to that address), "
            "or choose another name with --experiment_name."
        )
    return str(experiment.experiment_id)


def require_write_access(client: MlflowClient, uri: str, experiment_id: str) -> None:
    """Write to an experiment once: a user may have leave to read only, a disk may be full, a database read-only.

    What is written is the tag ``pipeline.version``. A SQLite file has been tried by ``open_store``.

    Raises:
        InputError: the store refuses.
    """
    if sqlite_file(uri) is not None:
        return
    try:
        client.set_experiment_tag(experiment_id, "pipeline.version", __version__)
    except Exception as error:  # see open_store
        reason = hide_credentials(str(error).strip().partition("\n")[0])
        raise InputError(
            f"The MLflow store {hide_credentials(uri)} cannot be written ({reason}). Ask its keeper for leave to edit "
            "the experiment, or choose another with --experiment_name or --tracking_uri."
        ) from error


def _create_experiment(client: MlflowClient, uri: str, name: str) -> Experiment:
    from mlflow.exceptions import MlflowException

    try:
        client.create_experiment(name, artifact_location=artifact_location(uri), tags=EXPERIMENT_TAGS)
    except MlflowException as error:
        # another process was faster
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return cast("Experiment", client.get_experiment_by_name(name))


def find_run(client: MlflowClient, uri: str, run_id: str) -> Run:
    """Return a run by its id.

    Args:
        client: client of the store.
        uri: address of the store, for the message.
        run_id: whole id.

    Raises:
        InputError: there is no such run, or it is in the trash.
    """
    from mlflow.exceptions import MlflowException

    where = hide_credentials(uri)
    try:
        found = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise InputError(
            f"There is no run '{run_id}' in {where}. Give the --tracking_uri that it was recorded with."
        ) from error
    if found.info.lifecycle_stage == "deleted":
        raise InputError(
            f"The run '{run_id}' is in the trash of {where}. Restore it: mlflow runs restore --run-id {run_id}, with "
            "MLFLOW_TRACKING_URI set to that address."
        )
    return found


def ui_command(tracking_uri: str = "") -> str:
    """Return what shows the runs in a browser: a command for a local store, the address for a server.

    Raises:
        InputError: see ``resolve_tracking_uri``.
    """
    uri = resolve_tracking_uri(tracking_uri)
    if uri.startswith(("http://", "https://")):
        return hide_credentials(uri)
    command = [*_mlflow_command(), "ui", "--backend-store-uri", hide_credentials(uri)]
    if os.name != "nt":
        return shlex.join(command)
    # cmd.exe knows no single quotes
    return " ".join(f'"{word}"' if " " in word else word for word in command)


def _mlflow_command() -> list[str]:
    """The ``mlflow`` on the path may belong to another environment: then go through this interpreter."""
    found, here = shutil.which("mlflow"), Path(sys.executable).parent
    if found and Path(found).parent == here:
        return ["mlflow"]
    inside = here.is_relative_to(Path.cwd())
    return [str(Path(sys.executable).relative_to(Path.cwd())) if inside else sys.executable, "-m", "mlflow"]


def prepare_client() -> None:
    """Import MLflow with the settings of this project: no telemetry, no progress bars, quiet loggers."""
    for name, value in _MLFLOW_SETTINGS.items():
        os.environ.setdefault(name, value)
    # MLflow sets its loggers up when it is imported
    import mlflow  # noqa: F401

    for name, level in _TALKATIVE.items():
        logging.getLogger(name).setLevel(level)


def _refusal(uri: str, error: Exception) -> str:
    reason = hide_credentials(str(error).strip().partition("\n")[0])
    return (
        f"The MLflow store {hide_credentials(uri)} refuses: {reason} "
        "Correct it, or give another with --tracking_uri or MLFLOW_TRACKING_URI."
    )


def _probe(uri: str) -> None:
    """Find out within seconds what MLflow would find out after minutes of retries."""
    parts = urllib.parse.urlsplit(uri)
    file = sqlite_file(uri)
    if file is not None:
        _probe_folders(file)
    elif parts.scheme in ("http", "https"):
        _probe_server(uri)
    elif parts.scheme.split("+")[0] in _DATABASE_PORTS and parts.hostname:
        _probe_port(uri, parts.hostname, parts.port or _DATABASE_PORTS[parts.scheme.split("+")[0]])


def _probe_server(uri: str) -> None:
    parts = urllib.parse.urlsplit(uri)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        with urllib.request.urlopen(f"{bare}/health", timeout=PROBE_TIMEOUT_S):
            return
    except urllib.error.HTTPError:
        return  # whatever the status, something answers; what it lets us do, the first request tells
    except urllib.error.URLError as error:
        if not isinstance(error.reason, ssl.SSLError):  # MLflow may be told of other certificates
            raise InputError(_no_answer(uri, error.reason)) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(_no_answer(uri, error)) from error


def _probe_port(uri: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), timeout=PROBE_TIMEOUT_S).close()
    except OSError as error:
        raise InputError(_no_answer(uri, error)) from error


def _no_answer(uri: str, reason: object) -> str:
    return (
        f"The MLflow server {hide_credentials(uri)} does not answer ({reason}). Start it, correct --tracking_uri or "
        f"MLFLOW_TRACKING_URI, or record to a file: --tracking_uri {SQLITE}{DATABASE_NAME}"
    )


def _probe_folders(file: Path) -> None:
    try:
        for folder in (file.parent, file.parent / ARTIFACT_FOLDER):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
    except OSError as error:
        raise InputError(f"The MLflow store {file} cannot be written ({error}). {_ANOTHER_PLACE}") from error


def _probe_database(file: Path) -> None:
    if not file.exists():
        return
    try:
        with closing(sqlite3.connect(file, timeout=LOCK_TIMEOUT_S, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            # the transaction alone is granted on a read-only file too
            (version,) = database.execute("PRAGMA user_version").fetchone()
            database.execute(f"PRAGMA user_version = {version}")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        raise InputError(
            f"The MLflow store {file} cannot be written ({error}). If another process holds it, wait for it or run "
            f"a server (mlflow server) for runs side by side. {_ANOTHER_PLACE}"
        ) from error
    except sqlite3.DatabaseError as error:
        raise InputError(f"The MLflow store {file} is no SQLite database ({error}). {_ANOTHER_PLACE}") from error


@contextmanager
def _one_migration_at_a_time(uri: str) -> Iterator[None]:
    """Let one process create the tables while the others wait: MLflow has no lock of its own for this.

    The lock is a transaction on a second SQLite file: it works on every system and dies with its process. The file
    stays, since SQLite takes none that is removed under it.
    """
    file = sqlite_file(uri)
    if file is None:
        yield
        return
    lock = file.parent / ARTIFACT_FOLDER / LOCK_NAME
    with closing(sqlite3.connect(lock, timeout=MIGRATION_TIMEOUT_S, isolation_level=None)) as guard:
        _wait_for(guard, file)
        _probe_database(file)
        yield


def _wait_for(guard: sqlite3.Connection, file: Path) -> None:
    try:
        guard.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        raise InputError(
            f"The MLflow store {file} has been in the making by another process for {MIGRATION_TIMEOUT_S:.0f} s "
            f"({error}). End that process, or give another place with --tracking_uri."
        ) from error
