"""Names and values in the form that MLflow takes."""

from __future__ import annotations

import re

MAX_KEY_LENGTH = 250
"""Characters in the key of a parameter, metric or tag."""

MAX_PARAM_LENGTH = 6000
"""Characters in the value of a parameter."""

MAX_TAG_LENGTH = 5000
"""Characters in the value of a tag: what servers before MLflow 2.13 take, newer ones take 8000."""

# The characters that MLflow takes on every system: the colon is refused on Windows.
_FORBIDDEN = re.compile(r"[^/\w.\- ]")
_CREDENTIALS = re.compile(r"""(?<=://)[^/@\s"',]+@""")


def record_key(name: str) -> str:
    """Return a name as MLflow takes it for parameters, metrics and tags.

    Args:
        name: any text, such as a config id.

    Returns:
        The name with forbidden characters as ``_``, without path steps that MLflow would resolve (``a//b``,
        ``../a``), at most 250 characters long, never empty.
    """
    steps = _FORBIDDEN.sub("_", name).split("/")
    kept = "/".join(step for step in steps if step not in ("", ".", ".."))
    return kept[:MAX_KEY_LENGTH].rstrip("/") or "_"


def cut(value: str, length: int) -> str:
    """Return the text, shortened to ``length`` characters and marked by an ellipsis where it is longer.

    NUL characters, which PostgreSQL refuses, are left out.
    """
    value = value.replace("\x00", "")
    return value if len(value) <= length else value[: length - 1] + "…"


def hide_credentials(text: str) -> str:
    """Return the text with the user and password of each URL in it as ``***``.

    Tracking servers are addressed as ``https://user:password@host``; parameters, files and messages are for others.
    """
    return _CREDENTIALS.sub("***@", text)
