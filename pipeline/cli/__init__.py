"""The command line ``python -m pipeline``: argument parsing, and printing what the library returns.

Each command imports what it needs when it runs: torch and MLflow take seconds, ``--help`` must not.
"""

from __future__ import annotations

from pipeline.cli.program import main

__all__ = ["main"]
