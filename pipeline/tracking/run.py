"""A run on record: what it is told it sends to MLflow, or keeps until it can."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsFloat

import yaml

from pipeline.tracking.keys import MAX_PARAM_LENGTH, MAX_TAG_LENGTH, cut, hide_credentials, record_key
from pipeline.tracking.outbox import Outbox, Recorded

if TYPE_CHECKING:
    from mlflow import MlflowClient

ERROR_TAG = "error"
PARENT_TAG = "mlflow.parentRunId"
NOTE_TAG = "mlflow.note.content"
"""What MLflow's page shows as the description, in Markdown."""
UNSENT_NAME = "unsent_metrics.json"
MAX_PER_REQUEST = 100
"""Parameters or tags in one request: MLflow's limit."""

logger = logging.getLogger(__name__)


class Run:
    """A run that records nothing.

    It stands in where tracking is disabled and in all processes of a distributed run but the first, so that nobody
    who reports to a run has to ask.
    """

    id: str = ""
    name: str = ""

    def log_metrics(self, metrics: Mapping[str, SupportsFloat], step: int = 0) -> None:
        """Record values; they are sent by the next ``flush``.

        Args:
            metrics: numbers or tensors of one element; NaN stays NaN, infinity becomes NaN.
            step: iteration or epoch.
        """

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record settings; one that the run already has keeps its first value, see ``resume.changed_params``."""

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Record or replace tags. They are seen by everybody on the server: no names of patients or cases."""

    def log_artifact(self, path: str | Path, folder: str = "") -> None:
        """Record a file, or a folder with all that is in it, under ``folder``."""

    def log_text(self, text: str, artifact_file: str) -> None:
        """Record a text as the file ``artifact_file``."""

    def log_dict(self, data: Mapping[str, Any], artifact_file: str) -> None:
        """Record plain values as a YAML or JSON file, by the suffix of ``artifact_file``."""

    def adopt(self, run_id: str, tags: Mapping[str, str] | None = None, status: str = "") -> None:
        """Make another run a child of this one, under which MLflow's page shows it.

        Args:
            run_id: id of the child.
            tags: more of its tags.
            status: what it ends with, where its own process was not given the time to say so.
        """

    def flush(self) -> bool:
        """Send what is kept. Returns whether nothing is left."""
        return True


