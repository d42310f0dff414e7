"""Yes-or-no settings as they come from the command line."""

from __future__ import annotations

from pipeline.errors import InputError

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def as_flag(name: str, value: bool | str | int) -> bool:
    """Return a setting as a bool: ``--resume false`` reaches a configuration as the word, which Python takes for true.

    Raises:
        InputError: the value is no yes or no.
    """
    word = str(value).strip().lower()
    if word not in _WORDS:
        raise InputError(f"{name} must be true or false, got '{value}'.")
    return _WORDS[word]
