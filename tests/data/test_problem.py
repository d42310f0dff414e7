from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.data.problem import Problem, Scan, raise_errors, sorted_scan
from pipeline.errors import InputError

ERROR = Problem("a_ed", "a.nii", "error", "it is broken", "Mend it.")
WARNING = Problem("b_ed", "b.nii", "warning", "it is odd", "Look at it.")


def test_problem_reads_as_one_line() -> None:
    assert str(ERROR) == "a_ed: it is broken (a.nii). Mend it."


def test_errors_are_raised_without_the_warnings() -> None:
    with pytest.raises(InputError, match=r"1 problem\(s\) in .*data:\n  a_ed: it is broken \(a.nii\). Mend it.$"):
        raise_errors(Path("data"), [WARNING, ERROR])


def test_warnings_alone_do_not_raise() -> None:
    raise_errors(Path("data"), [WARNING])


def test_scan_with_an_error_gives_no_datalist() -> None:
    with pytest.raises(InputError, match="it is broken"):
        Scan([{"case_id": "b"}], [ERROR]).datalist(Path("data"))


def test_case_id_that_comes_twice_is_an_error() -> None:
    scan = sorted_scan(Scan([{"case_id": "a", "image": "2.nii"}, {"case_id": "a", "image": "1.nii"}]))
    assert [problem.message for problem in scan.problems] == ["this image and 1.nii have the same case_id"]
