"""Settings in which runs differ, each told once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

MISSING = "-"
_OF_THE_PLACE = frozenset(
    {
        "bundle_root",
        "cache_dir",
        "ckpt_dir",
        "dataset_dir",
        "experiment_name",
        "initialize",
        "output_dir",
        "record",
        "resume",
        "run",
        "run_name",
        "tracking_uri",
    }
)
"""Last words of settings that say where and under which name a run was made, not what it did."""


@dataclass(frozen=True)
class Setting:
    """A setting that is not the same in all runs.

    Attributes:
        key: its name; of several that always change together the shortest.
        values: its value in each run, ``-`` where the run has none.
        also: the others that change together with it.
    """

    key: str
    values: tuple[str, ...]
    also: tuple[str, ...] = ()


def differing_settings(params: Sequence[Mapping[str, str]]) -> list[Setting]:
    """Return the settings in which runs differ.

    The record of a run has a setting wherever it is used: ``learning_rate`` is ``optimizer.lr`` too. Settings with the
    same values in all runs count as one. Places and names (``output_dir``, ``run_name``, …) and ids that begin with an
    underscore are left out.

    Args:
        params: settings of each run.

    Returns:
        Sorted by name.
    """
    together: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key in sorted({key for run in params for key in run}):
        values = tuple(run.get(key, MISSING) for run in params)
        if len(set(values)) > 1 and not _is_of_the_place(key):
            together[values].append(key)
    settings = []
    for values, keys in together.items():
        first, *also = sorted(keys, key=lambda key: (key.count("."), len(key), key))
        settings.append(Setting(first, values, tuple(also)))
    return sorted(settings, key=lambda setting: setting.key)


def _is_of_the_place(key: str) -> bool:
    words = key.split(".")
    return words[-1] in _OF_THE_PLACE or words[0] in _OF_THE_PLACE or key.startswith("_")


def group_labels(labels: Iterable[str], values: Iterable[str]) -> dict[str, list[str]]:
    """Return the labels that share each value, in the order of their first appearance."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for label, value in zip(labels, values, strict=True):
        grouped[value].append(label)
    return dict(grouped)
