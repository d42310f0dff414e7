"""What is kept until the server takes it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.tracking import outbox as outbox_module
from pipeline.tracking.outbox import Outbox, Recorded


class Server:
    """Stands in for MlflowClient: takes batches, or fails."""

    def __init__(self) -> None:
        self.away = False
        self.batches: list[list[Any]] = []

    def log_batch(self, run_id: str, metrics: list[Any]) -> None:
        self.answer()
        self.batches.append(metrics)

    def answer(self) -> None:
        if self.away:
            raise ConnectionError("connection refused\nlong story")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def outbox(server: Server) -> Outbox:
    return Outbox(server, "run")  # type: ignore[arg-type]


def test_nothing_is_sent_before_the_flush(outbox: Outbox, server: Server) -> None:
    outbox.add_metrics({"loss": 1.0}, step=1)
    assert server.batches == []


def test_flush_sends_value_and_step(outbox: Outbox, server: Server) -> None:
    outbox.add_metrics({"loss": torch.tensor(0.5), "lr": 0.1}, step=7)
    assert outbox.flush()
    assert [(m.key, m.value, m.step) for m in server.batches[0]] == [("loss", 0.5, 7), ("lr", 0.1, 7)]


def test_a_request_holds_at_most_1000_metrics(outbox: Outbox, server: Server) -> None:
    for step in range(2001):
        outbox.add_metrics({"loss": 1.0}, step)
    outbox.flush()
    assert [len(batch) for batch in server.batches] == [1000, 1000, 1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_value_that_is_no_number_is_sent_as_nan(outbox: Outbox, server: Server, value: float) -> None:
    outbox.add_metrics({"loss": value}, step=1)
    outbox.flush()
    assert math.isnan(server.batches[0][0].value)


def test_what_fails_is_sent_later(outbox: Outbox, server: Server) -> None:
    server.away = True
    outbox.add_metrics({"loss": 1.0}, step=1)
    assert not outbox.flush()
    server.away = False
    outbox.add_metrics({"loss": 2.0}, step=2)
    assert outbox.flush(at_once=True)
    assert [m.step for m in server.batches[0]] == [1, 2]


def test_server_that_failed_is_left_alone_for_a_while(
    outbox: Outbox, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 100.0, 129.0, 131.0, 131.0])
    monkeypatch.setattr(outbox_module.time, "monotonic", lambda: next(clock))
    server.away = True
    outbox.add_metrics({"loss": 1.0}, step=1)
    outbox.flush()
    server.away = False
    assert [outbox.flush(), outbox.flush()] == [False, True]


def test_trouble_is_told_once(outbox: Outbox, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.away = True
    outbox.add_metrics({"loss": 1.0}, step=1)
    outbox.flush()
    outbox.flush(at_once=True)
    assert [record.message for record in caplog.records] == [
        "MLflow does not take what is sent (connection refused). The run goes on; it is sent again later."
    ]


def test_end_of_trouble_is_told(outbox: Outbox, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    server.away = True
    outbox.add("tags", server.answer)
    outbox.flush()
    server.away = False
    outbox.flush(at_once=True)
    assert caplog.records[-1].message == "MLflow takes what is sent again."


def test_errand_that_is_refused_holds_up_no_other(outbox: Outbox) -> None:
    done: list[str] = []
    outbox.add("bad", lambda: 1 / 0)
    outbox.add("good", lambda: done.append("good"))
    assert not outbox.flush()
    assert done == ["good"]


def test_two_failures_in_a_row_end_the_try(outbox: Outbox, server: Server) -> None:
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        raise ConnectionError

    for _ in range(5):
        outbox.add("tags", fail)
    outbox.flush()
    assert len(tried) == 2


def test_unsent_metrics_survive_in_a_file(outbox: Outbox, server: Server, tmp_path: Path) -> None:
    outbox.add_metrics({"loss": 0.25, "dice": math.nan}, step=3)
    outbox.save(tmp_path / "out" / "unsent.json")
    other = Outbox(server, "run")  # type: ignore[arg-type]
    assert other.restore(tmp_path / "out" / "unsent.json")
    other.flush()
    assert [(m.key, m.step) for m in server.batches[0]] == [("loss", 3), ("dice", 3)]
    assert math.isnan(server.batches[0][1].value)


def test_unsent_file_is_json_and_names_the_rest(outbox: Outbox, tmp_path: Path) -> None:
    outbox.add_metrics({"dice": math.nan}, step=3)
    outbox.add("status FINISHED", lambda: None)
    outbox.save(tmp_path / "unsent.json")
    content = json.loads((tmp_path / "unsent.json").read_text(encoding="utf-8"))
    assert content["not_sent"] == ["status FINISHED"]
    assert content["metrics"][0]["value"] is None


def test_unsent_file_of_another_run_is_left_alone(outbox: Outbox, server: Server, tmp_path: Path) -> None:
    outbox.save(tmp_path / "unsent.json")
    assert not Outbox(server, "other").restore(tmp_path / "unsent.json")  # type: ignore[arg-type]


def test_what_fails_lies_in_the_spool_until_it_is_sent(server: Server, tmp_path: Path) -> None:
    outbox = Outbox(server, "run", tmp_path / "unsent.json")  # type: ignore[arg-type]
    server.away = True
    outbox.add_metrics({"loss": 1.0}, step=1)
    outbox.flush()
    assert json.loads((tmp_path / "unsent.json").read_text(encoding="utf-8"))["metrics"][0]["step"] == 1
    server.away = False
    outbox.flush(at_once=True)
    assert not (tmp_path / "unsent.json").exists()


def test_what_comes_while_the_server_is_left_alone_lies_in_the_spool_too(server: Server, tmp_path: Path) -> None:
    outbox = Outbox(server, "run", tmp_path / "unsent.json")  # type: ignore[arg-type]
    server.away = True
    for step in (1, 2):
        outbox.add_metrics({"loss": 1.0}, step)
        outbox.flush()
    content = json.loads((tmp_path / "unsent.json").read_text(encoding="utf-8"))
    assert [item["step"] for item in content["metrics"]] == [1, 2]


def test_spool_that_cannot_be_written_is_no_trouble(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outbox = Outbox(server, "run", tmp_path / "file" / "unsent.json")  # type: ignore[arg-type]
    server.away = True
    outbox.add_metrics({"loss": 1.0}, step=1)
    assert not outbox.flush()


def test_spool_of_another_run_is_kept(server: Server, tmp_path: Path) -> None:
    Outbox(server, "first").save(tmp_path / "unsent.json")  # type: ignore[arg-type]
    Outbox(server, "second").save(tmp_path / "unsent.json")  # type: ignore[arg-type]
    assert Outbox(server, "first").restore(tmp_path / "unsent_first.json")  # type: ignore[arg-type]
    assert Outbox(server, "second").restore(tmp_path / "unsent.json")  # type: ignore[arg-type]


def test_damaged_spool_is_left_alone(outbox: Outbox, tmp_path: Path) -> None:
    (tmp_path / "unsent.json").write_text("{", encoding="utf-8")
    assert not outbox.restore(tmp_path / "unsent.json")


def test_steps_that_the_run_has_are_not_sent_again(outbox: Outbox, server: Server) -> None:
    outbox.note_recorded({"loss": Recorded(step=2, timestamp_ms=0)})
    for step in (2, 3):
        outbox.add_metrics({"loss": 1.0, "dice": 0.5}, step)
    outbox.flush()
    assert [(m.key, m.step) for m in server.batches[0]] == [("dice", 2), ("loss", 3), ("dice", 3)]


def test_restored_steps_are_sent_once(outbox: Outbox, server: Server, tmp_path: Path) -> None:
    outbox.add_metrics({"loss": 1.0}, step=3)
    outbox.save(tmp_path / "unsent.json")
    other = Outbox(server, "run")  # type: ignore[arg-type]
    other.restore(tmp_path / "unsent.json")
    for step in (3, 4):
        other.add_metrics({"loss": 2.0}, step)
    other.flush()
    assert [(m.value, m.step) for m in server.batches[0]] == [(1.0, 3), (2.0, 4)]


def test_restored_steps_that_the_run_has_are_dropped(outbox: Outbox, server: Server, tmp_path: Path) -> None:
    outbox.add_metrics({"loss": 1.0}, step=3)
    outbox.save(tmp_path / "unsent.json")
    other = Outbox(server, "run")  # type: ignore[arg-type]
    other.note_recorded({"loss": Recorded(step=3, timestamp_ms=0)})
    other.restore(tmp_path / "unsent.json")
    other.flush()
    assert server.batches == []


def test_times_never_go_back(outbox: Outbox, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox.note_recorded({"loss": Recorded(step=0, timestamp_ms=5_000_000_000_000)})
    clock = iter([4e9, 6e9, 3e9])
    monkeypatch.setattr(outbox_module.time, "time", lambda: next(clock))
    for step in (1, 2, 3):
        outbox.add_metrics({"loss": 1.0}, step)
    outbox.flush()
    assert [m.timestamp for m in server.batches[0]] == [5_000_000_000_000, 6_000_000_000_000, 6_000_000_000_000]


def test_pause_doubles_up_to_its_limit(outbox: Outbox, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module.time, "monotonic", lambda: 0.0)
    server.away = True
    outbox.add_metrics({"loss": 1.0}, step=1)
    pauses = []
    for _ in range(6):
        outbox.flush(at_once=True)
        pauses.append(outbox._next_try_s)
    assert pauses == [30, 60, 120, 240, 300, 300]
