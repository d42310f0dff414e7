"""What happens before anything is computed: settings are checked, random numbers seeded, errors made readable."""

from __future__ import annotations

import errno
import logging
import os
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import nn

from pipeline.data import Split
from pipeline.errors import InputError, exception_chain, input_error_within
from pipeline.handlers import load_weights
from pipeline.handlers.checkpoint import LAST, load_state
from pipeline.labels import Structure, resolve_label_map
from pipeline.tracking import RunTracker
from pipeline.workflows.config import current_parser, written_config
from pipeline.workflows.device import require_device
from pipeline.workflows.guard import check_overrides
from pipeline.workflows.members import CheckpointPaths, member_paths, require_used_as_trained
from pipeline.workflows.settings import check_settings
from pipeline.workflows.training import goes_on
from pipeline.workflows.training_record import require_same_training

PACKAGE = __name__.partition(".")[0]
_FULL_DISK = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}  # Windows has no quota of this name


def initialize(seed: int = 0) -> None:
    """Check the settings of this bundle run, seed all random numbers, and show input errors without a stack.

    Args:
        seed: of torch, numpy and random.

    Raises:
        InputError: a setting that nothing in the configuration uses, most often a misspelt one, or one of the wrong
            kind or out of range.
    """
    sys.excepthook = show_error
    check_overrides(current_parser())
    check_settings(current_parser().get())
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    _quiet_libraries()


def preflight(
    output_dir: str | Path,
    tracker: RunTracker,
    network: nn.Module,
    roi_size: Sequence[int] | int,
    *,
    device: torch.device | str = "",
    label_map: str | Mapping[int | str, int] = "",
    ckpt_path: CheckpointPaths = "",
) -> None:
    """Find out within seconds, before caches fill, what would end the run later.

    Args:
        output_dir: folder of the results.
        tracker: of the MLflow run.
        network: of which ``min_spatial_size`` and the number of output channels are asked, where it tells them.
        roi_size: size of the windows, in pixels; -1 for the whole slice.
        device: to run on; nothing is checked where it is empty.
        label_map: see ``resolve_label_map``; empty where there are no labels.
        ckpt_path: weights, of one file or several, which are loaded into ``network`` in turn; nothing is checked where
            it is empty.

    Raises:
        InputError: ``roi_size`` is too small for the network, it has fewer channels than structures or labels, the
            device is not there, ``output_dir`` cannot be made or written, the weights are missing, another network's or
            trained with other settings (see ``require_used_as_trained``), or the MLflow store cannot be used.
    """
    require_large_enough(roi_size, network)
    require_channels(network, label_map)
    if device:
        require_device(device)
    require_writable(Path(output_dir))
    if ckpt_path:
        for path in member_paths(ckpt_path):
            load_weights(network, path)
            require_used_as_trained(path, written_config(current_parser()))
    tracker.check()


def check_resume(output_dir: str | Path, ckpt_dir: str | Path, split: Split, resume: bool | str) -> None:
    """Find out before caches fill whether the training that is to be resumed can be.

    Args:
        output_dir: folder of the results, with the record of that training.
        ckpt_dir: folder of its state.
        split: of this configuration.
        resume: a flag, or ``"auto"``.

    Raises:
        InputError: there is no state to go on from, it cannot be read, or it is that of another training.
    """
    last_path = Path(ckpt_dir) / LAST
    if goes_on(resume, last_path):
        load_state(last_path)
        require_same_training(Path(output_dir), current_parser(), split)


def require_channels(network: nn.Module, label_map: str | Mapping[int | str, int] = "") -> None:
    """Compare the output channels of a network, where it tells them, with the structures and the labels of the data.

    Args:
        network: that predicts.
        label_map: see ``resolve_label_map``; empty where there are no labels.

    Raises:
        InputError: there is no label beside the background, or there are fewer channels than the structures have, or
            than there are labels, background included.
    """
    channels = getattr(getattr(network, "head", network), "out_channels", None)
    if channels is not None and channels < len(Structure):
        raise InputError(
            f"network_def#out_channels must be at least {len(Structure)}, since channel and label value are one and LV "
            f"is {Structure.LV.value}, got {channels}. A label set without a structure keeps its channel: leave the "
            "structure out of --label_map instead."
        )
    if label_map == "":
        return
    needed = max(resolve_label_map(label_map).values()) + 1
    if needed == 1:
        raise InputError(
            f"label_map must give at least one structure beside the background, got {label_map}: with one class there "
            "is nothing to tell apart. Give the data's own, such as acdc, or {1: 1, 2: 2, 3: 3}."
        )
    if channels is not None and channels < needed:
        raise InputError(
            f"network_def#out_channels must be at least {needed}, since label_map gives the labels 0 to {needed - 1}, "
            f"got {channels}."
        )


