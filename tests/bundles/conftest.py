"""The bundle as users run it: commands in the background, as subprocesses, and workflows in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
import yaml
from mlflow.entities import Run
from monai.bundle import ConfigParser
from torch import nn

from pipeline.data.phantom import make_phantom_cohort
from pipeline.data.phantom.cine_study import CineStudy
from pipeline.data.phantom.dicom import write_cine_dicom
from pipeline.geometry import nifti_affine
from pipeline.tracking.store import open_store

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BUNDLE = Path("bundles", "cardiac_sax_segmentation")
TIMEOUT_S = 300
USUAL_FILES = {"meta": "metadata.json", "logging": "logging.conf"}
PATIENT_NAME = "Secret^Name"
KILLED_AT = 27  # of 40 iterations, the 7th of the second epoch

Result = subprocess.CompletedProcess


@dataclass
class Place:
    """A folder to run commands in, and how the bundle is called from there.

    Attributes:
        cwd: the folder.
        bundle: the bundle's folder, as it is written on the command line.
        overlays: the folder of the project's overlays, likewise.
        scratch: a folder for all that is written.
        env: environment variables beside those of this process.
    """

    cwd: Path
    bundle: Path
    overlays: Path
    scratch: Path
    env: dict[str, str] = field(default_factory=dict)

    def files(self, *names: str | Path) -> list[str]:
        """Return configuration files; names without suffix are the bundle's own."""
        own = self.bundle / "configs"
        return [str(self.overlays / name if Path(name).suffix else own / f"{name}.yaml") for name in names]

    def command(self, run_id: str, *names: str | Path, **overrides: Any) -> list[str]:
        """Return the words of ``monai.bundle run``."""
        options = {"bundle_root": self.bundle, "config_file": self.files(*names), **overrides}
        words = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        return ["-m", "monai.bundle", "run", *([run_id] if run_id else []), *words]

    def run(self, words: list[str], wait_for: Path | None = None) -> Result[str]:
        """Run Python with these words to its end, or kill it as soon as a file appears."""
        log = self.scratch / f"{time.monotonic_ns()}.log"
        env = {**os.environ, "OMP_NUM_THREADS": "1", **self.env}
        with log.open("wb") as stdout, log.with_suffix(".err").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=self.cwd, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
            )
            try:
                _wait(process, wait_for)
            finally:
                process.kill()
                process.wait()
        texts = [file.read_text(encoding="utf-8", errors="replace") for file in (log, log.with_suffix(".err"))]
        return Result(words, process.returncode, *texts)


