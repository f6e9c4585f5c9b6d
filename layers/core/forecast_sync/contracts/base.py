"""The frozen bases of every payload's model, and the line that says why a payload is invalid."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from forecast_sync.errors import ForecastSyncError, InvalidInput, Superseded
from forecast_sync.text.size_limits import shorten

M = TypeVar("M", bound="Model")

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""Unicode's control characters, its line and paragraph separators, and lone surrogates."""

LINE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""Text without control characters, for a JSON Schema."""

LIMITS = ("expected", "ge", "le", "max_length", "min_length", "pattern")
WORDS = {
    "missing": "expected a value",
    "extra_forbidden": "unknown",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "greater_than_equal": "expected {ge} or more",
    "less_than_equal": "expected {le} or less",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected text",
    "string_too_long": "expected at most {max_length} characters",
    "string_too_short": "expected at least {min_length} characters",
    "string_pattern_mismatch": "expected text that matches {pattern}",
    "model_attributes_type": "expected a JSON object",
    "model_type": "expected a JSON object",
    "dict_type": "expected a JSON object",
}
"""What is expected, by pydantic's type of mistake."""

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
    """Base of every model of what people write: unknown keys are refused, and values never change.

    A validator is built when its model is first used, because a function uses two or three of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @classmethod
    def misfit(cls, faults: str) -> ForecastSyncError:
        """The error of a payload that doesn't fit; ``faults`` is one line about its keys."""
        return InvalidInput(faults)


class Payload(Model):
    """Base of what travels between a run's states, whose functions may be of different releases.

    A deployment replaces the functions of a run that is under way, and a redrive brings back the
    payloads of an earlier one. So unknown keys are ignored, and a field that not every release has
    written has a default. What still doesn't fit can't be continued: ``Superseded``.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)

    @classmethod
    def misfit(cls, faults: str) -> ForecastSyncError:
        """``Superseded``: the run can't continue, and only a new one helps."""
        return Superseded(
            "The run began under another release of this stack, and this one can't continue with "
            f"what it recorded; start a new run. {faults}"
        )


def parse_payload(model: type[M], payload: object) -> M:
    """Read a payload as ``model``; raises, in one line, ``InvalidInput``.

    For a ``Payload``, which another state of the run has written, it raises ``Superseded``.
    """
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise model.misfit(_in_one_line(error, model)) from None


def _in_one_line(error: ValidationError, model: type[Model]) -> str:
    mistakes = error.errors()
    described = [
        ": ".join(filter(None, (".".join(map(_visible, item["loc"])), words_of(item))))
        for item in mistakes[:NAMED_IN_MESSAGE]
    ]
    if len(mistakes) > NAMED_IN_MESSAGE:
        described.append(f"and {len(mistakes) - NAMED_IN_MESSAGE} more")
    known = ", ".join(model.model_fields)
    return f"{model.__name__} doesn't fit: {'; '.join(described)}. Known keys: {known}."


def words_of(mistake: Mapping[str, Any]) -> str:
    """What was expected of a value, as we say it; ``mistake`` is one of pydantic's."""
    context = mistake.get("ctx") or {}
    words = WORDS.get(mistake["type"])
    if words is None or any(f"{{{name}}}" in words and name not in context for name in LIMITS):
        # Ours come with a prefix of pydantic's.
        return str(mistake["msg"]).removeprefix("Value error, ")
    return words.format(**{name: _shown(context.get(name)) for name in LIMITS})


def _shown(limit: object) -> str:
    return f"{limit:,}" if isinstance(limit, int) else str(limit)


def _visible(name: str | int) -> str:
    """A key, which may be any text: as JSON when it has control characters."""
    text = shorten(str(name), NAME_CHARACTERS)
    return json.dumps(text) if has_control_character(text) else text