def require_large_enough(roi_size: Sequence[int] | int, network: nn.Module) -> None:
    """Compare the size of the windows with what strides and dilations of the network need.

    Raises:
        InputError: a window is smaller, or has another number of axes.
    """
    smallest = getattr(network, "min_spatial_size", None)
    if smallest is None:
        return
    sizes = [roi_size] * len(smallest) if isinstance(roi_size, int) else list(roi_size)
    if len(sizes) != len(smallest):
        raise InputError(f"roi_size must have {len(smallest)} numbers, as the network has axes, got {sizes}.")
    if any(0 < size < least for size, least in zip(sizes, smallest, strict=True)):
        raise InputError(
            f"roi_size must be at least {list(smallest)} pixels for the strides and dilations of network_def, got "
            f"{sizes}. Give a larger --roi_size, or a network_def with smaller dilations or fewer strides."
        )


def require_writable(folder: Path) -> None:
    """Make ``folder`` and write to it once.

    Raises:
        InputError: that fails; names the folder and the reason of the system.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"output_dir {folder} cannot be written ({reason}). Choose a folder of your own by --output_dir."
        ) from error


def show_error(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an exception as the last lines of the program (``sys.excepthook``).

    MONAI wraps what happens while a configuration is evaluated into several layers of ``RuntimeError``. Where the
    bottom was written for the person at the terminal (see ``readable_error_within``), its message alone is printed; so
    is that of a full disk.
    With ``PIPELINE_TRACEBACK`` set in the environment, the stack precedes it.
    """
    if isinstance(error, KeyboardInterrupt):
        sys.stderr.write("\nInterrupted. A training goes on from its last whole epoch with --resume true.\n")
        return
    cause = readable_error_within(error)
    if cause is None or os.environ.get("PIPELINE_TRACEBACK"):
        sys.__excepthook__(kind, error, trace)
    if cause is not None:
        sys.stderr.write(f"\nError: {cause}\n")


def readable_error_within(error: BaseException | None) -> Exception | None:
    """Return the innermost error that a person can act on: an ``InputError``, a full disk, else our ``ValueError``.

    Classes of this package check their arguments by ``ValueError``; in a bundle run those are settings of the
    configuration (``--early_stop_patience 0``). A ``ValueError`` of a library is none of these: its stack is needed.
    """
    found = input_error_within(error)
    if found is not None:
        return found
    full = _full_disk_within(error)
    if full is not None:
        return full
    own = [link for link in exception_chain(error) if isinstance(link, ValueError) and _is_raised_here(link)]
    return own[-1] if own else None


def _full_disk_within(error: BaseException | None) -> InputError | None:
    for link in exception_chain(error):
        if isinstance(link, OSError) and link.errno in _FULL_DISK:
            path = Path(os.fsdecode(link.filename)) if isinstance(link.filename, str | bytes) else None
            what, where = (f"{path}", f"the disk of {path.parent}") if path else ("a file", "a disk in use")
            return InputError(
                f"{what} could not be written: no space left on {where}. Free some, or choose another --output_dir. "
                "A training goes on from its last whole epoch with --resume true."
            )
    return None


def _is_raised_here(error: BaseException) -> bool:
    frames = list(traceback.walk_tb(error.__traceback__))
    return bool(frames) and str(frames[-1][0].f_globals.get("__name__", "")).startswith(f"{PACKAGE}.")


def _quiet_libraries() -> None:
    """Silence messages that the user can do nothing about."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"monai\.|ignite\.")
    warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"monai\.|ignite\.")
    warnings.filterwarnings("ignore", message="NvImgCodecPydicomReader")
    logging.getLogger("monai.data.nvimgcodec_pydicom_plugin").setLevel(logging.ERROR)
    logging.getLogger("ignite").setLevel(logging.WARNING)
