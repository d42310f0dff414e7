"""How many iterations an epoch has, and the learning rate over all of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader

from pipeline.errors import InputError


def count_iterations(loader: DataLoader) -> int:
    """Return the number of batches of an epoch.

    Raises:
        InputError: there are fewer samples than a batch takes, so that no iteration is left.
    """
    if len(loader) > 0:
        return len(loader)
    samples = len(loader.sampler)  # type: ignore[arg-type]  # of a map-style dataset
    raise InputError(
        f"batch_size {loader.batch_size} exceeds the {samples} slices of an epoch: there is no whole batch to train "
        f"on. Add cases, or give --batch_size {max(samples, 1)} or less."
    )


def one_cycle(
    optimizer: Optimizer,
    max_lr: float | Sequence[float] | None,
    epochs: int,
    steps_per_epoch: int,
    pct_start: float = 0.3,
    div_factor: float = 25.0,
) -> OneCycleLR:
    """Return PyTorch's one-cycle schedule for a training of any length.

    ``OneCycleLR`` itself divides by zero where the warm-up is exactly one iteration, as in 5 iterations at a
    ``pct_start`` of 0.2.

    Args:
        optimizer: whose learning rate is scheduled.
        max_lr: highest learning rate; a list has one for each parameter group. None takes the groups' own.
        epochs: of the whole training.
        steps_per_epoch: iterations of an epoch.
        pct_start: share of the iterations in which the learning rate rises, in [0, 1].
        div_factor: the learning rate starts at ``max_lr / div_factor``.

    Source:
        Smith and Topin, Super-Convergence, 2019 (https://arxiv.org/abs/1708.07120).
    """
    if pct_start * (epochs * steps_per_epoch) == 1:
        pct_start *= 1 + 1e-9
    highest = [group["lr"] for group in optimizer.param_groups] if max_lr is None else max_lr
    return OneCycleLR(
        optimizer,
        list(highest) if isinstance(highest, Sequence) else highest,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        pct_start=pct_start,
        div_factor=div_factor,
    )