def _wait(process: subprocess.Popen[bytes], file: Path | None) -> None:
    end_s = time.monotonic() + TIMEOUT_S
    while process.poll() is None and not (file and file.exists()) and time.monotonic() < end_s:
        time.sleep(0.05)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five phantom patients, ED and ES, in ACDC's layout: stacks of 64 x 64 x 4 to 5 voxels of 3 x 3 x 20 mm."""
    folder = tmp_path_factory.mktemp("cohort") / "training"
    sizes = {"in_plane_size": (64, 64), "num_slices": (4, 5)}
    spacings = {"in_plane_spacing_mm": (2.6, 3.0), "slice_spacing_mm": (10.0, 20.0)}
    make_phantom_cohort(folder, num_patients=5, num_phases=2, **sizes, **spacings)
    return folder


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One store for all runs: MLflow takes seconds to make the tables of another."""
    return f"sqlite:///{(tmp_path_factory.mktemp('mlflow') / 'mlruns.db').as_posix()}"


@pytest.fixture(scope="session")
def at_root(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Place:
    """The root of the repository, with paths as the README has them."""
    scratch = tmp_path_factory.mktemp("root")
    return Place(REPOSITORY, BUNDLE, Path("configs"), scratch, {"MLFLOW_TRACKING_URI": tracking_uri})


@pytest.fixture(scope="session")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, tracking_uri: str) -> Place:
    """Another folder with a copy of the bundle; only the package comes from the repository."""
    scratch = tmp_path_factory.mktemp("elsewhere")
    bundle = shutil.copytree(REPOSITORY / BUNDLE, scratch / "copied bundle")
    # as if the package were installed, which it is wherever the tests run by `make test`
    env = {"PYTHONPATH": os.pathsep.join((str(REPOSITORY), str(HERE))), "MLFLOW_TRACKING_URI": tracking_uri}
    return Place(scratch, bundle, REPOSITORY / "configs", scratch, env)


@dataclass(frozen=True)
class Use:
    """What the three commands of one place printed, and where they wrote."""

    training: Result[str]
    evaluating: Result[str]
    inference: Result[str]
    trained_dir: Path
    evaluated_dir: Path
    segmented_dir: Path
    scans_dir: Path


def use_at_root(place: Place, cohort: Path) -> Use:
    """Train, evaluate into the same folder, segment a stack, a cine and a DICOM study, as the README says."""
    out, scans, segmented = place.scratch / "out", place.scratch / "scans", place.scratch / "segmented"
    make_dicom(make_scans(scans, cohort) / "scanner", cohort)
    tiny, tiny_inference = HERE / "tiny.yaml", HERE / "tiny_inference.yaml"
    data, model = {"dataset_dir": cohort, "output_dir": out}, out / "models" / "model.pt"
    usual = {f"{kind}_file": BUNDLE / "configs" / name for kind, name in USUAL_FILES.items()}
    inference = {"dataset_dir": scans, "output_dir": segmented, "ckpt_path": model, "overlays": "true"}
    return Use(
        place.run(place.command("training", "train", "acdc.yaml", tiny, **data, **usual)),
        place.run(place.command("evaluating", "train", "evaluate", "acdc.yaml", tiny, **data)),
        place.run(place.command("evaluating", "inference", tiny_inference, **inference)),
        *(out, out, segmented, scans),
    )


def use_elsewhere(place: Place, cohort: Path) -> Use:
    """``run`` alone, killed and resumed; evaluate into another folder; segment a cohort with a scan that is cut off."""
    out, evaluated = place.scratch / "out", place.scratch / "evaluated"
    scans, segmented = place.scratch / "scans", place.scratch / "segmented"
    truncate(write_scan(make_scans(scans, cohort) / "bad.nii.gz", load_scan(cohort)))
    hang = {"_target_": "disturb.HangAt", "iteration": KILLED_AT, "path": str(place.scratch / "hangs")}
    overlay = write_yaml(place.scratch / "hang.yaml", {"+train#handlers": [hang]})
    names, model = ("train", "acdc.yaml", HERE / "tiny.yaml"), out / "models" / "model.pt"
    data = {"dataset_dir": cohort, "output_dir": out}
    place.run(place.command("", *names, overlay, **data), wait_for=Path(hang["path"]))
    training = place.run(place.command("", *names, **data, resume="true"))
    evaluation = {"dataset_dir": cohort, "output_dir": evaluated, "ckpt_path": model}
    inference = {"dataset_dir": scans, "output_dir": segmented, "ckpt_path": model}
    return Use(
        training,
        place.run(place.command("evaluating", names[0], "evaluate", *names[1:], **evaluation)),
        place.run(place.command("", "inference", HERE / "tiny_inference.yaml", **inference)),
        *(out, evaluated, segmented, scans),
    )


def train_in_two_processes(place: Place, cohort: Path) -> Result[str]:
    """Train by ``torchrun``, on CPUs."""
    names = ("train", "multi_gpu_train", "acdc.yaml", HERE / "tiny.yaml")
    words = place.command("training", *names, dataset_dir=cohort, output_dir=place.scratch / "two", max_epochs=1)
    return place.run(["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *words])


def segment_in_two_processes(place: Place, cohort: Path) -> Result[str]:
    """Segment three scans by ``torchrun``, on CPUs, with the weights that ship."""
    scans = place.scratch / "three"
    scans.mkdir()
    for scan in cohort.glob("patient00[123]/*_frame01.nii.gz"):
        shutil.copy(scan, scans)
    names = ("inference", "multi_gpu_inference")
    words = place.command("evaluating", *names, dataset_dir=scans, output_dir=place.scratch / "three_segmented")
    return place.run(["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", *words])


def train_with_misspelt_setting(place: Place, cohort: Path) -> Result[str]:
    """``--max_epoch 3``, which MONAI passes over."""
    out = place.scratch / "misspelt"
    return place.run(place.command("training", "train", "acdc.yaml", dataset_dir=cohort, output_dir=out, max_epoch=3))


# fixture: what it does, and where
JOBS: dict[str, tuple[Callable[[Place, Path], Any], str]] = {
    "root_use": (use_at_root, "at_root"),
    "elsewhere_use": (use_elsewhere, "elsewhere"),
    "two_processes": (train_in_two_processes, "at_root"),
    "segmented_by_two": (segment_in_two_processes, "at_root"),
    "misspelt": (train_with_misspelt_setting, "at_root"),
}


def jobs_of(item: pytest.Item) -> set[str]:
    """Return the jobs that a test asks for, as arguments or as the names of parametrized ones."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    asked = {*getattr(item, "fixturenames", ()), *(value for value in params.values() if isinstance(value, str))}
    return asked & JOBS.keys()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests that wait for a command behind all others."""
    items.sort(key=lambda item: bool(jobs_of(item)))


@pytest.fixture(scope="session", autouse=True)
def background(request: pytest.FixtureRequest, cohort: Path) -> Iterator[dict[str, Future[Any]]]:
    """Start what the collected tests will ask for, two at a time, while the tests of this process go on."""
    asked = {job for item in request.session.items for job in jobs_of(item)}
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {
            name: pool.submit(job, request.getfixturevalue(place), cohort)
            for name, (job, place) in JOBS.items()
            if name in asked
        }


@pytest.fixture(scope="session")
def root_use(background: dict[str, Future[Any]]) -> Use:
    return background["root_use"].result()


@pytest.fixture(scope="session")
def elsewhere_use(background: dict[str, Future[Any]]) -> Use:
    return background["elsewhere_use"].result()


@pytest.fixture(scope="session")
def two_processes(background: dict[str, Future[Any]]) -> Result[str]:
    return background["two_processes"].result()


@pytest.fixture(scope="session")
def segmented_by_two(background: dict[str, Future[Any]]) -> Result[str]:
    return background["segmented_by_two"].result()


@pytest.fixture(scope="session")
def misspelt(background: dict[str, Future[Any]]) -> Result[str]:
    return background["misspelt"].result()


@pytest.fixture
def run_bundle(monkeypatch: pytest.MonkeyPatch, cohort: Path, tmp_path: Path) -> Callable[..., None]:
    """Run the tiny training, or other files of the bundle, in this process; nothing is recorded unless asked for."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.syspath_prepend(str(HERE))

    def run(run_id: str = "training", *names: str | Path, **overrides: Any) -> None:
        place = Place(REPOSITORY, REPOSITORY / BUNDLE, REPOSITORY / "configs", tmp_path)
        files = place.files(*(names or ("train", "acdc.yaml", HERE / "tiny.yaml")))
        options = {"dataset_dir": str(cohort), "output_dir": str(tmp_path / "out"), "record": False, **overrides}
        monai.bundle.run(run_id, config_file=files, bundle_root=str(place.bundle), logging_file=False, **options)

    return run


