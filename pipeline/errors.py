"""The one exception that a user can mend."""

from __future__ import annotations


class InputError(ValueError):
    """Something that came from outside does not fit: a file, a folder, a setting, a server.

    The message names what came, the rule it breaks, the file, and the way out. It is written for the person who started
    the command: workflows show it alone, without the stack of the libraries in between.
    """
