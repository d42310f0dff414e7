"""Which weights predict: those of one training, or of several whose probabilities are averaged."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle.utils import EXPR_KEY, ID_REF_KEY, MACRO_KEY

from pipeline.errors import InputError
from pipeline.handlers.checkpoint import BEST
from pipeline.labels import label_key, resolve_label_map
from pipeline.workflows.training_record import RECORD_FILE, TrainingRecord

CheckpointPaths = str | Path | Sequence[str | Path]
"""A file of weights, or several."""

# what members must share beside the shapes of their weights: what they are shown, and what they were taught
_SHARED = ("spatial_dims", "neighbors", "pixdim", "scale_intensity", "network_def")
# what shapes do not tell of weights: how images must be shown to them, and how the network looks
_UNTOLD = ("spatial_dims", "neighbors", "pixdim", "scale_intensity", "network_def.strides", "network_def.dilations")


def fold_weights(cross_validation_dir: str | Path) -> list[str]:
    """Return the weights of the finished folds of a cross-validation, as a configuration takes them.

    Args:
        cross_validation_dir: ``output_dir`` of ``python -m pipeline cross-validate``.

    Raises:
        InputError: it has no folds, or one that is not finished.
    """
    folder = Path(cross_validation_dir)
    records = {fold: TrainingRecord.load(fold) for fold in sorted(folder.glob("fold_*"))}
    if not records:
        raise InputError(
            f"{folder} holds no cross-validation: there is no fold_0 in it. Give --cross_validation_dir the output_dir "
            "of `python -m pipeline cross-validate`, or weights by --ckpt_path \"['a.pt','b.pt']\"."
        )
    open_ones = [fold.name for fold, record in records.items() if record is None or not record.finished]
    if open_ones:
        raise InputError(f"{', '.join(open_ones)} in {folder} is not finished. Let the cross-validation go on first.")
    return [str(fold / "models" / BEST) for fold in records]


def member_paths(ckpt_path: CheckpointPaths) -> list[Path]:
    """Return the files of weights that a prediction uses, and find out whether they belong together.

    Args:
        ckpt_path: one file, or several.

    Raises:
        InputError: none, one twice, or some were trained on other labels, spacing or scaling, as far as the records of
            their trainings tell.
    """
    paths = [Path(ckpt_path)] if isinstance(ckpt_path, str | Path) else [Path(path) for path in ckpt_path]
    if not paths:
        raise InputError("ckpt_path must name at least one file of weights, got an empty list.")
    twice = sorted({str(path) for path in paths if paths.count(path) > 1})
    if twice:
        raise InputError(f"ckpt_path names {twice[0]} twice: a member must not count more than the others.")
    _require_one_kind({path: shared_settings(path) for path in paths})
    return paths


def training_folder(path: Path) -> Path:
    """Return the ``output_dir`` of the training that left ``models/model.pt`` in it."""
    return path.parent.parent


def shared_settings(path: Path) -> dict[str, str]:
    """Return what the record of a training says that the others of an ensemble must have too; empty without one."""
    if not (training_folder(path) / RECORD_FILE).is_file():
        return {}
    record = TrainingRecord.load(training_folder(path))
    settings = record.settings if record else {}
    shared = {key: value for key, value in settings.items() if key.partition(".")[0] in _SHARED}
    return shared | {"labels": _labels(settings)}


def require_used_as_trained(path: Path, settings: Mapping[str, str]) -> None:
    """Compare a configuration with the record of the training that left weights, where there is one.

    Weights of one network have one shape, whatever the spacing and scaling of the images they were trained on.

    Args:
        path: of the weights.
        settings: the configuration as ``written_config`` gives it; expressions and references are not compared.

    Raises:
        InputError: a setting differs, or the labels have one that the training did not teach; names both, and the
            setting that fits.
    """
    record_file = training_folder(path) / RECORD_FILE
    record = TrainingRecord.load(training_folder(path))
    if record is None:
        return
    for key, trained in sorted(record.settings.items()):
        now = settings.get(key)
        # what is not written has the default of its class, or is within an expression
        if now is not None and _is_untold(key) and not _same_value(trained, now):
            option = f'--{key.replace(".", "#")} "{trained.replace(", ", ",")}"'
            raise InputError(
                f"{path} was trained with {key} {trained} (by {record_file}), this configuration has {now}. Give "
                f"{option}, or other weights."
            )
    expressions = [key for one in (settings, record.settings) for key in one if _is_computed_map(key, one[key])]
    untaught = [] if expressions else sorted(_taught(settings) - _taught(record.settings))
    if untaught:
        names = ", ".join(label_key(label).upper() for label in untaught)
        raise InputError(
            f"{path} was trained on the labels {_labels(record.settings)} (by {record_file}), label_map also gives "
            f"{names}. Use weights that were taught them."
        )


def _is_computed_map(key: str, value: str) -> bool:
    return key.partition(".")[0] == "label_map" and value.startswith((EXPR_KEY, ID_REF_KEY, MACRO_KEY))


def _is_untold(key: str) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in _UNTOLD)


def _same_value(one: str, other: str) -> bool:
    """Tell whether two settings mean the same: ``[1, 1.5]`` and ``[1.0, 1.5]`` do; expressions may."""
    expressions = (EXPR_KEY, ID_REF_KEY, MACRO_KEY)
    return one.startswith(expressions) or other.startswith(expressions) or _value(one) == _value(other)


def _value(text: str) -> Any:
    try:
        return literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _labels(settings: Mapping[str, str]) -> str:
    """Return the labels that a training was taught, in words: data sets may number them differently."""
    return ", ".join(label_key(label).upper() for label in sorted({0, *_taught(settings)}))


def _taught(settings: Mapping[str, str]) -> set[int]:
    numbered: dict[int | str, int] = {
        key.partition(".")[2]: int(value) for key, value in settings.items() if key.startswith("label_map.")
    }
    return {*resolve_label_map(numbered or settings.get("label_map", {})).values()} - {0}


def _require_one_kind(settings: Mapping[Path, Mapping[str, str]]) -> None:
    known = {path: of_path for path, of_path in settings.items() if of_path}
    if not known:
        return
    first, expected = next(iter(known.items()))
    for path, found in known.items():
        differing = [key for key in sorted(expected.keys() | found.keys()) if expected.get(key) != found.get(key)]
        if differing:
            key = differing[0]
            raise InputError(
                f"{path} cannot join {first} in an ensemble: it was trained with {key} {found.get(key, 'unset')}, not "
                f"{expected.get(key, 'unset')}. Average trainings of one kind, such as those of a cross-validation."
            )
