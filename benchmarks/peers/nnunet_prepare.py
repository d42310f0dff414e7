"""Give nnU-Net what its commands want: its own plans of ACDC, models with random weights, preprocessed slices.

    PYTHON benchmarks/peers/nnunet_prepare.py DATASET_DIR WORK_DIR [--num_patients 100]

Run by the interpreter that nnU-Net is installed for. nnU-Net's own commands make fingerprint, plans and preprocessed
data; only the checkpoints are ours, because random weights take as long as trained ones. Nothing is made twice.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

DATASET = "Dataset027_ACDC"
CONFIGURATIONS = ("2d", "3d_fullres")


def main() -> None:
    """Prepare, unless it was done before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset_dir", type=Path, help="ACDC's folder training/")
    parser.add_argument("work_dir", type=Path)
    parser.add_argument("--num_patients", type=int, default=100, help="that the plans are made from (default: 100)")
    options = parser.parse_args()
    for name in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{name}"] = str(options.work_dir.resolve() / name)
    if not (options.work_dir / "models" / CONFIGURATIONS[-1]).is_dir():
        write_raw(options.dataset_dir, options.work_dir / "raw" / DATASET, options.num_patients)
        number = DATASET[len("Dataset") :].split("_")[0]
        call("nnUNetv2_extract_fingerprint", "-d", number, "-np", "2")
        call("nnUNetv2_plan_experiment", "-d", number)
        call("nnUNetv2_preprocess", "-d", number, "-c", "2d", "-np", "2")
        for configuration in CONFIGURATIONS:
            write_model(options.work_dir, configuration)


def call(command: str, *arguments: str) -> None:
    """Run one of nnU-Net's commands, which lie beside the interpreter."""
    subprocess.run([str(Path(sys.executable).parent / command), *arguments], check=True)


def write_raw(dataset_dir: Path, raw: Path, num_patients: int) -> None:
    """Copy patients, spread over the data set, into nnU-Net's raw format."""
    patients = sorted(folder for folder in dataset_dir.iterdir() if folder.is_dir())
    step = max(len(patients) // num_patients, 1)
    labels = sorted(file for folder in patients[::step][:num_patients] for file in folder.glob("*_gt.nii.gz"))
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True, exist_ok=True)
    for label in labels:
        case = label.name.removesuffix("_gt.nii.gz")
        shutil.copy(label, raw / "labelsTr" / f"{case}.nii.gz")
        shutil.copy(label.with_name(f"{case}.nii.gz"), raw / "imagesTr" / f"{case}_0000.nii.gz")
    description = {
        "channel_names": {"0": "cineMRI"},
        "labels": {"background": 0, "RV": 1, "MLV": 2, "LVC": 3},
        "numTraining": len(labels),
        "file_ending": ".nii.gz",
    }
    (raw / "dataset.json").write_text(json.dumps(description), encoding="utf-8")


def write_model(work_dir: Path, configuration: str) -> None:
    """Write a model folder as a training leaves it, with random weights."""
    # nnU-Net reads the paths of its environment at import
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    preprocessed, model = work_dir / "preprocessed" / DATASET, work_dir / "models" / configuration
    plans = PlansManager(str(preprocessed / "nnUNetPlans.json"))
    network = nnUNetTrainer.build_network_architecture(plans, plans.get_configuration(configuration), 1, 4, False)
    axes = 2 if configuration == "2d" else 3
    (model / "fold_0").mkdir(parents=True, exist_ok=True)
    shutil.copy(preprocessed / "nnUNetPlans.json", model / "plans.json")
    shutil.copy(work_dir / "raw" / DATASET / "dataset.json", model / "dataset.json")
    checkpoint = {
        "network_weights": network.state_dict(),
        "trainer_name": "nnUNetTrainer",
        "init_args": {"configuration": configuration},
        "inference_allowed_mirroring_axes": tuple(range(axes)),
    }
    torch.save(checkpoint, model / "fold_0" / "checkpoint_final.pth")


if __name__ == "__main__":
    main()
