"""What became of each scan of a cohort, as objects and as files."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import InputError
from pipeline.files import atomic_path
from pipeline.labels import FOREGROUND


@dataclass(frozen=True)
class ScanResult:
    """What became of one scan.

    Attributes:
        case_id: name of the scan.
        scan: its file.
        output: file of the mask; empty where the scan failed.
        reason: why it failed, else empty.
        seconds: time from reading the scan to the written mask.
        volumes_ml: volume of each structure in mL, by its key; an entry a phase.
    """

    case_id: str
    scan: str
    output: str = ""
    reason: str = ""
    seconds: float = 0.0
    volumes_ml: list[dict[str, float]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """``"ok"`` or ``"failed"``."""
        return "failed" if self.reason else "ok"


@dataclass(frozen=True)
class CohortResult:
    """What became of a cohort.

    Attributes:
        output_dir: folder of the masks.
        scans: the results, in the order of the scans.
    """

    output_dir: Path
    scans: tuple[ScanResult, ...]

    @property
    def failed(self) -> tuple[ScanResult, ...]:
        """The scans without a mask."""
        return tuple(scan for scan in self.scans if scan.reason)

    def write(self) -> None:
        """Write ``segmentation.json``, and ``segmentation.csv`` with a row a phase, into ``output_dir``."""
        listing = {"failed": len(self.failed), "scans": [_as_dict(scan) for scan in self.scans]}
        _write(self.output_dir / "segmentation.json", json.dumps(listing, indent=2) + "\n")
        rows = [row for scan in self.scans for row in _rows(scan)]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, _columns(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        _write(self.output_dir / "segmentation.csv", table.getvalue())


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


def _columns() -> list[str]:
    volumes = [f"{structure.key}_ml" for structure in FOREGROUND]
    return ["case_id", "phase", *volumes, "status", "seconds", "scan", "output", "reason"]


def _as_dict(scan: ScanResult) -> dict[str, Any]:
    return asdict(scan) | {"status": scan.status}


def _rows(scan: ScanResult) -> list[dict[str, Any]]:
    shared = {key: value for key, value in _as_dict(scan).items() if key != "volumes_ml"}
    if not scan.volumes_ml:
        return [shared]
    return [
        shared | {"phase": phase} | {f"{key}_ml": volume for key, volume in volumes.items()}
        for phase, volumes in enumerate(scan.volumes_ml)
    ]


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
