"""HTML pages from the package's templates: escaped, self-contained, and whole or not there."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.files import atomic_path

NOTHING = "\N{EN DASH}"
"""Shown in the place of what is not known."""

MAX_TEXT = 1000
"""Longer texts are cut: tags of a file may hold megabytes."""

# Controls, lone surrogates, and the marks that turn the direction of what follows: none of them is escaped by HTML,
# and the last lets a name pretend to be another.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def write_page(path: str | Path, template: str, style: str, script: str = "", **context: Any) -> Path:
    """Render a template with its style and script inline, and write the page.

    A policy in the page's head lets a browser load nothing, and run this script alone: whatever a tag of a file would
    bring in stays text.

    Args:
        path: HTML file, written atomically; missing folders are made.
        template: name of the template.
        style: name of its style sheet.
        script: name of its script, empty for a page without.
        **context: what the template names. Text is escaped and cut after ``MAX_TEXT``, unreadable characters are
            replaced, None shows as ``NOTHING``.

    Returns:
        The path written.
    """
    style_text = _source(style)
    script_text = _source(script) if script else ""
    page = _environment().get_template(template)
    text = page.render(
        **context, style=style_text, script=script_text, policy=_security_policy(style_text, script_text)
    )
    with atomic_path(Path(path)) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
    return Path(path)


def replace_text(page: str, placeholder: str, text: str) -> str:
    """Put a text in the place of a word that stands in the page's text or attributes, escaped as a template would."""
    return page.replace(placeholder, escape(str(readable(text))))


def readable(value: Any) -> Any:
    """Return a value as a page may show it: text without controls and of bounded length, ``NOTHING`` for None.

    Args:
        value: of any kind; markup that a template made stays as it is.
    """
    if value is None:
        return NOTHING
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    text = _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}", value)
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "\N{HORIZONTAL ELLIPSIS}"


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("pipeline.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=readable,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _source(name: str) -> str:
    # read with universal newlines, over which browsers compute the digest
    return resources.files("pipeline.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _security_policy(style: str, script: str) -> str:
    sources = {"default-src": "'none'", "img-src": "data:", "style-src": _digest(style)}
    if script:
        sources["script-src"] = _digest(script)
    return "; ".join(f"{name} {source}" for name, source in sources.items()) + "; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
