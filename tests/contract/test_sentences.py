"""Messages are made of whole sentences, whatever a service or a person has given as a reason."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from forecast_sync import errors
from forecast_sync.text.sentences import end_sentence

from tests.contract.stack import ROOT

PACKAGES = ("layers/core/forecast_sync", "scripts/forecast_sync_cli", "functions")
BEGINS_SENTENCE = re.compile(r" [A-Z][a-z']*( |,)(?!of\b)")
"""After a value; SQL is in capitals."""

WHOLE = {
    "meaning": "a docstring, see below",
    "errors.meaning_of(error)": "a docstring, see below",
    "errors.meaning_of(name)": "a docstring, see below",
    "failure": "the result of end_sentence",
    "mismatch": "every return of locate_mismatch.py is a sentence",
    "reason": "every reason of continuity.py is a sentence",
    "loss": "every reason of continuity.py is a sentence",
    "fix": "the result of end_sentence",
    "more": "a number: 1000+ Parquet objects",
}
"""Values that end with a full stop, or after which none belongs, and why."""


def _meetings() -> Iterator[tuple[str, str]]:
    """Each value in a text that a sentence follows: where it is, and what it is."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield from _meetings_of(path)


def _meetings_of(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for value, text in pairwise(parts):
            if (
                isinstance(value, ast.FormattedValue)
                and isinstance(text, ast.Constant)
                and BEGINS_SENTENCE.match(str(text.value))
            ):
                yield f"{path.relative_to(ROOT)}:{text.lineno}", ast.unparse(value.value)


def test_no_sentence_begins_before_the_one_before_it_has_ended() -> None:
    unended = [
        f"{place}: {{{value}}}"
        for place, value in _meetings()
        if value not in WHOLE and not value.startswith("end_sentence(")
    ]
    assert not unended, unended


def test_the_meaning_of_each_error_is_a_sentence() -> None:
    names = [name for name in vars(errors) if errors.meaning_of(name)]
    assert len(names) > 25
    for name in (*names, *errors.OTHER_MEANINGS):
        assert errors.meaning_of(name).endswith("."), name


def test_the_meetings_are_found() -> None:
    values = {value for _, value in _meetings()}
    assert {"mismatch", "reason", "end_sentence(message)"} <= values


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        ("", ""),
        ("access denied", "access denied."),
        ("access denied \n", "access denied."),
        ("Access denied.", "Access denied."),
        ("Really?", "Really?"),
        ("cut… (5,000 characters)", "cut… (5,000 characters)."),
    ],
)
def test_a_reason_becomes_a_sentence(text: str, ended: str) -> None:
    assert end_sentence(text) == ended
