"""Segment a folder by nnU-Net in this process and say where the time went.

    PYTHON -m benchmarks.peers.nnunet_stages MODEL_DIR INPUT_DIR OUTPUT_DIR [--rounds 3]

The last line is JSON: ``rounds``, each as ``stage_clock.time_stages`` has it, after one that warms up. nnU-Net's
command reads and writes in processes of their own beside the network; here all is done in turn, by its own
``predict_from_files_sequential``, without mirroring.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import torch
from nnunetv2.inference import export_prediction
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from benchmarks.stage_clock import Watched, time_stages


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("input_dir", type=Path)
    parser.add_argument("output_dir", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)  # as its command does
    predictor = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(options.model_dir), (0,), "checkpoint_final.pth")
    options.output_dir.mkdir(parents=True, exist_ok=True)

    def work() -> int:
        predictor.predict_from_files_sequential(str(options.input_dir), str(options.output_dir))
        return len(list(options.output_dir.glob("*.nii.gz")))

    work()  # warms up
    methods = watched_methods(predictor)
    print(json.dumps({"rounds": [time_stages(work, methods) for _ in range(options.rounds)]}))


def watched_methods(predictor: Any) -> list[Watched]:
    """Return all that is timed; what is left of the conversion is the way back to the scan's grid."""
    plans, network = predictor.plans_manager, type(predictor.network)
    files = plans.image_reader_writer_class
    return [
        (files, "read_images", "read"),
        (predictor.configuration_manager.preprocessor_class, "run_case", "preprocess"),
        (network, "load_state_dict", "load"),
        (network, "__call__", "network"),
        (nnUNetPredictor, "predict_logits_from_preprocessed_data", "windows"),
        (export_prediction, "convert_predicted_logits_to_segmentation_with_correct_shape", "invert"),
        (plans.label_manager_class, "convert_logits_to_segmentation", "postprocess"),
        (files, "write_seg", "write"),
    ]


if __name__ == "__main__":
    main()
