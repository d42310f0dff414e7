"""How much work ``inference.yaml`` makes of a scan with the weights that ship, counted: whichever back end is usual."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import create_workflow

from pipeline.data.dicom import pixels
from pipeline.data.phantom import CineStudy, PhantomPatient, write_cine_dicom

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file")

BUNDLE = Path(__file__).resolve().parents[2] / "bundles" / "cardiac_sax_segmentation"
PHASES, SLICES = 5, 7


@dataclass
class Work:
    """What one scan cost.

    Attributes:
        batches: shape of each batch that the network was given.
        unpacked: reads of the voxels of a NIfTI file.
        decoded: DICOM files whose pixels were decoded.
    """

    batches: list[tuple[int, ...]] = field(default_factory=list)
    unpacked: list[Any] = field(default_factory=list)
    decoded: list[str] = field(default_factory=list)


def count_work(scan: Path, output_dir: Path) -> Work:
    """Segment a scan as the README says, but for the record in MLflow."""
    work = Work()
    unpack, decode = nib.arrayproxy.ArrayProxy._get_unscaled, pixels._decode

    def remember_batch(_: torch.nn.Module, arguments: tuple[Any, ...]) -> None:
        work.batches.append(tuple(arguments[0].shape))

    def remember_unpacked(self: Any, slicer: Any) -> Any:
        work.unpacked.append(slicer)
        return unpack(self, slicer)

    def remember_decoded(path: str, *size: Any) -> Any:
        work.decoded.append(path)
        return decode(path, *size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setattr(nib.arrayproxy.ArrayProxy, "_get_unscaled", remember_unpacked)
        patch.setattr(pixels, "_decode", remember_decoded)
        workflow = create_workflow(
            config_file=str(BUNDLE / "configs" / "inference.yaml"),
            workflow_type="inference",
            logging_file=False,
            bundle_root=str(BUNDLE),
            dataset_dir=str(scan),
            output_dir=str(output_dir),
            record=False,
        )
        workflow.parser.get_parsed_content("network").register_forward_pre_hook(remember_batch)
        workflow.run()
    return work


def make_patient(seed: int, group: str) -> PhantomPatient:
    """Slices of 120 x 112 pixels of 1.6 mm, 154 x 143 of the network's 1.25 mm, 77 x 72 at the half resolution."""
    return PhantomPatient(seed, group, shape=(120, 112, SLICES), spacing_mm=(1.6, 1.6, 12.0))


def save(path: Path, voxels: np.ndarray, affine: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


@pytest.fixture(scope="module")
def known() -> PhantomPatient:
    """The coarse look knows this heart with a confidence of 0.94: above 0.87 it looks once."""
    return make_patient(1, "HCM")


@pytest.fixture(scope="module")
def cine(known: PhantomPatient) -> np.ndarray:
    return np.stack([known.render(phase / PHASES)[0] for phase in range(PHASES)], axis=-1)


@pytest.fixture(scope="module")
def work_of_nifti(known: PhantomPatient, cine: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Work:
    folder = tmp_path_factory.mktemp("nifti")
    return count_work(save(folder / "cine.nii.gz", cine, known.affine), folder / "out")


@pytest.fixture(scope="module")
def work_of_dicom(known: PhantomPatient, cine: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Work:
    folder = tmp_path_factory.mktemp("dicom")
    write_cine_dicom(folder / "study", CineStudy(cine, known.affine, rr_ms=900.0))
    return count_work(folder / "study", folder / "out")


def test_stack_costs_two_batches(known: PhantomPatient, cine: np.ndarray, tmp_path: Path) -> None:
    work = count_work(save(tmp_path / "stack.nii.gz", cine[..., 0], known.affine), tmp_path / "out")
    # looked for in 5 of 7 slices, padded from 77 x 72; then 7 windows around the heart
    assert work.batches == [(5, 1, 128, 128), (7, 1, 128, 128)]


def test_unsure_look_costs_one_more_with_dark_and_bright_exchanged(tmp_path: Path) -> None:
    patient = make_patient(2, "NOR")  # confidence 0.85, and 0.00 where it is inverted
    work = count_work(save(tmp_path / "stack.nii.gz", patient.render(0.0)[0], patient.affine), tmp_path / "out")
    assert work.batches == [(5, 1, 128, 128), (5, 1, 128, 128), (7, 1, 128, 128)]


@pytest.mark.parametrize("scan", ["work_of_nifti", "work_of_dicom"])
def test_heart_of_a_cine_is_looked_for_once_for_all_phases(scan: str, request: pytest.FixtureRequest) -> None:
    batches = request.getfixturevalue(scan).batches
    # in 5 slices of 3 phases, 8 at once: 8 + 7; then 5 phases x 7 slices = 35 windows: 8 + 8 + 8 + 8 + 3
    assert [batch[0] for batch in batches] == [8, 7, 8, 8, 8, 8, 3]
    assert {batch[1:] for batch in batches} == {(1, 128, 128)}


def test_nifti_file_is_unpacked_once_a_phase(work_of_nifti: Work) -> None:
    assert len(work_of_nifti.unpacked) == PHASES


def test_dicom_file_is_decoded_once(work_of_dicom: Work) -> None:
    assert len(work_of_dicom.decoded) == len(set(work_of_dicom.decoded)) == PHASES * SLICES
