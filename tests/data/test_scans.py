from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.scans import find_scans
from pipeline.errors import InputError


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def case_ids(root: Path) -> list[str]:
    return [item["case_id"] for item in find_scans(root)]


def test_file_is_one_scan(tmp_path: Path) -> None:
    touch(tmp_path, "heart.nii.gz")
    assert find_scans(tmp_path / "heart.nii.gz") == [{"image": str(tmp_path / "heart.nii.gz"), "case_id": "heart"}]


def test_file_is_taken_even_if_its_name_says_label(tmp_path: Path) -> None:
    touch(tmp_path, "heart_gt.nii.gz")
    assert find_scans(str(tmp_path / "heart_gt.nii.gz"))[0]["case_id"] == "heart_gt"


def test_folder_is_searched_to_the_bottom_and_sorted(tmp_path: Path) -> None:
    touch(tmp_path, "b/c/z.nii", "b/a.nii.gz", "a.NII.GZ", "notes.txt")
    assert case_ids(tmp_path) == ["a", "b/a", "b/c/z"]


def test_images_are_paths(tmp_path: Path) -> None:
    touch(tmp_path, "b/a.nii.gz")
    assert find_scans(tmp_path)[0]["image"] == str(tmp_path / "b" / "a.nii.gz")


def test_labels_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "a_gt.nii.gz", "a_seg.nii", "a_mask.nii")
    assert case_ids(tmp_path) == ["a"]


def test_mask_without_its_scan_is_a_scan(tmp_path: Path) -> None:
    touch(tmp_path, "a_mask.nii.gz", "b/a.nii.gz")
    assert case_ids(tmp_path) == ["a_mask", "b/a"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, ".a.nii.gz", "._b.nii.gz", ".cache/c.nii.gz", "d.nii.gz")
    assert case_ids(tmp_path) == ["d"]


def test_same_name_with_two_suffixes_keeps_the_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii", "a.nii.gz", "b.nii")
    assert case_ids(tmp_path) == ["a.nii", "a.nii.gz", "b"]


def test_linked_folder_is_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/a.nii.gz", "scans/b.nii.gz")
    (tmp_path / "scans" / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    assert case_ids(tmp_path / "scans") == ["b", "linked/a"]


def test_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.nii.gz")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert case_ids(tmp_path) == ["a/b"]


def test_skipped_folder_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "masks/a.nii.gz")
    assert [item["case_id"] for item in find_scans(tmp_path, skip_dir=tmp_path / "masks")] == ["a"]


def test_dataset_folder_itself_is_never_skipped(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz")
    assert len(find_scans(tmp_path, skip_dir=tmp_path)) == 1


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset_dir does not exist: .*none"):
        find_scans(tmp_path / "none")


def test_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    touch(tmp_path, "a.dcm")
    with pytest.raises(InputError, match=r"must be a folder or a NIfTI file .* got the file .*a.dcm"):
        find_scans(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), "it is empty"),
        (("1.dcm", "2.DCM", "README"), r"it holds 3 files \(2 of .dcm, 1 of no suffix\)"),
        (("a_gt.nii.gz", "b_gt.nii.gz"), "its 2 NIfTI files are labels by their names, such as a_gt.nii.gz"),
    ],
)
def test_folder_without_scans_is_refused_with_what_it_holds(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=f"holds no scan: {found}"):
        find_scans(tmp_path)
