"""Which code, packages and machine a run had."""

from __future__ import annotations

import getpass
import hashlib
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from pipeline import __version__
from pipeline.tracking.keys import hide_credentials

PACKAGES = ("torch", "monai", "pytorch-ignite", "mlflow", "numpy", "nibabel", "SimpleITK", "scipy")
GIT_TIMEOUT_S = 10.0
PLACES = ("command", "working_directory")
"""What of an environment names files and folders of the user."""


def describe_environment() -> dict[str, Any]:
    """Return what another person needs to run the same again; values that JSON can hold.

    Returns:
        ``command`` (as it was typed, without passwords), ``working_directory``, ``git`` (see ``git_state``),
        ``code_digest``, ``packages`` (name: version), ``python``, ``platform``, ``device``, ``num_cpus``, and
        ``num_threads`` of torch, on which the rounding of its sums depends.
    """
    return {
        "command": hide_credentials(shlex.join(sys.orig_argv)),
        "working_directory": str(Path.cwd()),
        "git": git_state(),
        "code_digest": code_digest(),
        "packages": {"pipeline": __version__, **_package_versions()},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": _device(),
        "num_cpus": os.cpu_count(),
        "num_threads": torch.get_num_threads(),
    }


def environment_tags(environment: dict[str, Any]) -> dict[str, str]:
    """Return the part of an environment to search and sort runs by: no command line and no path, which name patients.

    Args:
        environment: what ``describe_environment`` returns.

    Returns:
        ``git.commit``, ``git.dirty``, ``git.of`` (where known), ``version.torch``, …, ``python``, ``platform``,
        ``device``, ``code_digest``, and what MLflow's own columns show (user, source, commit).
    """
    tags = {f"version.{name}": str(version) for name, version in environment["packages"].items()}
    tags |= {key: str(environment[key]) for key in ("python", "platform", "device", "code_digest")}
    tags |= {"mlflow.user": _user(), "mlflow.source.name": "pipeline", "mlflow.source.type": "LOCAL"}
    git = environment["git"]
    if git:
        tags |= {f"git.{key}": str(value).lower() for key, value in git.items()}
        tags["mlflow.source.git.commit"] = git["commit"]
    return tags


def code_digest(package: Path | None = None) -> str:
    """Return the SHA-256 over all Python files of the package: equal digests, equal code, whatever git says.

    Args:
        package: folder of the package; default: where this one lies.
    """
    package = package or Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py"), key=lambda file: file.relative_to(package).parts):
        # Git may write other line ends on another system
        content = file.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{file.relative_to(package).as_posix()}:{len(content)}:".encode() + content)
    return digest.hexdigest()


def git_state(package: Path | None = None, working_directory: Path | None = None) -> dict[str, Any]:
    """Return the commit of the code that runs.

    Args:
        package: folder of the package; default: where this one lies.
        working_directory: looked at where the package itself is not under version control (installed from a wheel).

    Returns:
        ``commit``, ``dirty`` (tracked files differ from it) and ``of``: ``"package"`` or ``"working directory"``;
        empty where there is no repository or no git.
    """
    package = package or Path(__file__).resolve().parents[1]
    # a virtual environment often lies inside a repository that does not know the package
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is not None:
        return _commit(package, "package")
    return _commit(working_directory or Path.cwd(), "working directory")


def _commit(folder: Path, of: str) -> dict[str, Any]:
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    changes = _git(folder, "--no-optional-locks", "status", "--porcelain", "--untracked-files=no")
    return {} if commit is None else {"commit": commit, "dirty": bool(changes), "of": of}


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints; None where it fails or is missing."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=GIT_TIMEOUT_S, encoding="utf-8")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()


def _package_versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def _device() -> str:
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()} x {torch.cuda.device_count()}"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container whose user has no name
        return "unknown"
