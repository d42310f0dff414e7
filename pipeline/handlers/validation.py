"""Validation every few epochs, and always after the last."""

from __future__ import annotations

from collections.abc import Sized
from typing import cast

from ignite.engine import Engine, Events
from monai.engines import Evaluator
from monai.handlers import ValidationHandler


def has_cases(evaluator: Evaluator | None) -> bool:
    """Tell whether an evaluator has anything to evaluate: a training on all cases has no validation."""
    return evaluator is not None and len(cast(Sized, evaluator.data_loader)) > 0


class EpochValidation(ValidationHandler):
    """MONAI's ``ValidationHandler`` that never leaves out the last epoch.

    With MONAI's, a training whose length is no multiple of the interval ends with epochs that nothing has validated,
    and one that is shorter than the interval with no best weights at all. Where there are no cases to validate, nothing
    runs.

    Args:
        validator: the evaluator to run.
        interval: epochs between validations, at least 1.

    Raises:
        ValueError: ``interval`` is below 1.
    """

    def __init__(self, validator: Evaluator, interval: int) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 epoch, got {interval}.")
        super().__init__(interval, validator)

    def attach(self, engine: Engine) -> None:
        """Attach to a trainer."""
        engine.add_event_handler(Events.EPOCH_COMPLETED(event_filter=self._is_due), self)

    def _is_due(self, engine: Engine, epoch: int) -> bool:
        if not has_cases(self.validator):
            return False
        return epoch % self.interval == 0 or epoch == engine.state.max_epochs
