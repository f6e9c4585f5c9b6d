"""Expressions of a table file: each stays one expression wherever it is pasted into a statement.

Functions have no SQL parser and need none: text in its own parentheses, with balanced brackets,
closed quotes, no comment and no query, can't be more than one expression. Whether it is valid SQL,
`forecast-sync tables check` says before a deployment, and the engine says at run time.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from forecast_sync.tables.lines import Location

Dialect = Literal["athena", "postgres"]

QUERIES = frozenset({"select", "values", "table"})
"""Every query contains one of these words."""
CLOSED_BY = {"(": ")", "[": "]"}
TOKEN = re.compile(
    r"""(?P<string> '(?:[^']|'')*')
      | (?P<name> "(?:[^"]|"")*")
      | (?P<escapes> [eE](?='))
      | (?P<word> [A-Za-z_][A-Za-z0-9_]*)
      | (?P<comment> -- | /\*)
      | (?P<bracket> [()\[\]])
      | (?P<stray> [;,'"`$\\{}\x00-\x08\x0b-\x1f\x7f])
      | (?P<other> .)""",
    re.VERBOSE | re.DOTALL,
)


class Expression(NamedTuple):
    """One expression: its line in the file, its text, its SQL dialect and the columns it uses."""

    location: Location
    text: str
    dialect: Dialect
    over: Literal["source", "target"]


def find_fault(expression: Expression) -> str | None:
    """Why the text could be more than one expression; None when it is one or no SQL at all."""
    expected: list[str] = []
    for token in TOKEN.finditer(expression.text):
        text, kind = token[0], token.lastgroup
        if kind == "bracket":
            if text in CLOSED_BY:
                expected.append(CLOSED_BY[text])
            elif not expected or expected.pop() != text:
                return f"{text} closes nothing"
        elif kind == "comment":
            return f"a comment begins with {text}"
        elif kind == "word" and text.lower() in QUERIES:
            return f"{text} begins a query"
        elif kind in ("escapes", "stray") and not (text == "," and expected):
            return f"{text!r} is outside of quotes"
        elif kind == "string" and expression.dialect == "postgres" and "\\" in text:
            # Whether it escapes the quote behind it is a setting of the server.
            return "a string contains a backslash"
    return f"{expected.pop()} is missing" if expected else None
