"""What each option of inference.yaml costs on volumes of ACDC: Dice, milliseconds a volume, memory.

    python -m benchmarks.options [--fold 0 --ckpt_path WEIGHTS.pt] [--ensemble A.pt,B.pt] [--volumes 6] [--rounds 2]
        [--threads 2] [--only fused,sliding_window] [--int8_file model_int8.onnx] [--output options.md]

With ``--fold`` the volumes are the validation cases of a fold of the cross-validation, all 40 unless ``--volumes`` says
otherwise, and ``--ckpt_path`` weights that were trained without them; without it volumes of all patients, which the
bundle's weights may have seen. Each option runs in processes of its own, in turns: one pass over the volumes to warm
up, one that is timed.

First the back ends, in float32 unless ``+amp`` says bfloat16, beside eager; ``onnx+int8`` is the file that the bundle's
quantize.yaml made. Then the other options, each by itself, beside the defaults. Milliseconds are those of the inferer
with its network, and of the whole volume from file to files; ready is what the network takes to be loaded; memory is
the process's largest. Voxels: of all masks, those that differ from the reference's.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, commit, machine_facts
from benchmarks.pairing import spread
from benchmarks.processes import CommandError, run
from benchmarks.report import Table

DATA = Path(os.environ.get("CARDIAC_DATA_DIR", ROOT.parent / "shared" / "data")) / "acdc" / "training"
EAGER, DEFAULT = "eager", "the defaults"
BACKENDS = (EAGER, "folded", "folded+amp", "fused", "fused+amp", "torchscript", "onnx", "openvino", "compile")
COLUMNS = ("ms, inferer", "times", "ms, whole volume", "ready s", "GB", "Dice", "voxels")
COSTS_MORE = {
    "--inferer#min_confidence 0": {"inferer#min_confidence": 0},
    "--inferer#find_scale 1.0": {"inferer#find_scale": 1.0},
    "--inferer#find_slices None": {"inferer#find_slices": None},
    "--inferer#find_slices 3": {"inferer#find_slices": 3},
    "--inferer#view_degrees [0,10,-10]": {"inferer#view_degrees": [0, 10, -10]},
    "--inferer#view_degrees [0,10,-10,20,-20]": {"inferer#view_degrees": [0, 10, -10, 20, -20]},
    "--overlays true": {"overlays": True},
    "--report true": {"report": True},
}
"""What is set, by the row."""
OVERLAYS = ("sliding_window", "uncertainty")
"""Of ``configs``."""


@dataclass(frozen=True)
class Option:
    """A row of the table.

    Attributes:
        settings: in the place of those of inference.yaml.
        files: overlays on it.
        logits: also compared, with those of the reference.
        seen: the weights were trained on the validation cases, so that their Dice says nothing.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    logits: bool = False
    seen: bool = False


def main() -> None:
    """Measure and print the tables."""
    options = _parse()
    tables = []
    for reference, rows in ((EAGER, backends(options.int8_file)), (DEFAULT, others(options))):
        wanted = {name: row for name, row in rows.items() if name == reference or _wanted(name, options.only)}
        if len(wanted) > 1:
            tables.append(table_of(measure(wanted, reference, options), wanted, reference).markdown())
    text = "\n\n".join([_head(options), *tables]) + "\n"
    print(text)
    if options.output:
        Path(options.output).write_text(text, encoding="utf-8")


def backends(int8_file: str = "") -> dict[str, Option]:
    """Return the rows of the back ends."""
    rows = {}
    for name in BACKENDS:
        backend, _, amp = name.partition("+")
        rows[name] = Option({"backend": backend, "amp": bool(amp)}, logits=True)
    if int8_file:
        rows["onnx+int8"] = Option({"backend": "onnx", "amp": False, "exported_file": int8_file}, logits=True)
    return rows


def others(options: argparse.Namespace) -> dict[str, Option]:
    """Return the rows of the other options."""
    rows = {DEFAULT: Option(), **{name: Option(settings) for name, settings in COSTS_MORE.items()}}
    rows |= {f"configs/{name}.yaml": Option(files=(f"configs/{name}.yaml",)) for name in OVERLAYS}
    members = [path for path in options.ensemble.split(",") if path]
    if members:
        # the members of the other folds were trained on this fold's validation cases
        seen = options.fold is not None
        rows[f"configs/ensemble.yaml, {len(members)} networks"] = Option({"ckpt_path": members}, seen=seen)
    return rows


