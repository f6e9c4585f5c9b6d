"""Shortening: what people are shown of something large, with its size; what is kept stays whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MESSAGE_CHARACTERS = 4000
"""Of an error: Step Functions keeps 32,768 characters of a cause, which is JSON with a trace."""

VALUE_CHARACTERS = 200
"""Of a value in a list of rows."""

ROW_BYTES = 4096
"""A row up to this size is shown whole."""

PAGE_BYTES = 3_000_000
"""Of a list: Lambda gives 6 MB in all, in which a body is JSON text within JSON."""


def fitting(items: Sequence[T], most: int = PAGE_BYTES) -> list[T]:
    """The first items that together have at most ``most`` bytes in an answer; one at least."""
    fits: list[T] = []
    left = most
    for item in items:
        left -= answer_bytes(item)
        if left < 0 and fits:
            break
        fits.append(item)
    return fits


def answer_bytes(item: object) -> int:
    """How much of an answer an item takes: its body is JSON, and text within JSON once more."""
    return len(json.dumps(json.dumps(item, default=str)))


def shorten(text: str, characters: int) -> str:
    """``text``, or its beginning and how long it is; never longer than ``characters``."""
    if len(text) <= characters:
        return text
    size = f"… ({len(text):,} characters)"
    return text[: max(0, characters - len(size))] + size
