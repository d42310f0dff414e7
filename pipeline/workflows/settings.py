"""What the plain settings of a configuration may be: found out before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from monai.bundle.utils import EXPR_KEY, ID_REF_KEY, MACRO_KEY

from pipeline.data.splits import EVERYTHING
from pipeline.errors import InputError
from pipeline.flags import as_flag
from pipeline.workflows.device import require_device

AUTO = "auto"


def wants_auto(resume: bool | str) -> bool:
    """Tell whether ``--resume auto`` was given: go on where there is something to go on from."""
    return str(resume).strip().lower() == AUTO


@dataclass(frozen=True)
class Number:
    """What a setting must be.

    Attributes:
        minimum: lowest value.
        maximum: highest value; infinite where there is none.
        whole: whether only whole numbers fit.
        above: whether the minimum itself does not fit.
        below: whether the maximum itself does not fit.
    """

    minimum: float
    maximum: float = math.inf
    whole: bool = False
    above: bool = False
    below: bool = False

    def fits(self, value: Any) -> bool:
        """Tell whether a value is such a number; True and False, as ``--max_epochs`` alone gives, are none."""
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            return False
        high_enough = value > self.minimum if self.above else value >= self.minimum
        return high_enough and (value < self.maximum if self.below else value <= self.maximum)

    def __str__(self) -> str:
        """Say it in words."""
        kind = "a whole number" if self.whole else "a number"
        text = f"{kind} {'above' if self.above else 'of at least'} {self.minimum:g}"
        return (
            text
            if math.isinf(self.maximum)
            else f"{text} and {'below' if self.below else 'at most'} {self.maximum:.10g}"
        )


NUMBERS: Mapping[str, Number] = {
    "max_epochs": Number(1, whole=True),
    "batch_size": Number(1, whole=True),
    "val_interval": Number(1, whole=True),
    "early_stop_patience": Number(1, whole=True),
    "num_workers": Number(0, whole=True),
    "neighbors": Number(0, whole=True),
    "fold": Number(0, whole=True),
    "num_folds": Number(2, whole=True),
    "seed": Number(0, 2**32 - 1, whole=True),
    "spatial_dims": Number(2, 3, whole=True),
    "learning_rate": Number(0, 1e3, above=True),
    "weight_decay": Number(0, 1e3),
    "max_grad_norm": Number(0, above=True),
    "ema_momentum": Number(0, 1, above=True, below=True),
    "memory_share": Number(0, 1, above=True),
    "encoder_factor": Number(0, 1),
    "max_scans": Number(1, whole=True),
}
"""Top-level ids of the bundle's configurations and of the overlays."""
FLAGS = ("amp", "record", "overlays", "dicom_sr", "with_identifiers")


def check_settings(config: Mapping[str, Any]) -> None:
    """Refuse plain settings of the wrong kind or out of range, such as ``--max_epochs three``.

    References and expressions are passed over: what they give is known only later.

    Args:
        config: content of a bundle's parser.

    Raises:
        InputError: names each such setting, what it must be and what came.
    """
    plain = {key: value for key, value in config.items() if not _is_computed(value)}
    if plain.get("fold") == EVERYTHING:
        del plain["fold"]
    problems = [
        f"{name} must be {number}, got {plain[name]!r}.{_hint(plain[name])}"
        for name, number in NUMBERS.items()
        if name in plain and not number.fits(plain[name])
    ]
    if problems:
        raise InputError("\n".join(problems))
    _check_fold(plain)
    for name in FLAGS:
        if name in plain:
            as_flag(name, plain[name])
    _check_resume(plain.get("resume", False))
    if isinstance(plain.get("device"), str):
        require_device(plain["device"])


def _is_computed(value: Any) -> bool:
    return isinstance(value, str) and value.startswith((EXPR_KEY, ID_REF_KEY, MACRO_KEY))


def _hint(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    try:
        number = float(value)
    except ValueError:
        return ""
    # YAML takes 1e-3, without a dot, for text
    return f" That is text: write {number!r} without quotes." if math.isfinite(number) else ""


def _check_fold(plain: Mapping[str, Any]) -> None:
    fold, num_folds = plain.get("fold"), plain.get("num_folds")
    if fold is not None and num_folds is not None and fold >= num_folds:
        raise InputError(f"fold must be from 0 to num_folds - 1 = {num_folds - 1}, got {fold}.")


def _check_resume(resume: Any) -> None:
    if wants_auto(resume):
        return
    with suppress(InputError):  # which knows nothing of auto
        as_flag("resume", resume)
        return
    raise InputError(f"resume must be true, false or auto, got '{resume}'.")
