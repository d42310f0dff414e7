from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.data.acdc import acdc_datalist
from pipeline.data.digest import dataset_digest
from pipeline.errors import InputError


def test_digest_has_64_hexadecimal_digits(acdc_dir: Path) -> None:
    assert len(bytes.fromhex(dataset_digest(acdc_datalist(acdc_dir)))) == 32


def test_order_does_not_matter(acdc_dir: Path) -> None:
    datalist = acdc_datalist(acdc_dir)
    assert dataset_digest(datalist) == dataset_digest(datalist[::-1])


def test_place_does_not_matter(acdc_dir: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(acdc_dir, tmp_path / "elsewhere" / "acdc")
    assert dataset_digest(acdc_datalist(copy)) == dataset_digest(acdc_datalist(acdc_dir))


def test_one_byte_matters(acdc_dir: Path) -> None:
    datalist = acdc_datalist(acdc_dir)
    before = dataset_digest(datalist)
    path = Path(datalist[3]["label"])
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert dataset_digest(datalist) != before


def test_name_matters(acdc_dir: Path) -> None:
    before = dataset_digest(acdc_datalist(acdc_dir))
    folder = (acdc_dir / "patient002").rename(acdc_dir / "patient003")
    for path in folder.glob("*.nii.gz"):
        path.rename(path.with_name(path.name.replace("002", "003")))
    assert dataset_digest(acdc_datalist(acdc_dir)) != before


def test_phase_of_a_4d_file_matters(acdc_dir: Path) -> None:
    item = acdc_datalist(acdc_dir)[0]
    assert dataset_digest([{**item, "frame": 0}]) != dataset_digest([{**item, "frame": 1}])


def test_pairing_matters(acdc_dir: Path) -> None:
    first, second, *_ = acdc_datalist(acdc_dir)
    swapped = [{**first, "label": second["label"]}, {**second, "label": first["label"]}]
    assert dataset_digest([first, second]) != dataset_digest(swapped)


def test_scans_without_labels_have_a_digest(acdc_dir: Path) -> None:
    item = acdc_datalist(acdc_dir)[0]
    assert dataset_digest([{"image": item["image"]}]) != dataset_digest([item])


def test_no_cases_are_refused() -> None:
    with pytest.raises(InputError, match="no cases to take a digest of"):
        dataset_digest([])


def test_missing_file_is_refused(acdc_dir: Path) -> None:
    datalist = acdc_datalist(acdc_dir)
    Path(datalist[0]["image"]).unlink()
    with pytest.raises(InputError, match=r"Cannot read '.*patient001_frame01.nii.gz'"):
        dataset_digest(datalist)
