"""Requests before routing: unreadable ones are refused before a route sees them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools.event_handler.openapi.exceptions import (
    RequestUnsupportedContentType,
    RequestValidationError,
)

from forecast_sync.contracts.base import has_control_character
from forecast_sync.errors import ForecastSyncError
from forecast_sync.text.size_limits import shorten
from forecast_sync.text.strict_json import JsonInvalid, read_json

MAX_BODY_BYTES = 256 * 1024
"""The limit of an execution's input."""

MAX_ANSWER_BYTES = 6 * 1000 * 1000
"""Lambda's limit is 6 MiB for the whole answer, in which the body is escaped text."""

WHERE_CHARACTERS = 80
UNREADABLE = frozenset({"json_invalid", "encoding_invalid", "control_character"})
"""Types of mistakes that are answered with 400, because the request can't be read."""


class RequestTooLarge(ForecastSyncError):
    """The request's body is larger than an execution's input may be."""


def readable(event: dict[str, Any]) -> dict[str, Any]:
    """The gateway's event with its body as text.

    Raises ``RequestValidationError`` for control characters in path or query and for a body that
    isn't text, and ``RequestUnsupportedContentType`` for a form.
    """
    for place, texts in _addressed(event):
        if any(map(has_control_character, texts)):
            raise _unreadable("control_character", place, "Control characters aren't allowed")
    kind = next(
        (text for name, text in event.get("headers", {}).items() if name.lower() == "content-type"),
        "",
    )
    if event["requestContext"]["http"]["method"] == "POST" and "form" in kind.lower():
        raise RequestUnsupportedContentType("a form", errors=[])
    if not event.get("isBase64Encoded"):
        return event
    try:
        body = base64.b64decode(event.get("body") or "", validate=True).decode()
    except ValueError:
        raise _unreadable("encoding_invalid", ("body",), "Expected JSON in UTF-8") from None
    return {**event, "body": body, "isBase64Encoded": False}


def read_body(text: str) -> Any:
    """A request's JSON document.

    Raises ``RequestValidationError`` when it can't be parsed or contains control characters, and
    ``RequestTooLarge``.
    """
    try:
        document = read_json(text)
    except JsonInvalid as error:
        raise _unreadable("json_invalid", ("body",), f"JSON decode error: {error}") from None
    for place, string in _texts(document, ("body",)):
        if has_control_character(string):
            raise _unreadable("control_character", place, "Control characters aren't allowed")
    if len(text) > MAX_BODY_BYTES:
        raise RequestTooLarge(
            f"The body has {len(text):,} bytes; expected at most {MAX_BODY_BYTES:,}."
        )
    return document


def fits(answer: dict[str, Any]) -> bool:
    """Whether the answer is small enough for Lambda to return it."""
    return len(json.dumps(answer)) <= MAX_ANSWER_BYTES


def _addressed(event: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    yield ("path",), (event.get("rawPath", ""),)
    for name, value in (event.get("queryStringParameters") or {}).items():
        yield ("query", name), (name, value)


def _texts(document: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every string in a document, keys included, and its place; the parser limits the depth."""
    if isinstance(document, str):
        yield place, document
    elif isinstance(document, dict):
        for key, value in document.items():
            yield (*place, key), key
            yield from _texts(value, (*place, key))
    elif isinstance(document, list):
        for value in document:
            yield from _texts(value, place)


def _unreadable(kind: str, place: tuple[str, ...], message: str) -> RequestValidationError:
    where = tuple(
        json.dumps(name) if has_control_character(name) else name
        for name in (shorten(part, WHERE_CHARACTERS) for part in place[:2])
    )
    return RequestValidationError([{"type": kind, "loc": where, "msg": message}])
