"""A plain folder as a datalist: ``train/images`` with ``train/masks``, ``val/images`` with ``val/masks``."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from pipeline.data.layout import (
    IMAGE_SUFFIXES,
    describe_contents,
    image_stem,
    image_suffix,
    patient_of,
    phase_of,
    require_directory,
    safe_name,
    visible,
)
from pipeline.data.problem import Item, Problem, Scan, sorted_scan
from pipeline.errors import InputError

LAYOUT = "train/images, train/masks, val/images and val/masks, each mask named as its image (plain folder)"

SIDES = ("train", "val")


def folder_datalist(dataset_dir: str | os.PathLike[str]) -> list[Item]:
    """Return the images and masks of a plain folder.

    Args:
        dataset_dir: the folder that holds ``train`` and ``val``, or holds ``data`` with the two. Files are those of
            ``layout.IMAGE_SUFFIXES``, ``.png`` for 2D; a mask belongs to the image of the same name without suffix.

    Returns:
        A MONAI datalist sorted by ``case_id``, the file name. ``split`` is ``"train"`` or ``"val"``; the patient is the
        part of the name before ``_frame``, ``_ed``, ``_es``, ``_slice`` or ``_z``, else the whole name.

    Raises:
        InputError: one of the four folders is missing or empty, an image or a mask lacks its partner, or a patient is
            in both ``train`` and ``val``.
    """
    return scan_folder(dataset_dir).datalist(Path(dataset_dir))


def looks_like_folder(folder: Path) -> bool:
    """Tell whether a folder holds ``train`` or ``val`` with ``images`` or ``masks``, directly or in ``data``."""
    return _base(folder) is not None


def scan_folder(dataset_dir: str | os.PathLike[str]) -> Scan:
    """Return the whole cases of a plain folder and the problems of all others.

    Raises:
        InputError: one of the four folders is missing or empty.
    """
    root = require_directory(dataset_dir, LAYOUT)
    base = _base(root)
    if base is None:
        raise InputError(f"dataset_dir '{root}' holds {describe_contents(root)}; expected {LAYOUT}.")
    scan = Scan()
    for side in SIDES:
        scan.extend(_scan_side(base / side, side))
    scan.problems.extend(_shared_patients(scan.items))
    return sorted_scan(scan)


def _base(root: Path) -> Path | None:
    for base in (root, root / "data"):
        if any((base / side / kind).is_dir() for side in SIDES for kind in ("images", "masks")):
            return base
    return None


def _scan_side(folder: Path, side: str) -> Scan:
    images, image_problems = _index(folder / "images")
    masks, mask_problems = _index(folder / "masks")
    scan = Scan(problems=image_problems + mask_problems)
    for stem in sorted({*images} & {*masks}):
        scan.items.append(_item(images[stem], masks[stem], stem, side))
    scan.problems += [_alone(images[stem], "image without mask", masks) for stem in sorted({*images} - {*masks})]
    scan.problems += [_alone(masks[stem], "mask without image", images) for stem in sorted({*masks} - {*images})]
    return scan


def _index(folder: Path) -> tuple[dict[str, Path], list[Problem]]:
    """Return the image files of a folder by stem, and the problems with its other files."""
    if not folder.is_dir():
        above = next(parent for parent in folder.parents if parent.is_dir())
        raise InputError(f"'{folder}' is missing; '{above}' holds {describe_contents(above)}. Expected {LAYOUT}.")
    files: dict[str, Path] = {}
    problems = []
    for path in visible(folder):
        stem = image_stem(path)
        if path.is_dir() or not image_suffix(path):
            way_out = f"Convert it if it should be used: {', '.join(IMAGE_SUFFIXES)} are read."
            problems.append(Problem(folder.parent.name, str(path), "warning", "no image file: not used", way_out))
        elif stem in files:
            message = f"another file has the same name: {files[stem].name}"
            problems.append(Problem(stem, str(path), "error", message, "Remove one of them."))
        else:
            files[stem] = path
    if not files:
        kinds = ", ".join(IMAGE_SUFFIXES)
        raise InputError(f"'{folder}' has no {kinds} file; it holds {describe_contents(folder)}. Expected {LAYOUT}.")
    return files, problems


def _item(image: Path, mask: Path, stem: str, side: str) -> Item:
    return {
        "image": str(image),
        "label": str(mask),
        "patient_id": patient_of(stem),
        "case_id": safe_name(stem),
        "phase": phase_of(stem),
        "group": "",
        "split": side,
    }


def _alone(path: Path, what: str, partners: dict[str, Path]) -> Problem:
    stem = image_stem(path)
    nearest = difflib.get_close_matches(stem, partners, n=1)
    hint = f"; the nearest name is {partners[nearest[0]].name}" if nearest else ""
    kind = "masks" if what.startswith("image") else "images"
    message = f"{what}: {kind}/ has no file named {stem}{hint}"
    return Problem(stem, str(path), "error", message, "Name image and mask alike, or add the missing one.")


def _shared_patients(items: list[Item]) -> list[Problem]:
    train = {item["patient_id"] for item in items if item["split"] == "train"}
    return [
        Problem(
            item["case_id"],
            item["image"],
            "error",
            f"patient {item['patient_id']} is in both train and val",
            "Move all its images to one side; the patient is the name before _frame, _ed, _es, _slice or _z.",
        )
        for item in items
        if item["split"] == "val" and item["patient_id"] in train
    ]
