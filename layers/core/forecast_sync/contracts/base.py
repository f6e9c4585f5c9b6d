"""The frozen base of every payload's model, and the one line that says why a payload is invalid."""

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
"""Unicode's control characters, its line and paragraph separators, and lone surrogates."""

LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""Text without control characters, for a JSON Schema."""

NAMED_IN_MESSAGE = 10
NAME_CHARACTERS = 80


def has_control_character(text: str) -> bool:
    """Whether ``text`` has a character that isn't printed, or can't be encoded."""
    return CONTROL.search(text) is not None


def _one_line(text: str) -> str:
    if has_control_character(text):
        raise ValueError("expected text without control characters")
    return text


def _iso_date(value: object) -> object:
    """Refuse what pydantic would read as seconds since 1970: a number, or a text of digits."""
    is_date = isinstance(value, date) and type(value) is date
    if is_date or (isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value)):
        return value
    raise ValueError("expected a date like 2026-01-31")


Line = Annotated[str, AfterValidator(_one_line)]
"""Text from outside that is printed, stored and sent: no NUL or other control character."""

Day = Annotated[date, BeforeValidator(_iso_date)]
"""A date from outside: YYYY-MM-DD, and nothing else that pydantic could read as a date."""


class Model(BaseModel):
    """Base of every payload's model: unknown keys are refused, and values never change.

    A validator is built when its model is first used, because a function uses two or three of them.
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
    described = [
        f"{'.'.join(map(_visible, item['loc'])) or 'input'}: {message_of(item['msg'])}"
        for item in mistakes[:NAMED_IN_MESSAGE]
    ]
    if len(mistakes) > NAMED_IN_MESSAGE:
        described.append(f"and {len(mistakes) - NAMED_IN_MESSAGE} more")
    known = ", ".join(model.model_fields)
    return f"{model.__name__} doesn't fit: {'; '.join(described)}. Known keys: {known}."


def message_of(message: str) -> str:
    """A validation message without the prefix that pydantic puts before our own ones."""
    return message.removeprefix("Value error, ")


def _visible(name: str | int) -> str:
    """A key, which may be any text: as JSON when it has control characters."""
    text = shorten(str(name), NAME_CHARACTERS)
    return json.dumps(text) if has_control_character(text) else text
