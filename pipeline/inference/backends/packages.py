"""Packages that only some back ends need."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import cast

from pipeline.errors import InputError

REPORTING = {"openvino": "openvino_telemetry"}
"""Packages that report their import to the vendor over the network, and what does it; without it they are silent."""


def import_package(name: str) -> ModuleType:
    """Import a package so that it sends nothing over the network."""
    if name in REPORTING:
        # None has an import fail; the package then goes without it
        cast("dict[str, ModuleType | None]", sys.modules).setdefault(REPORTING[name], None)
    return importlib.import_module(name)


def require_packages(names: Sequence[str], backend: str) -> None:
    """Import the packages of a back end.

    Args:
        names: to import, which are also the names to install.
        backend: that needs them.

    Raises:
        InputError: one of them is not installed, or cannot be imported.
    """
    for name in names:
        try:
            import_package(name)
        except ImportError as error:
            raise InputError(
                f"backend {backend} needs the package {name}, which cannot be imported ({error}). Install it: "
                f"python -m pip install {' '.join(names)}"
            ) from error
