from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from pipeline.comparison.records import RunRecord
from pipeline.data import Split, dataset_digest
from pipeline.errors import InputError
from pipeline.tracking.provenance import describe_environment, environment_tags
from pipeline.workflows import rerun as module
from pipeline.workflows.guard import RERUN_KEY, check_overrides
from pipeline.workflows.rerun import (
    Recorded,
    check_code,
    code_differences,
    compare_figures,
    find_data,
    read_recorded,
    rerun_config,
    write_config,
)

TODAY = {"code_digest": "c1", "git.commit": "g1", "git.dirty": "false", "version.torch": "2", "python": "3.11"}


def write_data(folder: Path) -> Split:
    """Two patients, with paths relative to the folder's parent, as ``--dataset_dir data`` gives them."""
    items = []
    for name in ("a", "b"):
        item = {"patient_id": name, "case_id": name}
        for kind in ("image", "label"):
            path = folder / f"{name}_{kind}.nii"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{name} {kind}", encoding="utf-8")
            item[kind] = str(path.relative_to(folder.parent))
        items.append(item)
    return Split(items[:1], items[1:])


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.chdir(tmp_path)
    split = write_data(tmp_path / "data")
    digest = dataset_digest([*split.train, *split.val])
    run = RunRecord("r1", "first", tags={"job": "training", "dataset_digest": digest}, experiment_id="1")
    config = {
        "dataset_dir": "data",
        "output_dir": "runs/first",
        "tracker": {"output_dir": "runs/first", "tracking_uri": "http://x", "run_name": "first"},
        "report": {"output_dir": "runs/first"},
        "resume": True,
    }
    return Recorded(run, config, split, tmp_path, "hearts")


def test_data_are_found_where_they_lay(recorded: Recorded, tmp_path: Path) -> None:
    assert find_data(recorded).train[0]["image"] == str(tmp_path / "data" / "a_image.nii")


def test_data_are_found_where_they_lie_today(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "moved")
    assert find_data(recorded, "moved").val[0]["label"] == str(tmp_path / "moved" / "b_label.nii")


def test_files_that_are_gone_are_named(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "data" / "a_image.nii").unlink()
    with pytest.raises(InputError, match=r"1 files that 'first' was trained on are gone, such as .*a_image.nii"):
        find_data(recorded)


def test_other_data_are_refused(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "data" / "a_label.nii").write_text("corrected", encoding="utf-8")
    with pytest.raises(InputError, match=r"are not those of 'first' .dataset_digest"):
        find_data(recorded)


def test_equal_code_has_no_differences() -> None:
    assert code_differences(TODAY, TODAY) == []


def test_commit_does_not_count_where_the_code_is_equal() -> None:
    assert code_differences(TODAY | {"git.commit": "g0", "git.dirty": "true"}, TODAY) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"code_digest": "c0"}, "code_digest c0, today c1 (git commits g1 and g1)"),
        ({"version.torch": "1"}, "torch 1, today 2"),
        ({"python": "3.10"}, "python 3.10, today 3.11"),
        ({"code_digest": "", "git.commit": "g0"}, "git commit g0, today g1"),
        ({"code_digest": "", "git.dirty": "true"}, "git commit g1 with changes, today g1"),
    ],
)
def test_differences_are_told(change: dict[str, str], message: str) -> None:
    assert code_differences(TODAY | change, TODAY) == [message]


def test_other_code_is_refused_unless_forced(caplog: pytest.LogCaptureFixture) -> None:
    tags = environment_tags(describe_environment())
    run = RunRecord("r1", "first", tags=tags | {"version.torch": "0.1"})
    with pytest.raises(InputError, match=r"'first' was trained by other code: torch 0.1, today .* --force"):
        check_code(run)
    check_code(run, force=True)
    assert "Trained with other code than 'first': torch 0.1" in caplog.text


def test_other_machine_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    tags = environment_tags(describe_environment()) | {"device": "abacus"}
    with caplog.at_level(logging.WARNING):
        check_code(RunRecord("r1", "first", tags=tags))
    assert "device was abacus, is " in caplog.text


def test_configuration_is_that_of_the_run_in_another_place(recorded: Recorded, tmp_path: Path) -> None:
    config = rerun_config(recorded, recorded.split, tmp_path / "again")
    assert {config["output_dir"], config["tracker"]["output_dir"], config["report"]["output_dir"]} == {
        str(tmp_path / "again")
    }
    assert (config["resume"], config[RERUN_KEY], config["experiment_name"]) == (False, "r1", "hearts")
    assert config["tracker"]["tracking_uri"] == ""
    assert recorded.config["output_dir"] == "runs/first"


