"""Time goes to the innermost stage, and watched classes are left as they were."""

from __future__ import annotations

import time

import pytest

from benchmarks.stage_clock import StageClock, time_stages


class Outer:
    def work(self) -> int:
        time.sleep(0.02)
        return Inner().work()


class Inner:
    def work(self) -> int:
        time.sleep(0.06)
        return 7


class Child(Inner):
    pass


def test_time_within_counts_for_the_inner_stage_alone() -> None:
    clock = StageClock()
    with clock.watching((Outer, "work", "outer"), (Inner, "work", "inner")):
        Outer().work()
    assert clock.seconds["outer"] < clock.seconds["inner"]


def test_watched_methods_return_what_they_did() -> None:
    with StageClock().watching((Inner, "work", "inner")):
        assert Inner().work() == 7


def test_classes_are_restored() -> None:
    before = Inner.work
    with StageClock().watching((Inner, "work", "inner"), (Child, "work", "child")):
        pass
    assert Inner.work is before and "work" not in vars(Child)


def test_time_until_an_error_counts() -> None:
    clock = StageClock()
    with pytest.raises(RuntimeError, match="stop"), clock.stage("broken"):
        raise RuntimeError("stop")
    assert "broken" in clock.seconds


def test_watched_methods_that_nothing_called_are_known() -> None:
    clock = StageClock()
    with clock.watching((Outer, "work", "outer"), (Inner, "work", "inner")):
        Inner().work()
    assert clock.never_called == {"Outer.work"}


def test_stages_of_a_piece_of_work() -> None:
    found = time_stages(lambda: Outer().work(), [(Outer, "work", "outer"), (Inner, "work", "inner")])
    assert (found["volumes"], found["stages"].keys()) == (7, {"outer", "inner"})
    assert found["wall_s"] >= sum(found["stages"].values())


def test_a_stage_that_nothing_calls_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"Outer\.work must be called by the work to be timed, was not"):
        time_stages(lambda: Inner().work(), [(Outer, "work", "outer")])


def test_functions_of_a_module_are_watched_where_they_are_looked_up() -> None:
    clock = StageClock()
    with clock.watching((time, "monotonic", "clock")):
        time.monotonic()
    assert "clock" in clock.seconds and time.monotonic.__module__ == "time"
