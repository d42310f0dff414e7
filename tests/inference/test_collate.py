from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor, decollate_batch
from monai.transforms import Compose, Flipd, Invertd, SpatialPadd

from pipeline.errors import InputError
from pipeline.inference.collate import collate_phases

AFFINE = torch.diag(torch.tensor([-1.5, -1.5, 8.0, 1.0], dtype=torch.float64))


def cine(phases: int) -> dict[str, object]:
    voxels = torch.arange(phases * 4 * 3 * 2, dtype=torch.float32).reshape(phases, 4, 3, 2)
    return {"image": MetaTensor(voxels, affine=AFFINE, meta={"filename_or_obj": "a.nii.gz"}), "case_id": "a"}


@pytest.mark.parametrize("phases", [1, 3])
def test_phases_become_the_batch(phases: int) -> None:
    batch = collate_phases([cine(phases)])
    assert batch["image"].shape == (phases, 1, 4, 3, 2)
    assert batch["case_id"] == ["a"] * phases


@pytest.mark.parametrize("phases", [1, 3])
def test_decollated_phases_are_the_channels_of_the_scan(phases: int) -> None:
    item = cine(phases)
    decollated = decollate_batch(collate_phases([item]))
    assert torch.equal(torch.cat([phase["image"] for phase in decollated]), item["image"])


def test_decollated_phases_keep_grid_and_file() -> None:
    phase = decollate_batch(collate_phases([cine(2)]))[1]["image"]
    assert torch.equal(phase.affine, AFFINE)
    assert phase.meta["filename_or_obj"] == "a.nii.gz"


@pytest.mark.parametrize("phases", [1, 3])
def test_each_phase_inverts_by_itself(phases: int) -> None:
    transform = Compose([Flipd("image", 0), SpatialPadd("image", (6, 5, 2))])
    item = cine(phases)
    decollated = decollate_batch(collate_phases([transform(item)]))
    invert = Invertd("pred", transform, orig_keys="image")
    restored = [invert({**phase, "pred": phase["image"].clone()})["pred"] for phase in decollated]
    np.testing.assert_array_equal(torch.cat(restored), item["image"])


def test_phases_do_not_share_their_trace() -> None:
    transform = Compose([Flipd("image", 0)])
    first, second = decollate_batch(collate_phases([transform(cine(2))]))
    transform.inverse(first)
    assert len(second["image"].applied_operations) == 1


def test_plain_tensors_are_split_too() -> None:
    assert collate_phases([{"image": torch.zeros(3, 4, 5, 2)}])["image"].shape == (3, 1, 4, 5, 2)


def test_several_scans_are_refused() -> None:
    with pytest.raises(InputError, match=r"one scan a batch, got 2\. Set the loader's batch_size to 1"):
        collate_phases([cine(1), cine(1)])
