"""CPU, memory and GPU of the machine while a run lasts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

SAMPLING_INTERVAL_S = 10.0


@contextmanager
def record_system_metrics(tracking_uri: str, run_id: str, *, resume: bool = False) -> Iterator[None]:
    """Record MLflow's system metrics (``system/cpu_utilization_percentage``, …) to a run while the context lasts.

    Args:
        tracking_uri: resolved address of the store.
        run_id: id of the run.
        resume: go on after the last step that the run has, instead of from 0.
    """
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    with warnings.catch_warnings():
        # of the NVIDIA bindings, on machines without a driver
        warnings.simplefilter("ignore")
        monitor = SystemMetricsMonitor(
            run_id, sampling_interval=SAMPLING_INTERVAL_S, resume_logging=resume, tracking_uri=tracking_uri
        )
    monitor.start()
    try:
        yield
    finally:
        monitor.finish()
