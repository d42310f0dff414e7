"""A training made again from what its MLflow run has recorded."""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from monai.bundle import ConfigParser

from pipeline.comparison.records import RunRecord, read_run
from pipeline.data import Split, dataset_digest
from pipeline.data.problem import Item
from pipeline.errors import InputError, input_error_within
from pipeline.tracking.keys import hide_credentials
from pipeline.tracking.provenance import describe_environment, environment_tags
from pipeline.tracking.reading import open_to_read
from pipeline.workflows.guard import RERUN_KEY
from pipeline.workflows.record import CONFIG_FILE, SPLIT_FILE
from pipeline.workflows.training_record import TrainingRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient

RERUN_TAG = "rerun_of"
FOLDER = "rerun"
"""Below the output folder: the configuration and the split that were trained with."""
COMPARED = ("best_", "val_", "train_loss")
"""Beginnings of the metrics that a rerun must repeat; times differ."""
_NAMED_FILES = 3

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recorded:
    """What a run says of its training.

    Attributes:
        run: the run.
        config: configuration with all references to plain values resolved.
        split: cases of the training, with the paths of that day.
        working_directory: that paths are relative to.
        experiment: name of the experiment that the run is in today.
    """

    run: RunRecord
    config: dict[str, Any]
    split: Split
    working_directory: Path
    experiment: str = ""


@dataclass(frozen=True)
class Rerun:
    """What became of a rerun.

    Attributes:
        run_id: of the new run.
        num_equal: figures that are the same to the last digit.
        different: figures that are not: of the run, of the rerun.
        output_dir: folder of its results.
    """

    run_id: str
    num_equal: int
    different: Mapping[str, tuple[float, float]]
    output_dir: Path


def rerun(
    run_id: str,
    tracking_uri: str = "",
    output_dir: str | Path = "",
    dataset_dir: str | Path = "",
    *,
    force: bool = False,
) -> Rerun:
    """Train again with the configuration, the split, the seed and the data of a run, and compare the figures.

    Other data are refused in any case. Other code, packages or Python are refused unless ``force``, since the figures
    would differ for reasons that nobody could tell apart; another machine is warned of. The code is compared by its
    digest, so that commits and changes elsewhere in a repository do not matter.

    Args:
        run_id: of the run.
        tracking_uri: where the run is recorded, and where the new one will be.
        output_dir: folder of the results; where empty ``runs/rerun_<beginning of run_id>``.
        dataset_dir: where the data set lies today; where empty, where it lay.
        force: train although code, packages or Python differ.

    Returns:
        The new run, and which of its figures are equal; its tag ``rerun_of`` names the old one.

    Raises:
        InputError: the run is no training, has not recorded enough or was made by several processes; its files are gone
            or hold other data; the code differs; the training failed.
    """
    client, uri = open_to_read(tracking_uri)
    recorded = read_recorded(client, uri, run_id)
    _require_one_process(client, recorded)
    split = find_data(recorded, dataset_dir)
    check_code(recorded.run, force=force)
    target = Path(output_dir or Path("runs", f"rerun_{recorded.run.id[:8]}")).absolute()
    config = rerun_config(recorded, split, target, dataset_dir)
    _train(write_config(config, split, target), recorded, uri)
    record = TrainingRecord.load(target)
    if record is None or not record.run_id:
        raise InputError(f"The training in {target} has left no MLflow run to compare with.")
    client.set_tag(record.run_id, RERUN_TAG, recorded.run.id)
    equal, different = compare_figures(recorded.run.metrics, read_run(client, uri, record.run_id).metrics)
    return Rerun(record.run_id, equal, different, target)


def read_recorded(client: MlflowClient, uri: str, run_id: str) -> Recorded:
    """Read what a run has recorded of its training.

    Raises:
        InputError: there is no such run, it is no training, or a file is missing.
    """
    run = read_run(client, uri, run_id)
    job = run.tags.get("job", "")
    if job != "training":
        raise InputError(f"The run '{run.name}' must be a training to be made again, its job is '{job or 'unknown'}'.")
    config = yaml.safe_load(_artifact(client, run, f"inputs/{CONFIG_FILE}"))
    sides = json.loads(_artifact(client, run, f"inputs/{SPLIT_FILE}"))
    environment = json.loads(_artifact(client, run, "environment.json"))
    experiment = client.get_experiment(run.experiment_id).name
    return Recorded(run, config, Split(**sides), Path(environment["working_directory"]), experiment)


