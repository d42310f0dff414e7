"""Time `python -m pipeline compare` on a store of many runs: process start, reading, table, pairs, files and all.

    python benchmarks/compare_runs.py --folder /tmp/compare_runs --num_runs 1000 --num_metrics 100 --num_params 250

The store is made once, by writing MLflow's own tables directly: through the API a store of this size takes an hour.
Each run has its latest metrics, parameters and tags, and a curve; the last ``--num_cases_runs`` also have their cases
among the artifacts. With ``--server`` the command asks a tracking server on loopback instead of reading the file.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

from pipeline.labels import FOREGROUND
from pipeline.tracking.store import artifact_location, ensure_experiment, open_store, resolve_tracking_uri

EXPERIMENT = "many"
START_MS = 1_700_000_000_000
NUM_EPOCHS = 20
NUM_PATIENTS = 20


def main() -> None:
    """Make the store where it is missing, and time the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--num_runs", type=int, default=1000)
    parser.add_argument("--num_metrics", type=int, default=100)
    parser.add_argument("--num_params", type=int, default=250)
    parser.add_argument("--num_cases_runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--server", action="store_true", help="compare over HTTP")
    options = parser.parse_args()
    name = f"runs{options.num_runs}_metrics{options.num_metrics}_params{options.num_params}"
    file = options.folder / name / "mlruns.db"
    uri = resolve_tracking_uri(f"sqlite:///{file.as_posix()}")
    if not file.exists():
        start_s = time.perf_counter()
        make_store(file, uri, options)
        print(f"store made in {time.perf_counter() - start_s:.1f} s, {file.stat().st_size / 1e6:.0f} MB")
    if not options.server:
        time_command(uri, options)
        return
    with running_server(uri) as address:
        time_command(address, options)


def time_command(uri: str, options: argparse.Namespace) -> None:
    """Print wall and CPU time of the command; the server's CPU is not in it."""
    command = [sys.executable, "-m", "pipeline", "compare", EXPERIMENT, "--tracking_uri", uri]
    command += ["--output_dir", str(options.folder / "comparison")]
    for _ in range(options.repeats):
        start_s, before_s = time.perf_counter(), cpu_s()
        subprocess.run(command, check=True, capture_output=True)
        wall_s, used_s = time.perf_counter() - start_s, cpu_s() - before_s
        print(f"{options.num_runs} runs of {options.num_metrics} metrics: {wall_s:.2f} s, CPU {used_s:.2f} s")


@contextmanager
def running_server(uri: str) -> Iterator[str]:
    """Start a tracking server on a free port of loopback, and end it with the processes that it has started."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    words = ["--backend-store-uri", uri, "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command, env = [sys.executable, "-m", "mlflow", "server", *words], {**os.environ, **quiet}
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not answers(f"http://127.0.0.1:{port}/health") and server.poll() is None:
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        for process in psutil.Process(server.pid).children(recursive=True):
            process.kill()
        server.kill()
        server.wait()


def answers(address: str) -> bool:
    """Return whether a server is there."""
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def cpu_s() -> float:
    """Return the CPU time of the processes that have ended: all that counts on a machine with other work."""
    times = os.times()
    return times.children_user + times.children_system


def make_store(file: Path, uri: str, options: argparse.Namespace) -> None:
    """Write runs into the tables of a new store."""
    experiment_id = int(ensure_experiment(open_store(uri), uri, EXPERIMENT))
    shuffler = random.Random(0)
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA synchronous = OFF")
        for place in range(options.num_runs):
            run_id = uuid.UUID(int=shuffler.getrandbits(128)).hex
            folder = f"{artifact_location(uri)}/{run_id}/artifacts"
            insert_run(database, run_id, experiment_id, place, folder)
            insert_values(database, run_id, place, options, shuffler)
            if place >= options.num_runs - options.num_cases_runs:
                write_cases(file.parent / "mlruns" / run_id / "artifacts" / "evaluation", place, shuffler)


def insert_run(database: sqlite3.Connection, run_id: str, experiment_id: int, place: int, folder: str) -> None:
    """Write one run: an hour, finished."""
    start_ms = START_MS + place * 3_600_000
    columns = "run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri"
    values = (
        run_id,
        f"training-{place:04d}",
        "LOCAL",
        "",
        "FINISHED",
        start_ms,
        start_ms + 3_000_000,
        "active",
        folder,
    )
    database.execute(
        f"INSERT INTO runs ({columns}, experiment_id) VALUES ({', '.join('?' * 10)})", (*values, experiment_id)
    )


def insert_values(
    database: sqlite3.Connection, run_id: str, place: int, options: argparse.Namespace, shuffler: random.Random
) -> None:
    """Write latest metrics, a curve, parameters and tags of one run; later runs are a little better."""
    dice = 0.85 + 0.05 * place / options.num_runs
    metrics = {name: dice + shuffler.gauss(0, 0.002) for name in metric_names(options.num_metrics)}
    database.executemany(
        "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, 20, 0, ?)",
        [(key, value, START_MS, run_id) for key, value in metrics.items()],
    )
    database.executemany(
        "INSERT INTO metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES ('val_mean_dice', ?, ?, ?, 0, ?)",
        [(dice * epoch / NUM_EPOCHS, START_MS + epoch, epoch, run_id) for epoch in range(1, NUM_EPOCHS + 1)],
    )
    params = {"learning_rate": f"{0.001 * (1 + place % 7):g}", "optimizer.lr": f"{0.001 * (1 + place % 7):g}"}
    params |= {
        f"section_{number}.component.argument": "a value of thirty letters here"
        for number in range(options.num_params - 2)
    }
    database.executemany(
        "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
        [(key, value, run_id) for key, value in params.items()],
    )
    tags = {"job": "training", "dataset_digest": "d" * 64, "device": "cpu", "mlflow.runName": f"training-{place:04d}"}
    tags |= {f"version.package_{number}": "1.2.3" for number in range(20)}
    database.executemany(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
        [(key, value, run_id) for key, value in tags.items()],
    )


def metric_names(number: int) -> Iterator[str]:
    """Yield the names that a training has, then others."""
    known = ["best_mean_dice", "val_mean_dice", *(f"best_dice_{item.key}" for item in FOREGROUND)]
    yield from (known + [f"metric_{place}" for place in range(number)])[:number]


def write_cases(folder: Path, place: int, shuffler: random.Random) -> None:
    """Write the cases of a run, two phases a patient."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ["mean_dice", *(f"dice_{item.key}" for item in FOREGROUND)]
    lines = [",".join(["case_id", "patient_id", "phase", *names])]
    for patient in range(NUM_PATIENTS):
        for phase in ("ed", "es"):
            figures = [f"{min(1.0, 0.85 + place * 1e-5 + shuffler.gauss(0, 0.03)):.6f}" for _ in names]
            lines.append(",".join([f"p{patient:03d}_{phase}", f"p{patient:03d}", phase, *figures]))
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
