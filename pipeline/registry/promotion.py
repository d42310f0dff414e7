"""From candidate to champion: only with evidence, and with a record of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pipeline.comparison.experiment import CaseReader, compare_rows
from pipeline.comparison.mlflow_source import MlflowSource
from pipeline.comparison.paired import CONFIDENCE, Difference, Pair
from pipeline.comparison.records import read_run
from pipeline.comparison.rows import Row
from pipeline.errors import InputError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
MEASURE = "mean_dice"


@dataclass(frozen=True)
class Promotion:
    """Why a version became the champion.

    Attributes:
        version: the new champion.
        replaced: the champion before; empty where there was none.
        reason: the evidence, in words.
    """

    version: str
    replaced: str
    reason: str


def promote(client: MlflowClient, uri: str, name: str, version: str, margin: float = 0.0, seed: int = 0) -> Promotion:
    """Make a version the champion where it is better than the champion on the same cases.

    The mean difference of ``mean_dice`` must be above 0, and the lower end of its bootstrap interval above ``margin``.
    Without a champion the version becomes it. Success and refusal are written to the version's tags, ``promotion.…``.

    Args:
        client: client of the store.
        uri: address of the store, for messages.
        name: name of the registered model.
        version: the version to promote.
        margin: Dice that the interval must exclude, at least 0.
        seed: of the bootstrap.

    Raises:
        InputError: the version is the champion, there is no evidence, or it does not suffice.
    """
    if not margin >= 0:
        raise InputError(f"margin must be a Dice of at least 0, got {margin}.")
    champion = find_alias(client, name, CHAMPION)
    if champion is None:
        return _crown(client, name, version, "", "There was no champion to compare with.", {})
    if str(champion.version) == version:
        raise InputError(f"Version {version} of '{name}' is the champion already.")
    candidate = client.get_model_version(name, version)
    try:
        pair = _compare(client, uri, candidate, champion, seed)
        difference = next(item for item in pair.differences if item.measure == MEASURE)
        reason = judge(difference, margin)
    except InputError as error:
        client.set_model_version_tag(name, version, "promotion.refused", str(error))
        raise
    return _crown(client, name, version, str(champion.version), reason, _evidence(difference, margin))


def find_alias(client: MlflowClient, name: str, alias: str) -> ModelVersion | None:
    """Return the version with an alias, None where no version has it."""
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(name, alias)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def judge(difference: Difference, margin: float = 0.0) -> str:
    """Return the evidence for A over B in words.

    Raises:
        InputError: it does not suffice.
    """
    text = (
        f"{difference.measure} {difference.mean_a:.4f} against {difference.mean_b:.4f} of the champion on "
        f"{difference.num_cases} cases of {difference.num_patients} patients: difference {difference.difference:+.4f}, "
        f"{CONFIDENCE:.0%} interval [{difference.low:+.4f}, {difference.high:+.4f}], Wilcoxon p {difference.p:.3g}"
    )
    if difference.difference > 0 and difference.low > margin:
        return f"{text}. The interval lies above the margin of {margin:g}."
    raise InputError(
        f"Not promoted: {text}. The interval must lie above the margin of {margin:g}: the champion stays until a "
        "candidate is shown to be better."
    )


def _compare(client: MlflowClient, uri: str, candidate: ModelVersion, champion: ModelVersion, seed: int) -> Pair:
    rows = []
    for version in (candidate, champion):
        if not version.run_id:
            raise InputError(f"Version {version.version} of '{version.name}' names no run to compare by.")
        run = read_run(client, uri, version.run_id)
        rows.append(Row(f"{run.name} (version {version.version})", run, figures=run.figures))
    return compare_rows(rows[0], rows[1], CaseReader(MlflowSource(client, uri)), seed=seed)


def _crown(
    client: MlflowClient, name: str, version: str, replaced: str, reason: str, evidence: Mapping[str, object]
) -> Promotion:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    tags = {"reason": reason, "replaced": replaced or "none", "time": now, **evidence}
    for key, value in tags.items():
        client.set_model_version_tag(name, version, f"promotion.{key}", str(value))
    client.set_registered_model_alias(name, CHAMPION, version)
    if replaced:
        client.set_model_version_tag(name, replaced, "promotion.replaced_by", version)
    return Promotion(version, replaced, reason)


def _evidence(difference: Difference, margin: float) -> dict[str, object]:
    return {
        "difference": difference.difference,
        "interval_low": difference.low,
        "interval_high": difference.high,
        "p_wilcoxon": difference.p,
        "num_cases": difference.num_cases,
        "num_patients": difference.num_patients,
        "margin": margin,
    }
