"""What a run of the benchmark was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ROOT

BUNDLE = ROOT / "bundles" / "cardiac_sax_segmentation"


@dataclass(frozen=True)
class Settings:
    """A run of the benchmark.

    Attributes:
        dataset_dir: ACDC's folder ``training``.
        work_dir: for copies, models and results of the measured programs.
        repeats: rounds of the comparisons.
        quick: as little as shows that everything works; its figures mean nothing.
        peers_python: interpreter that the peers are installed for; empty: no peers but MONAI's.
        slow: also nnU-Net 3D with mirroring, which takes minutes a volume.
        backends: of inference.yaml, each measured beside its default.
    """

    dataset_dir: Path
    work_dir: Path
    repeats: int = 3
    quick: bool = False
    peers_python: str = ""
    slow: bool = False
    backends: tuple[str, ...] = ()


def inference_command(python: str, dataset_dir: Path, output_dir: Path) -> list[str]:
    """Return README.md's command that segments scans.

    Args:
        python: interpreter of this project.
        dataset_dir: scans.
        output_dir: of the masks.
    """
    return [
        *bundle_command(python, "evaluating", BUNDLE, [BUNDLE / "configs" / "inference.yaml"]),
        "--dataset_dir",
        str(dataset_dir),
        "--output_dir",
        str(output_dir),
    ]


def shared_inference_command(python: str, processes: int) -> Callable[[Path, Path], list[str]]:
    """Return what makes the bundle's command for processes that share the scans, of input and output folder.

    Args:
        python: interpreter of this project.
        processes: number of them.
    """
    files = [BUNDLE / "configs" / name for name in ("inference.yaml", "multi_gpu_inference.yaml")]
    _, *words = bundle_command(python, "evaluating", BUNDLE, files)
    start = [python, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}", *words]
    return lambda source, target: [*start, "--dataset_dir", str(source), "--output_dir", str(target)]


def bundle_command(python: str, entry: str, bundle_root: Path, files: list[Path]) -> list[str]:
    """Return ``python -m monai.bundle run`` on configuration files.

    Args:
        python: the interpreter.
        entry: what runs, such as ``evaluating``.
        bundle_root: of the bundle.
        files: its configuration, then overlays.
    """
    listed = "[" + ",".join(f"'{file.as_posix()}'" for file in files) + "]"
    return [python, "-m", "monai.bundle", "run", entry, "--bundle_root", str(bundle_root), "--config_file", listed]
