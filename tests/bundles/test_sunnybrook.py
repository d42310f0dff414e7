"""Training and evaluation on DICOM with contours, in the layout of Sunnybrook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pipeline.data.phantom import CineStudy, PhantomPatient, on_dicom_grid, write_cine_dicom
from pipeline.labels import Structure

PHASES, ES = 5, 2
SHAPE, SPACING_MM = (64, 64, 5), (3.0, 3.0, 20.0)


def write_box(folder: Path, kind: str, number: int, mask: NDArray[np.bool_]) -> None:
    """Write the box around a mask as a contour, counted from 1."""
    (left, top), (right, bottom) = np.argwhere(mask).min(axis=0) + 0.5, np.argwhere(mask).max(axis=0) + 1.5
    path = folder / f"{kind}-contours" / f"IM-0001-{number:04d}-{kind}contour-manual.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    path.write_text("".join(f"{x:.2f} {y:.2f}\n" for x, y in corners), encoding="utf-8")


def write_patient(root: Path, number: int) -> None:
    patient = PhantomPatient(number, "NOR", SHAPE, SPACING_MM, ES / PHASES)
    images, labels = zip(*(patient.render(phase / PHASES) for phase in range(PHASES)), strict=True)
    cine, affine = on_dicom_grid(np.stack(images, axis=-1), patient.affine)
    label, _ = on_dicom_grid(np.stack(labels, axis=-1), patient.affine)
    write_cine_dicom(root / "dicoms" / f"P{number}", CineStudy(cine, affine, uid_seed=f"patient {number}"))
    for z, phase in np.argwhere((label == Structure.LV).any(axis=(0, 1))):
        cavity, wall = label[:, :, z, phase] == Structure.LV, label[:, :, z, phase] >= Structure.MYO
        contours, instance = root / "contourfiles" / f"O{number}", int(z) * PHASES + int(phase) + 1
        if phase in (0, ES):
            write_box(contours, "i", instance, cavity)
        if phase == 0:
            write_box(contours, "o", instance, wall)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sunnybrook")
    (root / "link.csv").write_text("patient_id,original_id\nP1,O1\nP2,O2\n", encoding="utf-8")
    for number in (1, 2):
        write_patient(root, number)
    return root


def test_training_and_evaluation_run_on_dicom_with_contours(at_root: Any, dataset: Path, tmp_path: Path) -> None:
    overlays = ("sunnybrook.yaml", Path(__file__).with_name("tiny.yaml"))
    options = {"dataset_dir": dataset, "output_dir": tmp_path / "run", "record": "false", "max_epochs": 1}
    trained = at_root.run(at_root.command("training", "train", *overlays, **options))
    assert trained.returncode == 0, trained.stderr
    evaluated = at_root.run(at_root.command("evaluating", "train", "evaluate", *overlays, **options))
    assert evaluated.returncode == 0, evaluated.stderr
    rows = pd.read_csv(tmp_path / "run" / "metrics.csv").set_index("phase")
    assert rows["dice_rv"].isna().all()
    assert rows["dice_lv"].notna().all()
    assert rows["dice_myo"].notna().to_dict() == {"ed": True, "es": False}
