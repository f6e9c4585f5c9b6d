"""Checks that each expression of a table file stays one expression in any statement.

The functions have no SQL parser and need none: text in its own parentheses, with balanced brackets,
closed quotes, no comment and no query, can't be more than one expression. Whether it is valid SQL
is checked by `forecast-sync tables check` before a deployment, and by the engine at run time.
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
    """Why the text could be more than one expression; None if it can't, be it valid SQL or not."""
    expected: list[str] = []
    for token in TOKEN.finditer(expression.text):
        text, kind = token[0], token.lastgroup
        if kind == "bracket":
            if text in CLOSED_BY:
                expected.append(CLOSED_BY[text])
            elif not expected or expected.pop() != text:
                return f"{text} has no opening bracket"
        elif kind == "comment":
            return f"a comment begins with {text}"
        elif kind == "word" and text.lower() in QUERIES:
            return f"{text} begins a query"
        elif kind in ("escapes", "stray") and not (text == "," and expected):
            return f"{text!r} is outside of quotes"
        elif kind == "string" and expression.dialect == "postgres" and "\\" in text:
            # A setting of the server decides whether it escapes the next quote.
            return "a string contains a backslash"
    return f"{expected.pop()} is missing" if expected else None
