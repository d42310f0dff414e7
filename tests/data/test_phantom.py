"""The beating heart phantom: its anatomy, its grid, and the files in ACDC's layout."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from pipeline.data.phantom import PHANTOM_GROUPS, PhantomCase, PhantomPatient, make_phantom_case, make_phantom_cohort
from pipeline.data.phantom.case import draw_phantom_heart
from pipeline.data.phantom.heart import ANGLES, Heart
from pipeline.errors import InputError
from pipeline.geometry import spacing_mm, voxel_volume_ml
from pipeline.labels import Structure

ES_PHASE = 11 / 30
SHAPE, SPACING_MM = (104, 96, 11), (1.9, 2.0, 10.0)
SMALL = {"in_plane_size": (88, 96), "in_plane_spacing_mm": (2.0, 2.2)}


@lru_cache(maxsize=32)
def case(group: str = "NOR", phase: float = 0.0, seed: int = 1) -> PhantomCase:
    return make_phantom_case(seed, group, phase, SHAPE, SPACING_MM, ES_PHASE)


def volume_ml(scan: PhantomCase, structure: Structure) -> float:
    return float(np.sum(scan.label == structure) * voxel_volume_ml(scan.affine))


def heart(group: str = "NOR", seed: int = 1) -> Heart:
    return draw_phantom_heart(seed, group, ES_PHASE)


def read_info(patient: Path) -> dict[str, str]:
    return dict(line.split(": ") for line in (patient / "Info.cfg").read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module", params=PHANTOM_GROUPS)
def diastole(request: pytest.FixtureRequest) -> PhantomCase:
    return case(request.param)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return make_phantom_cohort(tmp_path_factory.mktemp("cohort"), 6, seed=4, **SMALL)


@pytest.fixture(scope="module")
def cine_patient(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_phantom_cohort(tmp_path_factory.mktemp("cine"), 1, num_phases=5, write_cine=True, **SMALL)[0]


# Anatomy: surfaces


@pytest.mark.parametrize("group", PHANTOM_GROUPS)
@pytest.mark.parametrize("phase", [0.0, 0.2, ES_PHASE, 0.6])
def test_surfaces_enclose_the_volumes(group: str, phase: float) -> None:
    patient, step_mm = heart(group), 0.25
    surfaces = patient.surfaces(phase, np.arange(0, 130, step_mm))
    disks = {name: np.clip(getattr(surfaces, name), 0, None) ** 2 for name in ("endo", "epi", "rv")}
    disks["rv"] = np.clip(disks["rv"] - disks["epi"], 0, None)
    ml = {name: float(np.pi * disk.mean(axis=1).sum() * step_mm / 1000) for name, disk in disks.items()}
    assert ml["endo"] == pytest.approx(patient.lv_volume_ml(phase), rel=0.01)
    assert ml["epi"] - ml["endo"] == pytest.approx(patient.myo_ml, rel=0.01)
    assert ml["rv"] == pytest.approx(patient.rv_volume_ml(phase), rel=0.01)


def test_beat_starts_full_and_is_emptiest_at_end_systole() -> None:
    patient = heart()
    shares = [patient.emptied(phase) for phase in np.arange(30) / 30]
    assert shares[0] == 0
    assert int(np.argmax(shares)) == 11
    assert shares[11] == pytest.approx(1)


def test_beat_is_periodic_and_smooth() -> None:
    patient = heart()
    shares = np.array([patient.emptied(phase) for phase in np.linspace(-0.5, 1.5, 401)])
    assert patient.emptied(1.25) == pytest.approx(patient.emptied(0.25))
    assert np.abs(np.diff(shares, n=2)).max() < 0.01


def test_long_axis_shortens_by_a_sixth_in_a_normal_heart() -> None:
    patient = heart("NOR")
    assert patient.valve_shift_mm(0.0) == 0
    assert patient.valve_shift_mm(ES_PHASE) / patient.length_mm == pytest.approx(0.27 * patient.ef)


def test_healthy_wall_thickens_in_systole() -> None:
    depth = np.array([50.0])
    beat = [heart().surfaces(phase, depth) for phase in (0.0, ES_PHASE)]
    ed_mm, es_mm = ((surfaces.epi - surfaces.endo).mean() for surfaces in beat)
    assert es_mm > 1.25 * ed_mm


def test_infarct_has_a_thin_sector_that_stays_still() -> None:
    depth = np.array([60.0])
    ed, es = (heart("MINF").surfaces(phase, depth) for phase in (0.0, ES_PHASE))
    motion = (ed.endo - es.endo)[0]
    scar, remote = int(motion.argmin()), int(motion.argmax())
    assert motion[scar] < 0.2 * motion[remote]
    assert (ed.epi - ed.endo)[0, scar] < 0.7 * (ed.epi - ed.endo)[0, remote]


def test_hypertrophic_septum_is_thicker_than_the_lateral_wall() -> None:
    surfaces = heart("HCM").surfaces(0.0, np.array([40.0]))
    wall = (surfaces.epi - surfaces.endo)[0]
    assert wall[0] > 12
    assert wall[0] > 1.3 * wall[np.abs(ANGLES - np.pi).argmin()]


def test_right_ventricle_ends_before_the_apex() -> None:
    patient = heart()
    surfaces = patient.surfaces(0.0, np.array([0.95 * patient.length_mm]))
    assert surfaces.rv.max() < 0 < surfaces.endo.min()


# Anatomy: labels


def test_labels_hold_every_structure(diastole: PhantomCase) -> None:
    assert np.unique(diastole.label).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("structures", [{Structure.RV}, {Structure.LV}, {Structure.MYO, Structure.LV}])
def test_each_cavity_and_the_left_ventricle_are_one_piece(diastole: PhantomCase, structures: set[Structure]) -> None:
    mask = np.isin(diastole.label, list(structures))
    assert ndimage.label(mask, structure=np.ones((3, 3, 3)))[1] == 1


@pytest.mark.parametrize("phase", [0.0, ES_PHASE])
@pytest.mark.parametrize("seed", range(4))
def test_myocardium_encloses_the_left_cavity_in_every_slice(phase: float, seed: int) -> None:
    label = case(PHANTOM_GROUPS[seed], phase, seed).label
    cross = ndimage.generate_binary_structure(2, 1)[:, :, None]
    border = ndimage.binary_dilation(label == Structure.LV, cross) & (label != Structure.LV)
    assert np.unique(label[border]).tolist() == [Structure.MYO]


def test_right_ventricle_touches_the_septum(diastole: PhantomCase) -> None:
    cross = ndimage.generate_binary_structure(2, 1)[:, :, None]
    near_rv = ndimage.binary_dilation(diastole.label == Structure.RV, cross)
    touching = (near_rv & (diastole.label == Structure.MYO)).sum(axis=(0, 1))
    rv_slices = (diastole.label == Structure.RV).any(axis=(0, 1))
    assert touching[rv_slices].min() >= 3


def test_heart_does_not_touch_the_border_of_the_field_of_view(diastole: PhantomCase) -> None:
    inner = diastole.label[1:-1, 1:-1]
    assert inner.astype(bool).sum() == diastole.label.astype(bool).sum()


def test_stack_holds_slices_without_heart_when_it_is_longer() -> None:
    label = make_phantom_case(1, "NOR", 0.0, (104, 96, 14), SPACING_MM).label
    empty = ~label.any(axis=(0, 1))
    assert empty[0] and empty[-1]


@pytest.mark.parametrize("group", PHANTOM_GROUPS)
def test_ejection_fraction_of_the_labels_is_the_intended(group: str) -> None:
    edv, esv = (volume_ml(case(group, phase), Structure.LV) for phase in (0.0, ES_PHASE))
    assert (edv - esv) / edv == pytest.approx(heart(group).ef, abs=0.06)


def test_volume_of_a_normal_left_ventricle_is_about_140_ml() -> None:
    volumes = [volume_ml(case("NOR", seed=seed), Structure.LV) for seed in range(8)]
    assert np.mean(volumes) == pytest.approx(140, rel=0.12)


def test_ejection_fractions_order_the_groups() -> None:
    def fraction(group: str) -> float:
        edv, esv = (volume_ml(case(group, phase), Structure.LV) for phase in (0.0, ES_PHASE))
        return (edv - esv) / edv

    assert fraction("HCM") > fraction("NOR") > fraction("MINF") > fraction("DCM")


def test_dilated_right_ventricle_is_larger_than_the_left() -> None:
    scan = case("RV")
    assert volume_ml(scan, Structure.RV) > 1.5 * volume_ml(scan, Structure.LV)


# Picture


def test_same_seed_gives_the_same_arrays() -> None:
    first, second = (make_phantom_case(1, "NOR", 0.0, SHAPE, SPACING_MM) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.label, second.label)
    assert np.array_equal(first.affine, second.affine)


def test_another_seed_gives_another_patient() -> None:
    assert not np.array_equal(case(seed=1).label, case(seed=2).label)


def test_phase_repeats_after_a_beat() -> None:
    assert np.array_equal(case(phase=0.25).image, case(phase=1.25).image)


def test_rendering_one_phase_does_not_change_the_next() -> None:
    patient = PhantomPatient(1, "NOR", SHAPE, SPACING_MM, ES_PHASE)
    patient.render(0.0)
    assert np.array_equal(patient.render(0.5)[0], case(phase=0.5).image)


def test_image_and_label_have_the_types_of_acdc() -> None:
    scan = case()
    assert (scan.image.dtype, scan.label.dtype) == (np.int16, np.uint8)
    assert scan.image.shape == scan.label.shape == SHAPE


def test_blood_is_brighter_than_myocardium_and_lung_is_dark(diastole: PhantomCase) -> None:
    lv, myo, rv = (np.median(diastole.image[diastole.label == s]) for s in (Structure.LV, Structure.MYO, Structure.RV))
    assert min(lv, rv) > 1.5 * myo
    assert myo > 2 * np.percentile(diastole.image, 20)


def test_intensity_scale_differs_between_patients() -> None:
    levels = [np.median(scan.image[scan.label == Structure.LV]) for scan in (case(seed=seed) for seed in range(5))]
    assert max(levels) > 1.5 * min(levels)


def test_only_the_heart_moves_between_phases() -> None:
    ed, es = case(phase=0.0), case(phase=ES_PHASE)
    moved = np.abs(ed.image.astype(int) - es.image) / np.median(ed.image[ed.label == Structure.LV])
    near_heart = ndimage.binary_dilation(ed.label > 0, iterations=8)
    corner = moved[:15, :15]  # air and chest wall
    assert moved[near_heart].max() > 0.5
    assert corner.max() < 0.3  # noise


# Grid


def test_affine_has_the_spacing_asked_for() -> None:
    assert spacing_mm(case().affine) == pytest.approx(SPACING_MM)


def test_affine_is_oblique_and_orthogonal() -> None:
    directions = case().affine[:3, :3] / np.array(SPACING_MM)
    assert np.abs(directions).max() < 0.98
    assert directions.T @ directions == pytest.approx(np.eye(3), abs=1e-9)


def test_orientation_differs_between_patients() -> None:
    assert not np.allclose(case(seed=1).affine[:3, :3], case(seed=2).affine[:3, :3], atol=0.02)


def test_slices_run_from_base_to_apex() -> None:
    x, y, z = case().affine[:3, 2]
    assert x < 0 < y and z < 0  # RAS+: to the left, forward, down


# Files


def test_cohort_lists_its_folders_in_order(cohort: list[Path]) -> None:
    assert [folder.name for folder in cohort] == [f"patient{number:03d}" for number in range(1, 7)]


def test_cohort_takes_the_groups_in_turn(cohort: list[Path]) -> None:
    assert [read_info(folder)["Group"] for folder in cohort] == ["NOR", "DCM", "HCM", "MINF", "RV", "NOR"]


def test_patient_has_the_files_of_acdc_and_no_other(cohort: list[Path]) -> None:
    patient, es = cohort[0], int(read_info(cohort[0])["ES"])
    frames = [f"patient001_frame{frame:02d}{suffix}.nii.gz" for frame in (1, es) for suffix in ("", "_gt")]
    assert sorted(path.name for path in patient.iterdir()) == sorted(["Info.cfg", *frames])


def test_info_is_written_as_in_acdc(cohort: list[Path]) -> None:
    lines = (cohort[1] / "Info.cfg").read_bytes().decode().split("\n")
    assert [line.split(": ")[0] for line in lines] == ["ED", "ES", "Group", "Height", "NbFrame", "Weight", ""]
    info = read_info(cohort[1])
    assert (info["ED"], info["Group"], info["NbFrame"]) == ("1", "DCM", "30")
    assert info["Height"].endswith(".0") and 150 <= float(info["Height"]) <= 195


def test_header_says_the_same_grid_twice(cohort: list[Path]) -> None:
    image = nib.load(cohort[0] / "patient001_frame01.nii.gz")
    (qform, qcode), (sform, scode) = image.get_qform(coded=True), image.get_sform(coded=True)
    assert (int(qcode), int(scode)) == (1, 1)
    assert qform == pytest.approx(sform, abs=1e-3)
    assert image.header.get_zooms() == pytest.approx(spacing_mm(image.affine), rel=1e-5)


def test_label_lies_on_the_grid_of_its_image(cohort: list[Path]) -> None:
    image, label = (nib.load(cohort[0] / f"patient001_frame01{suffix}.nii.gz") for suffix in ("", "_gt"))
    assert np.array_equal(image.affine, label.affine)
    assert image.shape == label.shape


def test_in_plane_sizes_are_in_range_and_not_square(cohort: list[Path]) -> None:
    shapes = [nib.load(folder / f"{folder.name}_frame01.nii.gz").shape for folder in cohort]
    assert all(88 <= n <= 96 for shape in shapes for n in shape[:2])
    assert all(shape[0] != shape[1] for shape in shapes)
    assert len(set(shapes)) > 1


def test_patient_does_not_depend_on_the_size_of_the_cohort(cohort: list[Path], tmp_path: Path) -> None:
    alone = make_phantom_cohort(tmp_path, 1, seed=4, **SMALL)[0]
    for path in alone.iterdir():
        assert path.read_bytes() == (cohort[0] / path.name).read_bytes()


def test_cine_has_all_phases_and_begins_with_the_first_frame(cine_patient: Path) -> None:
    cine = nib.load(cine_patient / "patient001_4d.nii.gz")
    first = nib.load(cine_patient / "patient001_frame01.nii.gz")
    assert cine.shape == (*first.shape, 5)
    assert np.array_equal(np.asarray(cine.dataobj)[..., 0], np.asarray(first.dataobj))
    assert np.array_equal(cine.affine, first.affine)


def test_cine_header_has_the_time_between_phases(cine_patient: Path) -> None:
    header = nib.load(cine_patient / "patient001_4d.nii.gz").header
    assert header.get_xyzt_units() == ("mm", "sec")
    assert 0.7 / 5 <= float(header.get_zooms()[3]) <= 1.1 / 5


def test_cine_has_labels_for_two_phases_only(cine_patient: Path) -> None:
    assert len(list(cine_patient.glob("*_gt.nii.gz"))) == 2


def test_two_phases_are_end_diastole_and_end_systole(tmp_path: Path) -> None:
    patient = make_phantom_cohort(tmp_path, 1, num_phases=2, **SMALL)[0]
    assert (read_info(patient)["ES"], read_info(patient)["NbFrame"]) == ("2", "2")


def test_earlier_phantom_cohort_is_replaced(tmp_path: Path) -> None:
    make_phantom_cohort(tmp_path, 2, seed=0, num_phases=2, **SMALL)
    make_phantom_cohort(tmp_path, 1, seed=1, num_phases=30, **SMALL)
    assert [path.name for path in sorted(tmp_path.glob("patient*"))] == ["patient001"]
    assert not (tmp_path / "patient001" / "patient001_frame02.nii.gz").exists()


# Refusals


def test_patients_that_are_no_phantoms_are_not_overwritten(tmp_path: Path) -> None:
    scan = tmp_path / "patient001" / "patient001_frame01.nii.gz"
    scan.parent.mkdir()
    scan.write_bytes(b"a real scan")
    with pytest.raises(InputError, match="holds 1 patients that are no phantoms"):
        make_phantom_cohort(tmp_path, 1)
    assert scan.read_bytes() == b"a real scan"


def test_output_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        make_phantom_cohort(tmp_path / "file")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_patients": 0}, "num_patients must be at least 1, got 0"),
        ({"num_phases": 1}, "num_phases must be at least 2"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"groups": ()}, "groups must name at least one of NOR, DCM"),
        ({"groups": ("NOR", "ABC")}, "group must be one of NOR, DCM, HCM, MINF, RV, got 'ABC'"),
        ({"in_plane_size": (176, 128)}, r"in_plane_size must be \(lowest, highest\)"),
        ({"num_slices": (0, 8)}, "num_slices must be"),
        ({"in_plane_spacing_mm": (1.0, float("inf"))}, "in_plane_spacing_mm must be"),
        ({"slice_spacing_mm": (-5.0, 10.0)}, "slice_spacing_mm must be"),
        ({"in_plane_size": (64, 96)}, "to hold a heart"),
        ({"num_slices": (2, 8)}, "to hold a heart"),
    ],
)
def test_cohort_that_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, setting: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        make_phantom_cohort(tmp_path / "cohort", **setting)  # type: ignore[arg-type]
    assert not (tmp_path / "cohort").exists()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"seed": -1}, "seed must be 0 or more"),
        ({"group": "nor"}, "group must be one of"),
        ({"es_phase": 0.0}, "es_phase is a share of the beat from 0.05 to 0.95, got 0.0"),
        ({"shape": (128, 112)}, "shape must be three positive integers"),
        ({"shape": (128, 112, 0)}, "shape must be three positive integers"),
        ({"spacing_mm": (1.6, 1.8)}, "spacing_mm must be three positive numbers"),
        ({"spacing_mm": (1.6, float("nan"), 10.0)}, "spacing_mm must be three positive numbers"),
        ({"spacing_mm": (1.0, 1.8, 10.0)}, r"at least \(160.0, 160.0, 40.0\) mm to hold a heart, got \(128.0"),
    ],
)
def test_case_that_cannot_be_is_refused(setting: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_phantom_case(**setting)  # type: ignore[arg-type]
