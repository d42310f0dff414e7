from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SliceInferer

from pipeline.inference.inferer import SliceWindowInferer


def small_network() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 3, 3, padding=1)]
    return torch.nn.Sequential(*layers).eval()


def stacks() -> torch.Tensor:
    return torch.rand(2, 1, 20, 17, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("roi_size", [(12, 10), (32, 32), (12, 32), (20, 17), (-1, 10), 16])
@pytest.mark.parametrize("sw_batch_size", [1, 4])
@pytest.mark.parametrize("mode", ["constant", "gaussian"])
def test_equals_monai_slice_inferer(roi_size: tuple[int, int] | int, sw_batch_size: int, mode: str) -> None:
    network, inputs = small_network(), stacks()
    monai_roi = (roi_size, roi_size) if isinstance(roi_size, int) else roi_size
    with torch.no_grad():
        ours = SliceWindowInferer(roi_size, sw_batch_size, 0.25, mode)(inputs, network)
        theirs = SliceInferer(2, monai_roi, sw_batch_size, 0.25, mode)(inputs, network)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def whole(network: torch.nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    return torch.stack([network(inputs[..., z]) for z in range(inputs.shape[-1])], dim=-1)


def test_slice_as_large_as_the_window_goes_through_whole() -> None:
    network, inputs = small_network(), stacks()
    with torch.no_grad():
        predicted = SliceWindowInferer((20, 17), sw_batch_size=4)(inputs, network)
        torch.testing.assert_close(predicted, whole(network, inputs))


def test_slice_smaller_than_the_window_goes_through_whole_if_every_size_is_allowed() -> None:
    network, inputs = small_network(), stacks()
    with torch.no_grad():
        predicted = SliceWindowInferer((64, 64), sw_batch_size=4, divisible_by=1)(inputs, network)
        torch.testing.assert_close(predicted, whole(network, inputs))


def test_pointwise_network_does_not_see_windows() -> None:
    network, inputs = torch.nn.Conv2d(1, 2, 1), stacks()
    with torch.no_grad():
        predicted = SliceWindowInferer((8, 8), 2, 0.5, "gaussian")(inputs, network)
        torch.testing.assert_close(predicted, whole(network, inputs))


@pytest.mark.parametrize(
    ("roi_size", "divisible_by", "size"),
    [
        (64, None, (64, 64)),
        (64, 8, (24, 24)),
        (64, 1, (20, 17)),
        (64, 50, (50, 50)),
        (64, 100, (64, 64)),
        (-1, None, (20, 17)),
        (-1, 8, (24, 24)),
    ],
)
def test_padding_goes_to_the_next_multiple(roi_size: int, divisible_by: int | None, size: tuple[int, int]) -> None:
    seen = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape[2:]))
        return x

    SliceWindowInferer(roi_size, 8, divisible_by=divisible_by)(stacks(), network)
    assert seen == [size]


def test_window_of_a_slice_larger_along_one_axis_only() -> None:
    seen = []

    def network(x: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(x.shape[2:]))
        return x

    inputs = stacks()
    torch.testing.assert_close(SliceWindowInferer((16, 64), 8, divisible_by=4)(inputs, network), inputs)
    assert set(seen) == {(16, 20)}


def test_metadata_and_dtype_stay() -> None:
    affine = torch.diag(torch.tensor([1.5, 1.5, 8.0, 1.0], dtype=torch.float64))
    inputs = MetaTensor(stacks(), affine=affine, meta={"filename_or_obj": "a.nii.gz"})
    predicted = SliceWindowInferer((32, 32))(inputs, lambda x: x.half())
    assert isinstance(predicted, MetaTensor)
    assert predicted.dtype == torch.float32
    assert predicted.meta["filename_or_obj"] == "a.nii.gz"
    assert torch.equal(predicted.affine, affine)


def test_arguments_reach_the_network() -> None:
    predicted = SliceWindowInferer((32, 32))(stacks(), lambda x, factor, shift: x * factor + shift, 2.0, shift=1.0)
    torch.testing.assert_close(predicted, stacks() * 2 + 1)


def test_progress_bar_counts_batches(capsys: pytest.CaptureFixture[str]) -> None:
    SliceWindowInferer((32, 32), sw_batch_size=4, progress=True)(stacks(), lambda x: x)
    assert "2/2" in capsys.readouterr().err


def test_volume_without_batch_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inputs must be stacks of shape \(N, C, X, Y, Z\), got \(1, 20, 17, 3\)"):
        SliceWindowInferer((8, 8))(stacks()[0], small_network())


def test_network_that_changes_the_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"network must keep the size of its input \(32, 32\), got \(16, 16\)"):
        SliceWindowInferer((32, 32))(stacks(), lambda x: x[..., ::2, ::2])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"sw_batch_size": 0}, "sw_batch_size must be at least 1, got 0"),
        ({"overlap": 1.0}, "overlap must be at least 0 and below 1, got 1.0"),
        ({"divisible_by": 0}, "divisible_by must be at least 1, got 0"),
    ],
)
def test_settings_out_of_range_are_refused(kwargs: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SliceWindowInferer((8, 8), **kwargs)


def test_neighbors_reach_the_network_as_channels() -> None:
    stack = torch.tensor([1.0, 2.0, 3.0]).expand(1, 1, 8, 8, 3)
    predicted = SliceWindowInferer(-1, neighbors=1)(stack, lambda x: x.sum(dim=1, keepdim=True))
    assert predicted[0, 0, 0, 0].tolist() == [1 + 1 + 2, 6, 2 + 3 + 3]


def test_negative_neighbors_are_refused() -> None:
    with pytest.raises(ValueError, match="neighbors must not be negative, got -1"):
        SliceWindowInferer(-1, neighbors=-1)
