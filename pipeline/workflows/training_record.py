"""What a folder says of the training in it: to what it belongs, and whether it is finished."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from monai.bundle import ConfigParser

from pipeline.data import Split, dataset_digest
from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.tracking.provenance import code_digest
from pipeline.workflows.config import written_config
from pipeline.workflows.record import SPLIT_FILE

RECORD_FILE = "training.json"
# where a training reads and writes, and which fold it validates on: the same training in another place
_PLACES = frozenset(
    {"bundle_root", "dataset_dir", "output_dir", "ckpt_dir", "cache_dir", "cache_device", "memory_share"}
    | {"tracking_uri", "experiment_name", "run_name", "record", "resume", "fold"}
)
# without which the state of a training means nothing, or something else
_OF_THE_STATE = ("seed", "max_epochs", "spatial_dims", "neighbors", "pixdim", "roi_size", "label_map", "network_def")


@dataclass(frozen=True)
class TrainingRecord:
    """The content of ``training.json``.

    Attributes:
        run_id: of the MLflow run, empty where nothing was recorded.
        dataset_digest: of all cases that the split has, on both sides.
        code: digest of the package that trained.
        settings: the configuration as it was written, flat, without the places of files and the fold.
        finished: whether the report on the best weights is there.
    """

    run_id: str
    dataset_digest: str
    code: str
    settings: Mapping[str, str]
    finished: bool = False

    @classmethod
    def describe(cls, parser: ConfigParser, split: Split, run_id: str = "") -> TrainingRecord:
        """Describe the training that a configuration asks for."""
        return cls(run_id, dataset_digest([*split.train, *split.val]), code_digest(), comparable_settings(parser))

    @classmethod
    def load(cls, folder: Path) -> TrainingRecord | None:
        """Read the record of a folder; None where no training has begun.

        Raises:
            InputError: the file is damaged.
        """
        path = folder / RECORD_FILE
        if not path.is_file():
            return None
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{path} is damaged ({error}). Remove it: weights can be used without it, and --resume auto begins the "
                "training anew."
            ) from error

    def save(self, folder: Path) -> None:
        """Write the record, whole or not at all."""
        with atomic_path(folder / RECORD_FILE) as partial:
            partial.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def differences(self, other: TrainingRecord, *, code: bool = True) -> list[str]:
        """Return what keeps the two from being trainings of one kind, in words; ``code``: whether that counts."""
        found = []
        if self.dataset_digest != other.dataset_digest:
            found.append(f"other data (digest {self.dataset_digest[:8]}, not {other.dataset_digest[:8]})")
        if code and self.code != other.code:
            found.append(f"other code (digest {self.code[:8]}, not {other.code[:8]})")
        for key in sorted(self.settings.keys() | other.settings.keys()):
            mine, others = (record.settings.get(key, "nothing") for record in (self, other))
            if mine != others:
                found.append(f"{key} {mine}, not {others}")
        return found


def comparable_settings(parser: ConfigParser) -> dict[str, str]:
    """Return the configuration as it is written, flat, without what may differ between equal trainings."""
    return {key: value for key, value in written_config(parser).items() if key.partition(".")[0] not in _PLACES}


def require_same_training(folder: Path, parser: ConfigParser, split: Split) -> None:
    """Refuse to go on with another split, seed or network than the training in ``folder`` began with.

    Going on with ``--fold 2`` what began with ``--fold 1`` would validate on patients that were trained on.

    Args:
        folder: of the results, with the split and the record of the training that is to be resumed.
        parser: of the configuration that is run now.
        split: of that configuration.

    Raises:
        InputError: names what differs, or that the folder does not say what was trained.
    """
    found = resume_differences(folder, parser, split)
    if found:
        raise InputError(
            f"the training in {folder} cannot be resumed: {'; '.join(found)}. Resume with the settings and data it "
            "was started with, or start anew with another --output_dir or --resume false."
        )


def resume_differences(folder: Path, parser: ConfigParser, split: Split) -> list[str]:
    """Return in words what keeps a configuration from going on with the training in ``folder``; empty if nothing."""
    record = TrainingRecord.load(folder)
    if record is None or not (folder / SPLIT_FILE).is_file():
        return [f"it lacks {RECORD_FILE} or {SPLIT_FILE}, which say what it was trained on"]
    now = comparable_settings(parser)
    keys = [key for key in sorted(record.settings.keys() | now.keys()) if key.partition(".")[0] in _OF_THE_STATE]
    pairs = [(key, now.get(key, "nothing"), record.settings.get(key, "nothing")) for key in keys]
    settings = [f"{key} {mine}, not {began}" for key, mine, began in pairs if mine != began]
    return [*_split_differences(split, Split.from_json(folder / SPLIT_FILE)), *settings]


def _split_differences(now: Split, began: Split) -> list[str]:
    seen = sorted(_case_ids(now.val) & _case_ids(began.train))
    if seen:
        return [f"{len(seen)} of {len(now.val)} cases to validate on were trained on (--fold), such as {seen[0]}"]
    others = (_case_ids(now.train) ^ _case_ids(began.train)) | (_case_ids(now.val) ^ _case_ids(began.val))
    return [f"other cases are trained or validated on, such as {min(others)}"] if others else []


def _case_ids(items: Sequence[Mapping[str, object]]) -> set[str]:
    return {str(item["case_id"]) for item in items}
