from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.networks.utils import eval_mode
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends.torchscript import open_torchscript, script_network

CPU = torch.device("cpu")


def test_script_computes_the_same(network: nn.Module, images: torch.Tensor) -> None:
    torch.testing.assert_close(script_network(network)(images), network(images))


def test_file_computes_the_same(network: nn.Module, images: torch.Tensor, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(network), tmp_path / "model.ts")
    torch.testing.assert_close(open_torchscript(tmp_path / "model.ts", CPU)(images), network(images))


def test_engines_of_monai_can_set_its_mode(network: nn.Module) -> None:
    with eval_mode(script_network(network)) as (scripted,):
        assert not scripted.training


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.ts").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"exported_file .*model\.ts is no TorchScript that can be read"):
        open_torchscript(tmp_path / "model.ts", CPU)
