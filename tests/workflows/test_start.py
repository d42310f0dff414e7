"""What happens before anything is computed."""

from __future__ import annotations

import errno
import logging
import random
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn

from pipeline.errors import InputError
from pipeline.handlers import EarlyStop
from pipeline.networks import ASPPNet
from pipeline.tracking import RunTracker
from pipeline.workflows.start import (
    initialize,
    input_error_within,
    preflight,
    readable_error_within,
    require_channels,
    require_large_enough,
    require_writable,
    show_error,
)

NETWORK = SimpleNamespace(min_spatial_size=[9, 17])


@pytest.mark.parametrize("roi_size", [[9, 17], [20, 30], [-1, 17], -1, 17])
def test_window_that_is_large_enough_passes(roi_size: list[int] | int) -> None:
    require_large_enough(roi_size, NETWORK)


@pytest.mark.parametrize("roi_size", [[8, 17], [9, 16], 16])
def test_window_that_is_too_small_is_refused(roi_size: list[int] | int) -> None:
    with pytest.raises(InputError, match=r"roi_size must be at least \[9, 17\] pixels .* Give a larger --roi_size"):
        require_large_enough(roi_size, NETWORK)


def test_window_of_other_axes_is_refused() -> None:
    with pytest.raises(InputError, match=r"roi_size must have 2 numbers, .* got \[64, 64, 8\]"):
        require_large_enough([64, 64, 8], NETWORK)


def test_network_that_names_no_size_takes_any_window() -> None:
    require_large_enough([1, 1], nn.Conv2d(1, 4, 3))


def test_size_is_asked_of_the_network_of_the_bundle() -> None:
    network = ASPPNet(channels=[4, 8], strides=[1, 2], num_res_units=[1, 1], dilations=[30])
    with pytest.raises(InputError, match="roi_size must be at least"):
        require_large_enough([32, 32], network)


def test_folder_that_can_be_written_is_made_and_left_empty(tmp_path: Path) -> None:
    require_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"output_dir .*below cannot be written \(.+\)\. Choose a folder"):
        require_writable(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    ("channels", "label_map"), [(4, "acdc"), (5, "acdc"), (4, {1: 0, 2: 1}), (5, {3: 3, 4: 4}), (4, "")]
)
def test_network_with_a_channel_for_each_label_passes(channels: int, label_map: Any) -> None:
    require_channels(ASPPNet(out_channels=channels), label_map)


@pytest.mark.parametrize("network", [ASPPNet(out_channels=4), nn.Conv2d(1, 4, 1)])
def test_network_with_fewer_channels_than_labels_is_refused(network: nn.Module) -> None:
    message = "out_channels must be at least 6, since label_map gives the labels 0 to 5, got 4"
    with pytest.raises(InputError, match=message):
        require_channels(network, {1: 5})


@pytest.mark.parametrize("label_map", ["", {1: 1}, "acdc"])
def test_network_with_fewer_channels_than_structures_is_refused(label_map: Any) -> None:
    message = "out_channels must be at least 4, .* LV is 3, got 2. A label set without a structure keeps its channel"
    with pytest.raises(InputError, match=message):
        require_channels(ASPPNet(out_channels=2), label_map)


def test_network_that_tells_no_channels_passes() -> None:
    require_channels(nn.Identity(), "acdc")


def test_nothing_is_made_for_a_window_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="roi_size"):
        preflight(tmp_path / "out", RunTracker(enabled=False), ASPPNet(), roi_size=4)
    assert not (tmp_path / "out").exists()


def test_store_that_cannot_be_used_is_found_before_anything_is_computed(tmp_path: Path) -> None:
    def refuse() -> None:
        raise InputError("http://localhost:1 does not answer.")

    with pytest.raises(InputError, match="does not answer"):
        preflight(tmp_path, SimpleNamespace(check=refuse), ASPPNet(), roi_size=[128, 128])


def test_reason_of_the_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(InputError, match=r"cannot be written \(Permission denied\)"):
        require_writable(tmp_path)


def wrapped(inner: Exception) -> Exception:
    """Raise as MONAI does, twice around."""
    try:
        try:
            raise inner
        except Exception as error:
            raise RuntimeError("Failed to instantiate") from error
    except RuntimeError as error:
        try:
            raise RuntimeError("Failed to evaluate") from error
        except RuntimeError as outer:
            return outer


def test_input_error_is_found_within() -> None:
    inner = InputError("mend this")
    assert input_error_within(wrapped(inner)) is inner


def test_innermost_input_error_is_the_one() -> None:
    inner, outer = InputError("a.nii.gz is cut off."), InputError("The data set has faults.")
    outer.__cause__ = wrapped(inner)
    assert input_error_within(outer) is inner


