"""What happens before anything is computed: settings are checked, random numbers seeded, errors made readable."""

from __future__ import annotations

import logging
import os
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import nn

from pipeline.errors import InputError, exception_chain, input_error_within
from pipeline.tracking import RunTracker
from pipeline.workflows.config import current_parser
from pipeline.workflows.guard import check_overrides

PACKAGE = __name__.partition(".")[0]


def initialize(seed: int = 0) -> None:
    """Check the overrides of this bundle run, seed all random numbers, and show input errors without a stack.

    Args:
        seed: of torch, numpy and random.

    Raises:
        InputError: a setting that nothing in the configuration uses, most often a misspelt one.
    """
    sys.excepthook = show_error
    check_overrides(current_parser())
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
    _quiet_libraries()


def preflight(output_dir: str | Path, tracker: RunTracker, network: nn.Module, roi_size: Sequence[int] | int) -> None:
    """Find out within seconds whether the network takes its windows, and whether results and record can be written.

    Args:
        output_dir: folder of the results.
        tracker: of the MLflow run.
        network: of which ``min_spatial_size`` is asked, where it has one.
        roi_size: size of the windows, in pixels; -1 for the whole slice.

    Raises:
        InputError: ``roi_size`` is too small for the network, ``output_dir`` cannot be made or written, or the MLflow
            store cannot be used.
    """
    require_large_enough(roi_size, network)
    require_writable(Path(output_dir))
    tracker.check()


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
    bottom was written for the person at the terminal (see ``readable_error_within``), its message alone is printed.
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
    """Return the innermost error that a person can act on: an ``InputError``, else a ``ValueError`` of this package.

    Classes of this package check their arguments by ``ValueError``; in a bundle run those are settings of the
    configuration (``--early_stop_patience 0``). A ``ValueError`` of a library is none of these: its stack is needed.
    """
    found = input_error_within(error)
    if found is not None:
        return found
    own = [link for link in exception_chain(error) if isinstance(link, ValueError) and _is_raised_here(link)]
    return own[-1] if own else None


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
