"""How often a progress bar is drawn: a terminal shows the newest, a log keeps each."""

from __future__ import annotations

import sys
from typing import Any

TERMINAL_INTERVAL_S = 0.5
LOG_INTERVAL_S = 60.0


def bar_pace() -> dict[str, Any]:
    """Return how often tqdm draws a bar on stderr, as its arguments, in seconds."""
    interval_s = TERMINAL_INTERVAL_S if sys.stderr.isatty() else LOG_INTERVAL_S
    # beyond maxinterval tqdm draws whatever happens
    return {"mininterval": interval_s, "maxinterval": max(interval_s, 10.0)}
