"""A comparison as one HTML page that needs nothing else: no server, no script of others, no picture file."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone

from pipeline.comparison.experiment import Comparison
from pipeline.comparison.paired import CONFIDENCE, Difference, Pair
from pipeline.comparison.rows import Row
from pipeline.comparison.text import (
    NOTHING,
    describe_pair,
    digits_of,
    explain_pairs,
    missed,
    number,
    pair_cells,
    parameters_text,
)

MAX_SETTINGS = 12
"""Settings that get a column of the table; all of them are listed below it."""

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 1400px; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.muted { opacity: 0.7; }
.scroll { overflow: auto; max-height: 80vh; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.7rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th { cursor: pointer; position: sticky; top: 0; background: Canvas; }
td.text, th.text { text-align: left; }
td.best { font-weight: 700; }
td.value { max-width: 22rem; overflow: hidden; text-overflow: ellipsis; }
.charts { display: flex; flex-wrap: wrap; gap: 1.5rem; }
svg { max-width: 100%; height: auto; }
"""
# sorts a table by the column whose head is clicked, numbers as numbers, empty cells last
_SCRIPT = """
document.querySelectorAll('table.sortable th').forEach((head, column) => head.addEventListener('click', () => {
  const body = head.closest('table').tBodies[0];
  const sign = head.dataset.sign = head.dataset.sign === '1' ? '-1' : '1';
  const key = row => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
  const order = (a, b) => {
    const [x, y] = [key(a), key(b)];
    if (x === '' || y === '') return (x === '') - (y === '');
    return sign * (isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y);
  };
  body.append(...[...body.rows].sort(order));
}));
"""
_FIGURES = (
    ("mean_dice", "Dice"),
    ("dice_rv", "RV"),
    ("dice_myo", "MYO"),
    ("dice_lv", "LV"),
    ("mean_hd95_mm", "HD95 mm"),
)
_HEAD_OF_RUNS = (*(title for _, title in _FIGURES), "missed", "minutes", "parameters", "device")
_HEAD_OF_PAIRS = ("A", "B", "A - B", f"{CONFIDENCE:.0%} interval", "p", "p Holm", "cases", "patients", "better")


def comparison_page(comparison: Comparison, charts: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        comparison: what ``compare_experiment`` returns.
        charts: ``<svg>`` elements by name: ``curves``, then a scatter a pair.

    Returns:
        A whole HTML document; every name and value of the store is escaped.
    """
    made = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    scatters = [chart for name, chart in charts.items() if name != "curves"]
    parts = [
        f"<h1>{_safe(comparison.experiment)}</h1>",
        f'<p class="muted">{len(comparison.rows)} runs in {_safe(comparison.store)}, read {made}</p>',
        _notes(comparison.notes),
        "<h2>Runs</h2>",
        _runs_table(comparison),
        _settings_list(comparison),
        f"<h2>Validation Dice by epoch</h2>{charts['curves']}" if "curves" in charts else "",
        _pairs(comparison.pairs, scatters),
    ]
    title = f"{_safe(comparison.experiment)}: comparison of runs"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n<script>{_SCRIPT}</script>\n</body></html>\n"
    )


def _safe(text: object) -> str:
    return html.escape(str(text))


def _notes(notes: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{_safe(note)}</li>" for note in notes) + "</ul>" if notes else ""


def _runs_table(comparison: Comparison) -> str:
    shown = comparison.settings[:MAX_SETTINGS]
    best = {key: _best(comparison.rows, key) for key, _ in _FIGURES}
    head = _head(("#", "run", "status"), _HEAD_OF_RUNS, [setting.key for setting in shown])
    body = []
    for place, row in enumerate(comparison.rows):
        values = "".join(_cell(setting.values[place], "text value") for setting in shown)
        body.append(f"<tr>{_run_cells(place + 1, row, best)}{values}</tr>")
    return _table(head, body)


def _run_cells(place: int, row: Row, best: Mapping[str, float]) -> str:
    name = f"{row.label} [{len(row.folds)} folds]" if row.folds else row.label
    latest = row.source == "latest" and row.record.tags.get("job") == "training"
    cells = [_cell(str(place)), _cell(name, "text", title=row.record.id), _cell(row.status, "text")]
    for key, _ in _FIGURES:
        value = row.figures.get(key, float("nan"))
        text = number(value, digits_of(key)) + ("*" if latest and key == "mean_dice" else "")
        cells.append(_cell(text, "best" if value == best[key] else "", value=value))
    cells.append(_cell(number(missed(row), 0)))
    cells.append(_cell(number(row.minutes, 1)))
    cells.append(_cell(parameters_text(row.num_parameters), value=row.num_parameters))
    cells.append(_cell(row.device or NOTHING, "text"))
    return "".join(cells)


def _best(rows: Iterable[Row], key: str) -> float:
    values = [row.figures[key] for row in rows if row.figures.get(key) == row.figures.get(key, 0.0)]
    return (min if "_mm" in key else max)(values, default=float("nan"))


def _settings_list(comparison: Comparison) -> str:
    if not comparison.settings:
        return ""
    items = []
    for setting in comparison.settings:
        also = f' <span class="muted">with {_safe(", ".join(setting.also))}</span>' if setting.also else ""
        different = list(dict.fromkeys(setting.values))
        values = ", ".join(f"<code>{_safe(value)}</code>" for value in different[:MAX_SETTINGS])
        more = f" and {len(different) - MAX_SETTINGS} more" if len(different) > MAX_SETTINGS else ""
        items.append(f"<li>{_safe(setting.key)}: {values}{more}{also}</li>")
    return f"<details><summary>Settings that differ: {len(items)}</summary><ul>{''.join(items)}</ul></details>"


def _pairs(pairs: Sequence[Pair], scatters: Sequence[str]) -> str:
    if not pairs:
        return ""
    parts = ["<h2>Case by case</h2>", *(f'<p class="muted">{_safe(line)}</p>' for line in explain_pairs(pairs))]
    for pair in pairs:
        body = [_pair_row(item) for item in pair.differences]
        parts.append(f"<h3>{_safe(describe_pair(pair))}</h3>" + _table(_head(("figure",), _HEAD_OF_PAIRS), body))
    parts.append(f'<h2>Mean Dice of each case</h2><div class="charts">{"".join(scatters)}</div>')
    return "\n".join(parts)


def _pair_row(item: Difference) -> str:
    name, *cells = pair_cells(item)
    return f"<tr>{_cell(name, 'text')}{''.join(map(_cell, cells))}</tr>"


def _head(texts: Iterable[str], numbers: Iterable[str], more_texts: Iterable[str] = ()) -> str:
    left, right = ("".join(f'<th class="text">{_safe(name)}</th>' for name in names) for names in (texts, more_texts))
    return left + "".join(f"<th>{_safe(name)}</th>" for name in numbers) + right


def _table(head: str, body: Sequence[str]) -> str:
    rows = "\n".join(body)
    return (
        f'<div class="scroll"><table class="sortable"><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(text: str, kind: str = "", *, title: str = "", value: float | None = None) -> str:
    attributes = f' class="{kind}"' if kind else ""
    attributes += f' title="{_safe(title)}"' if title else ""
    if value is not None:
        attributes += f' data-value="{"" if value != value else value}"'
    return f"<td{attributes}>{_safe(text)}</td>"
