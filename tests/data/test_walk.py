"""Files of a folder that may hold anything."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.data.walk import walk_files


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(root: Path, skip_dir: Path | None = None) -> list[str]:
    return [path.relative_to(root).as_posix() for path in walk_files(root, skip_dir)]


def test_files_come_folder_by_folder_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b", "a", "d/c", "c/z")
    assert names(tmp_path) == ["a", "b", "c/z", "d/c"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, ".a", ".git/b", "c")
    assert names(tmp_path) == ["c"]


def test_skipped_folder_is_left_out_but_not_the_root(tmp_path: Path) -> None:
    touch(tmp_path, "a", "b/c")
    assert names(tmp_path, tmp_path / "b") == ["a"]
    assert names(tmp_path, tmp_path) == ["a", "b/c"]


def test_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/b")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert names(tmp_path) == ["a/b"]


def test_named_pipe_is_no_file(tmp_path: Path) -> None:
    touch(tmp_path, "a")
    # Windows keeps its pipes elsewhere
    getattr(os, "mkfifo", os.mkdir)(tmp_path / "pipe")
    assert names(tmp_path) == ["a"]
