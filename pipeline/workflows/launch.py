"""Trainings of a bundle as processes of their own, one after the other or side by side."""

from __future__ import annotations

import ast
import difflib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from fire.parser import DefaultParseValue  # type: ignore[import-untyped]
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple

from pipeline.errors import InputError
from pipeline.tracking.tracker import PARENT_VARIABLE

POLL_S = 1.0
INTERRUPT_GRACE_S = 10.0
"""Seconds in which a training ends by itself after Ctrl-C, which the terminal sends to it too."""
CLOSE_GRACE_S = 90.0
"""Seconds in which a training closes its MLflow run after SIGTERM; a server that does not answer costs some."""
# of `monai.bundle run` itself, no ids of the configuration
_OPTIONS = frozenset({"meta_file", "logging_file", "tracking", "args_file"})


@dataclass(frozen=True)
class BundleTraining:
    """A training as ``python -m monai.bundle run training`` is told of it.

    Attributes:
        bundle_root: folder of the bundle.
        config_file: as on the command line: one file, or ``"['a.yaml','b.yaml']"``.
        overrides: ids of the configuration to their values, as on the command line.
    """

    bundle_root: str
    config_file: str
    overrides: Mapping[str, str] = field(default_factory=dict)

    def parser(self, **more: object) -> ConfigParser:
        """Read the configuration as the training will, without instantiating anything.

        Args:
            more: overrides that come on top.

        Raises:
            InputError: a file is missing or unreadable, or an override names no id of the configuration.
        """
        parser = ConfigParser()
        try:
            parser.read_config(list(self._files()))
        except (ValueError, SyntaxError) as error:
            raise InputError(f"--config_file {self.config_file} cannot be read: {error}") from error
        overrides = {**self.overrides, **{key: str(value) for key, value in more.items()}}
        settings = {key: value for key, value in overrides.items() if key not in _OPTIONS}
        require_ids(settings, parser)
        parser.update({"bundle_root": self.bundle_root})
        for key, value in settings.items():
            parser[key] = DefaultParseValue(value)
        return parser

    def words(self, **more: object) -> list[str]:
        """Return the words behind ``python`` that run the training.

        Args:
            more: overrides that come on top.
        """
        options = {"bundle_root": self.bundle_root, "config_file": self.config_file, **self.overrides, **more}
        return ["-m", "monai.bundle", "run", "training", *(f"--{key}={value}" for key, value in options.items())]

    def _files(self) -> tuple[str, ...]:
        try:
            files = ensure_tuple(ast.literal_eval(self.config_file))
        except (ValueError, SyntaxError):
            files = (self.config_file,)
        missing = [str(file) for file in files if not Path(str(file)).is_file()]
        if missing:
            raise InputError(f"--config_file names {missing}, which {'is' if len(missing) == 1 else 'are'} not there.")
        return tuple(str(file) for file in files)


def require_ids(settings: Mapping[str, Any], parser: ConfigParser) -> None:
    """Find out whether a configuration has all ids that shall be set.

    Raises:
        InputError: it lacks one; names it and the nearest that exists.
    """
    for key in settings:
        if key not in parser:
            near = difflib.get_close_matches(key, [str(id_) for id_ in parser.get()], n=1)
            hint = f" Did you mean --{near[0]}?" if near else ""
            raise InputError(f"unknown setting '{key}': the configuration has no such id.{hint}")


def parse_overrides(words: list[str]) -> dict[str, str]:
    """Return ``--key value`` and ``--key=value`` as a mapping.

    Raises:
        InputError: a word that is neither, or a key without a value.
    """
    overrides: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        key, assigned, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not key:
            raise InputError(f"overrides are written as --key value, got '{word}'.")
        if not assigned and (not rest or rest[0].startswith("--")):
            raise InputError(f"--{key} needs a value, as in --max_epochs 10.")
        overrides[key] = value if assigned else rest.pop(0)
    return overrides


def sizes_of_rounds(number: int, jobs: int) -> list[int]:
    """Return for each of some trainings how many run at the same time in its round, itself among them.

    The last round has those that are left, which share all cores: of five, two at a time, the fifth has them alone.
    It follows from the numbers and not from the clock, so that the same command gives each training the same number
    of threads. The last round may begin while one of the round before still comes to its end.

    Args:
        number: of trainings.
        jobs: trainings at a time.
    """
    return [min(jobs, number - first) for first in range(0, number, jobs) for _ in range(min(jobs, number - first))]


@dataclass(frozen=True)
class SideBySide:
    """How trainings run at the same time: each with its share of the cores, and a file for what it says.

    Attributes:
        jobs: number of trainings at a time, see ``sizes_of_rounds``.
        log: file that the output goes to, after what it holds already.
    """

    jobs: int
    log: Path

    def environment(self) -> dict[str, str]:
        """Return the variables that give a training its share of the cores that PyTorch would use."""
        threads = str(max(1, torch.get_num_threads() // self.jobs))
        return {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}


def run_training_process(
    words: list[str],
    parent_run_id: str = "",
    watch: Callable[[], bool] = lambda: True,
    beside: SideBySide | None = None,
) -> int:
    """Run Python with these words; it shares the terminal unless others run beside it.

    Where this process is interrupted, the other is told to end, and waited for until its MLflow run is closed.

    Args:
        words: what ``BundleTraining.words`` returns.
        parent_run_id: MLflow run whose child the training's becomes; empty for none.
        watch: asked every second whether the training shall go on; it is ended by SIGTERM where not.
        beside: how it runs where there are others at the same time.

    Returns:
        The exit status; negative for the signal that ended it.
    """
    env = {**os.environ, **({PARENT_VARIABLE: parent_run_id} if parent_run_id else {})}
    with (
        _output(beside) as output,
        subprocess.Popen(
            [sys.executable, *words], env=env | (beside.environment() if beside else {}), stdout=output, stderr=output
        ) as process,
    ):
        try:
            return _wait(process, watch)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                with suppress(subprocess.TimeoutExpired):
                    process.wait(INTERRUPT_GRACE_S)
            end_process(process)
            raise


@contextmanager
def _output(beside: SideBySide | None) -> Iterator[BinaryIO | None]:
    if beside is None:
        yield None
        return
    beside.log.parent.mkdir(parents=True, exist_ok=True)
    with open(beside.log, "ab") as file:
        yield file


def _wait(process: subprocess.Popen[bytes], watch: Callable[[], bool]) -> int:
    while True:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(POLL_S)
        if not watch():
            return end_process(process)


def end_process(process: subprocess.Popen[bytes]) -> int:
    """Tell a process to end, kill it where it does not, and return its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(CLOSE_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def describe_exit(status: int, place: str = "above") -> str:
    """Return what an exit status says, for a message that tells where the process's own one stands."""
    if status == -9:
        return "was killed, perhaps because memory ran out"
    if status < 0:
        return f"was ended by signal {-status}"
    return f"failed with exit status {status}; its message stands {place}"
