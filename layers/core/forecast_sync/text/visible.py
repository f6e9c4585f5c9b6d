"""Text from outside, made safe to show: every character is visible and none has an effect."""

from __future__ import annotations

import re

BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""Letters and marks that are printable to Unicode but invisible."""

CHAT = (
    (re.compile("&"), "&amp;"),
    (re.compile("<"), "&lt;"),
    (re.compile(">"), "&gt;"),
    (re.compile("@"), "\uff20"),
    (re.compile("[*]"), "\u2217"),
    (re.compile("~"), "\u223c"),
    (re.compile("`"), "\u02cb"),
    (re.compile("(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"), "\uff3f"),
    (re.compile(r"\]\("), "] ("),
    (re.compile(r"://"), "[:]//"),
    (re.compile(r"\b(www)\.", re.IGNORECASE), r"\1[.]"),
)
"""Patterns that a chat client interprets, and their replacements, in this order."""


def visible(text: str) -> str:
    r"""``text`` as one line in which control, format and blank characters are escapes.

    Terminals' escape sequences, direction overrides, zero-width characters, line breaks and tabs
    become ``\x1b``, ``\u202e``, ``\n``; visible characters stay, the backslash included. So this
    is for people only: the escapes are ambiguous, unlike those of JSON.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_ESCAPES)


def visible_lines(text: str) -> str:
    """``visible`` for a text of several lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def inert_in_chat(text: str) -> str:
    """``visible`` text without mentions, links and formatting in Slack, Teams and Chime.

    Slack escapes ``&amp;``, ``&lt;`` and ``&gt;``. No escape of the other signs works in all of
    these clients, so look-alikes replace them: a wide ``@``, ``[:]//`` for ``://``. Underscores
    within names stay, so that commands can be copied.
    """
    shown = visible(text)
    for pattern, replacement in CHAT:
        shown = pattern.sub(replacement, shown)
    return shown


class _Escapes(dict[int, str]):
    """A table for ``str.translate``, which adds each character's escape on first use."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        is_visible = character.isprintable() and not BLANK.match(character)
        self[code] = character if is_visible else character.encode("unicode_escape").decode("ascii")
        return self[code]


_ESCAPES = _Escapes()
