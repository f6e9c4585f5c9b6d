"""Shortening: what people are shown of something large, with its size; what is kept stays whole."""

from __future__ import annotations

MESSAGE_CHARACTERS = 4000
"""Of an error: Step Functions keeps 32,768 characters of a cause, which is JSON with a trace."""


def shorten(text: str, characters: int) -> str:
    """``text``, or its beginning and how long it is; never longer than ``characters``."""
    if len(text) <= characters:
        return text
    size = f"… ({len(text):,} characters)"
    return text[: max(0, characters - len(size))] + size
