"""Picks one phase of a cine."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, Transform

from pipeline.errors import InputError
from pipeline.transforms.check_image import source_name


class SelectFrame(Transform):
    """Picks one phase of a cine whose phases lie in the channels, as ``EnsureChannelFirst`` leaves a 4D NIfTI."""

    def __call__(self, img: torch.Tensor, frame: int | None = None) -> torch.Tensor:
        """Pick a phase.

        Args:
            img: ``(T, X, Y, Z)``, the phases in the channels.
            frame: index of the phase, counted from 0; None for a volume that has only one.

        Returns:
            The phase, ``(1, X, Y, Z)``.

        Raises:
            InputError: there is no such phase, or there are several and ``frame`` is None.
        """
        phases = img.shape[0]
        if frame is None:
            if phases > 1:
                raise InputError(
                    f"{source_name(img)} is 4D where 3D is needed: it has {phases} phases, and its item of the "
                    "datalist names none. Add 'frame', the index of the phase counted from 0, or extract the phase to "
                    "a 3D file."
                )
            return img
        if not 0 <= frame < phases:
            raise InputError(f"frame must be from 0 to {phases - 1} in {source_name(img)}, got {frame}.")
        return img[frame : frame + 1]


class SelectFramed(MapTransform):
    """Dictionary form of :class:`SelectFrame`; the phase is the item's own.

    Args:
        keys: keys of the cines.
        frame_key: key of the index of the phase, counted from 0. Items without it must hold volumes of one phase.
        allow_missing_keys: do not raise where a key is missing.
    """

    def __init__(self, keys: KeysCollection, frame_key: str = "frame", allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.frame_key = frame_key
        self.selector = SelectFrame()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Pick the item's phase from each of its cines."""
        d = dict(data)
        for key in self.key_iterator(d):
            d[key] = self.selector(d[key], d.get(self.frame_key))
        return d
