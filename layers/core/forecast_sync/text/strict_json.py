"""JSON from outside, parsed strictly: any text gives either a document or one kind of error."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class JsonInvalid(ValueError):
    """The text isn't JSON, or is JSON that parsers understand differently."""


def read_json(text: str | bytes) -> Any:
    """The document; raises ``JsonInvalid``, and no other error, whatever the text is.

    This also refuses what Python's parser accepts or fails on: NaN and infinities, numbers that
    overflow to infinity, duplicate keys, lone surrogates, more than 4,300 digits, and more than 200
    levels.
    """
    # Imported here: GitHub's jobs read executions without pydantic.
    from pydantic_core import from_json

    try:
        from_json(text)  # Refuses depth, digits, lone surrogates and invalid UTF-8.
        return json.loads(
            text, object_pairs_hook=_unambiguous, parse_constant=_refuse, parse_float=_finite
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise JsonInvalid(str(error)) from None


def read_object(text: str) -> dict[str, Any]:
    """An execution's input or output; an empty object if it isn't a JSON object."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise JsonInvalid("a key occurs twice in an object")
    return document


def _refuse(constant: str) -> NoReturn:
    raise JsonInvalid(f"{constant} isn't a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonInvalid("a number is too large")
    return number
