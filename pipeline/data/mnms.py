"""M&Ms' own folder as a datalist: one csv, 4D cine files, ED and ES as indices into them.

Source: https://www.ub.edu/mnms/
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from pathlib import Path

from pipeline.data.layout import body_size, describe_contents, require_directory, safe_name
from pipeline.data.problem import Item, Problem, Scan, sorted_scan
from pipeline.errors import InputError

LAYOUT = "a csv with the columns 'External code', 'ED' and 'ES', and <code>_sa.nii.gz with <code>_sa_gt.nii.gz (M&Ms)"

_REQUIRED = ("external code", "ed", "es")
_OPTIONAL = ("pathology", "vendor", "height", "weight")
_RESTORE = "Restore the missing file, or take the patient's row out of the csv and its folder out of the data."

Row = dict[str, str]


def mnms_datalist(dataset_dir: str | os.PathLike[str]) -> list[Item]:
    """Return the ED and ES phases of an M&Ms folder.

    Args:
        dataset_dir: the folder that holds the csv; the files lie anywhere below it (``Training/Labeled/A0S9V9`` …).
            Folders named ``Unlabeled`` are left out.

    Returns:
        A MONAI datalist, two cases a patient (``A0S9V9_ed``, ``A0S9V9_es``), sorted by ``case_id``. Both name the same
        4D files; ``frame`` is the phase's index along the fourth axis, from 0 as in the csv. ``group`` is the
        pathology, else the vendor.

    Raises:
        InputError: there is no such folder or csv, none of its patients is there, a row is wrong, or an image or a
            label lacks its partner.
    """
    return scan_mnms(dataset_dir).datalist(Path(dataset_dir))


def looks_like_mnms(folder: Path) -> bool:
    """Tell whether a folder holds a csv with M&Ms' columns."""
    return _find_csv(folder) is not None


def scan_mnms(dataset_dir: str | os.PathLike[str]) -> Scan:
    """Return the whole cases of an M&Ms folder and the problems of all others.

    Raises:
        InputError: there is no such folder or csv, or none of the patients of the csv is there.
    """
    root = require_directory(dataset_dir, LAYOUT)
    table = _find_csv(root)
    if table is None:
        raise InputError(
            f"dataset_dir '{root}' holds {describe_contents(root)}, but no csv with the columns 'External code', 'ED' "
            f"and 'ES'; expected {LAYOUT}. Give the folder with M&Ms' csv, OpenDataset."
        )
    images, labels = _files(root, "_sa"), _files(root, "_sa_gt")
    if not images:
        raise InputError(f"No <code>_sa.nii.gz below '{root}', although {table.name} is there; expected {LAYOUT}.")
    scan, codes = Scan(), set[str]()
    for row in _rows(table):
        scan.extend(_scan_row(row, table, images, labels, first=row["external code"] not in codes))
        codes.add(row["external code"])
    scan.problems.extend(_strangers(table, codes, images, labels))
    if not scan.items and not any(problem.severity == "error" for problem in scan.problems):
        raise InputError(f"None of the {len(codes)} patients of {table} has a labelled image below '{root}'.")
    return sorted_scan(scan)


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
        try:
            return [name.strip().lower() for name in next(csv.reader([header], delimiter=_delimiter(header)), [])]
        except csv.Error:
            return []  # Some other file that is only called csv.


def _delimiter(header: str) -> str:
    # European spreadsheets save "csv" with semicolons.
    return ";" if header.count(";") > header.count(",") else ","


def _find_csv(root: Path) -> Path | None:
    for level in ("*.csv", "*/*.csv"):
        columns = {
            path: _columns(path)
            for path in sorted(root.glob(level))
            if path.is_file() and not path.name.startswith(".")
        }
        usable = [path for path, names in columns.items() if {*_REQUIRED} <= {*names}]
        if usable:
            # M&Ms ships an older csv without diagnosis beside the newer one; names begin with the date.
            return max(usable, key=lambda path: (len({*_OPTIONAL} & {*columns[path]}), path.name))
    return None


def _rows(path: Path) -> list[Row]:
    columns = _columns(path)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        lines = csv.reader(file, delimiter=_delimiter(file.readline()))
        rows = [dict(zip(columns, (cell.strip() for cell in line), strict=False)) for line in lines]
    return [row for row in rows if row.get("external code")]


def _files(root: Path, ending: str) -> dict[str, list[Path]]:
    files: dict[str, list[Path]] = defaultdict(list)
    for suffix in (".nii.gz", ".nii"):
        for path in sorted(root.rglob(f"*{ending}{suffix}")):
            code = path.name.removesuffix(ending + suffix)
            if not path.name.startswith(".") and not _unlabeled(path.relative_to(root)):
                files[code].append(path)
    return dict(files)


def _unlabeled(path: Path) -> bool:
    return any(part.lower() in ("unlabeled", "unlabelled") for part in path.parts)


def _scan_row(row: Row, table: Path, images: dict[str, list[Path]], labels: dict[str, list[Path]], first: bool) -> Scan:
    code = row["external code"]
    found, partner = images.get(code, []), labels.get(code, [])
    if not first:
        return _problem(code, table, "the patient is in the csv twice", "Remove one of the rows.")
    if not found and not partner:
        message = "the patient is in the csv, but no labelled image of it is in the folder: not used"
        return _problem(code, table, message, "Restore its files if it should be used.", severe=False)
    if len(found) > 1 or len(partner) > 1:
        paths = ", ".join(str(path) for path in (*found, *partner))
        return _problem(code, (found or partner)[0], f"the patient has several files: {paths}", "Keep one of each.")
    if not partner:
        return _problem(code, found[0], f"image without label {code}_sa_gt.nii.gz", _RESTORE)
    if not found:
        return _problem(code, partner[0], f"label without image {code}_sa.nii.gz", _RESTORE)
    return _scan_phases(row, table, found[0], partner[0])


def _scan_phases(row: Row, table: Path, image: Path, label: Path) -> Scan:
    code, scan = row["external code"], Scan()
    for phase in ("ed", "es"):
        text = row.get(phase, "").removesuffix(".0")
        if text.isdecimal():
            scan.items.append(_item(row, phase, int(text), image, label))
        else:
            message = f"column {phase.upper()} must be a phase index from 0 on, got '{row.get(phase, '')}'"
            scan.extend(_problem(f"{code}_{phase}", table, message, "Correct the row."))
    return scan


def _item(row: Row, phase: str, frame: int, image: Path, label: Path) -> Item:
    code = row["external code"]
    return {
        "image": str(image),
        "label": str(label),
        "patient_id": code,
        "case_id": f"{safe_name(code)}_{phase}",
        "phase": phase,
        "group": row.get("pathology") or row.get("vendor") or "",
        "frame": frame,
        **body_size(row.get("height"), row.get("weight")),
    }


def _problem(case_id: str, file: Path, message: str, way_out: str, severe: bool = True) -> Scan:
    return Scan(problems=[Problem(case_id, str(file), "error" if severe else "warning", message, way_out)])


def _strangers(
    table: Path, codes: set[str], images: dict[str, list[Path]], labels: dict[str, list[Path]]
) -> list[Problem]:
    message = f"the file's patient is not in {table.name}, so its phases are unknown: not used"
    way_out = f"Add a row with its ED and ES to {table.name} if it should be used."
    strangers = sorted(({*images} | {*labels}) - codes)
    return [
        Problem(code, str((images.get(code) or labels[code])[0]), "warning", message, way_out) for code in strangers
    ]
