"""The machine while a run lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from mlflow import MlflowClient
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from pipeline.tracking import Run, RunTracker, system_metrics


def monitors() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "SystemMetrics"]


@pytest.fixture
def quick_tracker(new_tracker: Callable[..., RunTracker], monkeypatch: pytest.MonkeyPatch) -> RunTracker:
    monkeypatch.setattr(system_metrics, "SAMPLING_INTERVAL_S", 0.05)
    return new_tracker(system_metrics=True)


def wait_for_memory(client: MlflowClient, run: Run) -> None:
    deadline = time.monotonic() + 10
    while run.flush() and "system/system_memory_usage_megabytes" not in client.get_run(run.id).data.metrics:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_memory_is_recorded(quick_tracker: RunTracker, client: MlflowClient) -> None:
    with quick_tracker.start() as run:
        wait_for_memory(client, run)


def test_monitor_ends_with_the_run(quick_tracker: RunTracker) -> None:
    with quick_tracker.start():
        assert len(monitors()) == 1
    assert monitors() == []


def test_resumed_run_goes_on_with_the_steps(quick_tracker: RunTracker, client: MlflowClient) -> None:
    with quick_tracker.start() as run:
        wait_for_memory(client, run)
    with quick_tracker.start(run_id=run.id):
        time.sleep(0.3)
    steps = [item.step for item in client.get_metric_history(run.id, "system/system_memory_usage_megabytes")]
    assert steps == list(range(len(steps)))


def test_sampler_that_fails_ends_alone(
    quick_tracker: RunTracker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object) -> None:
        raise OSError("driver is gone")

    monkeypatch.setattr(SystemMetricsMonitor, "collect_metrics", fail)
    with quick_tracker.start():
        time.sleep(0.3)
    assert "The system metrics of the run" in caplog.text
