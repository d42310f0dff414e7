"""The one exception that a user can mend."""

from __future__ import annotations


class InputError(ValueError):
    """Something that came from outside does not fit: a file, a folder, a setting, a server.

    The message names what came, the rule it breaks, the file, and the way out. It is written for the person who started
    the command: workflows show it alone, without the stack of the libraries in between.

    Attributes:
        recorded: what a tracking store is told instead, where the message names files that may be named after patients.
    """

    recorded: str = ""


def exception_chain(error: BaseException | None) -> list[BaseException]:
    """Return an exception and those that it was raised from, or while handling which, from the outermost inwards."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def input_error_within(error: BaseException | None) -> InputError | None:
    """Return the innermost ``InputError`` among an exception and its causes, if there is one.

    MONAI wraps what happens while a configuration is evaluated into several layers of ``RuntimeError``.
    """
    return next((link for link in reversed(exception_chain(error)) if isinstance(link, InputError)), None)
