"""The structures of the heart that the project segments, and how each data set numbers them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from pipeline.errors import InputError


class Structure(IntEnum):
    """Label values of every mask inside the project and of every mask that it writes (the order of ACDC)."""

    BACKGROUND = 0
    RV = 1
    MYO = 2
    LV = 3

    @property
    def key(self) -> str:
        """Name in metric keys and column names, e.g. ``"lv"``."""
        return self.name.lower()


FOREGROUND: tuple[Structure, ...] = (Structure.RV, Structure.MYO, Structure.LV)

FURTHER = range(len(Structure), 255)
"""Labels that a network can be taught beside the structures, such as scar. 255 is left for "no label"."""

LabelMap = Mapping[int, int]

# Sources: ACDC https://www.creatis.insa-lyon.fr/Challenge/acdc/databases.html; M&Ms https://www.ub.edu/mnms/
# (the order is the reverse of ACDC's); MONAI model zoo, ventricular_short_axis_3label; MS-CMRSeg 2019, first release;
# Sunnybrook as data.sunnybrook draws it: the right ventricle is drawn nowhere.
LABEL_MAPS: dict[str, LabelMap] = {
    "acdc": {0: Structure.BACKGROUND, 1: Structure.RV, 2: Structure.MYO, 3: Structure.LV},
    "mnms": {0: Structure.BACKGROUND, 1: Structure.LV, 2: Structure.MYO, 3: Structure.RV},
    "zoo_ventricular": {0: Structure.BACKGROUND, 1: Structure.LV, 2: Structure.MYO, 3: Structure.RV},
    "mscmrseg": {0: Structure.BACKGROUND, 200: Structure.MYO, 500: Structure.LV, 600: Structure.RV},
    "sunnybrook": {0: Structure.BACKGROUND, 2: Structure.MYO, 3: Structure.LV},
}


def label_key(label: int) -> str:
    """Return the name of a label in metric keys and column names: ``"lv"``, or ``"label_4"`` of a further one."""
    return f"label_{int(label)}" if label in FURTHER else Structure(label).key


def resolve_label_map(label_map: str | Mapping[int | str, int]) -> dict[int, int]:
    """Return the map from a data set's label values to the project's.

    Args:
        label_map: a name in ``LABEL_MAPS``, or a mapping of the data set's value to the project's value
            (``{1: 3, 2: 2, 3: 1}``): a ``Structure``, or one of ``FURTHER`` for what the project does not know.
            Background, 0 to 0, is implied.

    Returns:
        The map with integer keys, always with an entry for 0.

    Raises:
        InputError: the name is unknown, or a value is no label of the project.
    """
    if isinstance(label_map, str):
        if label_map not in LABEL_MAPS:
            raise InputError(f"label_map must be a mapping or one of {sorted(LABEL_MAPS)}, got '{label_map}'.")
        return dict(LABEL_MAPS[label_map])
    pairs = {_whole_number(key): _whole_number(value) for key, value in label_map.items()}
    unknown = sorted({*pairs.values()} - {*Structure} - {*FURTHER})
    if unknown:
        names = ", ".join(f"{structure.value} {structure.name}" for structure in Structure)
        raise InputError(
            f"label_map must map to the project's structures ({names}), or for further labels to {FURTHER[0]} to "
            f"{FURTHER[-1]}, got {unknown}."
        )
    return {0: Structure.BACKGROUND} | {key: _label(value) for key, value in pairs.items()}


def _label(value: int) -> int:
    return value if value in FURTHER else Structure(value)


def _whole_number(value: Any) -> int:
    # YAML and JSON give keys as text, int or float: 1, "1" and 1.0 are one label value, 1.5 and "lv" are none.
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not number.is_integer():
        raise InputError(f"label_map must hold whole numbers, such as {{1: 3, 2: 2, 3: 1}}, got {value!r}.")
    return int(number)
