from __future__ import annotations

from typing import Any

import pytest
from robustness_table import format_table, mean_of


def case(rv: float, myo: float = 0.5, lv: float = 0.9, missed_rv: int = 0) -> dict[str, Any]:
    dice = {"dice_rv": rv, "dice_myo": myo, "dice_lv": lv}
    known = [value for value in dice.values() if value == value]
    return dice | {"mean_dice": sum(known) / len(known), "missed_rv": missed_rv, "missed_myo": 0, "missed_lv": 0}


def lines(**rows: list[dict[str, Any]]) -> list[str]:
    return format_table(rows, "clean").splitlines()


def test_line_has_dice_drop_classes_and_misses() -> None:
    found = lines(clean=[case(0.7), case(0.7)], noise=[case(0.4), case(0.0, missed_rv=1)])
    assert found[2] == "| clean | 0.700 | 0.000 | 0.700 | 0.500 | 0.900 | 0 | 0 | 0 |"
    assert found[3] == "| noise | 0.533 | 0.167 | 0.200 | 0.500 | 0.900 | 1 | 0 | 0 |"


def test_class_without_a_case_has_no_dice_and_no_drop() -> None:
    found = lines(clean=[case(0.7)], other=[case(float("nan"))])
    assert found[3] == "| other | 0.700 | – | – | 0.500 | 0.900 | 0 | 0 | 0 |"


def test_head_and_rule_have_a_cell_a_column() -> None:
    head, rule, line = lines(clean=[case(0.7)])
    assert head.count("|") == rule.count("|") == line.count("|")
    assert head.startswith("| change | mean Dice | drop | Dice RV")


def test_mean_is_over_the_cases_that_count() -> None:
    assert mean_of([case(0.4), case(float("nan"))], "dice_rv") == pytest.approx(0.4)
