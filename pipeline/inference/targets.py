"""Where the mask of each scan goes, decided and checked before any work."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.data.layout import image_stem
from pipeline.errors import InputError
from pipeline.inference.source import is_nifti, is_volume


class MaskTargets:
    """Gives each scan's mask the scan's relative path and name below a folder.

    The mask of a NIfTI file keeps the file's name; that of other files, and of scans that ``find_scans`` has numbered,
    is named after the ``case_id``. Whatever would make a mask replace a scan or another mask is refused at
    construction, before any work.

    Args:
        output_dir: folder of the masks; made where it is missing.
        datalist: the scans, with ``image`` and ``case_id``. Folders in the ``case_id`` become folders below
            ``output_dir``.

    Raises:
        InputError: a mask would replace a scan, two masks would share a file, or ``output_dir`` cannot be written.
    """

    def __init__(self, output_dir: str | Path, datalist: Sequence[Mapping[str, Any]]) -> None:
        self.output_dir = Path(output_dir)
        self.targets = {str(item["case_id"]): self._target(item) for item in datalist}
        self._refuse_scans([_as_nifti(item["image"]) for item in datalist if is_volume(item["image"])])
        self._refuse_shared([self._target(item) for item in datalist])
        make_writable(self.output_dir)

    def __getitem__(self, case_id: str) -> Path:
        """Return the file for the mask of a scan."""
        return self.targets[case_id]

    def _target(self, item: Mapping[str, Any]) -> Path:
        folder = self.output_dir / Path(item["case_id"]).parent
        image = item["image"]
        keeps_name = is_nifti(image) and "name" not in item
        return folder / (Path(image).name if keeps_name else f"{Path(item['case_id']).name}.nii.gz")

    def _refuse_scans(self, scans: Sequence[Path]) -> None:
        keys = {_file_key(scan) for scan in scans}
        hit = [target for target in self.targets.values() if _file_key(target) in keys]
        if hit:
            raise InputError(
                f"output_dir {self.output_dir} would replace {len(hit)} scans by their masks, such as {hit[0]}. "
                "Choose a folder outside the data set."
            )

    def _refuse_shared(self, targets: Sequence[Path]) -> None:
        shared = [target for target, number in Counter(targets).items() if number > 1]
        if shared:
            raise InputError(
                f"{len(shared)} masks of several scans would share a file, such as {shared[0]}. Give the scans "
                "different names, or the items of the datalist a case_id with the folder."
            )


def _as_nifti(image: str) -> Path:
    """Return a NIfTI scan's file; of a scan in another format the one that its label or a copy would be in."""
    path = Path(image)
    return path if is_nifti(image) else path.with_name(f"{image_stem(path)}.nii.gz")


def _file_key(path: Path) -> str:
    return os.path.normcase(path.resolve())


def make_writable(folder: Path) -> None:
    """Make a folder and prove that a file can be written into it.

    Args:
        folder: the folder; its parents are made too.

    Raises:
        InputError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"output_dir {folder} cannot be written: {error}. Choose another.") from error
