"""What tests of every part share: the folder of real scans, and a keyboard that interrupts."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data_dir() -> Path:
    """Folder with ``acdc/training`` and ``sunnybrook``, for tests marked ``realdata``."""
    directory = REPOSITORY / os.environ.get("CARDIAC_DATA_DIR", "../shared/data")
    if not directory.is_dir():
        pytest.fail(f"CARDIAC_DATA_DIR must name the folder of the real data sets, got {directory}: no such folder.")
    return directory.resolve()


@pytest.fixture
def keyboard() -> Iterator[None]:
    """Let SIGINT interrupt, also where the tests run in the background of a shell, which then ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
