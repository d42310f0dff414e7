from __future__ import annotations

import pytest
from mlflow import MlflowClient

from pipeline.comparison import compare_experiment
from pipeline.comparison.records import PARENT_TAG
from pipeline.errors import InputError

EXPERIMENT = "hearts"
GOOD = {"a_ed": (0.9, 0.8, 0.9), "a_es": (0.8, 0.8, 0.9), "b_ed": (0.9, 0.9, 0.9), "c_ed": (0.7, 0.7, 0.8)}
WORSE = {case: tuple(value - 0.1 for value in dice) for case, dice in GOOD.items()}


def test_runs_are_compared(store: str, new_run) -> None:
    new_run("worse", 0.74, WORSE, params={"learning_rate": "0.1"})
    new_run("good", 0.84, GOOD, params={"learning_rate": "0.2"})
    comparison = compare_experiment(EXPERIMENT, store)
    assert [row.label for row in comparison.rows] == ["good", "worse"]
    assert [(item.key, item.values) for item in comparison.settings] == [("learning_rate", ("0.2", "0.1"))]
    difference = comparison.pairs[0].differences[0]
    assert (difference.difference, difference.num_cases, difference.num_patients) == (pytest.approx(0.1), 4, 3)


def test_two_named_runs_are_compared(store: str, new_run) -> None:
    ids = [new_run("same", 0.9, GOOD), new_run("same", 0.9, WORSE), new_run("third", 0.95, GOOD)]
    pair = compare_experiment(EXPERIMENT, store, paired=[ids[1], ids[0]]).pairs[0]
    assert pair.name_a == f"same ({ids[1][:6]})"
    assert pair.differences[0].difference == pytest.approx(-0.1)


def test_only_chosen_runs_are_shown(store: str, new_run) -> None:
    for name in ("one", "two", "three"):
        new_run(name, 0.9, GOOD)
    comparison = compare_experiment(EXPERIMENT, store, runs=["one", "three"])
    assert {row.label for row in comparison.rows} == {"one", "three"}


def test_chosen_cross_validation_brings_its_folds(store: str, new_run) -> None:
    parent = new_run("cv", job="cross-validation")
    for fold, case in enumerate(("a_ed", "b_ed")):
        new_run(f"fold {fold}", 0.9, {case: GOOD[case]}, params={"fold": str(fold)}, **{PARENT_TAG: parent})
    new_run("single", 0.9, WORSE)
    comparison = compare_experiment(EXPERIMENT, store, runs=["cv"], paired=["cv", "single"])
    row = next(row for row in comparison.rows if row.label == "cv")
    assert row.figures["mean_dice"] == pytest.approx((2.6 / 3 + 0.9) / 2)
    assert comparison.pairs[0].cases_a.case_ids == ("a_ed", "b_ed")


def test_other_data_are_refused_unless_allowed(store: str, new_run) -> None:
    new_run("old", 0.9, GOOD, dataset_digest="e" * 64)
    new_run("new", 0.8, WORSE)
    with pytest.raises(InputError, match=r"'old' and 'new' were not recorded on the same data .*eeeeeeeeeeee and ddd"):
        compare_experiment(EXPERIMENT, store, paired=["old", "new"])
    assert compare_experiment(EXPERIMENT, store, paired=["old", "new"], allow_different_data=True).pairs


def test_unknown_data_are_refused(store: str, new_run) -> None:
    for name in ("old", "new"):
        new_run(name, 0.9, GOOD, dataset_digest="")
    with pytest.raises(InputError, match="dataset_digest unknown and unknown"):
        compare_experiment(EXPERIMENT, store, paired=["old", "new"])


def test_run_without_cases_is_noted(store: str, new_run) -> None:
    new_run("whole", 0.9, GOOD)
    new_run("killed", 0.8, prefix="val_", status="KILLED")
    comparison = compare_experiment(EXPERIMENT, store)
    assert comparison.pairs == ()
    assert any("'killed'" in note and "has no evaluation/metrics.csv" in note for note in comparison.notes)


