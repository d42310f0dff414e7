"""CPU, memory and GPU of the machine while a run lasts."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipeline.tracking.run import Run

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

SAMPLING_INTERVAL_S = 10.0
PREFIX = "system/"

logger = logging.getLogger(__name__)


@contextmanager
def record_system_metrics(run: Run, tracking_uri: str, first_step: int = 0) -> Iterator[None]:
    """Record MLflow's system metrics (``system/cpu_utilization_percentage``, …) to a run while the context lasts.

    MLflow's own loop ends for good when the server is away once; here the figures go the way of all others.

    Args:
        run: the run; its ``flush`` sends the figures.
        tracking_uri: resolved address of the store.
        first_step: step of the first sample; behind those that a resumed run has.
    """
    stop = threading.Event()
    thread = threading.Thread(
        target=_sample, args=(run, _monitor(run, tracking_uri), first_step, stop), name="SystemMetrics", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _monitor(run: Run, tracking_uri: str) -> SystemMetricsMonitor:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    with warnings.catch_warnings():
        # of the NVIDIA bindings, on machines without a driver
        warnings.simplefilter("ignore")
        return SystemMetricsMonitor(run.id, sampling_interval=SAMPLING_INTERVAL_S, tracking_uri=tracking_uri)


def _sample(run: Run, monitor: SystemMetricsMonitor, step: int, stop: threading.Event) -> None:
    try:
        while not stop.wait(monitor.sampling_interval):
            monitor.collect_metrics()
            run.log_metrics({f"{PREFIX}{key}": value for key, value in monitor.aggregate_metrics().items()}, step)
            step += 1
            for part in monitor.monitors:
                part.clear_metrics()
    except Exception:  # of drivers and of the system: a training goes on without these figures
        logger.warning("The system metrics of the run %s end here.", run.name, exc_info=True)
