"""How often a progress bar is drawn: a terminal shows the newest, a log keeps each."""

from __future__ import annotations

import sys

TERMINAL_INTERVAL_S = 0.5
LOG_INTERVAL_S = 60.0


def bar_interval_s() -> float:
    """Return the seconds between two drawings of a bar on stderr."""
    return TERMINAL_INTERVAL_S if sys.stderr.isatty() else LOG_INTERVAL_S
