"""Settings in which runs differ, each told once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

MISSING = "-"
TARGET = "_target_"
ORDER = "order"
"""Last word of a setting that is made here: the components of a list in their order."""
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
"""Words of settings that say where and under which name a run was made, not what it did."""

Params = Mapping[str, str]


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


def differing_settings(params: Sequence[Params]) -> list[Setting]:
    """Return the settings in which runs differ.

    The record of a run has a setting wherever it is used: ``learning_rate`` is ``optimizer.lr`` too. Settings with the
    same values in all runs count as one, and so do those of a component that a run does not have. The components of a
    list are told apart by their names, not by their places. Places and names of runs (``output_dir``, ``run_name``, …)
    and ids that begin with an underscore are left out.

    Args:
        params: settings of each run.

    Returns:
        Sorted by name.
    """
    named = [name_components(run) for run in params]
    different: dict[str, tuple[str, ...]] = {}
    for key in sorted({key for run in named for key in run}):
        values = tuple(run.get(key, MISSING) for run in named)
        if len(set(values)) > 1 and not _is_of_the_place(key) and not _is_told_by_names(key, values):
            different[key] = values
    together: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for key, values in different.items():
        component = _component_of(key, values, different)
        together[(component,) if component else values].append(key)
    settings = []
    for keys in together.values():
        first, *also = sorted(keys, key=lambda key: (not key.endswith(TARGET), key.count("."), len(key), key))
        settings.append(Setting(first, different[first], tuple(also)))
    return sorted(settings, key=lambda setting: setting.key)


def name_components(params: Params) -> dict[str, str]:
    """Put the name of a component in the place of its number in a list.

    Args:
        params: settings of a run, such as ``transforms.0._target_: monai.transforms.RandFlipd``.

    Returns:
        The same settings as ``transforms.RandFlipd._target_``, with ``transforms.order`` for the order of the list. A
        second component of one name is ``RandFlipd_2``.
    """
    keys, orders = _new_keys(tuple((key, value if key.endswith(TARGET) else "") for key, value in params.items()))
    return dict(zip(keys, params.values(), strict=True)) | dict(orders)


@lru_cache(maxsize=64)
def _new_keys(items: tuple[tuple[str, str], ...]) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of the settings, and the order of each list; most runs of an experiment have the same."""
    names: dict[str, str] = {}
    seen: Counter[tuple[str, str]] = Counter()
    lists: dict[str, list[str]] = defaultdict(list)
    for key, target in sorted(items, key=lambda item: _by_number(item[0])):
        place, _, last = key.rpartition(".")
        parent, _, number = place.rpartition(".")
        if last == TARGET and number.isdecimal():
            name = target.rpartition(".")[2]
            seen[parent, name] += 1
            names[place] = name if seen[parent, name] == 1 else f"{name}_{seen[parent, name]}"
            lists[parent].append(names[place])
    orders = [(f"{_renamed(parent, names)}.{ORDER}", ", ".join(inside)) for parent, inside in lists.items()]
    return [_renamed(key, names) for key, _ in items], orders


def _by_number(key: str) -> list[tuple[int, str]]:
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in key.split(".")]


def _renamed(key: str, names: Mapping[str, str]) -> str:
    words = key.split(".")
    return ".".join(names.get(".".join(words[: place + 1]), word) for place, word in enumerate(words))


def _is_of_the_place(key: str) -> bool:
    words = key.split(".")
    return words[-1] in _OF_THE_PLACE or words[0] in _OF_THE_PLACE or key.startswith("_")


def _is_told_by_names(key: str, values: Sequence[str]) -> bool:
    """The order of lists tells nothing more where they do not have the same components."""
    return key.rpartition(".")[2] == ORDER and len({tuple(sorted(value.split(", "))) for value in values}) > 1


def _component_of(key: str, values: Sequence[str], different: Mapping[str, Sequence[str]]) -> str:
    """The component that some runs do not have, where that is all that this setting tells; else empty."""
    target = f"{key.rpartition('.')[0]}.{TARGET}"
    others = different.get(target)
    if others is None or len(set(values) - {MISSING}) > 1 or len(set(others) - {MISSING}) > 1:
        return ""
    alike = all((one == MISSING) == (other == MISSING) for one, other in zip(values, others, strict=True))
    return target if alike else ""


def group_labels(labels: Iterable[str], values: Iterable[str]) -> dict[str, list[str]]:
    """Return the labels that share each value, in the order of their first appearance."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for label, value in zip(labels, values, strict=True):
        grouped[value].append(label)
    return dict(grouped)
