"""From files to a stack: which files, which study, what is said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.data.dicom import read_cine
from pipeline.errors import InputError

WriteStudy = Callable[..., Path]


def test_folder_file_list_and_string_are_taken(write_study: WriteStudy) -> None:
    folder = write_study()
    files = sorted(folder.iterdir())
    stacks = [read_cine(source) for source in (folder, str(folder), files, [str(file) for file in reversed(files)])]
    assert len({stack.frames for stack in stacks}) == 1


def test_series_may_be_a_number(write_study: WriteStudy) -> None:
    assert read_cine(write_study(), series=5).reason.startswith("chosen by its series")


def test_unreadable_files_are_told(write_study: WriteStudy) -> None:
    folder = write_study()
    (folder / "bad").write_bytes(bytes.fromhex("3080 06092a864886f70d010703") + bytes(200))
    (repair,) = read_cine(folder).repairs
    assert repair.problem.startswith("1 DICOM file cannot be used: it is encrypted")


def test_other_modalities_beside_the_cine_are_passed_over(write_study: WriteStudy) -> None:
    folder = write_study("all/mr").parent
    write_study("all/ct", Modality="CT", StudyInstanceUID="1.7")
    assert read_cine(folder).study_instance_uid == "1.1"


def test_several_studies_are_refused(write_study: WriteStudy) -> None:
    folder = write_study("all/one").parent
    write_study("all/two", StudyInstanceUID="1.7", SeriesNumber=7)
    with pytest.raises(InputError, match=r"holds 2 studies, such as those of .*0_0"):
        read_cine(folder)
    assert read_cine(folder, series="7").study_instance_uid == "1.7"


@pytest.mark.parametrize("source", ["gone", ["gone", "away"]])
def test_missing_files_are_refused(tmp_path: Path, source: str | list[str]) -> None:
    paths = [str(tmp_path / name) for name in ([source] if isinstance(source, str) else source)]
    with pytest.raises(InputError, match=r"gone does not exist\. Restore it"):
        read_cine(paths if isinstance(source, list) else paths[0])


@pytest.mark.parametrize(("files", "found"), [((), "it is empty"), (("a", "b"), "2 files")])
def test_folder_without_dicom_is_refused(tmp_path: Path, files: tuple[str, ...], found: str) -> None:
    for name in files:
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=rf"holds no DICOM image \({found}\)"):
        read_cine(tmp_path)


def test_empty_list_is_refused() -> None:
    with pytest.raises(InputError, match="an empty list of files holds no DICOM image"):
        read_cine([])


def test_only_unreadable_files_are_refused(write_study: WriteStudy) -> None:
    folder = write_study()
    for path in folder.iterdir():
        path.write_bytes(bytes.fromhex("3080 06092a864886f70d010703") + bytes(200))
    with pytest.raises(InputError, match=r"no DICOM image that can be used: .*0_0: it is encrypted .*and 14 more"):
        read_cine(folder)


def test_other_modality_is_refused(write_study: WriteStudy) -> None:
    with pytest.raises(InputError, match=r"must hold cardiac MR \(modality MR\), got modality CT, such as .*0_0"):
        read_cine(write_study(Modality="CT"))


@pytest.mark.realdata
@pytest.mark.parametrize(("patient", "slices"), [("SCD0000101", 12), ("SCD0000301", 10)])
def test_sunnybrook_is_read_as_its_files_are_numbered(real_data_dir: Path, patient: str, slices: int) -> None:
    # the files are named by InstanceNumber, n = 20 x slice + phase + 1, slices against the normal of the images
    stack = read_cine(real_data_dir / "sunnybrook" / "dicoms" / patient)
    numbers = [[int(Path(frame.path).stem) - 1 for frame in row] for row in stack.frames]
    assert stack.shape == (256, 256, slices, 20)
    assert numbers == [[20 * z + t for t in range(20)] for z in reversed(range(slices))]
    assert stack.repairs == ()


@pytest.mark.realdata
def test_sunnybrook_times_and_distances_are_those_of_the_headers(real_data_dir: Path) -> None:
    # SCD0000301: first trigger time 10 ms, last 886 ms, 65 beats a minute, slices 8 mm apart
    stack = read_cine(real_data_dir / "sunnybrook" / "dicoms" / "SCD0000301")
    times = stack.phase_times_ms or ()
    assert (times[0], times[-1], stack.heart_rate_bpm) == (10, 886, 65)
    assert stack.slice_positions_mm[1] == pytest.approx(8, abs=0.01)
