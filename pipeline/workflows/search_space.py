"""What a sweep may change, read from its YAML file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pipeline.errors import InputError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_KEYS = {
    "float": {"type", "low", "high", "log", "step"},
    "int": {"type", "low", "high", "log", "step"},
    "categorical": {"type", "choices"},
}


@dataclass(frozen=True)
class SweepFile:
    """The content of a sweep's YAML file.

    Attributes:
        space: id of the configuration to what it may be: ``{"type": "float" or "int", "low", "high", "log", "step"}``
            or ``{"type": "categorical", "choices"}``.
        settings: overrides of every training.
        num_trials: trainings, those that were stopped early among them.
        startup_trials: trainings with values at random, none of them stopped early, before the search begins.
        warmup_epochs: epochs after which a training can be stopped.
        seed: of the search.
    """

    space: Mapping[str, Mapping[str, Any]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    num_trials: int = 20
    startup_trials: int = 5
    warmup_epochs: int = 0
    seed: int = 0

    @classmethod
    def read(cls, path: Path) -> SweepFile:
        """Read and check a file.

        Raises:
            InputError: it is missing, no YAML, or says something that no sweep understands.
        """
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            raise InputError(f"the sweep {path} cannot be read: {error}") from error
        known = set(cls.__dataclass_fields__)
        if not isinstance(content, dict) or "space" not in content or set(content) - known:
            raise InputError(f"the sweep {path} must map 'space' and any of {sorted(known - {'space'})} to values.")
        sweep = cls(**content)
        for key, spec in sweep.space.items():
            _check(path, key, spec)
        return sweep

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the space as Optuna takes it; a choice that is no plain value goes as JSON."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        found: dict[str, BaseDistribution] = {}
        for key, spec in self.space.items():
            arguments = {name: value for name, value in spec.items() if name != "type"}
            if spec["type"] == "categorical":
                found[key] = CategoricalDistribution([json.dumps(choice) for choice in spec["choices"]])
            else:
                found[key] = (FloatDistribution if spec["type"] == "float" else IntDistribution)(**arguments)
        return found

    def overrides(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the overrides of the training of one trial, from its parameters as Optuna gives them."""
        values = {
            key: json.loads(value) if self.space[key]["type"] == "categorical" else value
            for key, value in params.items()
        }
        return {**self.settings, **values}


def _check(path: Path, key: str, spec: Any) -> None:
    kind = spec.get("type") if isinstance(spec, Mapping) else None
    if kind not in _KEYS:
        raise InputError(f"{path}: '{key}' must have a type, one of {sorted(_KEYS)}, got {kind!r}.")
    if set(spec) - _KEYS[kind]:
        raise InputError(f"{path}: '{key}' of type {kind} takes {sorted(_KEYS[kind])}, got {sorted(spec)}.")
    if kind == "categorical":
        if not isinstance(spec.get("choices"), list) or not spec["choices"]:
            raise InputError(f"{path}: '{key}' must list its choices.")
        return
    low, high = spec.get("low"), spec.get("high")
    # YAML takes 1e-3 for a text: it wants 1.0e-3
    if not all(isinstance(end, int | float) for end in (low, high)) or low > high:
        raise InputError(f"{path}: '{key}' must have numbers low <= high, got {low!r} and {high!r}.")
    if spec.get("log") and low <= 0:
        raise InputError(f"{path}: '{key}' must be above 0 to be searched on a logarithmic scale, got low {low}.")
