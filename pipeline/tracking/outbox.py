"""What is still to be sent to the tracking server."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsFloat

from pipeline.tracking.keys import cut, record_key

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_METRICS_PER_REQUEST = 1000
PAUSE_AFTER_FAILURE_S = 30.0
"""Seconds without another try after the server failed: a training does not wait for a dead server every epoch."""
MAX_FAILURES = 2
"""One thing may be refused for its own sake; after two in a row, the server is taken to be away."""

logger = logging.getLogger(__name__)


class Figure(NamedTuple):
    """One value of a metric. ``value`` may be a tensor on a GPU: it is read when it is sent, not when it is made."""

    key: str
    value: SupportsFloat
    timestamp_ms: int
    step: int

    def number(self) -> float:
        """Return the value; infinity as NaN, since SQL stores it as 1.8e308, which flattens every chart."""
        value = float(self.value)
        return value if math.isfinite(value) else math.nan


class Outbox:
    """Keeps what a run has to report until the server has taken it.

    Trouble with the server is never the training's: it is told once, everything stays here, and the next ``flush``
    tries again.

    Args:
        client: client of the store.
        run_id: id of the run.
    """

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client = client
        self._run_id = run_id
        self._figures: list[Figure] = []
        self._errands: list[tuple[str, Callable[[], object]]] = []
        self._next_try_s = -math.inf
        self._in_trouble = False

    def add_metrics(self, metrics: Mapping[str, SupportsFloat], step: int) -> None:
        """Take values of now."""
        now_ms = int(time.time() * 1000)
        self._figures += [Figure(record_key(key), value, now_ms, int(step)) for key, value in metrics.items()]

    def add(self, label: str, send: Callable[[], object]) -> None:
        """Take something else to send: ``send`` is called until it does not raise."""
        self._errands.append((label, send))

    def flush(self, *, at_once: bool = False) -> bool:
        """Send all that is kept.

        Args:
            at_once: try although the server failed a moment ago.

        Returns:
            Whether nothing is left.
        """
        if not at_once and time.monotonic() < self._next_try_s:
            return False
        failures = self._send_figures()
        for errand in list(self._errands):
            if failures == MAX_FAILURES:
                break
            sent = self._try(errand[1])
            failures = 0 if sent else failures + 1
            if sent:
                self._errands.remove(errand)
        return self._settle()

    def _send_figures(self) -> int:
        from mlflow.entities import Metric

        while self._figures:
            batch = self._figures[:MAX_METRICS_PER_REQUEST]
            metrics = [Metric(item.key, item.number(), item.timestamp_ms, item.step) for item in batch]
            if not self._try(partial(self._client.log_batch, self._run_id, metrics=metrics)):
                return 1
            del self._figures[: len(batch)]
        return 0

    def _try(self, send: Callable[[], object]) -> bool:
        try:
            send()
        except Exception as error:  # whatever a server, a database or an artifact store raises must not end a training
            self._warn(error)
            return False
        return True

    def _warn(self, error: Exception) -> None:
        if not self._in_trouble:
            reason = cut(str(error).strip().partition("\n")[0], 300)
            logger.warning("MLflow does not take what is sent (%s). The run goes on; it is sent again later.", reason)
        self._in_trouble = True

    def _settle(self) -> bool:
        empty = not (self._figures or self._errands)
        if empty and self._in_trouble:
            logger.info("MLflow takes what is sent again.")
        self._in_trouble = not empty
        self._next_try_s = -math.inf if empty else time.monotonic() + PAUSE_AFTER_FAILURE_S
        return empty

    def save(self, path: Path) -> None:
        """Write what could not be sent, whole or not at all: the metrics, and the names of the rest.

        Raises:
            OSError: the place cannot be written.
        """
        figures = [{**item._asdict(), "value": _or_none(item.number())} for item in self._figures]
        content = {"run_id": self._run_id, "metrics": figures, "not_sent": [label for label, _ in self._errands]}
        path.parent.mkdir(parents=True, exist_ok=True)
        half = path.with_suffix(".tmp")
        half.write_text(json.dumps(content, indent=1), encoding="utf-8")
        half.replace(path)

    def restore(self, path: Path) -> bool:
        """Take the metrics that an earlier process of this run has saved.

        Returns:
            Whether the file is this run's.
        """
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if content.get("run_id") != self._run_id:
            return False
        for item in content["metrics"]:
            self._figures.append(Figure(**item)._replace(value=math.nan if item["value"] is None else item["value"]))
        return True


def _or_none(value: float) -> float | None:
    # JSON has no NaN
    return None if math.isnan(value) else value
