"""The model that MLflow loads and serves: a scan in, its mask and volumes out."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST
from mlflow.pyfunc import PythonModel, PythonModelContext
from monai.bundle import ConfigParser
from torch import nn

from pipeline.data.image_file import open_image
from pipeline.errors import InputError, input_error_within
from pipeline.files import atomic_path
from pipeline.inference.cohort import segment_cohort
from pipeline.inference.results import CohortError, ScanResult
from pipeline.inference.study import ReportChoice, SegPhases, StudyOptions
from pipeline.labels import FOREGROUND
from pipeline.registry.request import form_of, scan_path

CONFIG_ARTIFACT = "config"
WEIGHTS_ARTIFACT = "weights"
MASK_ALONE = StudyOptions(report=ReportChoice.NEVER, dicom_seg=SegPhases.NONE, dicom_sr=False)


class CardiacSegmenter(PythonModel):
    """Segments short-axis stacks and cines by a bundle's inference configuration.

    A request is a row with one of ``path`` (a file, or the folder of a DICOM study, on this machine), ``nifti``
    (bytes) or ``image`` (array (X, Y, Z) or (X, Y, Z, T), axes as in DICOM: x to the patient's left, y to posterior)
    with ``spacing_mm``. The answer has ``rv_ml``, ``myo_ml`` and ``lv_ml``, a value a phase, and the mask in the form
    that fits: ``mask`` as array for an array, ``mask_path`` for a path where the parameter ``output_dir`` is given,
    else ``mask_nifti``, the bytes of a NIfTI file on the scan's own grid. Values: 0 background, 1 RV, 2 myocardium,
    3 LV.

    What is wrong with a request raises ``MlflowException`` with ``BAD_REQUEST``, HTTP status 400 when served.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Read configuration and weights, once."""
        text = Path(context.artifacts[CONFIG_ARTIFACT]).read_text(encoding="utf-8")
        self._config: dict[str, Any] = yaml.safe_load(text)
        self._config["ckpt_path"] = context.artifacts[WEIGHTS_ARTIFACT]
        self._network: nn.Module = self._parser().get_parsed_content("network")
        # a server answers in threads: one scan at a time, for the sake of memory
        self._lock = threading.Lock()

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Segment the scans of a table, a row each.

        Args:
            context: unused.
            model_input: see the class.
            params: ``output_dir``: folder on this machine for the masks of scans that come as paths.

        Returns:
            A row a scan, see the class.

        Raises:
            MlflowException: a request is bad; says which and why.
        """
        output_dir = str((params or {}).get("output_dir") or "")
        rows = pd.DataFrame(model_input).to_dict(orient="records")
        # a table whose columns are all unknown has no rows: it is told like a row without a scan
        return pd.DataFrame([self._answer(place, row, output_dir) for place, row in enumerate(rows or [{}])])

    def _answer(self, place: int, row: Mapping[Any, Any], output_dir: str) -> dict[str, Any]:
        try:
            with self._lock, tempfile.TemporaryDirectory() as folder:
                Path(folder, "in").mkdir()
                scan = scan_path(row, Path(folder, "in"))
                result = self._segment(scan, Path(folder, "out"))
                mask = Path(folder, "out", result.output)
                return _volumes(result) | _mask_as_asked(form_of(row), mask, output_dir)
        except CohortError as error:
            raise _bad_request(f"scan {place}: {error.result.failed[0].reason}") from error
        except Exception as error:
            reason = input_error_within(error)
            if reason is None:
                raise
            raise _bad_request(f"scan {place}: {reason}") from error

    def _segment(self, scan: Path, output_dir: Path) -> ScanResult:
        parser = self._parser(scan, output_dir)
        found = parser.get_parsed_content("datalist")
        if len(found) != 1:
            raise InputError(f"path must hold one scan, got {len(found)} in '{scan}'. Ask for them one by one.")
        evaluator = parser.get_parsed_content("evaluator")
        return segment_cohort(evaluator, output_dir, progress=False, options=MASK_ALONE).scans[0]

    def _parser(self, scan: Path | None = None, output_dir: Path | None = None) -> ConfigParser:
        parser = ConfigParser(dict(self._config))
        if scan is not None:
            parser.update({"dataset_dir": str(scan), "output_dir": str(output_dir)})
            parser["network"] = self._network
        parser.parse()
        return parser


def _volumes(result: ScanResult) -> dict[str, Any]:
    return {f"{structure.key}_ml": [phase[structure.key] for phase in result.volumes_ml] for structure in FOREGROUND}


def _mask_as_asked(form: str, mask: Path, output_dir: str) -> dict[str, Any]:
    if form == "image":
        return {"mask": np.asarray(open_image(mask).dataobj).astype(np.uint8)}
    if form == "nifti" or not output_dir:
        return {"mask_nifti": mask.read_bytes()}
    target = Path(output_dir).expanduser() / mask.name
    try:
        with atomic_path(target) as partial:
            partial.write_bytes(mask.read_bytes())
    except OSError as error:
        raise InputError(f"output_dir '{output_dir}' cannot be written: {error}.") from error
    return {"mask_path": str(target)}


def _bad_request(reason: str) -> MlflowException:
    return MlflowException(f"The request cannot be answered: {reason}", error_code=BAD_REQUEST)
