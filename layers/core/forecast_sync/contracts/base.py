"""What a payload is made of: the frozen base of every model, and one line for what doesn't fit."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from forecast_sync.errors import InvalidInput
from forecast_sync.text.size_limits import shorten

M = TypeVar("M", bound="Model")

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Unicode's control characters, its other ends of lines, and halves of surrogate pairs."""

LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""A text without them, for a JSON Schema."""

NAMED_IN_MESSAGE = 10
NAME_CHARACTERS = 80


def has_control_character(text: str) -> bool:
    """Whether a character of ``text`` isn't shown but does something, or can't be encoded."""
    return CONTROL.search(text) is not None


def _one_line(text: str) -> str:
    if has_control_character(text):
        raise ValueError("expected text without control characters")
    return text


def _iso_date(value: object) -> object:
    """Pydantic would take a number, or a text of digits, for seconds since 1970."""
    is_date = isinstance(value, date) and type(value) is date
    if is_date or (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        return value
    raise ValueError("expected a date like 2026-01-31")


Line = Annotated[str, AfterValidator(_one_line)]
"""Text from outside, to be printed, stored and sent: without NUL and other control characters."""

Day = Annotated[date, BeforeValidator(_iso_date)]
"""A date from outside, YYYY-MM-DD and nothing that could be read as one."""


class Model(BaseModel):
    """Base of every contract: unknown keys are refused and values never change.

    A model is built when it is first used, because a function uses two or three of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


def parse_payload(model: type[M], payload: object) -> M:
    """Read a state's payload as ``model``; raises ``InvalidInput`` in one line."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise InvalidInput(_in_one_line(error, model)) from None


def _in_one_line(error: ValidationError, model: type[Model]) -> str:
    mistakes = error.errors()
    found = [
        f"{'.'.join(map(_visible, item['loc'])) or 'input'}: {message_of(item['msg'])}"
        for item in mistakes[:NAMED_IN_MESSAGE]
    ]
    if len(mistakes) > NAMED_IN_MESSAGE:
        found.append(f"and {len(mistakes) - NAMED_IN_MESSAGE} more")
    known = ", ".join(model.model_fields)
    return f"{model.__name__} doesn't fit: {'; '.join(found)}. Known keys: {known}."


def message_of(message: str) -> str:
    """A mistake's message without pydantic's word for one of our own."""
    return message.removeprefix("Value error, ")


def _visible(name: str | int) -> str:
    """A key, which may be anything: escaped as JSON does when it isn't a plain line."""
    text = shorten(str(name), NAME_CHARACTERS)
    return json.dumps(text) if has_control_character(text) else text
