from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.layout import (
    describe_contents,
    folders_below,
    image_stem,
    image_suffix,
    optional_number,
    patient_of,
    phase_of,
    require_directory,
    safe_name,
)
from pipeline.errors import InputError


@pytest.mark.parametrize(
    ("stem", "patient", "phase"),
    [
        ("patient001_frame01", "patient001", ""),
        ("patient001_ED", "patient001", "ed"),
        ("patient001_es_z04", "patient001", "es"),
        ("site_a_p7_slice3", "site_a_p7", ""),
        ("p7_frame01_es", "p7", "es"),
        ("case_edward_2", "case_edward_2", ""),
        ("zoe_zen", "zoe_zen", ""),
        ("la_003", "la_003", ""),
        ("_frame01", "_frame01", ""),
    ],
)
def test_patient_and_phase_are_read_from_the_name(stem: str, patient: str, phase: str) -> None:
    assert (patient_of(stem), phase_of(stem)) == (patient, phase)


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("a.b.nii.gz", "a.b", ".nii.gz"),
        ("a.nii", "a", ".nii"),
        ("A.PNG", "A", ".png"),
        ("a.seq.nrrd", "a.seq", ".nrrd"),
        ("a.MHA", "a", ".mha"),
        ("a.mgz", "a.mgz", ""),
    ],
)
def test_suffix_is_told_from_the_stem(name: str, stem: str, suffix: str) -> None:
    assert (image_stem(Path(name)), image_suffix(Path(name))) == (stem, suffix)


def test_safe_name_keeps_letters_and_replaces_the_rest() -> None:
    assert safe_name("Müller 1/2:ed") == "Müller_1_2_ed"


@pytest.mark.parametrize(
    ("text", "number"), [("184.0", 184.0), (95, 95.0), ("N/A", None), (None, None), ("nan", None), ("0", None)]
)
def test_optional_number(text: object, number: float | None) -> None:
    assert optional_number(text) == number


def test_contents_name_folders_first_and_count_the_rest(tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / f"file{number}").touch()
    (tmp_path / "zfolder").mkdir()
    assert describe_contents(tmp_path) == "zfolder/, file0, file1, file2, file3, file4, file5, file6 and 2 more"


def test_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.nii").touch()
    with pytest.raises(InputError, match=r"is a file. Give the folder that holds such a layout"):
        require_directory(tmp_path / "scan.nii", "such a layout")


def test_folder_of_hidden_files_alone_is_empty(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").touch()
    with pytest.raises(InputError, match=r"is empty. Give a folder that holds such a layout"):
        require_directory(tmp_path, "such a layout")


def test_unreadable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(_: Path) -> None:
        raise PermissionError("denied")

    monkeypatch.setattr(Path, "iterdir", deny)
    with pytest.raises(InputError, match=r"cannot be read: denied\. Mend its permissions"):
        require_directory(tmp_path, "such a layout")


def test_folders_of_two_levels_are_found_nearest_first(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    (tmp_path / "z").mkdir()
    (tmp_path / ".git").mkdir()
    assert folders_below(tmp_path) == [tmp_path / "a", tmp_path / "z", tmp_path / "a" / "b"]


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist. Give a folder that holds such a layout"):
        require_directory(tmp_path / "nowhere", "such a layout")
