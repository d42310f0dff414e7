"""A training's model in the MLflow registry."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.comparison.records import RunRecord
from pipeline.errors import InputError
from pipeline.registry.package import input_example, read_inference_config, serving_config, write_model
from pipeline.registry.promotion import CHAMPION, Promotion, promote
from pipeline.tracking.reading import open_to_read
from pipeline.workflows.rerun import read_recorded

if TYPE_CHECKING:
    from mlflow import MlflowClient

CANDIDATE = "candidate"
DEFAULT_NAME = "cardiac_sax_segmentation"
MODEL_FOLDER = "model"
WEIGHTS = "models/model.pt"


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    Attributes:
        name: name of the model.
        version: its version.
        model_uri: what loads it: ``models:/name@alias``.
        tracking_uri: address of the store.
        promotion: why it became the champion; None where that was not asked for.
    """

    name: str
    version: str
    model_uri: str
    tracking_uri: str
    promotion: Promotion | None = None


def register_run(
    run_id: str,
    name: str = DEFAULT_NAME,
    alias: str = CANDIDATE,
    tracking_uri: str = "",
    bundle_root: str | Path = "",
    *,
    promotes: bool = False,
    margin: float = 0.0,
) -> Registered:
    """Make an MLflow model of a training, try it, and register it as the next version.

    Args:
        run_id: of the training.
        name: name of the registered model; made where it is new.
        alias: given to the version; the champion's is given by promotion alone.
        tracking_uri: where the run is recorded, and where the model will be.
        bundle_root: folder of the bundle, for its inference configuration; where empty, that of the training.
        promotes: also make it the champion, see ``promote``.
        margin: see ``promote``.

    Raises:
        InputError: the run is no training or has no weights, they do not fit the network, the store refuses, or the
            version is not promoted, which leaves it registered.
    """
    if alias == CHAMPION:
        raise InputError(f"The alias '{CHAMPION}' is given by a promotion, after a comparison: --promote.")
    client, uri = open_to_read(tracking_uri)
    recorded = read_recorded(client, uri, run_id)
    config = serving_config(read_inference_config(recorded, bundle_root), recorded.config)
    with tempfile.TemporaryDirectory() as folder:
        weights = _download_weights(client, recorded.run, Path(folder))
        model = write_model(Path(folder, MODEL_FOLDER), weights, config, _metadata(recorded.run))
        try_model(model)
        version = _create_version(client, name, alias, recorded.run, model)
    promotion = promote(client, uri, name, version, margin) if promotes else None
    return Registered(name, version, f"models:/{name}@{alias}", uri, promotion)


def try_model(model: Path) -> None:
    """Load a model as MLflow does, and ask it the example.

    Raises:
        InputError: that fails.
    """
    import mlflow.pyfunc

    try:
        mlflow.pyfunc.load_model(str(model)).predict(input_example())
    except Exception as error:  # whatever it is, a model that cannot answer must not be registered
        raise InputError(f"The model cannot answer its own example, so it is not registered: {error}") from error


def _download_weights(client: MlflowClient, run: RunRecord, folder: Path) -> Path:
    try:
        return Path(client.download_artifacts(run.id, WEIGHTS, str(folder)))
    except Exception as error:  # MLflow's, the system's or the network's, by the kind of artifact store
        raise InputError(
            f"The run '{run.name}' ({run.id}, {run.status}) has no weights {WEIGHTS}: it ended before they were "
            "recorded, or its artifacts cannot be reached from here."
        ) from error


def _metadata(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "dataset_digest": run.digest,
        "git_commit": run.tags.get("git.commit", ""),
        "mean_dice": run.figures.get("mean_dice"),
    }


def _create_version(client: MlflowClient, name: str, alias: str, run: RunRecord, model: Path) -> str:
    dice = run.figures.get("mean_dice")
    tags = {"dataset_digest": run.digest, "run_name": run.name, "mean_dice": "" if dice is None else str(dice)}
    told = f"Best weights of the training {run.name}." + ("" if dice is None else f" Mean Dice {dice:.4f}.")
    try:
        folder = _free_folder(client, run.id)
        client.log_artifacts(run.id, str(model), folder)
        _ensure_model(client, name)
        source = f"{client.get_run(run.id).info.artifact_uri}/{folder}"
        version = str(client.create_model_version(name, source, run.id, tags=tags, description=told).version)
        client.set_registered_model_alias(name, alias, version)
    except Exception as error:  # each store has its own: MLflow's, SQLAlchemy's, the driver's, the network's
        reason = str(error).strip().partition("\n")[0]
        raise InputError(f"The MLflow store takes no model '{name}' with the alias '{alias}': {reason}") from error
    return version


def _free_folder(client: MlflowClient, run_id: str) -> str:
    """A run that is registered again leaves the files of its earlier versions alone."""
    taken = {item.path for item in client.list_artifacts(run_id)}
    names = (MODEL_FOLDER, *(f"{MODEL_FOLDER}_{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _ensure_model(client: MlflowClient, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description="Short-axis segmentation: RV, myocardium, LV.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
