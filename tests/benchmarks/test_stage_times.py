"""The stages of a cohort: each is one that the pipeline goes through, and operations are counted before fusing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from benchmarks.children import stage_times
from benchmarks.sections.stages import STAGES
from pipeline.data.phantom import make_phantom_cohort


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ConfigParser:
    """The bundle's inference on one phantom volume; the cohort has two, of which one is taken."""
    folder = tmp_path_factory.mktemp("stages")
    make_phantom_cohort(folder / "phantom", num_patients=1, num_phases=2, seed=0)
    scan = next((folder / "phantom").rglob("*_frame01.nii.gz"))
    return stage_times.read_inference(scan, folder / "masks")


def test_every_stage_is_gone_through(config: ConfigParser) -> None:
    found = stage_times.time_round(config.get_parsed_content("evaluator"), Path(config["output_dir"]))
    assert found["stages"].keys() == STAGES.keys() - {"load", "other"}


def test_operations_are_those_of_the_network_before_fusing(config: ConfigParser) -> None:
    config.get_parsed_content("network")
    definition = config.get_parsed_content("network_def")
    # of the fused network itself the counter sees nothing
    assert stage_times.flops_of(definition, torch.rand(1, 1, 256, 256)) / 1e9 == pytest.approx(6.232, abs=0.0005)
