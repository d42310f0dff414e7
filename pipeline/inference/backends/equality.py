"""Whether a back end computes what the network computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from pipeline.errors import InputError
from pipeline.inference.backends.example import example_images

TOLERANCE = 1e-3
"""Largest difference between logits of a back end and of PyTorch."""

Predictor = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def largest_difference(predictor: Predictor, network: nn.Module) -> float:
    """Return the largest difference between the logits of a back end and those of the network, on noise of two sizes.

    Returns:
        It, NaN where one of the logits is.
    """
    differences = [(predictor(image) - network(image)).abs().max() for image in example_images(network)]
    return float(torch.stack(differences).max())


@torch.no_grad()
def require_fitting(predictor: Predictor, network: nn.Module, path: Path) -> None:
    """Find out whether an exported network takes any size, and has the classes of the configuration.

    Args:
        predictor: the exported network.
        network: of the configuration; its weights do not matter.
        path: of the exported file.

    Raises:
        InputError: it refuses a size, or gives maps of another shape.
    """
    network = network.eval()
    for image in example_images(network):
        expected = tuple(network(image).shape)
        try:
            found = tuple(predictor(image).shape)
        # the runtimes have no common class for what they refuse
        except Exception as error:
            raise InputError(
                f"exported_file {path} does not take images of shape {tuple(image.shape)}, which network_def takes: "
                f"{first_line(error)} Export the same network_def, with dynamic axes: number and size of the images."
            ) from error
        if found != expected:
            raise InputError(
                f"exported_file {path} gives maps of shape {found} where network_def gives {expected}. Use the file or "
                "the network_def that belongs to it."
            )


def first_line(error: Exception) -> str:
    """Return the first line of what a runtime complains of, which may print its whole graph."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}."
