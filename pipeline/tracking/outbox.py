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

from pipeline.files import atomic_path
from pipeline.tracking.keys import cut, record_key

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_METRICS_PER_REQUEST = 1000
PAUSE_AFTER_FAILURE_S = 30.0
"""Seconds without another try after the server failed: a training does not wait for a dead server every epoch."""
MAX_PAUSE_S = 300.0
"""The pause doubles with each failure up to this: a server that takes requests and never answers costs 30 s a try."""
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


class Recorded(NamedTuple):
    """The latest value of a metric that a run already has: its step, and when it was made."""

    step: int
    timestamp_ms: int


class Outbox:
    """Keeps what a run has to report until the server has taken it.

    Trouble with the server is never the training's: it is told once, everything stays here and in the file ``spool``,
    which outlives the process, and a later ``flush`` tries again.

    Args:
        client: client of the store.
        run_id: id of the run.
        spool: file that holds the metrics that the server has not taken; None keeps them in memory alone.
    """

    def __init__(self, client: MlflowClient, run_id: str, spool: Path | None = None) -> None:
        self._client = client
        self._run_id = run_id
        self._spool = spool
        self._figures: list[Figure] = []
        self._errands: list[tuple[str, Callable[[], object]]] = []
        self._last_steps: dict[str, int] = {}
        self._last_ms = int(time.time() * 1000)
        self._next_try_s = -math.inf
        self._pause_s = PAUSE_AFTER_FAILURE_S
        self._in_trouble = False

    def add_metrics(self, metrics: Mapping[str, SupportsFloat], step: int) -> None:
        """Take values of now; of a step that the run has from an earlier process they are the same, and left out."""
        now_ms = self.now_ms()
        figures = [Figure(record_key(key), value, now_ms, int(step)) for key, value in metrics.items()]
        # one call of C: a thread that samples the machine adds here too
        self._figures.extend([figure for figure in figures if self._is_new(figure)])

    def add(self, label: str, send: Callable[[], object]) -> None:
        """Take something else to send: ``send`` is called until it does not raise."""
        self._errands.append((label, send))

    def now_ms(self) -> int:
        """Return milliseconds since 1970, never less than before: a clock that is set back would tangle the charts."""
        self._last_ms = max(self._last_ms, int(time.time() * 1000))
        return self._last_ms

    def flush(self, *, at_once: bool = False) -> bool:
        """Send all that is kept.

        Args:
            at_once: try although the server failed a moment ago.

        Returns:
            Whether nothing is left.
        """
        if not at_once and time.monotonic() < self._next_try_s:
            self._update_spool(empty=False)
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

        # not "while there are some": where the store is slower than the sampler of the machine, that would never end
        left = len(self._figures)
        while left:
            batch = self._figures[: min(left, MAX_METRICS_PER_REQUEST)]
            metrics = [Metric(item.key, item.number(), item.timestamp_ms, item.step) for item in batch]
            if not self._try(partial(self._client.log_batch, self._run_id, metrics=metrics)):
                return 1
            del self._figures[: len(batch)]
            left -= len(batch)
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
            told = "MLflow does not take what is sent (%s). The run goes on; it is sent again later."
            logger.warning(told, cut(_reason(error), 300))
        self._in_trouble = True

    def _settle(self) -> bool:
        empty = not (self._figures or self._errands)
        if empty and self._in_trouble:
            logger.info("MLflow takes what is sent again.")
        self._in_trouble = not empty
        if empty:
            self._next_try_s, self._pause_s = -math.inf, PAUSE_AFTER_FAILURE_S
        else:
            self._next_try_s = time.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
        self._update_spool(empty=empty)
        return empty

    def _update_spool(self, *, empty: bool) -> None:
        """After ``kill -9`` only the file is left."""
        if self._spool is None:
            return
        try:
            if not empty:
                self.save(self._spool)
            elif _owner(self._spool) == self._run_id:
                self._spool.unlink()
        except OSError as error:
            logger.debug("What MLflow does not take cannot be kept in %s either (%s).", self._spool, error)

    def save(self, path: Path) -> None:
        """Write what could not be sent, whole or not at all: the metrics, and the names of the rest.

        A file of another run is moved aside, under the id of that run.

        Raises:
            OSError: the place cannot be written.
        """
        owner = _owner(path)
        if owner not in (None, self._run_id):
            path.replace(path.with_name(f"{path.stem}_{owner}{path.suffix}"))
        figures = [{**item._asdict(), "value": _or_none(item.number())} for item in self._figures]
        content = {"run_id": self._run_id, "metrics": figures, "not_sent": [label for label, _ in self._errands]}
        with atomic_path(path) as partial_path:
            partial_path.write_text(json.dumps(content, indent=1), encoding="utf-8")

    def restore(self, path: Path) -> bool:
        """Take the metrics that an earlier process of this run has saved.

        Returns:
            Whether the file is this run's.
        """
        if _owner(path) != self._run_id:
            return False
        restored = [_figure(item) for item in json.loads(path.read_text(encoding="utf-8"))["metrics"]]
        self._figures += [figure for figure in restored if self._is_new(figure)]
        for figure in restored:
            self._note(figure.key, Recorded(figure.step, figure.timestamp_ms))
        return True

    def note_recorded(self, recorded: Mapping[str, Recorded]) -> None:
        """Learn what the run already has: an epoch that is trained again after a crash is not reported again."""
        for key, latest in recorded.items():
            self._note(key, latest)

    def _note(self, key: str, latest: Recorded) -> None:
        self._last_steps[key] = max(self._last_steps.get(key, latest.step), latest.step)
        self._last_ms = max(self._last_ms, latest.timestamp_ms)

    def _is_new(self, figure: Figure) -> bool:
        return figure.step > self._last_steps.get(figure.key, figure.step - 1)


def _reason(error: Exception) -> str:
    """The first line of an error that says something: SQLAlchemy begins with where it happened, in brackets."""
    lines = str(error).strip().splitlines()
    return next((line for line in lines if not line.startswith("(raised as a result of")), "") or type(error).__name__


def _owner(path: Path) -> str | None:
    """The run whose unsent metrics are in a file; None where there is no such file, or only a damaged one."""
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return str(content["run_id"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _figure(item: dict[str, Any]) -> Figure:
    return Figure(**item)._replace(value=math.nan if item["value"] is None else item["value"])


def _or_none(value: float) -> float | None:
    # JSON has no NaN
    return None if math.isnan(value) else value
