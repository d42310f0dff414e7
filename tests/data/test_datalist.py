from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.datalist import detect_format, load_datalist, resolve_format, scan_dataset
from pipeline.errors import InputError


@pytest.mark.parametrize(("name", "cases"), [("acdc", 4), ("mnms", 2), ("decathlon", 2), ("folder", 3)])
def test_each_layout_is_recognized_and_read(name: str, cases: int, request: pytest.FixtureRequest) -> None:
    dataset_dir = request.getfixturevalue(f"{name}_dir")
    assert detect_format(dataset_dir) == name
    assert len(load_datalist(dataset_dir)) == cases


def test_given_format_is_taken(acdc_dir: Path) -> None:
    with pytest.raises(InputError, match=r"expected dataset.json"):
        load_datalist(acdc_dir, data_format="decathlon")


def test_unknown_format_is_refused(acdc_dir: Path) -> None:
    with pytest.raises(InputError, match=r"must be 'auto' or one of \['acdc', .*\], got 'nnunet'"):
        resolve_format(acdc_dir, "nnunet")


def test_unknown_layout_is_refused_with_all_layouts_and_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "scan.mha").touch()
    with pytest.raises(InputError, match=r"holds scan.mha\. Expected a data set") as caught:
        detect_format(tmp_path)
    assert all(f"  {name}: " in str(caught.value) for name in ("acdc", "mnms", "decathlon", "folder"))


def test_folder_above_is_refused_with_the_folder_to_give(acdc_dir: Path) -> None:
    with pytest.raises(InputError, match=r"A data set lies in '.*acdc' \(acdc\): give that folder"):
        load_datalist(acdc_dir.parent)


def test_folder_below_is_refused_with_the_folder_to_give(folder_dir: Path) -> None:
    with pytest.raises(InputError, match=r"A data set lies in '.*plain' \(folder\): give that folder"):
        load_datalist(folder_dir / "train")


def test_folder_of_two_layouts_is_refused(acdc_dir: Path) -> None:
    (acdc_dir / "dataset.json").touch()
    with pytest.raises(InputError, match=r"fits several layouts: acdc and decathlon. Say which one by data_format"):
        detect_format(acdc_dir)


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is empty. Give a folder that holds a data set in one of"):
        load_datalist(tmp_path)


def test_scan_does_not_raise_for_a_broken_case(acdc_dir: Path) -> None:
    (acdc_dir / "patient001" / "Info.cfg").unlink()
    assert len(scan_dataset(acdc_dir).problems) == 1
