"""This project beside its peers in one run: writes ``benchmarks/RESULTS.md``.

    python -m benchmarks.bench [--dataset_dir DIR] [--peers_python PATH] [--only inference,training] [--quick]

Needs ACDC's folder ``training`` (``--dataset_dir``, or ``acdc/training`` in CARDIAC_DATA_DIR). nnU-Net and myopari live
in an environment of their own, since their pins are not ours; ``--peers_python`` names its interpreter:

    python3.11 -m venv .venv-bench
    .venv-bench/bin/pip install torch==2.13.0 nnunetv2==2.8.1 myopari==0.1.6 onnxruntime==1.32.0

Without it they are left out. Run it on a machine with nothing else to do. Each section leaves
``benchmarks/results/SECTION.json``; the page is written from all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from benchmarks.machine import OURS, PEERS, ROOT, commit, load, machine_facts, versions
from benchmarks.report import results_markdown, save
from benchmarks.sections import cine, inference, quick_training, scale, stages, start_up, training
from benchmarks.settings import Settings

SECTIONS = {
    "inference": inference.measure,
    "stages": stages.measure,
    "training": training.measure,
    "quick_training": quick_training.measure,
    "cine": cine.measure,
    "scale": scale.measure,
    "start_up": start_up.measure,
}
FOLDER = Path(__file__).resolve().parent


def main() -> None:
    """Measure the sections, one after the other, and write the page."""
    options = parse()
    settings = settings_of(options)
    settings.work_dir.mkdir(parents=True, exist_ok=True)
    folder = options.work_dir / "quick" if options.quick else FOLDER
    for name in options.only:
        start = time.perf_counter()
        print(f"{name} (load {load()}) …", flush=True)
        facts = facts_of(settings, name)
        save(SECTIONS[name](settings), folder / "results" / f"{name}.json", facts)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        page = write_page(folder)
    print(f"written: {page}")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("CARDIAC_DATA_DIR", ROOT.parent / "shared" / "data"))
    parser.add_argument("--dataset_dir", type=Path, default=data / "acdc" / "training", help="ACDC's folder training")
    parser.add_argument("--peers_python", default="", help="interpreter of nnU-Net and myopari (default: none)")
    parser.add_argument("--only", type=section_names, default=list(SECTIONS), help=f"of {','.join(SECTIONS)}")
    parser.add_argument("--repeats", type=int, default=Settings.repeats, help="rounds (default: 3)")
    parser.add_argument("--work_dir", type=Path, default=ROOT / "runs" / "bench", help="(default: runs/bench)")
    parser.add_argument("--backends", default="", help="of inference.yaml beside its default, such as onnx,openvino")
    parser.add_argument("--slow", action="store_true", help="also nnU-Net 3D with mirroring, minutes a volume")
    parser.add_argument("--quick", action="store_true", help="see that all works: results go to work_dir/quick")
    options = parser.parse_args()
    if not options.dataset_dir.is_dir():
        parser.error(f"--dataset_dir must be ACDC's folder training, got {options.dataset_dir}: no such folder.")
    return options


def section_names(text: str) -> list[str]:
    """Split ``inference,training``."""
    names = text.split(",")
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise argparse.ArgumentTypeError(f"unknown {', '.join(unknown)}; the sections are {', '.join(SECTIONS)}")
    return names


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings of a command line."""
    return Settings(
        dataset_dir=options.dataset_dir.resolve(),
        work_dir=options.work_dir.resolve(),
        repeats=1 if options.quick else options.repeats,
        quick=options.quick,
        peers_python=options.peers_python,
        slow=options.slow,
        backends=tuple(options.backends.split(",")) if options.backends else (),
    )


def facts_of(settings: Settings, section: str) -> dict[str, object]:
    """Return what a section's figures were made by and on."""
    found = {"ours": versions(sys.executable, OURS)}
    if settings.peers_python:
        found["peers"] = versions(settings.peers_python, PEERS)
    command = command_of(settings, section)
    return {"commit": commit(), "command": command, "machine": machine_facts(), "versions": found}


def command_of(settings: Settings, section: str) -> str:
    """Return the command that measures a section so again: all that changes the result, no path of this machine."""
    words = ["python -m benchmarks.bench --only", section]
    if settings.quick:
        words.append("--quick")  # which has one round
    elif settings.repeats != Settings.repeats:
        words.append(f"--repeats {settings.repeats}")
    if settings.peers_python:
        words.append("--peers_python PYTHON")
    if settings.slow:
        words.append("--slow")
    if settings.backends:
        words.append(f"--backends {','.join(settings.backends)}")
    return " ".join(words)


def write_page(folder: Path) -> Path:
    """Write ``RESULTS.md`` from the sections that have been measured, now or before.

    Args:
        folder: with ``results``.
    """
    files = [folder / "results" / f"{name}.json" for name in SECTIONS]
    sections = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    page = folder / "RESULTS.md"
    page.write_text(results_markdown(sections), encoding="utf-8", newline="\n")
    return page


if __name__ == "__main__":
    main()
