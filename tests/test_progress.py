from __future__ import annotations

import pytest
from tqdm import tqdm

from pipeline.progress import bar_pace


@pytest.mark.parametrize(("terminal", "drawings"), [(True, (40, 42)), (False, (1, 4))])
def test_log_keeps_a_drawing_a_minute(
    terminal: bool, drawings: tuple[int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    seconds = iter(range(1000))  # one goes by at each step
    with tqdm(total=40, **bar_pace()) as bar:
        bar._time = lambda: float(next(seconds))
        bar.start_t = bar.last_print_t = 0.0
        for _ in range(40):
            bar.update()
    assert drawings[0] <= capsys.readouterr().err.count("\r") <= drawings[1]
