from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pipeline.files import atomic_path


def test_file_is_there_afterwards(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "a" / "b.txt") as partial:
        partial.write_text("whole", encoding="utf-8")
    assert (tmp_path / "a" / "b.txt").read_text(encoding="utf-8") == "whole"


def test_partial_file_keeps_the_suffix(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "b.png") as partial:
        partial.touch()
    assert partial.suffix == ".png"


def test_older_file_survives_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(OSError, match="disk full"), atomic_path(path) as partial:
        partial.write_text("ha", encoding="utf-8")
        raise OSError("disk full")
    assert path.read_text(encoding="utf-8") == "old"


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"), atomic_path(tmp_path / "b.txt") as partial:
        partial.write_text("ha", encoding="utf-8")
        raise OSError("disk full")
    assert list(tmp_path.iterdir()) == []


def test_longest_name_still_has_a_partial_file(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 120 + ".nii.gz")  # 247 bytes
    with atomic_path(path) as partial:
        partial.touch()
        assert partial.name.endswith(".nii.gz")
    assert path.is_file()


def test_error_of_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space.*b\.txt"), atomic_path(tmp_path / "b.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
