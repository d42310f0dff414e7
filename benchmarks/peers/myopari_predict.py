"""Segment a folder of NIfTI files by myopari's processor, with its own pre- and postprocessing.

    PYTHON benchmarks/peers/myopari_predict.py INPUT_DIR OUTPUT_DIR

myopari is a plugin of napari: its users press a button, which calls this processor. Its package imports napari's
windows, which need a display; that import is left out here, in myopari's favor.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np


def main() -> None:
    """Segment."""
    source, target = map(Path, sys.argv[1:])
    segment_folder(load_processor(), source, target)


def segment_folder(processor: Any, source: Path, target: Path) -> int:
    """Segment the scans of a folder, and return their number."""
    target.mkdir(parents=True, exist_ok=True)
    paths = sorted(source.glob("*.nii.gz"))
    for path in paths:
        voxels, affine = read_scan(path)
        write_mask(target / path.name, processor.segment(voxels), affine)
    return len(paths)


def read_scan(path: Path) -> tuple[Any, Any]:
    """Return voxels and affine."""
    image = nib.load(path)
    return np.asarray(image.dataobj, dtype=np.float32), image.affine


def write_mask(path: Path, mask: Any, affine: Any) -> None:
    """Write a mask on the grid of its scan."""
    nib.save(nib.Nifti1Image(mask.astype(np.uint8), affine), path)


def load_processor() -> Any:
    """Return myopari's ``SEG_module`` on the CPU, without its windows."""
    found = importlib.util.find_spec("myopari")
    if found is None or found.submodule_search_locations is None:
        raise SystemExit("myopari is not installed for this interpreter: pip install myopari onnxruntime")
    package = types.ModuleType("myopari")
    package.__path__ = list(found.submodule_search_locations)
    sys.modules["myopari"] = package
    from myopari.processors import SEGProcessor

    processor = SEGProcessor.SEG_module()
    processor.edge_device = SEGProcessor.EdgeDevice.RASBERRY_PI.value  # runs on the CPU
    return processor


if __name__ == "__main__":
    main()
