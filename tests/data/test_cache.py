from __future__ import annotations

import os
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from monai.data import CacheDataset, MetaTensor, PersistentDataset
from monai.transforms import Compose, EnsureChannelFirstd, Invertd, LoadImaged, OneOf, RandFlipd, Spacingd, Transform

from pipeline.data.cache import GIB, cache_dataset, estimate_bytes, remove_own_folder
from pipeline.errors import InputError

DiskUsage = namedtuple("DiskUsage", "total used free")
CASES: list[dict[str, Any]] = [{"size": 10}, {"size": 30}, {"size": 20}]


class Fill(Transform):
    """Makes an image of 4 bytes a voxel, and counts how often it is asked to."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        return {
            **item,
            "image": MetaTensor(torch.full((1, item["size"]), float(item["size"])), affine=torch.eye(4) * 2),
        }


def cache(tmp_path: Path, transform: Callable, **settings: Any) -> Any:
    return cache_dataset(CASES, transform, **{"cache_dir": tmp_path / "cache", "progress": False, **settings})


@contextmanager
def cache_on_disk(tmp_path: Path) -> Iterator[Path]:
    """Fill a disk cache and yield its folder; the cache lives as long as the context."""
    before = set((tmp_path / "cache").glob("*"))
    dataset = cache(tmp_path, Fill())
    (folder,) = set((tmp_path / "cache").iterdir()) - before
    yield folder
    del dataset


@pytest.fixture
def no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    free = psutil.virtual_memory()._replace(available=100)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)


def test_estimate_takes_the_largest_sample_for_all() -> None:
    assert estimate_bytes(CASES, Fill()) == 3 * 30 * 4


def test_estimate_looks_at_three_cases_of_a_long_list() -> None:
    fill = Fill()
    assert estimate_bytes([{"size": 1}, {"size": 99}, {"size": 2}, {"size": 98}, {"size": 3}], fill) == 5 * 3 * 4
    assert fill.calls == 3


def test_estimate_of_nothing_is_nothing() -> None:
    assert estimate_bytes([], Fill()) == 0


@pytest.mark.parametrize(
    "nest", [lambda fill: fill, lambda fill: Compose([fill]), lambda fill: Compose([Compose([Compose([fill])])])]
)
def test_each_case_is_preprocessed_once_for_good(nest: Callable[[Fill], Callable], tmp_path: Path) -> None:
    fill = Fill()
    volumes = cache(tmp_path, nest(fill))
    filled = fill.calls
    assert isinstance(volumes, CacheDataset)
    assert [int(volumes[i]["image"][0, 0]) for i in (0, 1, 2, 0)] == [10, 30, 20, 10]
    assert fill.calls == filled == 3 + 3  # estimated, then cached


def test_memory_leaves_no_folder(tmp_path: Path) -> None:
    cache(tmp_path, Fill())
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(("available", "kind"), [(720, CacheDataset), (719, PersistentDataset)])
def test_disk_takes_what_exceeds_the_share_of_memory(
    available: int, kind: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 3 cases of 120 bytes are half of 720
    free = psutil.virtual_memory()._replace(available=available)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert type(cache(tmp_path, Fill(), memory_share=0.5)) is kind


@pytest.mark.parametrize("device", ["cpu", "meta", torch.device("meta")])
def test_volumes_lie_on_the_device_that_is_asked_for(device: torch.device | str, tmp_path: Path) -> None:
    # a tensor on "meta" has a shape, and no memory at all
    volumes = cache(tmp_path, Compose([Fill()]), device=device)
    assert isinstance(volumes, CacheDataset)
    for number, case in enumerate(CASES):
        item = volumes[number]
        assert item["image"].device == torch.device(device)
        assert (item["image"].shape, item["size"]) == ((1, case["size"]), case["size"])
        assert torch.equal(item["image"].affine, torch.eye(4, dtype=torch.float64) * 2)


@pytest.mark.usefixtures("no_memory")
def test_volumes_that_no_memory_holds_go_to_disk_and_come_to_the_cpu(tmp_path: Path) -> None:
    volumes = cache(tmp_path, Fill(), device="meta")
    assert isinstance(volumes, PersistentDataset)
    assert volumes[1]["image"].device == torch.device("cpu")


@pytest.mark.usefixtures("no_memory")
def test_disk_cache_preprocesses_each_case_once(tmp_path: Path) -> None:
    fill = Fill()
    volumes = cache(tmp_path, Compose([Compose([fill])]))
    values = [int(volumes[i]["image"][0, 0]) for i in (0, 1, 2, 0, 1, 2)]
    assert values == [10, 30, 20, 10, 30, 20]
    assert fill.calls == 3 + 3


@pytest.mark.usefixtures("no_memory")
def test_disk_cache_keeps_the_grid(tmp_path: Path) -> None:
    volumes = cache(tmp_path, Fill())
    for image in (volumes[0]["image"], volumes[0]["image"]):  # preprocessed, then read
        assert isinstance(image, MetaTensor)
        assert torch.equal(image.affine, torch.eye(4, dtype=torch.float64) * 2)


@pytest.mark.usefixtures("no_memory")
def test_volume_from_disk_goes_back_to_the_grid_of_its_file(nifti: Callable[..., str], tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii.gz", np.arange(270, dtype=np.int16).reshape(10, 9, 3))
    steps = Compose([LoadImaged("image"), EnsureChannelFirstd("image"), Spacingd("image", pixdim=[2.0, 2.0, -1.0])])
    volumes = cache_dataset([{"image": path}], steps, tmp_path / "cache")
    for _ in range(2):  # preprocessed, then read
        item = volumes[0]
        assert item["image"].shape == (1, 7, 7, 3)
        restored = Invertd("pred", steps, orig_keys="image")({**item, "pred": item["image"].clone()})
        assert restored["pred"].shape == (1, 10, 9, 3)


@pytest.mark.usefixtures("no_memory")
def test_disk_cache_of_other_settings_is_not_taken(tmp_path: Path) -> None:
    class Double(Fill):
        def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
            return {**item, "image": 2 * super().__call__(item)["image"]}

    first, second = cache(tmp_path, Fill()), cache(tmp_path, Double())
    assert (int(first[0]["image"][0, 0]), int(second[0]["image"][0, 0])) == (10, 20)


@pytest.mark.usefixtures("no_memory")
def test_disk_cache_goes_with_its_dataset(tmp_path: Path) -> None:
    volumes = cache(tmp_path, Fill())
    assert volumes[0]["size"] == 10
    assert len(list((tmp_path / "cache").rglob("*.pt"))) == 1
    del volumes
    assert list((tmp_path / "cache").iterdir()) == []


def test_worker_that_ends_leaves_the_folder_of_its_parent(tmp_path: Path) -> None:
    remove_own_folder(str(tmp_path), owner=os.getpid() + 1)
    assert tmp_path.is_dir()


def test_random_steps_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be deterministic, got \['RandFlipd'\]: put them behind the cache"):
        cache(tmp_path, Compose([Compose([Fill(), RandFlipd("image")])]))


@pytest.mark.parametrize("transform", [RandFlipd("image"), OneOf([Fill()])])
def test_random_transform_is_refused(transform: Transform, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"must be deterministic, got \['{type(transform).__name__}'\]"):
        cache(tmp_path, transform)


@pytest.mark.parametrize("memory_share", [0, -0.5, 1.1])
def test_share_outside_of_its_range_is_refused(memory_share: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"memory_share must be in \(0, 1\], got {memory_share}"):
        cache(tmp_path, Fill(), memory_share=memory_share)


@pytest.mark.usefixtures("no_memory")
def test_full_disk_is_an_error_with_the_sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: DiskUsage(10 * GIB, 10 * GIB, 100))
    with pytest.raises(InputError, match=r"needs about 0.0 GiB, but only 0.0 GiB of memory and 0.0 GiB of disk in"):
        cache(tmp_path, Fill())
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("no_memory")
def test_cache_dir_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"cache_dir .*cache cannot be written \(.+\). Choose another by --cache_dir"):
        cache(tmp_path, Fill())


def test_error_of_a_case_is_not_swallowed(tmp_path: Path) -> None:
    class Refuse(Transform):
        def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
            raise InputError("a.nii.gz is constant.")

    with pytest.raises(RuntimeError) as caught:
        cache(tmp_path, Compose([Refuse()]))
    assert isinstance(caught.value.__cause__, InputError)


def test_folder_of_a_killed_program_is_removed(tmp_path: Path, no_memory: None) -> None:
    with cache_on_disk(tmp_path) as folder:
        dead = next(number for number in range(2**22 - 1, 0, -1) if not psutil.pid_exists(number))
        orphan = folder.parent / folder.name.replace(f"_{os.getpid()}_", f"_{dead}_")
        orphan.mkdir()
    cache(tmp_path, Fill())
    assert not orphan.exists()


def test_folder_of_another_machine_or_a_living_program_stays(tmp_path: Path, no_memory: None) -> None:
    foreign = [tmp_path / "cache" / name for name in ("volumes_0000_1_x", "volumes_abc")]
    for folder in foreign:
        folder.mkdir(parents=True)
    with cache_on_disk(tmp_path) as living:
        cache(tmp_path, Fill())
        assert living.is_dir()
    assert all(folder.is_dir() for folder in foreign)


@pytest.mark.parametrize("terminal", [True, False])
def test_bar_is_for_terminals(
    tmp_path: Path, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    cache(tmp_path, Fill(), progress=True)
    assert ("Loading dataset" in capsys.readouterr().err) is terminal
