from __future__ import annotations

from typing import Any

import pytest

from pipeline.errors import InputError
from pipeline.labels import FOREGROUND, LABEL_MAPS, Structure, label_key, resolve_label_map


def test_project_values_are_those_of_acdc() -> None:
    assert [(structure.name, structure.value) for structure in Structure] == [
        ("BACKGROUND", 0),
        ("RV", 1),
        ("MYO", 2),
        ("LV", 3),
    ]


def test_keys_are_lower_case() -> None:
    assert [structure.key for structure in FOREGROUND] == ["rv", "myo", "lv"]


@pytest.mark.parametrize(
    ("name", "rv", "myo", "lv"),
    [("acdc", 1, 2, 3), ("mnms", 3, 2, 1), ("zoo_ventricular", 3, 2, 1), ("mscmrseg", 600, 200, 500)],
)
def test_named_map(name: str, rv: int, myo: int, lv: int) -> None:
    expected = {0: Structure.BACKGROUND, rv: Structure.RV, myo: Structure.MYO, lv: Structure.LV}
    assert resolve_label_map(name) == expected


def test_named_map_is_a_copy() -> None:
    resolve_label_map("acdc")[9] = Structure.LV
    assert 9 not in LABEL_MAPS["acdc"]


@pytest.mark.parametrize("mapping", [{1: 3, 2: 2}, {"1": 3, "2": 2}, {1.0: 3.0, 2: Structure.MYO}])
def test_mapping_of_whole_numbers_is_taken(mapping: dict[Any, Any]) -> None:
    assert resolve_label_map(mapping) == {0: Structure.BACKGROUND, 1: Structure.LV, 2: Structure.MYO}


def test_unknown_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"one of \['acdc', 'mnms', .*\], got 'acd'"):
        resolve_label_map("acd")


def test_unknown_structure_is_refused() -> None:
    message = r"\(0 BACKGROUND, 1 RV, 2 MYO, 3 LV\), or for further labels to 4 to 254, got \[-1, 255\]"
    with pytest.raises(InputError, match=message):
        resolve_label_map({1: 255, 2: -1, 3: 3})


def test_further_labels_are_taken() -> None:
    assert resolve_label_map({3: 3, 7: 4, 9: 254}) == {0: Structure.BACKGROUND, 3: Structure.LV, 7: 4, 9: 254}


@pytest.mark.parametrize(("label", "key"), [(Structure.LV, "lv"), (1, "rv"), (4, "label_4"), (12, "label_12")])
def test_every_label_has_a_name_for_columns(label: int, key: str) -> None:
    assert label_key(label) == key


@pytest.mark.parametrize(
    ("mapping", "text"), [({1: "lv"}, "'lv'"), ({1.5: 1}, "1.5"), ({"a": 1}, "'a'"), ({1: None}, "None")]
)
def test_value_that_is_no_whole_number_is_refused(mapping: dict[Any, Any], text: str) -> None:
    with pytest.raises(InputError, match=f"label_map must hold whole numbers, .*, got {text}"):
        resolve_label_map(mapping)
