"""Attacks with text: what reaches a terminal or a chat is visible and has no effect."""

from __future__ import annotations

import re
import unicodedata

import pytest
from forecast_sync.text.visible import inert_in_chat, visible, visible_lines
from hypothesis import given
from hypothesis import strategies as st

ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;cm0gLXJm\x07", r"\x1b]52;c;cm0gLXJm\x07"),
        ("\x9d52;c;cm0=\x9c", r"\x9d52;c;cm0=\x9c"),
        ("a\rb\nc\td\x7f\x00", r"a\rb\nc\td\x7f\x00"),
        ("forecast/\u202eteuqrap.exe", r"forecast/\u202eteuqrap.exe"),
        ("pay\u200bload\ufeff \u2028x\u2029", r"pay\u200bload\ufeff \u2028x\u2029"),
        ("OH\xa0", r"OH\xa0"),
        ("\U000e0041\u3164\ufe0f\ud800", r"\U000e0041\u3164\ufe0f\ud800"),
        ("Grüße, 東京 – [red] C:\\x1b", "Grüße, 東京 – [red] C:\\x1b"),
    ],
)
def test_what_cannot_be_seen_is_seen_as_an_escape(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANYTHING)
def test_nothing_that_acts_or_hides_is_left(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cf", "Cs", "Zl"}
    assert visible(shown) == shown


@given(ANYTHING)
def test_lines_stay_lines_where_they_are_meant(text: str) -> None:
    assert visible_lines(text).count("\n") == text.count("\n")
    assert visible_lines(text).replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel> <@U012AB3CD> @here", "&lt;!channel&gt; &lt;＠U012AB3CD&gt; ＠here"),
        ("<https://evil.example|Redrive>", "&lt;https[:]//evil.example|Redrive&gt;"),
        ("[Redrive](https://evil.example)", "[Redrive] (https[:]//evil.example)"),
        ("www.evil.example", "www[.]evil.example"),
        ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
        ("*all* is ~not~ _well_ `x`", "∗all∗ is ∼not∼ ＿well＿ ˋxˋ"),
        ("__x__", "＿＿x＿＿"),
        ("one\n\n*What to do:* pay", r"one\n\n∗What to do:∗ pay"),
        ("redrive 20261123_a-b_c", "redrive 20261123_a-b_c"),
    ],
)
def test_chat_markup_is_shown_and_does_nothing(text: str, shown: str) -> None:
    assert inert_in_chat(text) == shown


@given(ANYTHING)
def test_no_text_can_mention_link_or_format(text: str) -> None:
    shown = inert_in_chat(text)
    assert not re.search(r"[<>@*~`]|://|\]\(", shown)
    assert shown.isprintable()
