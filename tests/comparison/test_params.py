from __future__ import annotations

from pipeline.comparison.params import Setting, differing_settings, group_labels, name_components


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


def transforms(*items: tuple[str, str]) -> dict[str, str]:
    """A list of components with a probability each."""
    params = {}
    for place, (name, prob) in enumerate(items):
        params |= {f"train.{place}._target_": f"monai.{name}", f"train.{place}.prob": prob}
    return params


def test_components_of_a_list_are_named() -> None:
    assert name_components(transforms(("Flip", "0.1"), ("Flip", "0.2"))) == {
        "train.Flip._target_": "monai.Flip",
        "train.Flip.prob": "0.1",
        "train.Flip_2._target_": "monai.Flip",
        "train.Flip_2.prob": "0.2",
        "train.order": "Flip, Flip_2",
    }


def test_components_of_long_lists_keep_their_order() -> None:
    named = name_components(transforms(*((f"T{place}", "1") for place in range(12))))
    assert named["train.order"].split(", ") == [f"T{place}" for place in range(12)]


def test_component_that_a_run_lacks_is_told_once_and_moves_no_others() -> None:
    one, other = (
        transforms(("Flip", "0.1"), ("Blur", "0.2")),
        transforms(("Noise", "0.3"), ("Flip", "0.1"), ("Blur", "0.2")),
    )
    assert differing_settings([one, other]) == [
        Setting("train.Noise._target_", ("-", "monai.Noise"), ("train.Noise.prob",))
    ]


def test_setting_of_a_component_that_all_have_is_told() -> None:
    found = differing_settings([transforms(("Flip", "0.1")), transforms(("Blur", "1"), ("Flip", "0.2"))])
    assert [setting.key for setting in found] == ["train.Blur._target_", "train.Flip.prob"]


def test_another_order_is_told() -> None:
    one, other = transforms(("Flip", "1"), ("Blur", "1")), transforms(("Blur", "1"), ("Flip", "1"))
    assert differing_settings([one, other]) == [Setting("train.order", ("Flip, Blur", "Blur, Flip"))]
