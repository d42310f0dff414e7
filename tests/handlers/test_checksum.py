from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.handlers.checksum import checksum_path, require_checksum, sha256


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


def test_checksum_is_that_of_the_whole_file(weights: Path) -> None:
    weights.write_bytes(b"0123456789" * 300_000)  # of several blocks
    assert sha256(weights) == hashlib.sha256(weights.read_bytes()).hexdigest()


def test_file_with_its_checksum_passes(weights: Path) -> None:
    # as `sha256sum model.pt` prints it
    checksum_path(weights).write_text(f"{hashlib.sha256(b'weights').hexdigest()}  model.pt\n", encoding="utf-8")
    require_checksum(weights)


def test_file_without_checksum_passes(weights: Path) -> None:
    require_checksum(weights)


@pytest.mark.parametrize("expected", ["0" * 64 + "  model.pt\n", "", "no digits at all"])
def test_file_with_another_checksum_is_refused(weights: Path, expected: str) -> None:
    checksum_path(weights).write_text(expected, encoding="utf-8")
    with pytest.raises(InputError, match=r"model\.pt has the SHA-256 \w{16}…, model\.pt\.sha256 beside it says"):
        require_checksum(weights)
