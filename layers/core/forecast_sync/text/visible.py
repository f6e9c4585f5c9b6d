"""Text from outside, made fit to be shown: every character of it is seen, none of it acts."""

from __future__ import annotations

import re

BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""Letters and marks that Unicode calls printable, and that nobody can see."""

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
"""What a chat client acts on, and what it shows instead; in this order."""


def visible(text: str) -> str:
    r"""``text`` as one line in which control, format and blank characters are seen as escapes.

    Escape sequences of terminals, direction overrides, zero-width characters, line breaks and
    tabs become ``\x1b``, ``\u202e``, ``\n``; everything that can be seen stays as it is, the
    backslash included. So this is for eyes: JSON says which backslash was one.
    """
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_ESCAPES)


def visible_lines(text: str) -> str:
    """``visible`` for a text that is meant to have several lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def inert_in_chat(text: str) -> str:
    """``visible`` text without mentions, links and formatting for Slack, Teams and Chime alike.

    Slack's own escapes are ``&amp;``, ``&lt;`` and ``&gt;``. Nothing escapes the other signs in
    all of these clients, so they give way to look-alikes: ``@`` to a wide one, ``://`` to
    ``[:]//``. Underscores within names stay, so that commands can be copied.
    """
    shown = visible(text)
    for pattern, replacement in CHAT:
        shown = pattern.sub(replacement, shown)
    return shown


class _Escapes(dict[int, str]):
    """The escape of each character, found once; as ``str.translate`` asks for it."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        is_seen = character.isprintable() and not BLANK.match(character)
        self[code] = character if is_seen else character.encode("unicode_escape").decode("ascii")
        return self[code]


_ESCAPES = _Escapes()
