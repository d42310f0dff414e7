"""One cohort segmented, on record."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from monai.engines import SupervisedEvaluator

from pipeline.errors import InputError
from pipeline.flags import as_flag
from pipeline.handlers.checksum import sha256
from pipeline.inference.cohort import segment_cohort
from pipeline.inference.reading import explain
from pipeline.inference.results import CohortError, CohortResult
from pipeline.inference.sharing import is_first
from pipeline.inference.study import StudyOptions
from pipeline.tracking import RunTracker
from pipeline.tracking.run import Run
from pipeline.workflows.config import current_parser
from pipeline.workflows.members import CheckpointPaths, member_paths
from pipeline.workflows.record import run_params

logger = logging.getLogger(__name__)


def run_inference(
    evaluator: SupervisedEvaluator,
    output_dir: str | Path,
    tracker: RunTracker,
    overlays: bool | str = False,
    options: StudyOptions | None = None,
    ckpt_path: CheckpointPaths = "",
) -> CohortResult:
    """Segment all scans of the evaluator's data loader, as one MLflow run.

    The run records settings, counts and times. Names of scans stay in ``output_dir``: they may be names of patients.
    So may ``dataset_dir``, which is recorded as the beginning of its SHA-256 unless ``options.with_identifiers``.

    Args:
        evaluator: of the inference configuration.
        output_dir: folder of the masks.
        tracker: of the MLflow run.
        overlays: whether to draw a picture of each scan.
        options: what is written beside the masks.
        ckpt_path: file or files of the weights, whose checksums the reports give.

    Returns:
        What became of each scan.

    Raises:
        CohortError: some scans failed; the masks of the others are written.
    """
    params, _ = run_params(current_parser())
    draw = as_flag("overlays", overlays)
    options = replace(options or StudyOptions(), provenance=_provenance(ckpt_path))
    if not options.with_identifiers:
        params = without_names(params)
    with tracker.start("inference", params=params, with_command=options.with_identifiers) as run:
        try:
            result = segment_cohort(
                evaluator,
                output_dir,
                overlays=draw,
                options=options,
                publish=lambda name, text: run.log_text(text, name),
            )
        except CohortError as error:
            _record(run, error.result, options)
            raise
        _record(run, result, options)
    logger.info("%s", last_line(result))
    return result


def last_line(result: CohortResult) -> str:
    """Return what a run ends with: how many scans were segmented, and where to look.

    Args:
        result: what became of the scans, with or without reports.
    """
    number = len(result.scans)
    page = ", the reports in report.html" if any(scan.has_report for scan in result.scans) else ""
    return (
        f"Segmented {number} {'scan' if number == 1 else 'scans'}: the masks are in {result.output_dir}, the numbers "
        f"in studies.csv there{page}."
    )


def without_names(params: Mapping[str, str]) -> dict[str, str]:
    """Return parameters with a digest in the place of each ``dataset_dir``, whose name may be a patient's.

    Args:
        params: of ``run_params``.

    Returns:
        The same keys; equal folders have equal digests, of 12 hexadecimal digits.
    """
    return {key: _digest(value) if key.split(".")[-1] == "dataset_dir" else value for key, value in params.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]


def _provenance(ckpt_path: CheckpointPaths) -> dict[str, str]:
    paths = [path for path in (member_paths(ckpt_path) if ckpt_path else []) if path.is_file()]
    if not paths:
        return {}
    name = paths[0].name if len(paths) == 1 else f"mean of {len(paths)} networks"
    return {"weights": name, "weights_sha256": ", ".join(map(sha256, paths))}


def _record(run: Run, result: CohortResult, options: StudyOptions) -> None:
    seconds = [scan.seconds for scan in result.scans]
    flagged = sum(bool(scan.study and scan.study.flags) for scan in result.scans)
    run.log_metrics(
        {
            "num_scans": len(result.scans),
            "num_failed": len(result.failed),
            "num_flagged": flagged,
            "seconds_per_scan": sum(seconds) / max(len(seconds), 1),
        },
        step=0,
    )
    if not (is_first() and any(scan.has_report for scan in result.scans)):
        return
    # what draws pages takes its time to import
    from pipeline.inference.cohort_page import write_cohort_page, write_published_page

    try:
        write_cohort_page(result, options.provenance)
    except OSError as error:
        raise InputError(f"The report of the scans cannot be written: {explain(error)}") from error
    with TemporaryDirectory() as folder:
        run.log_artifact(write_published_page(result, options.provenance, Path(folder)))
