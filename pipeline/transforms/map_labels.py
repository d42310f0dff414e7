"""Translates the label values of a data set to the project's."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform
from monai.utils import convert_to_dst_type, convert_to_tensor

from pipeline.errors import InputError
from pipeline.labels import LABEL_MAPS, resolve_label_map
from pipeline.transforms.check_image import source_name

_NO_STRUCTURE = 255


class MapLabels(Transform):
    """Replaces each value of a label by that of its structure in :class:`pipeline.labels.Structure`, or a further one.

    Args:
        label_map: a name in ``pipeline.labels.LABEL_MAPS``, or a mapping of the data set's value to the project's.

    Raises:
        InputError: the name is unknown, or the mapping names a label that the project does not have.
    """

    def __init__(self, label_map: str | Mapping[int | str, int]) -> None:
        self.label_map = resolve_label_map(label_map)
        self.description = f"label_map '{label_map}'" if isinstance(label_map, str) else "label_map"
        self._lowest = min(self.label_map)
        self._table = torch.full((max(self.label_map) - self._lowest + 1,), _NO_STRUCTURE, dtype=torch.uint8)
        for value, structure in self.label_map.items():
            self._table[value - self._lowest] = int(structure)

    def __call__(self, label: torch.Tensor) -> torch.Tensor:
        """Map one label.

        Args:
            label: the data set's values, any shape, any dtype that holds whole numbers.

        Returns:
            The project's values, uint8, of the same shape.

        Raises:
            InputError: the label holds a value that is not in the map, or no whole number.
        """
        values = convert_to_tensor(label, track_meta=False)
        whole = values.long()
        inside = (whole == values) & (whole >= self._lowest) & (whole < self._lowest + len(self._table))
        mapped = self._table.to(values.device)[torch.where(inside, whole - self._lowest, -self._lowest)]
        wrong = ~inside | (mapped == _NO_STRUCTURE)
        if bool(wrong.any()):
            raise InputError(self._message(values[wrong], source_name(label)))
        return convert_to_dst_type(mapped, label, dtype=torch.uint8)[0]

    def _message(self, wrong: torch.Tensor, name: str) -> str:
        unique = [f"{value:g}" for value in torch.unique(wrong).tolist()]
        shown = ", ".join(unique[:10]) + (f" and {len(unique) - 10} more" if len(unique) > 10 else "")
        return (
            f"{name} must hold the values {sorted(self.label_map)} of {self.description}, got {shown} in {len(wrong)} "
            f"voxels. Choose the label_map of the data set ({', '.join(LABEL_MAPS)}, or a mapping), or mend the file."
        )


class MapLabelsd(MapTransform):
    """Dictionary form of :class:`MapLabels`.

    Args:
        keys: keys of the labels.
        label_map: see :class:`MapLabels`.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(
        self, keys: KeysCollection, label_map: str | Mapping[int | str, int], allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.mapper = MapLabels(label_map)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Map each label of the item."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.mapper(d[key])
        return d
