"""What became of each scan of a cohort, as objects and as files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.inference.reading import explain
from pipeline.inference.study import StudyResult
from pipeline.labels import FOREGROUND
from pipeline.metrics.function import CardiacFunction
from pipeline.reporting.numbers_table import CURVES, known_numbers

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class ScanResult:
    """What became of one scan.

    Attributes:
        case_id: name of the scan.
        scan: its file.
        output: file of the mask; empty where the scan failed.
        reason: why it failed, else empty.
        seconds: time from reading the scan to the written mask.
        volumes_ml: volume of each structure in mL, by its key; an entry a phase, in the order of the file.
        study: its clinical numbers, flags and further files; None where the scan failed.
    """

    case_id: str
    scan: str
    output: str = ""
    reason: str = ""
    seconds: float = 0.0
    volumes_ml: list[dict[str, float]] = field(default_factory=list)
    study: StudyResult | None = None

    @property
    def status(self) -> str:
        """``"ok"`` or ``"failed"``."""
        return "failed" if self.reason else "ok"

    @property
    def has_report(self) -> bool:
        """Whether an HTML report was written."""
        return self.study is not None and "report" in self.study.files


@dataclass(frozen=True)
class CohortResult:
    """What became of a cohort.

    Attributes:
        output_dir: folder of the masks.
        scans: the results, in the order of the scans.
        left_out: what was found beside the scans and is none, see ``pipeline.data.scans.Scans``.
    """

    output_dir: Path
    scans: tuple[ScanResult, ...]
    left_out: tuple[dict[str, Any], ...] = ()

    @property
    def failed(self) -> tuple[ScanResult, ...]:
        """The scans without a mask."""
        return tuple(scan for scan in self.scans if scan.reason)

    def write(self) -> None:
        """Write the listings into ``output_dir``.

        ``segmentation.json`` has everything, ``segmentation.csv`` a row a phase, where there are further labels with
        their ``label_4_ml``, ``studies.csv`` a row a scan with its clinical numbers. Phases count from 0 in them, as in
        the array of the scan; people read them from 1, in reports and pictures. Of a scan of one phase ``studies.csv``
        has ``lv_ml``, ``rv_ml`` and ``myo_ml`` alone: nobody knows which phase it is.

        Raises:
            InputError: a file cannot be written.
        """
        try:
            self._write()
        except OSError as error:
            raise InputError(f"The listings of the scans cannot be written: {explain(error)}") from error

    def _write(self) -> None:
        listing = {
            "failed": len(self.failed),
            "left_out": list(self.left_out),
            "scans": [_as_dict(scan) for scan in self.scans],
        }
        _write(self.output_dir / "segmentation.json", json.dumps(listing, indent=2) + "\n")
        rows = _with_further([row for scan in self.scans for row in _rows(scan)])
        _write(self.output_dir / "segmentation.csv", _table(_columns(rows), rows))
        _write(self.output_dir / "studies.csv", _table(_STUDY_COLUMNS, [_study_row(scan) for scan in self.scans]))


class CohortError(InputError):
    """Some scans of a cohort could not be segmented; the masks of the others are written.

    Args:
        result: what became of each scan.
    """

    def __init__(self, result: CohortResult) -> None:
        self.result = result
        reasons = "\n".join(f"  {scan.scan}: {scan.reason}" for scan in result.failed)
        good = len(result.scans) - len(result.failed)
        super().__init__(
            f"{len(result.failed)} of {len(result.scans)} scans failed; the masks of the other {good} are in "
            f"{result.output_dir}. Mend these or leave them out:\n{reasons}"
        )
        self.recorded = f"{len(result.failed)} of {len(result.scans)} scans failed: segmentation.json names them."


_NUMBERS = [item.name for item in fields(CardiacFunction) if item.name not in CURVES]
_OF_ONE_PHASE = ("lv_ml", "rv_ml", "myo_ml")
_STUDY_COLUMNS = [
    "case_id",
    "status",
    "num_flags",
    "flags",
    "lowest_expected_mean_dice",
    *_NUMBERS,
    *_OF_ONE_PHASE,
    "repairs",
    "reason",
]


def _study_row(scan: ScanResult) -> dict[str, Any]:
    row: dict[str, Any] = {"case_id": scan.case_id, "status": scan.status, "reason": scan.reason}
    if scan.study is None:
        return row
    numbers = {name: _rounded(value) for name, value in known_numbers(scan.study.function).items()}
    flags = "; ".join(flag.message for flag in scan.study.flags)
    repairs = "; ".join(f"{repair.problem}: {repair.resolution}" for repair in scan.study.repairs)
    expected = scan.study.expected_mean_dice
    numbers["lowest_expected_mean_dice"] = round(min(expected), 4) if expected else None
    return row | numbers | {"num_flags": len(scan.study.flags), "flags": flags, "repairs": repairs}


def _rounded(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value


def write_case_names(output_dir: Path, datalist: Sequence[Mapping[str, Any]]) -> None:
    """Write ``case_names.csv``: which scan is behind each number, where ``find_scans`` has numbered them.

    Args:
        output_dir: folder of the masks.
        datalist: the scans; nothing is written where none has a ``name``.

    Raises:
        InputError: the file cannot be written.
    """
    rows = [{"case_id": item["case_id"], "name": item["name"]} for item in datalist if "name" in item]
    if not rows:
        return
    try:
        _write(output_dir / "case_names.csv", _table(["case_id", "name"], rows))
    except OSError as error:
        raise InputError(f"The names of the scans cannot be written: {explain(error)}") from error


def _table(columns: list[str], rows: list[dict[str, Any]]) -> str:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _no_formula(value) for name, value in row.items()} for row in rows)
    return table.getvalue()


def _no_formula(value: Any) -> Any:
    """Keep a spreadsheet from computing a text that a file's name made."""
    if not isinstance(value, str):
        return value
    # csv quotes a line feed, but not the carriage return that ends a row as well
    text = value.replace("\r", "\\r")
    return f"'{text}" if value.startswith(_FORMULA_STARTS) else text


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    volumes = [f"{structure.key}_ml" for structure in FOREGROUND]
    return ["case_id", "phase", *volumes, *_further(rows), "status", "seconds", "scan", "output", "reason"]


def _further(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({name for row in rows for name in row if name.startswith("label_")})


def _with_further(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give each phase that was segmented the volume of every further label that one of them has: 0 of what it lacks."""
    none = dict.fromkeys(_further(rows), 0.0)
    return [{**none, **row} if "phase" in row else dict(row) for row in rows]


def _as_dict(scan: ScanResult) -> dict[str, Any]:
    plain = {item.name: getattr(scan, item.name) for item in fields(scan)}
    return plain | {"study": scan.study.as_dict() if scan.study else None, "status": scan.status}


def _rows(scan: ScanResult) -> list[dict[str, Any]]:
    shared = {key: value for key, value in _as_dict(scan).items() if key not in ("volumes_ml", "study")}
    if not scan.volumes_ml:
        return [shared]
    return [
        shared | {"phase": phase} | {f"{key}_ml": volume for key, volume in volumes.items()}
        for phase, volumes in enumerate(scan.volumes_ml)
    ]


def _write(path: Path, text: str) -> None:
    # names of files need not be UTF-8, nor any text
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="\n")
