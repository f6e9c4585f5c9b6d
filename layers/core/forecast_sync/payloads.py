"""What a payload is made of: the frozen base of every model, and one line for what doesn't fit."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from forecast_sync.errors import InvalidInput

M = TypeVar("M", bound="Model")


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
    found = "; ".join(
        f"{'.'.join(map(str, item['loc'])) or 'input'}: {item['msg']}" for item in error.errors()
    )
    return f"{model.__name__} doesn't fit: {found}. Known keys: {', '.join(model.model_fields)}."
