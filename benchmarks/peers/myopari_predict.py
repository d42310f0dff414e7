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

import nibabel as nib
import numpy as np


def main() -> None:
    """Segment."""
    source, target = map(Path, sys.argv[1:])
    target.mkdir(parents=True, exist_ok=True)
    processor = load_processor()
    for path in sorted(source.glob("*.nii.gz")):
        image = nib.load(path)
        mask = processor.segment(np.asarray(image.dataobj, dtype=np.float32))
        nib.save(nib.Nifti1Image(mask.astype(np.uint8), image.affine), target / path.name)


def load_processor() -> object:
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
