"""What each back end of inference.yaml costs on volumes of ACDC: Dice, milliseconds a volume, memory.

    python -m benchmarks.backends [--volumes 6] [--rounds 2] [--threads 2] [--backends eager,folded,...]
        [--int8_file model_int8.onnx]

Each back end runs in processes of its own, in turns, with the bundle's inference.yaml and weights: one pass over the
volumes to warm up, one that is timed. The time is that of the inferer, without reading, resampling and writing. Beside
it stand how long the back end takes to be ready, the process's largest memory, the mean Dice against the labels, the
largest difference of a logit from eager and the number of voxels of the masks that differ from eager's. ``+amp`` has
the network in bfloat16, ``onnx+int8`` is the file that the bundle's quantize.yaml made, all others are in float32.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, commit
from benchmarks.settings import BUNDLE

DATA = Path(os.environ.get("CARDIAC_DATA_DIR", ROOT.parent / "shared" / "data")) / "acdc" / "training"
BACKENDS = "eager,folded,folded+amp,fused,fused+amp,torchscript,onnx,openvino,compile"
REFERENCE = "eager"


def main() -> None:
    """Measure and print a table, or measure one back end in this process (``--worker``)."""
    options = _parse()
    if options.worker:
        measured = measure(options.worker, Path(options.reference), options.volumes, options.threads, options.int8_file)
        print(json.dumps(measured))
        return
    names = [*options.backends.split(","), *(["onnx+int8"] if options.int8_file else [])]
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in [REFERENCE, *names]}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for name in results:
                results[name].append(_run_worker(name, options, Path(folder)))
    machine = platform.processor() or platform.machine()
    print(f"commit {commit()}, {options.threads} threads, {options.volumes} volumes of ACDC, {machine}")
    print(
        f"{'backend':12s} {'ms/volume':>9s} {'spread':>15s} {'vs eager':>8s} {'ready s':>8s} {'GB':>5s} {'Dice':>7s} "
        f"{'logit':>8s} {'voxels':>6s}"
    )
    baseline = _milliseconds(results[REFERENCE])
    for name, rounds in results.items():
        print(_row(name, rounds, statistics.median(baseline)))


def _row(name: str, rounds: list[dict[str, Any]], baseline: float) -> str:
    times, last = _milliseconds(rounds), rounds[-1]
    median, ready = statistics.median(times), statistics.median(item["ready_s"] for item in rounds)
    return (
        f"{name:12s} {median:9.0f} {min(times):7.0f}–{max(times):<7.0f} {baseline / median:7.2f}x {ready:8.1f} "
        f"{last['peak_gb']:5.2f} {last['dice']:7.4f} {last['logit']:8.1e} {last['voxels']:6d}"
    )


def _milliseconds(rounds: list[dict[str, Any]]) -> list[float]:
    """Return the mean milliseconds a volume, of each round."""
    return [1000 * statistics.mean(item["seconds"]) for item in rounds]


def _run_worker(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    words = ["--worker", name, "--reference", str(folder), "--volumes", options.volumes, "--threads", options.threads]
    words += ["--int8_file", options.int8_file]
    command = [sys.executable, "-m", "benchmarks.backends", *map(str, words)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def measure(name: str, reference: Path, volumes: int, threads: int, int8_file: str = "") -> dict[str, Any]:
    """Segment volumes by one back end.

    Args:
        name: of the back end.
        reference: folder with the logits and masks of eager, which writes them.
        volumes: how many, one a patient.
        threads: of torch.
        int8_file: of ``onnx+int8``.

    Returns:
        Seconds of each volume, seconds until ready, memory in GB, mean Dice, differences from eager.
    """
    # the process that waits for the workers stays small
    import torch

    torch.set_num_threads(threads)
    parser = _configuration(name, volumes, int8_file)
    start = time.perf_counter()
    parser.get_parsed_content("network")
    ready_s = time.perf_counter() - start
    evaluator = parser.get_parsed_content("evaluator")
    inferer = TimedInferer(evaluator.inferer)
    evaluator.inferer = inferer
    for _ in range(2):
        inferer.clear()
        evaluator.run()
    seconds, peak_gb = list(inferer.seconds), _peak_gb()
    return {"seconds": seconds, "ready_s": ready_s, "peak_gb": peak_gb, **_compare(evaluator, inferer, reference, name)}


class TimedInferer:
    """Keeps the time of each call, and where asked the logits.

    Args:
        inferer: that is called.
    """

    def __init__(self, inferer: Any) -> None:
        self.inferer = inferer
        self.keep = False
        self.clear()

    def clear(self) -> None:
        """Forget earlier calls."""
        self.seconds: list[float] = []
        self.logits: list[Any] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the inferer."""
        start = time.perf_counter()
        logits = self.inferer(*args, **kwargs)
        self.seconds.append(time.perf_counter() - start)
        if self.keep:
            self.logits.append(logits.as_tensor().numpy().copy())
        return logits