@pytest.mark.parametrize("moved", [False, True])
def test_paths_of_another_working_directory_are_made_absolute(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: bool
) -> None:
    if moved:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
    config = rerun_config(recorded, recorded.split, tmp_path / "again")
    assert config["dataset_dir"] == (str(tmp_path / "data") if moved else "data")


def test_split_that_the_folder_still_gives_stays(recorded: Recorded, tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    recorded.split.to_json(path)
    component = {"_target_": "pipeline.data.Split.from_json", "path": str(path)}
    recorded.config["split"] = component
    assert rerun_config(recorded, find_data(recorded), tmp_path / "again")["split"] == component


def test_recorded_split_is_taken_where_the_folder_gives_another(recorded: Recorded, tmp_path: Path) -> None:
    recorded.config["split"] = {"_target_": "pipeline.data.load_datalist", "dataset_dir": "nowhere"}
    config = rerun_config(recorded, find_data(recorded), tmp_path / "again")
    path = write_config(config, recorded.split, tmp_path / "again")
    assert config["split"]["path"] == str(path.with_name("split.json"))
    assert Split.from_json(config["split"]["path"]) == recorded.split
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == config


def test_folder_of_another_training_is_refused(recorded: Recorded, tmp_path: Path) -> None:
    record = {"run_id": "", "dataset_digest": "", "code": "", "settings": {}}
    (tmp_path / "training.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match=r"holds a training already. Give another --output_dir"):
        write_config({}, recorded.split, tmp_path)


def test_folder_that_cannot_be_written_is_refused(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be written"):
        write_config({}, recorded.split, tmp_path / "file" / "out")


def test_equal_figures_are_counted_and_others_told() -> None:
    old = {"best_a": 0.5, "val_b": math.nan, "val_c": 0.1, "val_d": 0.2, "epoch_seconds": 3.0}
    equal, different = compare_figures(old, {"best_a": 0.5, "val_b": math.nan, "val_c": 0.2, "epoch_seconds": 4.0})
    assert equal == 2
    assert different["val_c"] == (0.1, 0.2)
    assert different["val_d"][0] == 0.2 and math.isnan(different["val_d"][1])


def test_recorded_configuration_is_not_searched_for_unused_settings() -> None:
    # learning_rate has been put wherever it was referred to
    parser = SimpleNamespace(get=lambda: {"learning_rate": 0.1, RERUN_KEY: "r1"}, locator=None)
    check_overrides(parser)  # type: ignore[arg-type]


class Artifacts:
    """A client of a store with the artifacts of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def download_artifacts(self, run_id: str, path: str) -> str:
        return str(self.folder / path)

    def get_experiment(self, _number: str) -> SimpleNamespace:
        return SimpleNamespace(name="hearts")


@pytest.fixture
def artifacts(recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artifacts:
    folder = tmp_path / "artifacts"
    (folder / "inputs").mkdir(parents=True)
    (folder / "inputs" / "config.yaml").write_text(yaml.safe_dump(recorded.config), encoding="utf-8")
    recorded.split.to_json(folder / "inputs" / "split.json")
    environment = {"working_directory": str(tmp_path), "command": "torchrun x"}
    (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    monkeypatch.setattr(module, "read_run", lambda *_: recorded.run)
    return Artifacts(folder)


def test_recorded_training_is_read(artifacts: Artifacts, recorded: Recorded) -> None:
    assert read_recorded(artifacts, "sqlite:///x", "r1") == recorded  # type: ignore[arg-type]


def test_run_that_is_no_training_is_refused(artifacts: Artifacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_run", lambda *_: RunRecord("r2", "other", tags={"job": "inference"}))
    with pytest.raises(InputError, match="'other' must be a training to be made again, its job is 'inference'"):
        read_recorded(artifacts, "sqlite:///x", "r2")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["inputs/config.yaml", "inputs/split.json", "environment.json"])
def test_training_without_its_record_is_refused(artifacts: Artifacts, name: str) -> None:
    (artifacts.folder / name).unlink()
    with pytest.raises(InputError, match=f"has no {name}, without which it cannot be made again"):
        read_recorded(artifacts, "sqlite:///x", "r1")  # type: ignore[arg-type]


def test_training_of_several_processes_is_refused(artifacts: Artifacts, recorded: Recorded) -> None:
    recorded.config["num_replicas"] = "$torch.distributed.get_world_size()"
    with pytest.raises(InputError, match=r"made by several processes. Start it as it was: torchrun x"):
        module._require_one_process(artifacts, recorded)  # type: ignore[arg-type]