class MlflowRun(Run):
    """A run in an MLflow store, addressed by its id: the global active run of MLflow is never touched.

    Args:
        client: client of the store.
        run_id: id of the run, which exists.
        name: name of the run.
        output_dir: where ``unsent_metrics.json`` lies while the server has not taken all.
        params: parameters that the run already has (resume).
    """

    def __init__(
        self,
        client: MlflowClient,
        run_id: str,
        name: str,
        output_dir: str | Path,
        params: Mapping[str, str] | None = None,
    ) -> None:
        self.id = run_id
        self.name = name
        self._client = client
        self._unsent = Path(output_dir) / UNSENT_NAME
        self._outbox = Outbox(client, run_id, self._unsent)
        self._params = dict(params or {})
        self._changed: dict[str, str] = {}

    def log_metrics(self, metrics: Mapping[str, SupportsFloat], step: int = 0) -> None:
        """See ``Run``."""
        self._outbox.add_metrics(metrics, step)

    def log_params(self, params: Mapping[str, object]) -> None:
        """See ``Run``."""
        wanted = {record_key(key): cut(hide_credentials(str(value)), MAX_PARAM_LENGTH) for key, value in params.items()}
        new = {key: value for key, value in wanted.items() if key not in self._params}
        self._note_changes({key: value for key, value in wanted.items() if self._params.get(key, value) != value})
        self._params |= new
        for batch in _batches(new):
            self._outbox.add("params", partial(self._send_params, batch))
        self.flush()

    def _send_params(self, batch: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        self._client.log_batch(self.id, params=[Param(key, value) for key, value in batch.items()])

    def _note_changes(self, changed: Mapping[str, str]) -> None:
        """MLflow refuses another value of a parameter; a resumed run says so in a tag."""
        self._changed |= {
            key: f"{key}: {cut(self._params[key], 200)} -> {cut(value, 200)}" for key, value in changed.items()
        }
        if changed:
            self._add_tags({"resume.changed_params": "\n".join(self._changed.values())})

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """See ``Run``."""
        self._add_tags(tags)
        self.flush()

    def _add_tags(self, tags: Mapping[str, object]) -> None:
        for batch in _batches({record_key(key): cut(str(value), MAX_TAG_LENGTH) for key, value in tags.items()}):
            self._outbox.add("tags", partial(self._send_tags, batch))

    def _send_tags(self, batch: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._client.log_batch(self.id, tags=[RunTag(key, value) for key, value in batch.items()])

    def log_artifact(self, path: str | Path, folder: str = "") -> None:
        """See ``Run``."""
        source = Path(path)
        if not source.exists():
            logger.warning("%s does not exist: it is missing among the artifacts of the run %s.", source, self.name)
            return
        send = self._client.log_artifacts if source.is_dir() else self._client.log_artifact
        target = "/".join(part for part in (folder, source.name if source.is_dir() else "") if part)
        self._outbox.add(f"artifact {source}", lambda: send(self.id, str(source), target or None))
        self.flush()

    def log_text(self, text: str, artifact_file: str) -> None:
        """See ``Run``."""
        self._outbox.add(f"artifact {artifact_file}", lambda: self._client.log_text(self.id, text, artifact_file))
        self.flush()

    def log_dict(self, data: Mapping[str, Any], artifact_file: str) -> None:
        """See ``Run``."""
        if artifact_file.endswith((".yaml", ".yml")):
            text = yaml.safe_dump(dict(data), sort_keys=False, allow_unicode=True)
        else:
            text = json.dumps(data, indent=2, ensure_ascii=False)
        self.log_text(hide_credentials(text), artifact_file)

    def adopt(self, run_id: str, tags: Mapping[str, str] | None = None, status: str = "") -> None:
        """See ``Run``."""
        for key, value in {PARENT_TAG: self.id, **(tags or {})}.items():
            self._outbox.add(f"{key} of {run_id}", partial(self._client.set_tag, run_id, key, value))
        if status:
            self._outbox.add(f"status of {run_id}", partial(self._client.set_terminated, run_id, status))
        self.flush()

    def flush(self) -> bool:
        """See ``Run``."""
        return self._outbox.flush()

    def resume(self, recorded: Mapping[str, Recorded]) -> None:
        """Go on from what the store has of this run, and take back what the interrupted process could not send.

        Args:
            recorded: the latest value of each metric.
        """
        self._outbox.note_recorded(recorded)
        self._outbox.restore(self._unsent)

    def close(self, status: str, error: str = "") -> None:
        """Send everything, the status last; write to ``unsent_metrics.json`` what the server does not take.

        Args:
            status: ``FINISHED``, ``FAILED`` or ``KILLED``.
            error: what went wrong, for the tag ``error``.
        """
        if error:
            self._add_tags({ERROR_TAG: hide_credentials(error)})
        send = partial(self._client.set_terminated, self.id, status, self._outbox.now_ms())
        self._outbox.add(f"status {status}", send)
        if not self._outbox.flush(at_once=True):
            self._save_unsent()

    def _save_unsent(self) -> None:
        try:
            self._outbox.save(self._unsent)
        except OSError:
            logger.exception("MLflow has not taken all of the run %s (%s), and it cannot be kept.", self.name, self.id)
            return
        logger.warning(
            "MLflow has not taken all of the run %s (%s). The rest is in %s and is sent when the run is resumed.",
            self.name,
            self.id,
            self._unsent,
        )


def _batches(items: Mapping[str, str]) -> list[dict[str, str]]:
    iterator = iter(items.items())
    return list(iter(lambda: dict(islice(iterator, MAX_PER_REQUEST)), {}))