def measure(rows: Mapping[str, Option], reference: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run all rows in turns.

    Returns:
        By row, the rounds as ``children.option_costs`` prints them, or why it could not run.
    """
    found: dict[str, Any] = {name: [] for name in rows}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for name, rounds in found.items():
                if isinstance(rounds, str):
                    continue
                try:
                    rounds.append(_one_round(rows[name], name == reference, Path(folder), options))
                except CommandError as error:
                    if name == reference:
                        raise
                    found[name] = str(error).strip().splitlines()[-1]
                print(f"{name}: {_progress(found[name])}", file=sys.stderr, flush=True)
    return found


def _progress(rounds: Sequence[Mapping[str, Any]] | str) -> str:
    return rounds if isinstance(rounds, str) else f"{rounds[-1]['inferer_ms']:.0f} ms"


def _one_round(option: Option, is_reference: bool, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.children.option_costs", json.dumps(asdict(option)), str(folder)]
    words += ["--dataset_dir", options.dataset_dir, "--threads", str(options.threads)]
    words += ["--volumes", str(options.volumes)] + ([] if options.fold is None else ["--fold", str(options.fold)])
    words += ["--ckpt_path", options.ckpt_path] if options.ckpt_path else []
    words += ["--is_reference"] if is_reference else []
    done = run(words, env={"OMP_NUM_THREADS": str(options.threads)})
    return dict(json.loads(done.output.strip().splitlines()[-1]))


def table_of(found: Mapping[str, Any], rows: Mapping[str, Option], reference: str) -> Table:
    """Return a table.

    Args:
        found: as :func:`measure` returns it.
        rows: by the same names.
        reference: that the others stand beside.
    """
    logits = any(option.logits for option in rows.values())
    columns = ["", *(f"times {reference}" if name == "times" else name for name in COLUMNS)]
    texts = []
    for name, rounds in found.items():
        if isinstance(rounds, str):
            texts.append([name, f"could not run: {rounds}", *[""] * (len(COLUMNS) - 1 + logits)])
        else:
            texts.append([name, *_cells(rounds, found[reference], rows[name]), *_logit_cell(rounds, logits)])
    return Table([*columns, "logit"] if logits else columns, texts)


def _cells(rounds: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]], option: Option) -> list[str]:
    inferer, whole = ([one[key] for one in rounds] for key in ("inferer_ms", "whole_ms"))
    ratio = spread(inferer).median / spread([one["inferer_ms"] for one in reference]).median
    return [
        spread(inferer).text(0),
        f"{ratio:.2f}",
        spread(whole).text(0),
        f"{statistics.median(one['ready_s'] for one in rounds):.1f}",
        f"{max(one['peak_gb'] for one in rounds):.2f}",
        "trained on them" if option.seen else f"{rounds[-1]['dice']:.4f}",
        str(rounds[-1]["voxels"]),
    ]


def _logit_cell(rounds: Sequence[Mapping[str, Any]], wanted: bool) -> list[str]:
    return [f"{rounds[-1]['logit']:.1e}"] if wanted else []


def _head(options: argparse.Namespace) -> str:
    facts = machine_facts()
    weights = Path(options.ckpt_path).name if options.ckpt_path else "the bundle's weights"
    which = "all patients" if options.fold is None else f"fold {options.fold}'s validation"
    number = options.volumes or "all"
    return (
        f"`python -m benchmarks.options`, commit {commit()}: {number} volumes of {which}, {weights}, {options.rounds} "
        f"round(s), {options.threads} threads, {facts['processor']}, load before {facts['load before']}."
    )


def _wanted(name: str, only: str) -> bool:
    return not only or any(part == name or (part in name and name not in BACKENDS) for part in only.split(","))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset_dir", default=str(DATA), help="ACDC's folder training")
    parser.add_argument("--fold", type=int, help="its validation cases (default: cases of all patients)")
    parser.add_argument("--ckpt_path", default="", help="weights (default: the bundle's)")
    parser.add_argument("--ensemble", default="", help="weights of its members, separated by commas (default: no row)")
    parser.add_argument("--volumes", type=int, help="how many (default: 6, with --fold all of it)")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each option (default: 2)")
    parser.add_argument("--threads", type=int, default=2, help="of torch and the runtimes (default: 2)")
    parser.add_argument("--only", default="", help="back ends, and parts of the names of other rows (default: all)")
    parser.add_argument("--int8_file", default="", help="adds onnx+int8: the .onnx file of the bundle's quantize.yaml")
    parser.add_argument("--output", default="", help="Markdown file (default: printed alone)")
    options = parser.parse_args()
    if options.volumes is None:
        options.volumes = 6 if options.fold is None else 0
    return options


if __name__ == "__main__":
    main()