def test_run_without_cases_cannot_be_named(store: str, new_run) -> None:
    new_run("whole", 0.9, GOOD)
    new_run("killed", 0.8, status="KILLED")
    with pytest.raises(InputError, match=r"'killed' .* has no evaluation/metrics.csv"):
        compare_experiment(EXPERIMENT, store, paired=["whole", "killed"])


@pytest.mark.parametrize(("paired", "message"), [(["a"], "name two runs, got 1"), (["a", "a"], "got 'a' twice")])
def test_pair_of_one_run_is_refused(store: str, new_run, paired: list[str], message: str) -> None:
    new_run("a", 0.9, GOOD)
    with pytest.raises(InputError, match=message):
        compare_experiment(EXPERIMENT, store, paired=paired)


def test_runs_of_inference_are_left_out(store: str, new_run) -> None:
    new_run("train", 0.9, GOOD)
    new_run("segment", job="inference")
    assert [row.label for row in compare_experiment(EXPERIMENT, store).rows] == ["train"]


def test_experiment_without_trainings_is_refused(store: str, new_run) -> None:
    new_run("segment", job="inference")
    with pytest.raises(InputError, match=r"'hearts' .* has no training or evaluation yet. Nor has any other"):
        compare_experiment(EXPERIMENT, store)


def test_experiment_without_runs_is_refused_with_those_that_have_some(
    store: str, client: MlflowClient, new_run
) -> None:
    client.create_experiment("empty")
    client.create_experiment("empty too")
    new_run("train", 0.9, GOOD)
    with pytest.raises(InputError, match=r"'empty' .* has no training or evaluation yet. Runs are in: hearts\.$"):
        compare_experiment("empty", store)


def test_training_and_its_own_evaluation_are_no_rivals(store: str, new_run) -> None:
    new_run("train", 0.84, GOOD)
    new_run("evaluated", 0.84, GOOD, prefix="val_", job="evaluating")
    new_run("worse", 0.74, WORSE)
    comparison = compare_experiment(EXPERIMENT, store)
    assert [(pair.name_a, pair.name_b) for pair in comparison.pairs] == [("train", "worse")]
    told = "Not compared case by case: 'evaluated' has the figures of 'train' in every case: the same weights again."
    assert told in comparison.notes


def test_same_weights_are_compared_where_both_are_named(store: str, new_run) -> None:
    for name in ("train", "evaluated"):
        new_run(name, 0.84, GOOD)
    pair = compare_experiment(EXPERIMENT, store, paired=["train", "evaluated"]).pairs[0]
    assert pair.differences[0].difference == 0


def test_unknown_figure_is_refused(store: str, new_run) -> None:
    new_run("train", 0.9, GOOD)
    with pytest.raises(InputError, match=r"No run has the figure 'dice' to sort by. There are: dice_lv, mean_dice"):
        compare_experiment(EXPERIMENT, store, measure="dice")


def test_curves_are_read(store: str, client: MlflowClient, new_run) -> None:
    run_id = new_run("train", 0.9, GOOD)
    for epoch, value, time_ms in ((5, 0.7, 1), (10, 0.8, 2), (5, 0.75, 3)):
        client.log_metric(run_id, "val_mean_dice", value, timestamp=time_ms, step=epoch)
    assert compare_experiment(EXPERIMENT, store).curves == {"train": [(5.0, 0.75), (10.0, 0.8)]}


def test_only_some_runs_are_compared_with_the_best(store: str, new_run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.comparison.experiment.MAX_PAIRS", 1)
    for number, dice in enumerate((0.9, 0.8, 0.7)):
        new_run(f"run {number}", dice, {**GOOD, "d_ed": (dice, dice, dice)})
    comparison = compare_experiment(EXPERIMENT, store)
    assert [(pair.name_a, pair.name_b) for pair in comparison.pairs] == [("run 0", "run 1")]
    assert any("the best run with the 1 next ones" in note for note in comparison.notes)
