"""A real MLflow server on loopback, on SQLite and, where TEST_POSTGRES_URI names one, on PostgreSQL."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import yaml
from mlflow import MlflowClient

from pipeline.data.phantom import make_phantom_cohort
from pipeline.tracking import RunTracker
from pipeline.tracking.store import open_store, resolve_tracking_uri

REPOSITORY = Path(__file__).resolve().parents[2]
BUNDLE = Path("bundles", "cardiac_sax_segmentation")
TINY = REPOSITORY / "tests" / "bundles" / "tiny.yaml"
STARTS_WITHIN_S = 240.0
JOB_TIMEOUT_S = 300.0
BACKENDS = ["sqlite", *(["postgresql"] if os.environ.get("TEST_POSTGRES_URI") else [])]


@dataclass
class Server:
    """An MLflow server that can be killed and started again on the same port and the same store."""

    backend: str
    folder: Path
    options: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    port: int = 0
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        if not self.port:
            with closing(socket.create_server(("127.0.0.1", 0))) as free:
                self.port = free.getsockname()[1]
        words = ["--backend-store-uri", self.backend, "--artifacts-destination", str(self.folder / "artifacts")]
        words += ["--host", "127.0.0.1", "--port", str(self.port), "--workers", "1", *self.options]
        quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        env = {**os.environ, **quiet, **self.env}
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", "server", *words], env=env, cwd=self.folder, stdout=log, stderr=log
            )
        self._wait()

    def _wait(self) -> None:
        end_s = time.monotonic() + STARTS_WITHIN_S
        while not self._answers():
            assert time.monotonic() < end_s and self.process is not None and self.process.poll() is None, self.log()
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def processes(self) -> list[psutil.Process]:
        assert self.process is not None
        main = psutil.Process(self.process.pid)
        return [main, *main.children(recursive=True)]

    def kill(self) -> None:
        """End it as `kill -9` does, with the processes that it has started."""
        if self.process is None:
            return
        for process in self.processes():
            process.kill()
        self.process.wait()
        self.process = None


@pytest.fixture(scope="session", params=BACKENDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(f"server_{request.param}")
    file = (folder / "mlruns.db").as_posix()
    server = Server(os.environ["TEST_POSTGRES_URI"] if request.param == "postgresql" else f"sqlite:///{file}", folder)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers of the test's own, on SQLite."""
    servers: list[Server] = []

    def make(*options: str, **env: str) -> Server:
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        servers.append(Server(f"sqlite:///{(folder / 'mlruns.db').as_posix()}", folder, list(options), env))
        servers[-1].start()
        return servers[-1]

    yield make
    for server in servers:
        server.kill()


@pytest.fixture
def running(server: Server) -> Iterator[Server]:
    """The server, which the test may kill: it runs again for the next."""
    yield server
    if server.process is None:
        server.start()


@pytest.fixture
def client(running: Server) -> MlflowClient:
    return open_store(resolve_tracking_uri(running.uri))


@pytest.fixture
def experiment() -> str:
    """The name of an experiment of the test's own."""
    return f"heart-{uuid.uuid4().hex}"


@pytest.fixture
def new_tracker(running: Server, tmp_path: Path, experiment: str) -> Callable[..., RunTracker]:
    def make(**settings: object) -> RunTracker:
        defaults = {"tracking_uri": running.uri, "experiment_name": experiment, "output_dir": tmp_path / "out"}
        return RunTracker(**{**defaults, "system_metrics": False, **settings})

    return make


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five phantom patients, ED and ES, of a few coarse slices."""
    folder = tmp_path_factory.mktemp("cohort") / "training"
    sizes = {"in_plane_size": (64, 64), "num_slices": (4, 5)}
    spacings = {"in_plane_spacing_mm": (2.6, 3.0), "slice_spacing_mm": (10.0, 20.0)}
    make_phantom_cohort(folder, num_patients=5, num_phases=2, **sizes, **spacings)
    return folder


class Job:
    """A command in the background, with what it prints in a file."""

    def __init__(self, words: list[str], env: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, *words], cwd=REPOSITORY, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )

    def end(self) -> int:
        """Wait for its end, and return the exit status."""
        return self.process.wait(JOB_TIMEOUT_S)

    def reach(self, path: Path) -> None:
        """Wait until it has written a file."""
        end_s = time.monotonic() + JOB_TIMEOUT_S
        while not path.exists():
            assert self.process.poll() is None and time.monotonic() < end_s, self.text()
            time.sleep(0.05)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@pytest.fixture
def start(running: Server, cohort: Path, tmp_path: Path, experiment: str) -> Iterator[Callable[..., Job]]:
    """Start a command on the bundle's configuration with the tiny network, and with handlers that disturb it."""
    jobs: list[Job] = []

    def run(
        command: list[str], *handlers: dict[str, object], overlays: tuple[str, ...] = (), **overrides: object
    ) -> Job:
        disturb = tmp_path / "disturb.yaml"
        disturb.write_text(yaml.safe_dump({"+train#handlers": list(handlers)}), encoding="utf-8")
        names = [str(BUNDLE / "configs" / f"{name}.yaml") for name in ("train", *overlays)]
        files = [*names, "configs/acdc.yaml", str(TINY), *([str(disturb)] if handlers else [])]
        options = {"bundle_root": BUNDLE, "config_file": files, "dataset_dir": cohort, "output_dir": tmp_path / "out"}
        options |= {"experiment_name": experiment, **overrides}
        paths = (str(REPOSITORY), str(REPOSITORY / "tests" / "bundles"))
        env = {**os.environ, "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": running.uri}
        words = [*command, *(word for key, value in options.items() for word in (f"--{key}", str(value)))]
        jobs.append(Job(words, {**env, "PYTHONPATH": os.pathsep.join(paths)}, tmp_path / f"{len(jobs)}.log"))
        return jobs[-1]

    yield run
    for job in jobs:
        job.kill()
