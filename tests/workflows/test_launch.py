from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.workflows import launch
from pipeline.workflows.launch import (
    BundleTraining,
    SideBySide,
    describe_exit,
    parse_overrides,
    run_training_process,
    sizes_of_rounds,
)

CONFIG = "max_epochs: 5\nnetwork_def:\n  dilations: [1, 2]\n"
SLEEP = ["-c", "import time; time.sleep(60)"]


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "train.yaml").write_text(CONFIG, encoding="utf-8")
    return str(tmp_path / "train.yaml")


@pytest.mark.parametrize(
    ("words", "overrides"),
    [
        ([], {}),
        (["--max_epochs", "3", "--seed=1"], {"max_epochs": "3", "seed": "1"}),
        (["--network_def#dilations", "[1, 2]", "--shift", "-1"], {"network_def#dilations": "[1, 2]", "shift": "-1"}),
        (["--name=a=b"], {"name": "a=b"}),
    ],
)
def test_overrides_are_read(words: list[str], overrides: dict[str, str]) -> None:
    assert parse_overrides(words) == overrides


@pytest.mark.parametrize(
    ("words", "message"), [(["3"], "written as --key value, got '3'"), (["--seed"], "--seed needs a value")]
)
def test_overrides_that_are_none_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_overrides(words)


def test_configuration_is_read_with_overrides_of_their_types(config: str) -> None:
    training = BundleTraining("b", config, {"max_epochs": "3", "network_def#dilations": "[4]", "logging_file": "x"})
    parser = training.parser()
    assert (parser["max_epochs"], parser["network_def#dilations"], parser["bundle_root"]) == (3, [4], "b")


def test_later_file_comes_over_the_first(config: str, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("max_epochs: 7\n", encoding="utf-8")
    assert BundleTraining("b", str([config, str(tmp_path / "more.yaml")])).parser()["max_epochs"] == 7


def test_misspelt_setting_is_refused(config: str) -> None:
    with pytest.raises(InputError, match=r"unknown setting 'max_epoch': .*Did you mean --max_epochs\?"):
        BundleTraining("b", config, {"max_epoch": "3"}).parser()


def test_missing_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"names \['none\.yaml'\], which is not there"):
        BundleTraining("b", "none.yaml").parser()


def test_file_that_is_no_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("a", encoding="utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        BundleTraining("b", str(tmp_path / "notes.txt")).parser()


def test_words_are_those_of_monai(config: str) -> None:
    words = BundleTraining("b", config, {"seed": "1"}).words(fold=2)
    assert words == [
        "-m",
        "monai.bundle",
        "run",
        "training",
        "--bundle_root=b",
        f"--config_file={config}",
        "--seed=1",
        "--fold=2",
    ]


def test_exit_status_is_returned() -> None:
    assert run_training_process(["-c", "raise SystemExit(3)"]) == 3


def test_child_knows_the_parent_run(tmp_path: Path) -> None:
    code = f"import os; open({str(tmp_path / 'out')!r}, 'w').write(os.environ['PIPELINE_PARENT_RUN_ID'])"
    run_training_process(["-c", code], "abc")
    assert (tmp_path / "out").read_text(encoding="utf-8") == "abc"
    assert "PIPELINE_PARENT_RUN_ID" not in os.environ


def test_training_beside_others_has_its_share_of_the_cores_and_its_own_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch.torch, "get_num_threads", lambda: 7)
    code = "import os, sys; print(os.environ['OMP_NUM_THREADS'], flush=True); print('to stderr', file=sys.stderr)"
    log = tmp_path / "fold_0" / "training.log"
    for _ in range(2):
        run_training_process(["-c", code], beside=SideBySide(2, log))
    assert log.read_text(encoding="utf-8").split("\n") == ["3", "to stderr"] * 2 + [""]


def test_each_training_has_a_core_at_least(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(launch.torch, "get_num_threads", lambda: 2)
    assert SideBySide(5, tmp_path).environment()["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(
    ("number", "jobs", "threads"),
    [
        (5, 2, [2, 2, 2, 2, 4]),
        (4, 2, [2, 2, 2, 2]),
        (5, 3, [1, 1, 1, 2, 2]),
        (2, 3, [2, 2]),
        (3, 1, [4, 4, 4]),
        (0, 2, []),
    ],
)
def test_last_round_shares_all_cores_among_those_that_are_left(
    number: int, jobs: int, threads: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launch.torch, "get_num_threads", lambda: 4)
    given = [SideBySide(size, tmp_path).environment()["OMP_NUM_THREADS"] for size in sizes_of_rounds(number, jobs)]
    assert given == [str(number) for number in threads]


def test_training_that_shall_not_go_on_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "POLL_S", 0.05)
    begin = time.monotonic()
    assert run_training_process(SLEEP, watch=lambda: False) != 0
    assert time.monotonic() - begin < 10


def test_process_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "POLL_S", 1.0)
    monkeypatch.setattr(launch, "CLOSE_GRACE_S", 0.2)
    deaf = ["-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"]
    assert run_training_process(deaf, watch=lambda: False) == (1 if sys.platform == "win32" else -9)


@pytest.mark.usefixtures("keyboard")
def test_interrupted_parent_ends_its_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(launch, "INTERRUPT_GRACE_S", 0.1)
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    timer = threading.Timer(1.0, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run_training_process(["-c", code])
    pid = int((tmp_path / "pid").read_text(encoding="utf-8"))
    with pytest.raises(OSError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("status", "words"),
    [(2, "failed with exit status 2"), (-9, "was killed, perhaps because memory ran out"), (-15, "ended by signal 15")],
)
def test_exit_is_told_in_words(status: int, words: str) -> None:
    assert words in describe_exit(status)