def _artifact(client: MlflowClient, run: RunRecord, path: str) -> str:
    try:
        return Path(client.download_artifacts(run.id, path)).read_text(encoding="utf-8")
    except Exception as error:  # MLflow's, the system's or the network's, by the kind of artifact store
        raise InputError(
            f"The run '{run.name}' ({run.id}) has no {path}, without which it cannot be made again: it was not made by "
            "this pipeline, ended at its very start, or its artifacts cannot be reached from here."
        ) from error


def _require_one_process(client: MlflowClient, recorded: Recorded) -> None:
    if str(recorded.config.get("num_replicas", 1)) != "1":
        command = json.loads(_artifact(client, recorded.run, "environment.json"))["command"]
        raise InputError(f"'{recorded.run.name}' was made by several processes. Start it as it was: {command}")


def find_data(recorded: Recorded, dataset_dir: str | Path = "") -> Split:
    """Return the split with the paths of today, and make sure that the data are the same.

    Raises:
        InputError: files are gone, or their digest is not that of the run.
    """
    old = recorded.working_directory / str(recorded.config.get("dataset_dir", ""))
    new = Path(dataset_dir).absolute() if dataset_dir else old
    split = Split(
        [_moved(item, recorded.working_directory, old, new) for item in recorded.split.train],
        [_moved(item, recorded.working_directory, old, new) for item in recorded.split.val],
        recorded.split.validated,
    )
    items = [*split.train, *split.val]
    gone = [item[key] for item in items for key in ("image", "label") if key in item and not Path(item[key]).is_file()]
    if gone:
        raise InputError(
            f"{len(gone)} files that '{recorded.run.name}' was trained on are gone, such as "
            f"{', '.join(gone[:_NAMED_FILES])}. Restore them, or give the data set's folder of today: --dataset_dir."
        )
    digest = dataset_digest(items)
    if digest != recorded.run.digest:
        raise InputError(
            f"The data in {new} are not those of '{recorded.run.name}' (dataset_digest {digest[:12]}, recorded "
            f"{recorded.run.digest[:12] or 'none'}): images, labels or their names have changed. Restore them, or "
            "start a new training."
        )
    return split


def _moved(item: Item, working_directory: Path, old: Path, new: Path) -> Item:
    moved = dict(item)
    for key in ("image", "label"):
        if key in item:
            path = working_directory / item[key]
            moved[key] = str(new / path.relative_to(old) if path.is_relative_to(old) else path)
    return moved


def check_code(run: RunRecord, *, force: bool = False) -> None:
    """Compare code, packages and Python of a run with those of this process; warn where the machine differs.

    Raises:
        InputError: they differ, and ``force`` is false.
    """
    today = environment_tags(describe_environment())
    for key in ("device", "platform"):
        if run.tags.get(key) != today[key]:
            logger.warning("%s was %s, is %s: the last digits may differ.", key, run.tags.get(key), today[key])
    found = code_differences(run.tags, today)
    if not found:
        return
    if not force:
        raise InputError(
            f"'{run.name}' was trained by other code: {'; '.join(found)}. Check that commit out and install those "
            "versions, or train with those of today by --force."
        )
    logger.warning("Trained with other code than '%s': %s.", run.name, "; ".join(found))


def code_differences(recorded: Mapping[str, str], today: Mapping[str, str]) -> list[str]:
    """Return what differs between the code of two runs, in words, by their tags.

    Where both have the digest of the code, git's commit does not count.
    """
    versions = [key for key in today if key.startswith("version.") and key != "version.pipeline"]
    found = [
        f"{key.removeprefix('version.')} {recorded.get(key, 'unknown')}, today {today[key]}"
        for key in (*versions, "python")
        if recorded.get(key) != today[key]
    ]
    old, new = recorded.get("code_digest", ""), today.get("code_digest", "")
    commits = [tags.get("git.commit", "")[:12] or "unknown" for tags in (recorded, today)]
    if old and new and old != new:
        found.append(f"code_digest {old[:12]}, today {new[:12]} (git commits {commits[0]} and {commits[1]})")
    elif not (old and new) and (commits[0] != commits[1] or recorded.get("git.dirty") != "false"):
        dirty = " with changes" if recorded.get("git.dirty") != "false" else ""
        found.append(f"git commit {commits[0]}{dirty}, today {commits[1]}")
    return found


