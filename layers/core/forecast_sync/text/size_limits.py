"""How much of something large people are shown; what is stored is never shortened."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MESSAGE_CHARACTERS = 4000
"""Of an error. Step Functions keeps 32,768 characters of a cause: JSON with a stack trace."""

VALUE_CHARACTERS = 200
"""Of a value in a list of rows."""

ROW_BYTES = 4096
"""Rows up to this size are shown whole."""

PAGE_BYTES = 3_000_000
"""Of a list. Lambda returns 6 MB at most, in which the body is JSON text within JSON."""


def fitting(items: Sequence[T], limit: int = PAGE_BYTES) -> list[T]:
    """The first items that together take at most ``limit`` bytes of an answer; at least one."""
    fits: list[T] = []
    left = limit
    for item in items:
        left -= answer_bytes(item)
        if left < 0 and fits:
            break
        fits.append(item)
    return fits


def answer_bytes(item: object) -> int:
    """The bytes an item takes of an answer, whose body is JSON and, as text, encoded again."""
    return len(json.dumps(json.dumps(item, default=str)))


def shorten(text: str, characters: int) -> str:
    """``text``, or its beginning and its length; never longer than ``characters``."""
    if len(text) <= characters:
        return text
    size = f"… ({len(text):,} characters)"
    return text[: max(0, characters - len(size))] + size