def test_input_error_is_found_where_another_came_while_it_was_handled() -> None:
    inner, outer = InputError("a.nii.gz is cut off."), KeyError("loss")
    outer.__context__ = inner
    assert input_error_within(outer) is inner


@pytest.mark.parametrize("error", [None, ValueError("ours"), wrapped(ValueError("ours")), KeyboardInterrupt()])
def test_other_errors_hold_no_input_error(error: BaseException | None) -> None:
    assert input_error_within(error) is None


def test_input_error_is_shown_alone(capsys: pytest.CaptureFixture[str]) -> None:
    error = wrapped(InputError("mend this"))
    show_error(type(error), error, error.__traceback__)
    assert capsys.readouterr().err == "\nError: mend this\n"


def test_stack_is_shown_on_request(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_TRACEBACK", "1")
    error = wrapped(InputError("mend this"))
    show_error(type(error), error, error.__traceback__)
    shown = capsys.readouterr().err
    assert "Failed to instantiate" in shown
    assert shown.endswith("\nError: mend this\n")


def test_interruption_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert capsys.readouterr().err.splitlines() == [
        "",
        "Interrupted. A training goes on from its last whole epoch with --resume true.",
    ]


def test_other_errors_are_shown_with_their_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr(sys, "__excepthook__", lambda *arguments: shown.extend(arguments))
    error = ValueError("ours")
    show_error(ValueError, error, None)
    assert shown == [ValueError, error, None]


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Takes back what ``initialize`` changes for the whole program."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    levels = {name: logging.getLogger(name).level for name in ("ignite", "monai.data.nvimgcodec_pydicom_plugin")}
    with warnings.catch_warnings():
        yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def run_initialize(**config: Any) -> tuple[float, float, float]:
    """Run it as the expression of a configuration, and draw a number from each source of chance."""
    parser = ConfigParser(
        {
            "imports": ["$from pipeline.workflows.start import initialize"],
            "seed": 0,
            "initialize": ["$initialize(seed=@seed)"],
            **config,
        }
    )
    parser.get_parsed_content("imports")
    parser.get_parsed_content("initialize")
    return float(torch.rand(1)), float(np.random.rand()), random.random()


@pytest.mark.usefixtures("undone")
def test_all_sources_of_chance_are_seeded() -> None:
    first, second, other = (run_initialize(seed=seed) for seed in (3, 3, 4))
    assert first == second
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.usefixtures("undone")
def test_misspelt_setting_is_refused() -> None:
    with pytest.raises(RuntimeError) as caught:
        run_initialize(max_epochs=3, _doubled="$2 * @max_epochs", max_epoch=5)
    assert "max_epoch" in str(input_error_within(caught.value))


@pytest.mark.usefixtures("undone")
def test_errors_are_shown_from_then_on() -> None:
    run_initialize()
    assert sys.excepthook is show_error


@pytest.mark.usefixtures("undone")
def test_outside_of_a_bundle_there_is_nothing_to_initialize() -> None:
    with pytest.raises(RuntimeError, match="must be called by an expression of a bundle's configuration"):
        initialize()


def test_refused_setting_of_this_package_is_readable() -> None:
    with pytest.raises(RuntimeError) as caught:
        try:
            EarlyStop(patience=0)
        except ValueError as error:
            raise RuntimeError("Failed to instantiate the component") from error
    assert "patience" in str(readable_error_within(caught.value))


def test_value_error_of_a_library_needs_its_stack() -> None:
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("two")
    assert readable_error_within(caught.value) is None


def test_full_disk_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    error = wrapped(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "last.pt")))
    show_error(type(error), error, error.__traceback__)
    assert capsys.readouterr().err.splitlines() == [
        "",
        f"Error: {tmp_path / 'last.pt'} could not be written: no space left on the disk of {tmp_path}. Free some, or "
        "choose another --output_dir. A training goes on from its last whole epoch with --resume true.",
    ]


def test_full_disk_without_a_name_is_told_too() -> None:
    error = wrapped(OSError(errno.ENOSPC, "No space left on device"))
    assert str(readable_error_within(error)).startswith("a file could not be written: no space left on a disk in use.")


def test_other_error_of_the_system_needs_its_stack() -> None:
    assert readable_error_within(wrapped(OSError(errno.EIO, "Input/output error"))) is None


@pytest.mark.usefixtures("undone")
def test_setting_out_of_range_is_refused() -> None:
    with pytest.raises(RuntimeError) as caught:
        run_initialize(max_epochs=0, _doubled="$2 * @max_epochs")
    assert str(input_error_within(caught.value)) == "max_epochs must be a whole number of at least 1, got 0."
