from __future__ import annotations

from typing import Any

import pytest

from pipeline.reporting.page import MAX_TEXT, readable, replace_text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (3, 3),
        ("Größe <b>", "Größe <b>"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\x00b\x1bc", "a\ufffdb\ufffdc"),
        ("gp\u202egnp.exe", "gp\ufffdgnp.exe"),
        ("\ud800", "\ufffd"),
        ("x" * (MAX_TEXT + 1), "x" * MAX_TEXT + "…"),
    ],
)
def test_values_become_readable(value: Any, shown: Any) -> None:
    assert readable(value) == shown


def test_markup_of_a_template_stays() -> None:
    class Markup(str):
        def __html__(self) -> str:
            return self

    markup = Markup("<b>" + "x" * (MAX_TEXT + 1))
    assert readable(markup) is markup


def test_text_that_replaces_a_word_is_escaped_and_readable() -> None:
    page = '<h1 title="WORD">WORD</h1>'
    text = "\">\x1b<b>'"
    safe = "&quot;&gt;\ufffd&lt;b&gt;&#x27;"
    assert replace_text(page, "WORD", text) == f'<h1 title="{safe}">{safe}</h1>'