def _configuration(name: str, volumes: int, int8_file: str) -> Any:
    from monai.bundle import ConfigParser

    from pipeline.data import acdc_datalist

    parser = ConfigParser()
    parser.read_config(str(BUNDLE / "configs" / "inference.yaml"))
    cases = acdc_datalist(DATA)
    chosen = cases[:: max(len(cases) // volumes, 1)][:volumes]
    # the evaluator takes "label" for itself
    items = [{"image": case["image"], "truth": case["label"], "case_id": case["case_id"]} for case in chosen]
    backend, _, number_kind = name.partition("+")
    parser.update({"bundle_root": str(BUNDLE), "backend": backend, "amp": number_kind == "amp", "datalist": items})
    if number_kind == "int8":
        parser["exported_file"] = int8_file
    return parser


def _compare(evaluator: Any, inferer: TimedInferer, reference: Path, name: str) -> dict[str, Any]:
    """Run once more, and compare with the labels and with eager."""
    import numpy as np
    from ignite.engine import Events
    from monai.transforms import LoadImage

    masks: list[Any] = []

    def keep(engine: Any) -> None:
        (case,) = engine.state.output
        masks.append(case["pred"].numpy()[0].astype(np.uint8))

    evaluator.add_event_handler(Events.ITERATION_COMPLETED, keep)
    inferer.clear()
    inferer.keep = True
    evaluator.run()
    labels = [np.asarray(LoadImage(image_only=True)(item["truth"])) for item in evaluator.data_loader.dataset.data]
    dice = [
        _dice(mask == value, label == value) for mask, label in zip(masks, labels, strict=True) for value in (1, 2, 3)
    ]
    files = [reference / f"{place}.npz" for place in range(len(masks))]
    if name == REFERENCE:
        for file, logits, mask in zip(files, inferer.logits, masks, strict=True):
            np.savez(file, logits=logits, mask=mask)
    eager = [np.load(file) for file in files]
    pairs = list(zip(inferer.logits, masks, eager, strict=True))
    return {
        "dice": statistics.mean(dice),
        "logit": max(float(np.abs(logits - other["logits"]).max()) for logits, _, other in pairs),
        "voxels": sum(int((mask != other["mask"]).sum()) for _, mask, other in pairs),
    }


def _dice(mask: Any, label: Any) -> float:
    total = int(mask.sum()) + int(label.sum())
    return 2 * int((mask & label).sum()) / total if total else 1.0


def _peak_gb() -> float:
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e9
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=6, help="how many (default: 6)")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each back end (default: 2)")
    parser.add_argument("--threads", type=int, default=2, help="of torch and the runtimes (default: 2)")
    parser.add_argument("--backends", default=BACKENDS, help=f"beside eager (default: {BACKENDS})")
    parser.add_argument("--int8_file", default="", help="adds onnx+int8: the .onnx file of the bundle's quantize.yaml")
    parser.add_argument("--worker", default="", help=argparse.SUPPRESS)
    parser.add_argument("--reference", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
