from __future__ import annotations

from pipeline.comparison.params import Setting, differing_settings, group_labels


def test_equal_settings_are_left_out() -> None:
    assert differing_settings([{"seed": "0"}, {"seed": "0"}]) == []


def test_setting_that_a_run_lacks_differs() -> None:
    assert differing_settings([{"amp": "true"}, {}]) == [Setting("amp", ("true", "-"))]


def test_settings_that_change_together_count_once_under_the_shortest_name() -> None:
    runs = [{"optimizer.lr": "0.1", "learning_rate": "0.1"}, {"optimizer.lr": "0.2", "learning_rate": "0.2"}]
    assert differing_settings(runs) == [Setting("learning_rate", ("0.1", "0.2"), ("optimizer.lr",))]


def test_places_and_names_are_left_out() -> None:
    runs = [
        {"output_dir": "a", "report.output_dir": "a", "tracker.run_name": "x", "run.0": "$x", "_rerun_of_": "1"},
        {"output_dir": "b", "report.output_dir": "b", "tracker.run_name": "y", "run.0": "$y", "_rerun_of_": "2"},
    ]
    assert differing_settings(runs) == []


def test_labels_are_grouped_by_value() -> None:
    assert group_labels(["#1", "#2", "#3"], ["a", "b", "a"]) == {"a": ["#1", "#3"], "b": ["#2"]}
