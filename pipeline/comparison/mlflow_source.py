"""The runs of a tracking server, or of any other store that MLflow reads."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.comparison.records import RunRecord, read_runs
from pipeline.comparison.source import MAX_NAMES, Experiment, History

if TYPE_CHECKING:
    from mlflow import MlflowClient


class MlflowSource:
    """See ``RunSource``.

    Args:
        client: client of the store.
        uri: resolved address of the store.
    """

    def __init__(self, client: MlflowClient, uri: str) -> None:
        self.uri = uri
        self._client = client

    def experiment(self, name: str) -> Experiment | None:
        """See ``RunSource``."""
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(name)
        if found is None and name.isdecimal():
            try:
                found = self._client.get_experiment(name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
        if found is None:
            return None
        return Experiment(found.experiment_id, found.name, found.lifecycle_stage == "deleted")

    def experiment_names(self, *, with_runs: bool = False) -> list[str]:
        """See ``RunSource``; those with runs are sought among the newest, a request each."""
        experiments = list(self._client.search_experiments())
        if with_runs:
            newest = experiments[: 2 * MAX_NAMES]
            experiments = [item for item in newest if self._client.search_runs([item.experiment_id], max_results=1)]
        return [item.name for item in experiments]

    def runs(self, experiment_id: str) -> list[RunRecord]:
        """See ``RunSource``."""
        return read_runs(self._client, experiment_id)

    def history(self, run_id: str, key: str) -> History:
        """See ``RunSource``."""
        items = sorted(self._client.get_metric_history(run_id, key), key=lambda item: item.timestamp)
        return [(item.step, item.value) for item in items]

    def text(self, record: RunRecord, path: str) -> str:
        """See ``RunSource``."""
        from mlflow.artifacts import download_artifacts

        # by the address of the artifacts: by its id MLflow would read the whole run again
        address = f"{record.artifact_uri}/{path}"
        with tempfile.TemporaryDirectory() as folder:
            file = download_artifacts(artifact_uri=address, dst_path=folder, tracking_uri=self.uri)
            return Path(file).read_text(encoding="utf-8")
