from __future__ import annotations

import errno
import zlib
from gzip import BadGzipFile
from pathlib import Path

import pytest
from nibabel.filebasedimages import ImageFileError

from pipeline.errors import InputError
from pipeline.inference.reading import ScanReader, attempt, explain


def raised(outer: Exception, inner: Exception) -> Exception:
    try:
        try:
            raise inner
        except Exception as error:
            raise outer from error
    except Exception as error:
        return error


def test_input_error_inside_a_library_error_is_the_reason() -> None:
    assert (
        explain(raised(RuntimeError("applying transform"), InputError("a.nii.gz is constant.")))
        == "a.nii.gz is constant."
    )


def test_input_error_around_a_library_error_is_the_reason() -> None:
    assert (
        explain(raised(InputError("output_dir cannot be written."), OSError("denied")))
        == "output_dir cannot be written."
    )


def test_other_errors_are_explained_by_the_first() -> None:
    assert explain(raised(RuntimeError("applying transform"), KeyError("pred"))) == "KeyError: 'pred'"


@pytest.mark.parametrize("error", [EOFError("cut"), zlib.error("cut"), BadGzipFile("cut"), ImageFileError("cut")])
def test_damaged_file_is_called_so(error: Exception) -> None:
    reason = explain(raised(RuntimeError("applying transform"), error))
    assert reason == f"the file is damaged or incomplete ({type(error).__name__}: cut). Copy or export it again."


def test_work_that_succeeds_has_no_reason() -> None:
    assert attempt(lambda: 3) == (3, "")


def test_work_that_fails_has_a_reason_and_no_value() -> None:
    assert attempt(lambda: 1 // 0) == (None, "ZeroDivisionError: integer division or modulo by zero")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interruption_passes(interruption: type[BaseException]) -> None:
    def interrupt() -> None:
        raise interruption

    with pytest.raises(interruption):
        attempt(interrupt)


def test_reading_error_becomes_a_value() -> None:
    def load(item: str) -> dict[str, bytes]:
        return {"image": Path(item).read_bytes()}

    scan = ScanReader(["missing"], load)[0]
    assert (scan.index, scan.item) == (0, None)
    assert scan.reason.startswith("FileNotFoundError")


def test_reader_reads_each_scan() -> None:
    reader = ScanReader([3, 4], lambda item: {"image": item})
    assert [reader[index].item for index in range(len(reader))] == [{"image": 3}, {"image": 4}]


def test_full_disk_is_said_with_the_file_and_a_way_out() -> None:
    reason = explain(raised(RuntimeError("saving"), OSError(errno.ENOSPC, "No space left on device", "out/a.nii.gz")))
    assert reason == "no space left on the device of out/a.nii.gz: free some, or choose another --output_dir."
