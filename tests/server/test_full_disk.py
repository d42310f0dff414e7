"""A store whose disk is full: the run goes on, and what it had to say arrives when there is room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.tracking import RunTracker

pytestmark = pytest.mark.server

Set = Callable[[int], None]


@pytest.fixture
def small_server(new_server: Callable[..., Any]) -> Any:
    """A server on SQLite alone: PostgreSQL stops as a whole when its disk is full."""
    return new_server()


@pytest.fixture
def set_file_size(small_server: Any) -> Iterator[Set]:
    """Limit the size of the files that the server writes, as a full disk does; Linux can do that to others."""
    import resource

    def set_limit(size: int) -> None:
        for process in small_server.processes():
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    yield set_limit
    set_limit(resource.RLIM_INFINITY)


def test_full_disk_does_not_end_the_run_and_loses_nothing(
    small_server: Any, set_file_size: Set, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = RunTracker(small_server.uri, "full", output_dir=tmp_path / "out", system_metrics=False)
    with tracker.start() as run:
        set_file_size(Path(small_server.backend.removeprefix("sqlite:///")).stat().st_size)
        for step in range(3000):
            run.log_metrics({"train_loss": float(step)}, step)
        assert not run.flush()
        assert (tmp_path / "out" / "unsent_metrics.json").is_file()
        set_file_size(-1)
    assert "MLflow does not take what is sent" in caplog.text
    history = MlflowClient(small_server.uri).get_metric_history(run.id, "train_loss")
    assert [item.step for item in history] == list(range(3000))


def test_full_disk_is_found_at_the_start(small_server: Any, set_file_size: Set, tmp_path: Path) -> None:
    from pipeline.errors import InputError

    tracker = RunTracker(small_server.uri, "full", output_dir=tmp_path, system_metrics=False)
    tracker.check()
    set_file_size(1)
    with pytest.raises(InputError, match=r"cannot be written|refuses"):
        RunTracker(small_server.uri, "other", output_dir=tmp_path, system_metrics=False).check()
