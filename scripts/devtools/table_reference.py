"""The reference of the table files, made from their model; `make docs` writes it into the docs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from forecast_sync.contracts.base import Model
from forecast_sync.tables.model import (
    Column,
    Expectation,
    Index,
    RejectRule,
    Report,
    Source,
    Target,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

SECTIONS: tuple[tuple[str, type[Model]], ...] = (
    ("[target]", Target),
    ("[[target.index]]", Index),
    ("[source]", Source),
    ("[[column]]", Column),
    ("[[reject]]", RejectRule),
    ("[[expect]]", Expectation),
    ("[report]", Report),
)


def write_reference() -> str:
    """A Markdown section for each part of a table file."""
    return "\n".join(line for heading, model in SECTIONS for line in _section(heading, model))


def _section(heading: str, model: type[Model]) -> Iterator[str]:
    yield f"### `{heading}`\n"
    yield f"{(model.__doc__ or '').splitlines()[0]}\n"
    yield "| key | default | what it is |"
    yield "|---|---|---|"
    for name, field in model.model_fields.items():
        yield f"| `{name}` | {_default(field)} | {field.description} |"
    yield ""


def _default(field: FieldInfo) -> str:
    default: Any = field.default
    if default is PydanticUndefined:
        return "*needed*"
    if default is None or default == ():
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
