from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

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


def test_nrrd_and_metaimage_are_scans_and_slicers_segmentations_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "a.nrrd", "a.seg.nrrd", "a-label.nrrd", "b.seq.nrrd", "c.mha", "c_mask.mha", "a.nii.gz")
    assert case_ids(tmp_path) == ["a.nii.gz", "a.nrrd", "b.seq", "c"]


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
    with pytest.raises(InputError, match=r"must be a folder, a file .* or DICOM, got the file .*a.dcm"):
        find_scans(tmp_path / "a.dcm")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), "it is empty"),
        (("1.dcm", "2.DCM", "README"), r"it holds 3 files \(2 of .dcm, 1 of no suffix\)"),
        (("a_gt.nii.gz", "b_gt.nii.gz"), "its 2 files are labels by their names, such as a_gt.nii.gz"),
    ],
)
def test_folder_without_scans_is_refused_with_what_it_holds(tmp_path: Path, names: tuple[str, ...], found: str) -> None:
    touch(tmp_path, *names)
    with pytest.raises(InputError, match=f"holds no scan: {found}"):
        find_scans(tmp_path)


def dicom(root: Path, name: str, study: str = "1.1", modality: str = "MR") -> Path:
    """Write an image of a study whose patient's name must not show."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID, image.StudyInstanceUID = MRImageStorage, "1.3", study
    image.Modality, image.PatientName, image.PatientID = modality, "Secret^Name", "SECRET"
    image.Rows = image.Columns = image.BitsAllocated = image.SamplesPerPixel = 1
    image.PixelData = bytes(2)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    dcmwrite(path, image, enforce_file_format=True)
    return path


def test_dicom_study_is_one_scan_named_by_its_folder(tmp_path: Path) -> None:
    for name in ("p1/exam/1", "p1/exam/2", "p2/series1/1.dcm", "p2/series2/1.dcm"):
        dicom(tmp_path, name, study=name[:2])
    assert find_scans(tmp_path) == [
        {"image": str(tmp_path / "p1" / "exam"), "case_id": "p1/exam"},
        {"image": str(tmp_path / "p2"), "case_id": "p2"},
    ]


def test_study_in_the_folder_itself_has_its_name(tmp_path: Path) -> None:
    dicom(tmp_path / "exam", "1")
    assert find_scans(tmp_path / "exam") == [{"image": str(tmp_path / "exam"), "case_id": "exam"}]


def test_two_studies_in_a_folder_are_lists_of_files(tmp_path: Path) -> None:
    paths = [str(dicom(tmp_path, f"mix/{index}", study=f"1.{index % 2}")) for index in range(4)]
    assert find_scans(tmp_path) == [
        {"image": paths[0::2], "case_id": "mix_study1"},
        {"image": paths[1::2], "case_id": "mix_study2"},
    ]


def test_study_above_another_is_a_list_of_files(tmp_path: Path) -> None:
    first, second = dicom(tmp_path, "p/1", study="1.1"), dicom(tmp_path, "p/follow up/1", study="1.2")
    items = {item["case_id"]: item["image"] for item in find_scans(tmp_path)}
    assert items == {"p": [str(first)], "p/follow up": str(second.parent)}


def test_dicom_and_nifti_lie_side_by_side(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz", "b/notes.txt")
    dicom(tmp_path, "a/1")
    assert case_ids(tmp_path) == ["a_dicom", "a"]


def test_other_modalities_are_no_scans(tmp_path: Path) -> None:
    dicom(tmp_path, "mr/1", study="1.1")
    dicom(tmp_path, "ct/1", study="1.2", modality="CT")
    assert case_ids(tmp_path) == ["mr"]


def test_series_goes_with_dicom_alone(tmp_path: Path) -> None:
    touch(tmp_path, "a.nii.gz")
    dicom(tmp_path, "b/1")
    items = find_scans(tmp_path, series=7)
    assert [item.get("series") for item in items] == [None, "7"]


def test_multi_frame_file_is_one_scan(tmp_path: Path) -> None:
    path = dicom(tmp_path, "cine.dcm")
    assert find_scans(path, series="7") == [{"image": str(path), "case_id": "cine", "series": "7"}]


def test_no_tag_gets_into_a_name(tmp_path: Path) -> None:
    dicom(tmp_path, "x/1", study="../../etc")
    assert "secret" not in str(find_scans(tmp_path)[0]["case_id"]).lower()
    assert case_ids(tmp_path) == ["x"]


def test_folder_of_other_modalities_is_refused(tmp_path: Path) -> None:
    dicom(tmp_path, "1", modality="CT")
    with pytest.raises(InputError, match=r"dataset_dir .* must hold cardiac MR \(modality MR\), got modality CT"):
        find_scans(tmp_path)


def test_folder_of_encrypted_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1").write_bytes(bytes.fromhex("3080 06092a864886f70d010703") + bytes(200))
    with pytest.raises(InputError, match="it is encrypted"):
        find_scans(tmp_path)


def test_what_is_left_out_is_counted_with_its_reason(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dicom(tmp_path, "mr/1", study="1.1")
    for name in ("1", "2"):
        dicom(tmp_path, f"ct/{name}", study="1.2", modality="CT")
    (tmp_path / "mr" / "secure").write_bytes(bytes.fromhex("3080 06092a864886f70d010703") + bytes(200))
    touch(tmp_path, "mr/garbage.dcm", "mr/notes.txt")
    encrypted = "it is encrypted (a Secure DICOM File); decrypt it first"
    assert find_scans(tmp_path).left_out == (
        {"what": "DICOM images of modality CT", "number": 2},
        {"what": f"DICOM files that cannot be used ({encrypted})", "number": 1},
        {"what": "files named .dcm, .dicom, .ima without a DICOM image", "number": 1},
    )
    assert "Left out: 2 DICOM images of modality CT, 1 DICOM files" in caplog.text


def test_clean_folder_gives_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dicom(tmp_path, "mr/1.dcm")
    touch(tmp_path, "a.nii.gz", "notes.txt")
    assert find_scans(tmp_path).left_out == ()
    assert caplog.text == ""


def test_numbers_take_the_place_of_names_on_request(tmp_path: Path) -> None:
    touch(tmp_path, "Roe.nii.gz")
    dicom(tmp_path, "Doe/1")
    assert [(item["case_id"], item["name"]) for item in find_scans(tmp_path, case_names="number")] == [
        ("study_001", "Doe"),
        ("study_002", "Roe"),
    ]


def test_unknown_case_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="case_names must be one of path, number, got 'name'"):
        find_scans(tmp_path, case_names="name")
