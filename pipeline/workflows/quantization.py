"""A network in 8-bit integers made from scans, on record."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from monai.engines import SupervisedEvaluator
from torch import nn
from tqdm import tqdm

from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.inference.backends.int8 import quantize
from pipeline.inference.backends.onnx_runtime import OnnxNetwork
from pipeline.inference.phases import PhasePreprocessing, spread
from pipeline.inference.prediction import ScanPredictor
from pipeline.inference.reading import attempt
from pipeline.labels import FOREGROUND, Structure
from pipeline.metrics.overlap import Confusion, confusion_matrix, dice
from pipeline.tracking import RunTracker
from pipeline.workflows.config import current_parser
from pipeline.workflows.inference import without_names
from pipeline.workflows.record import run_params

logger = logging.getLogger(__name__)

FILE = "model_int8.onnx"
LOWEST_DICE = 0.98
"""Between the masks of the quantized network and of the network itself, of a structure: below it, it is not written."""
MAX_BATCHES = 200
"""That are kept of the scans, evenly spread: a cine has hundreds."""


def run_quantization(
    evaluator: SupervisedEvaluator, output_dir: str | Path, tracker: RunTracker, max_scans: int = 16
) -> Path:
    """Make an ONNX model in 8-bit integers of the evaluator's network, as one MLflow run.

    The ranges of the activations are those on scans that the network segments meanwhile; they need no labels. On the
    same scans the model's labels are compared with the network's.

    Args:
        evaluator: of the inference configuration, on the CPU and in float32, batch normalization folded.
        output_dir: where ``model_int8.onnx`` is written.
        tracker: of the MLflow run.
        max_scans: at most so many are read, spread over the data set.

    Returns:
        The file, to be run by ``--backend onnx --exported_file``.

    Raises:
        InputError: no scan can be segmented, or the model would segment otherwise than the network.
    """
    path = Path(output_dir) / FILE
    params, _ = run_params(current_parser())
    with tracker.start("quantizing", params=without_names(params), with_command=False) as run:
        batches = seen_by_network(evaluator, max_scans)
        network = evaluator.network
        model = quantize(network, batches)
        agreement = agreement_of(OnnxNetwork(model), network, batches)
        run.log_metrics({f"agreement_{key}": value for key, value in agreement.items()}, step=0)
        shown = ", ".join(f"{key.upper()} {value:.4f}" for key, value in agreement.items())
        if min(agreement.values()) < LOWEST_DICE:
            raise InputError(
                f"The quantized network segments otherwise than the network itself: Dice {shown}, {LOWEST_DICE} at "
                "least is asked for. Give more scans, such as yours are, or keep --backend folded."
            )
        with atomic_path(path) as partial:
            partial.write_bytes(model)
    logger.info("Dice between the masks of both networks, on these scans: %s.", shown)
    logger.info("Segment with it: --backend onnx --exported_file %s", path)
    return path


def seen_by_network(evaluator: SupervisedEvaluator, max_scans: int) -> list[torch.Tensor]:
    """Segment some scans and return what the network was given, batches ``(B, C, *spatial)``.

    Raises:
        InputError: no scan can be segmented; has the reason of the first.
    """
    dataset = cast(Any, evaluator.data_loader).dataset
    preprocessing = PhasePreprocessing(dataset.transform, cast(Any, evaluator.data_loader).collate_fn)
    predict = ScanPredictor(evaluator, evaluator._process_function, preprocessing)
    batches: list[torch.Tensor] = []
    reasons = []
    with _kept(evaluator.network, batches):
        for place in tqdm(spread(len(dataset.data), max_scans), desc="calibrate", unit="scan", disable=None):
            item = dataset.data[place]
            _, reason = attempt(lambda item=item: predict(preprocessing.read(item)))  # type: ignore[misc]
            if reason:
                logger.warning("A scan was left out: %s", reason)
                reasons.append(reason)
    if not batches:
        raise InputError(f"No scan could be segmented, the first one because {reasons[0]}")
    return [batches[place] for place in spread(len(batches), MAX_BATCHES)]


@contextmanager
def _kept(network: nn.Module, batches: list[torch.Tensor]) -> Iterator[None]:
    hook = network.register_forward_pre_hook(lambda _, given: batches.append(given[0].detach().clone()))
    try:
        yield
    finally:
        hook.remove()


@torch.no_grad()
def agreement_of(model: nn.Module, network: nn.Module, batches: Sequence[torch.Tensor]) -> dict[str, float]:
    """Return the Dice of each structure between the labels of two networks, over all batches; 1 where none has it."""
    total: Confusion | int = 0
    for batch in batches:
        one, other = model(batch), network(batch)
        num_labels = max(one.shape[1], len(Structure))
        total = total + confusion_matrix(one.argmax(dim=1).numpy(), other.argmax(dim=1).numpy(), num_labels)
    found = {structure.key: dice(cast(Confusion, total), structure) for structure in FOREGROUND}
    return {key: 1.0 if math.isnan(value) else value for key, value in found.items()}
