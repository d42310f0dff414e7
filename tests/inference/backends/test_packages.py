from __future__ import annotations

import importlib
import sys

import pytest

from pipeline.errors import InputError
from pipeline.inference.backends.packages import import_package, require_packages


def test_packages_that_are_there_pass() -> None:
    require_packages(["torch", "numpy"], "onnx")


def test_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"backend onnx needs the package onnx, .*: python -m pip install torch onnx$"):
        require_packages(["torch", "onnx"], "onnx")


def test_openvino_reports_nothing_to_its_vendor() -> None:
    import_package("openvino")
    assert sys.modules["openvino_telemetry"] is None
    telemetry = importlib.import_module("openvino.tools.ovc").telemetry
    assert type(telemetry).__module__ == "openvino.tools.ovc.telemetry_stub"
