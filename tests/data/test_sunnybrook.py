"""Sunnybrook's layout: contours by InstanceNumber, drawn on the grid of the DICOM cine."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from pipeline.data import load_datalist
from pipeline.data.case_check import check_case
from pipeline.data.check import check_directory
from pipeline.data.contours import read_contour
from pipeline.data.datalist import detect_format
from pipeline.data.digest import dataset_digest
from pipeline.data.phantom import CineStudy, write_cine_dicom
from pipeline.data.problem import Item
from pipeline.data.sunnybrook import FIRST_PIXEL, default_label_dir, sunnybrook_datalist, whole_cases
from pipeline.errors import InputError
from pipeline.geometry import voxel_volume_ml
from pipeline.labels import Structure

SHAPE, PHASES = (14, 12, 4), 5
ED, ES = 4, 1
PATIENT, ORIGINAL = "SCD0000007", "SC-HF-I-9"


def oblique_affine() -> NDArray[np.float64]:
    """Along the normal; spacing 1.5, 2.5 and 10 mm."""
    affine = np.eye(4)
    affine[:3, :3] = np.stack([(0.9, 0, -1.2), (0, -2.5, 0), (-8.0, 0, -6.0)], axis=1)
    affine[:3, 3] = (10, -20, 30)
    return affine


def box(low: float, high: float) -> list[tuple[float, float]]:
    """Square whose sides run between pixel centers: ``low`` = 2.5 and ``high`` = 5.5 enclose pixels 3, 4 and 5."""
    return [(low, low), (high, low), (high, high), (low, high)]


def write_contour(root: Path, kind: str, z: int, phase: int, points: list[tuple[float, float]]) -> Path:
    number = z * PHASES + phase + 1
    path = root / "contourfiles" / ORIGINAL / f"{kind}-contours" / f"IM-0001-{number:04d}-{kind}contour-manual.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{x + 1:.2f} {y + 1:.2f}\n" for x, y in points), encoding="utf-8")  # counted from 1
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """One patient: cavity of 25 pixels at ED and 9 at ES in slices 1 and 2, outer wall around 49 at ED."""
    root = tmp_path / "sunnybrook"
    rng = np.random.default_rng(0)
    cine = rng.integers(1, 500, (*SHAPE, PHASES), dtype=np.int16)
    write_cine_dicom(root / "dicoms" / PATIENT, CineStudy(cine, oblique_affine(), height_cm=180.0))
    (root / "link.csv").write_text(f"patient_id,original_id\n{PATIENT},{ORIGINAL}\n", encoding="utf-8")
    for z in (1, 2):
        write_contour(root, "i", z, ED, box(2.5, 7.5))
        write_contour(root, "o", z, ED, box(1.5, 8.5))
        write_contour(root, "i", z, ES, box(3.5, 6.5))
    return root


def read(root: Path) -> list[Item]:
    return sunnybrook_datalist(root, root.parent / "labels")


def label_of(item: Item) -> NDArray[np.uint8]:
    return np.asarray(nib.load(item["label"]).dataobj)[..., item["frame"]]


def test_a_patient_is_two_cases(root: Path) -> None:
    items = read(root)
    assert [item["case_id"] for item in items] == [f"{PATIENT}_ed", f"{PATIENT}_es"]
    assert {item["patient_id"] for item in items} == {PATIENT}
    assert {item["image"] for item in items} == {str(root / "dicoms" / PATIENT)}
    assert items[0]["height_cm"] == pytest.approx(180)


def test_ed_is_the_largest_cavity_and_es_the_smallest(root: Path) -> None:
    assert [item["frame"] for item in read(root)] == [ED, ES]


def test_other_drawn_phases_are_no_cases(root: Path) -> None:
    for z in (1, 2):
        write_contour(root, "i", z, 2, box(3.5, 7.5))
    assert [item["frame"] for item in read(root)] == [ED, ES]


def test_cavity_and_wall_are_drawn_where_the_contours_lie(root: Path) -> None:
    label = label_of(read(root)[0])
    expected = np.zeros(SHAPE, dtype=np.uint8)
    expected[2:9, 2:9, 1:3] = Structure.MYO
    expected[3:8, 3:8, 1:3] = Structure.LV
    assert np.array_equal(label, expected)


def test_phase_without_outer_contours_has_the_cavity_alone(root: Path) -> None:
    es = read(root)[1]
    assert es["drawn"] == "lv"
    assert np.unique(label_of(es)).tolist() == [0, Structure.LV]
    assert (label_of(es) == Structure.LV).sum() == 2 * 9


def test_phase_whose_outer_contours_are_not_complete_has_the_cavity_alone(root: Path) -> None:
    next((root / "contourfiles" / ORIGINAL / "o-contours").iterdir()).unlink()
    ed = read(root)[0]
    assert ed["drawn"] == "lv"
    assert np.unique(label_of(ed)).tolist() == [0, Structure.LV]


def test_label_lies_on_the_grid_of_the_cine(root: Path) -> None:
    image = nib.load(read(root)[0]["label"])
    assert image.shape == (*SHAPE, PHASES)
    assert image.affine == pytest.approx(oblique_affine(), abs=1e-3)
    assert voxel_volume_ml(image.affine) == pytest.approx(1.5 * 2.5 * 10 / 1000)


def test_papillary_contours_are_not_used(root: Path) -> None:
    before = label_of(read(root)[0])
    folder = root / "contourfiles" / ORIGINAL / "p-contours"
    folder.mkdir()
    (folder / "IM-0001-0010-p1contour-manual.txt").write_text("1 1\n4 1\n4 4\n", encoding="utf-8")
    assert np.array_equal(label_of(read(root)[0]), before)


def test_nothing_is_written_to_the_data_set(root: Path) -> None:
    before = sorted(root.rglob("*"))
    read(root)
    assert sorted(root.rglob("*")) == before


def test_equal_contours_give_equal_labels_and_digests_wherever_they_are_drawn(root: Path, tmp_path: Path) -> None:
    first, second = (sunnybrook_datalist(root, tmp_path / "a" / name) for name in ("b", "c/d"))
    assert Path(first[0]["label"]).read_bytes() == Path(second[0]["label"]).read_bytes()
    assert dataset_digest(first) == dataset_digest(second)


def test_digest_sees_each_image(root: Path) -> None:
    before = dataset_digest(read(root))
    path = root / "dicoms" / PATIENT / "IM0003.dcm"
    path.write_bytes(path.read_bytes()[:-2] + b"\x01\x01")
    assert dataset_digest(read(root)) != before


def test_layout_is_recognized_and_labels_go_to_the_users_cache(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert detect_format(root) == "sunnybrook"
    assert Path(load_datalist(root)[0]["label"]).parent == default_label_dir(root)
    assert default_label_dir(root).is_relative_to(tmp_path / "cache")


def test_check_of_the_data_set_finds_nothing_wrong(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    report = check_directory(root)
    assert report.problems == []
    assert report.cases["lv_ml"].tolist() == pytest.approx([50 * 0.0375, 18 * 0.0375])


def test_undrawn_structure_is_told_where_the_item_says_that_it_is_drawn(root: Path) -> None:
    item = read(root)[1] | {"drawn": "myo lv"}
    assert [problem.message for problem in check_case(item, "sunnybrook")] == ["absent from the label: MYO"]


def test_cases_to_train_on_have_their_myocardium(root: Path) -> None:
    assert [item["phase"] for item in whole_cases(read(root))] == ["ed"]


def test_cases_of_other_data_sets_are_whole() -> None:
    assert whole_cases([{"case_id": "a"}]) == [{"case_id": "a"}]


def test_no_whole_case_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="None of the 1 cases has o-contours"):
        whole_cases(read(root)[1:])


def test_patient_drawn_on_one_phase_is_ed_with_a_warning(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    for z in (1, 2):
        write_contour(root, "i", z, ES, []).unlink()
    assert [item["phase"] for item in read(root)] == ["ed"]
    assert "contours are drawn on one phase only" in caplog.text


# Refusals


def test_folder_of_another_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "scan.nii").touch()
    with pytest.raises(InputError, match=r"holds scan.nii; expected link.csv, dicoms/PATIENT"):
        sunnybrook_datalist(tmp_path)


def test_folder_within_the_data_set_is_refused_with_the_folder_to_give(root: Path) -> None:
    with pytest.raises(InputError, match=r"It lies in '.*sunnybrook': give that folder"):
        sunnybrook_datalist(root / "dicoms")


@pytest.mark.parametrize("text", ["", "patient_id,original_id\n", "a,b\n1,2\n", "patient_id,original_id\nSCD,\n"])
def test_table_without_names_is_refused(root: Path, text: str) -> None:
    (root / "link.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"link.csv must have the columns patient_id and original_id"):
        read(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"SCD1,{ORIGINAL}", "SCD1: contours without DICOM folder"),
        (f"{PATIENT},SC-1", f"{PATIENT}: DICOM folder without contours"),
    ],
)
def test_patient_without_one_of_the_two_is_refused(root: Path, line: str, message: str) -> None:
    (root / "link.csv").write_text(f"patient_id,original_id\n{line}\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read(root)


def test_folder_without_cine_is_refused_with_the_readers_reason(root: Path) -> None:
    for path in (root / "dicoms" / PATIENT).iterdir():
        path.write_bytes(b"no dicom")
    with pytest.raises(InputError, match=rf"{PATIENT}: .*dicoms"):
        read(root)


def test_contour_of_an_image_that_is_not_there_is_refused(root: Path) -> None:
    path = write_contour(root, "i", 4, 0, box(2.5, 7.5))
    with pytest.raises(InputError, match=rf"InstanceNumber 21, and the cine has no such image .*{path.name}"):
        read(root)


def test_every_contour_that_cannot_be_read_is_named(root: Path) -> None:
    for z in (1, 2):
        write_contour(root, "i", z, ED, [(1, 2)])
    with pytest.raises(InputError, match=r"(?s)2 problem\(s\).*IM-0001-0010.*IM-0001-0015"):
        read(root)


def test_contour_outside_the_image_is_refused(root: Path) -> None:
    write_contour(root, "i", 1, ED, box(50, 60))
    with pytest.raises(InputError, match=r"encloses no pixel of the image, which has 14 x 12 .*IM-0001-0010"):
        read(root)


def test_patient_without_inner_contours_is_refused(root: Path) -> None:
    for path in (root / "contourfiles" / ORIGINAL / "i-contours").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="there is no i-contour"):
        read(root)


def test_label_dir_that_cannot_be_written_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"label_dir '.*file' cannot be written"):
        sunnybrook_datalist(root, tmp_path / "file")


# The data set itself


@pytest.fixture
def real_items(real_data_dir: Path, tmp_path: Path) -> list[Item]:
    return sunnybrook_datalist(real_data_dir / "sunnybrook", tmp_path)


@pytest.mark.realdata
def test_real_phases_are_those_that_the_contours_name(real_items: list[Item]) -> None:
    # contours 48 and 59 of the first patient lie on phases 7 and 18 of 20, 7 and 20 of the second on 6 and 19
    assert [(item["case_id"], item["drawn"]) for item in real_items] == [
        ("SCD0000101_ed", "myo lv"),
        ("SCD0000101_es", "lv"),
        ("SCD0000301_ed", "myo lv"),
        ("SCD0000301_es", "lv"),
    ]


@pytest.mark.realdata
def test_real_cavity_is_bright_and_its_wall_dark(real_items: list[Item]) -> None:
    from pipeline.data.dicom import load_pixels, read_cine

    item = real_items[0]
    image = load_pixels(read_cine(item["image"]))[..., item["frame"]]
    label = label_of(item)
    cavity, wall = (np.median(image[label == structure]) for structure in (Structure.LV, Structure.MYO))
    assert cavity > 1.5 * wall


@pytest.mark.realdata
def test_real_contours_lie_on_edges_counted_from_one(real_data_dir: Path) -> None:
    folder = real_data_dir / "sunnybrook"
    edges = {origin: 0.0 for origin in (0.0, FIRST_PIXEL, 2.0)}
    for patient, original in (("SCD0000101", "SC-HF-I-1"), ("SCD0000301", "SC-HF-I-4")):
        for path in (folder / "contourfiles" / original).rglob("*.txt"):
            number = int(path.name.split("-")[2])
            image = pydicom.dcmread(folder / "dicoms" / patient / f"{number}.dcm").pixel_array.T.astype(float)
            steepness = np.hypot(*np.gradient(ndimage.gaussian_filter(image, 0.7)))
            for origin in edges:
                edges[origin] += ndimage.map_coordinates(steepness, (read_contour(path) - origin).T, order=1).mean()
    assert max(edges, key=edges.__getitem__) == FIRST_PIXEL
