"""JSON from outside: read strictly, and whatever it is, either a document or one kind of error."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from pydantic_core import from_json


class JsonInvalid(ValueError):
    """The text isn't JSON, or is JSON that two readers would read differently."""


def read_json(text: str | bytes) -> Any:
    """The document, or ``JsonInvalid``, and nothing else, whatever the text is.

    Refused are also what Python's own reader takes or stumbles over: NaN and infinities, a number
    that is one when read, a key that stands twice in an object, half of a surrogate pair, more than
    4,300 digits, and nesting deeper than 200.
    """
    try:
        from_json(text)  # Refuses depth, digits, half pairs and bytes that aren't UTF-8.
        return json.loads(
            text, object_pairs_hook=_unambiguous, parse_constant=_refuse, parse_float=_finite
        )
    except (ValueError, TypeError, RecursionError) as error:
        raise JsonInvalid(str(error)) from None


def read_object(text: str) -> dict[str, Any]:
    """An execution's input or output as Lambda reads it; an empty object for what isn't one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JsonInvalid("a key stands twice in an object")
    return found


def _refuse(constant: str) -> NoReturn:
    raise JsonInvalid(f"{constant} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonInvalid("a number is too large")
    return number
