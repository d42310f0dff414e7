"""Which code, packages and machine a run had."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import __version__
from pipeline.tracking import provenance
from pipeline.tracking.provenance import code_digest, describe_environment, environment_tags, git_state


def fake_git(monkeypatch: pytest.MonkeyPatch, answers: dict[tuple[str, str], str]) -> None:
    """Let git answer by folder and subcommand, and fail at all else."""

    def run(folder: Path, *arguments: str) -> str | None:
        subcommand = next(word for word in arguments if not word.startswith("--"))
        return answers.get((folder.name, subcommand))

    monkeypatch.setattr(provenance, "_git", run)


@pytest.mark.parametrize(("status", "dirty"), [("", False), (" M pipeline/labels.py", True)])
def test_commit_of_the_package(status: str, dirty: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(
        monkeypatch,
        {("pkg", "ls-files"): "__init__.py", ("pkg", "rev-parse"): "abc", ("pkg", "status"): status},
    )
    assert git_state(Path("pkg"), Path("cwd")) == {"commit": "abc", "dirty": dirty, "of": "package"}


def test_commit_of_the_working_directory_where_the_package_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(monkeypatch, {("pkg", "rev-parse"): "of another repository", ("cwd", "rev-parse"): "abc"})
    assert git_state(Path("pkg"), Path("cwd")) == {"commit": "abc", "dirty": False, "of": "working directory"}


def test_nothing_outside_of_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_git(monkeypatch, {})
    assert git_state(Path("pkg"), Path("cwd")) == {}


@pytest.mark.parametrize(
    "trouble",
    [FileNotFoundError("git"), subprocess.CalledProcessError(128, "git"), subprocess.TimeoutExpired("git", 10)],
)
def test_git_that_fails_is_no_trouble(trouble: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*args: object, **kwargs: object) -> None:
        raise trouble

    monkeypatch.setattr(provenance.subprocess, "run", run)
    assert git_state() == {}


def test_git_is_asked_in_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(command: list[str], **kwargs: object) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="abc\n")

    monkeypatch.setattr(provenance.subprocess, "run", run)
    assert provenance._git(Path("pkg"), "rev-parse", "HEAD") == "abc"
    assert asked == [["git", "-C", "pkg", "rev-parse", "HEAD"]]


def test_environment_names_the_packages() -> None:
    packages = describe_environment()["packages"]
    assert packages["pipeline"] == __version__
    assert packages["torch"] == importlib.metadata.version("torch")


def test_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-package",))
    assert describe_environment()["packages"]["no-such-package"] == "not installed"


def test_environment_can_be_written_as_json() -> None:
    assert json.loads(json.dumps(describe_environment()))["device"]


def test_command_hides_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["python", "--tracking_uri", "http://me:secret@server"])
    assert describe_environment()["command"] == "python --tracking_uri http://***@server"


@pytest.fixture
def environment() -> dict[str, Any]:
    git = {"commit": "abc", "dirty": True, "of": "package"}
    return {**describe_environment(), "command": "python /data/john_doe.nii.gz", "git": git}


def test_tags_say_the_commit_and_whether_it_is_changed(environment: dict[str, Any]) -> None:
    tags = environment_tags(environment)
    assert (tags["git.commit"], tags["git.dirty"], tags["mlflow.source.git.commit"]) == ("abc", "true", "abc")


def test_tags_name_no_paths(environment: dict[str, Any]) -> None:
    assert not {"john_doe", str(Path.cwd())} & set(" ".join(environment_tags(environment).values()).split())
    assert "command" not in environment_tags(environment)


def test_tags_without_a_repository(environment: dict[str, Any]) -> None:
    assert not [key for key in environment_tags({**environment, "git": {}}) if "git" in key]


def test_user_without_a_name(environment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(provenance.getpass, "getuser", fail)
    assert environment_tags(environment)["mlflow.user"] == "unknown"


def test_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "H100")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert describe_environment()["device"] == "H100 x 2"


def test_digest_of_the_code_is_that_of_its_python_files(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    first = code_digest(tmp_path)
    (tmp_path / "notes.txt").write_bytes(b"a")
    assert code_digest(tmp_path) == first
    (tmp_path / "a.py").write_bytes(b"x = 1\r\n")
    assert code_digest(tmp_path) == first


@pytest.mark.parametrize("change", [("a.py", b"x = 2\n"), ("b.py", b"")])
def test_digest_of_other_code_is_another(tmp_path: Path, change: tuple[str, bytes]) -> None:
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    first = code_digest(tmp_path)
    (tmp_path / change[0]).write_bytes(change[1])
    assert code_digest(tmp_path) != first