def rerun_config(recorded: Recorded, split: Split, target: Path, dataset_dir: str | Path = "") -> dict[str, Any]:
    """Return the configuration of the rerun: the recorded one in another place.

    The recorded split is read from a file only where the data set's folder no longer gives the same.

    Args:
        recorded: what the run has recorded.
        split: its split with the paths of today.
        target: folder of the results.
        dataset_dir: where the data set lies today; where empty, where it lay.
    """
    here = Path.cwd() == recorded.working_directory
    old_data, old_output = recorded.config.get("dataset_dir"), recorded.config.get("output_dir")
    moved: dict[Any, Any] = {old_output: str(target)}
    if dataset_dir or not here:
        moved[old_data] = str(
            Path(dataset_dir).absolute() if dataset_dir else recorded.working_directory / str(old_data)
        )
    name = f"rerun of {recorded.run.name}"
    config: dict[str, Any] = _replaced(recorded.config, moved)
    # the address comes by the environment: the recorded one may have lost its password
    place = {"tracking_uri": "", "run_name": name, "experiment_name": recorded.experiment}
    config |= {"resume": False, "record": True, RERUN_KEY: recorded.run.id, **place}
    if isinstance(config.get("tracker"), dict):
        config["tracker"] |= {**place, "enabled": True}
    if not _gives(config, split):
        config["split"] = {"_target_": "pipeline.data.Split.from_json", "path": str(target / FOLDER / SPLIT_FILE)}
    return config


def _replaced(value: Any, moved: Mapping[Any, Any]) -> Any:
    """Replace whole values: the record has a folder wherever it was referred to."""
    if isinstance(value, dict):
        return {key: _replaced(item, moved) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, moved) for item in value]
    return moved.get(value, value) if isinstance(value, str) else value


def _gives(config: Mapping[str, Any], split: Split) -> bool:
    try:
        made = ConfigParser(dict(config)).get_parsed_content("split")
    except Exception as error:  # what a data set's reader raises, wrapped by MONAI: the recorded split does without it
        logger.info("The data set's folder gives no split (%s): the recorded one is used.", input_error_within(error))
        return False
    return isinstance(made, Split) and all(
        _paths(mine) == _paths(other)
        for mine, other in zip((made.train, made.val), (split.train, split.val), strict=True)
    )


def _paths(items: Sequence[Item]) -> list[tuple[Any, ...]]:
    return [(os.path.abspath(item["image"]), os.path.abspath(item["label"]), item.get("frame")) for item in items]


def write_config(config: Mapping[str, Any], split: Split, target: Path) -> Path:
    """Write configuration and split into the folder of the results, and return the configuration's path.

    Raises:
        InputError: the folder holds another training, or cannot be written.
    """
    if TrainingRecord.load(target) is not None:
        raise InputError(f"{target} holds a training already. Give another --output_dir.")
    path = target / FOLDER / CONFIG_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True), encoding="utf-8")
        split.to_json(target / FOLDER / SPLIT_FILE)
    except OSError as error:
        raise InputError(f"output_dir {target} cannot be written ({error}). Choose another.") from error
    return path


def _train(config_file: Path, recorded: Recorded, uri: str) -> None:
    """Run the bundle in a process of its own, as it ran then: seeds and threads of this process are not its own."""
    words = [sys.executable, "-m", "monai.bundle", "run", "run", "--config_file", str(config_file)]
    logging_file = recorded.working_directory / Path(
        str(recorded.config.get("bundle_root", "")), "configs", "logging.conf"
    )
    words += ["--logging_file", str(logging_file) if logging_file.is_file() else "False"]
    done = subprocess.run(words, env={**os.environ, "MLFLOW_TRACKING_URI": uri}, check=False)
    if done.returncode:
        raise InputError(
            f"The training ended with status {done.returncode}; why, it has said above. Its run is in "
            f"{hide_credentials(uri)}, its configuration is {config_file}."
        )


def compare_figures(old: Mapping[str, float], new: Mapping[str, float]) -> tuple[int, dict[str, tuple[float, float]]]:
    """Compare the latest values of metrics that a rerun must repeat.

    Returns:
        The number of equal ones, and those that differ or are missing (NaN) on one side.
    """
    keys = sorted(key for key in old.keys() | new.keys() if key.startswith(COMPARED))
    pairs = {key: (old.get(key, math.nan), new.get(key, math.nan)) for key in keys}
    different = {key: pair for key, pair in pairs.items() if not _equal(*pair, known=key in old and key in new)}
    return len(pairs) - len(different), different


def _equal(one: float, other: float, *, known: bool) -> bool:
    return known and (one == other or (math.isnan(one) and math.isnan(other)))
