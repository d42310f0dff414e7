from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.workflows.folder_lock import require_free, sole_user

HOLD = (
    "import sys; from pathlib import Path; from pipeline.workflows.folder_lock import sole_user\n"
    "with sole_user(Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
)


def test_second_user_of_a_folder_is_refused(tmp_path: Path) -> None:
    with (
        sole_user(tmp_path / "out"),
        pytest.raises(InputError, match=r"output_dir .*out is in use by another process"),
        sole_user(tmp_path / "out"),
    ):
        pass


def test_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    for _ in range(2):
        with sole_user(tmp_path):
            pass
    require_free(tmp_path)


def test_folder_that_is_in_use_is_not_free(tmp_path: Path) -> None:
    with sole_user(tmp_path), pytest.raises(InputError, match="is in use"):
        require_free(tmp_path)


def test_folder_that_is_not_there_is_free_and_not_made(tmp_path: Path) -> None:
    require_free(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_lock_dies_with_its_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"held"
        with pytest.raises(InputError, match="is in use"):
            require_free(tmp_path)
        process.kill()
    require_free(tmp_path)


def test_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(InputError, match="cannot be written"), sole_user(tmp_path):
        pass