@pytest.fixture(scope="session")
def tiny_network() -> nn.Module:
    """The network of ``tiny_inference.yaml``, ready to predict, with weights with which every class wins somewhere."""
    parser = ConfigParser()
    parser.read_config([str(REPOSITORY / BUNDLE / "configs" / "inference.yaml"), str(HERE / "tiny_inference.yaml")])
    return _lively(parser.get_parsed_content("network_def").eval())


def _lively(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.bias.uniform_(-1, 1, generator=generator)
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, generator=generator)
        network.head.weight.uniform_(-5, 5, generator=generator)
        network.head.bias.zero_()
        # logits of mean 0 and standard deviation 1 for each class, so that none wins everywhere
        logits = network(torch.rand(2, 1, 64, 64, generator=generator))
        mean, sd = logits.mean(dim=(0, 2, 3)), logits.std(dim=(0, 2, 3))
        network.head.weight.div_(sd.view(-1, 1, 1, 1))
        network.head.bias.copy_(-mean / sd)
    return network


@pytest.fixture
def find_runs(tracking_uri: str) -> Callable[[Path], list[Run]]:
    """Find the MLflow runs with an ``output_dir``, the latest first."""

    def find(output_dir: Path) -> list[Run]:
        client = open_store(tracking_uri)
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        return list(client.search_runs(experiments, f"params.output_dir = '{output_dir}'"))

    return find


def load_scan(cohort: Path, frame: int = 1) -> nib.Nifti1Image:
    return nib.load(cohort / "patient003" / f"patient003_frame{frame:02d}.nii.gz")


def write_scan(path: Path, image: nib.Nifti1Image, voxels: np.ndarray | None = None) -> Path:
    """Write an image, with other voxels if given, under its own header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.asarray(image.dataobj) if voxels is None else voxels
    nib.save(nib.Nifti1Image(data, image.affine, image.header, dtype=data.dtype), path)
    return path


def make_dicom(folder: Path, cohort: Path) -> Path:
    """Write a cine of six phases as a scanner does, with a patient's name."""
    ed, es = (np.asarray(load_scan(cohort, frame).dataobj) for frame in (1, 2))
    cine = np.stack([ed, ed, es, es, es, ed], axis=-1).clip(0).astype(np.uint16)
    write_cine_dicom(folder, CineStudy(cine, nifti_affine(load_scan(cohort)), patient_name=PATIENT_NAME))
    return folder


def make_scans(folder: Path, cohort: Path) -> Path:
    """Write a stack under a name with blanks in a folder of its own, and a cine of two phases."""
    ed, es = load_scan(cohort, 1), load_scan(cohort, 2)
    write_scan(folder / "visit 1" / "stack a.nii.gz", ed)
    write_scan(folder / "cine.nii", ed, np.stack([np.asarray(phase.dataobj) for phase in (ed, es)], axis=-1))
    return folder


def truncate(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def write_yaml(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
