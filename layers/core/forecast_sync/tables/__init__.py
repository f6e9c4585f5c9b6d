"""The table files: columns, key, source expressions and order of a table, read and checked."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from forecast_sync.contracts import Model
from forecast_sync.errors import ConfigurationInvalid

Identifier = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
SourceType = Literal["int", "date", "string", "double", "timestamp"]

TYPE_PATTERN = r"^(integer|date|varchar\(\d+\)|numeric\(\d+,\d+\))$"


class Column(Model):
    """A column of the target and the Athena expression it is filled from (default: its name)."""

    name: Identifier
    type: Annotated[str, Field(pattern=TYPE_PATTERN)]
    required: bool = False
    source: str | None = None

    @property
    def kind(self) -> str:
        """The type's name without its arguments."""
        return self.type.partition("(")[0]

    @property
    def arguments(self) -> tuple[int, ...]:
        """The type's arguments, such as (10, 2)."""
        return tuple(int(digits) for digits in re.findall(r"\d+", self.type))


class Target(Model):
    """The Postgres table; ``written_at`` is set whenever a row is changed."""

    table: Identifier
    key: tuple[Identifier, ...]
    written_at: Identifier


class Source(Model):
    """The lake's table; ``path`` and ``modified`` are Athena expressions, the rest columns."""

    path: str
    modified: str
    date: Identifier
    newest: Identifier
    columns: dict[Identifier, SourceType]


class Report(Model):
    """What a plan shows: counts by these columns, and the largest changes of one."""

    by: tuple[Identifier, ...] = ()
    watch: Identifier | None = None


class Table(Model):
    """One table file."""

    target: Target
    source: Source
    report: Report = Report()
    column: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The target's columns in the order in which a line carries them."""
        return tuple(column.name for column in self.column)

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that aren't part of the key."""
        return tuple(name for name in self.names if name not in self.target.key)


@cache
def load_table(name: str = "forecast") -> Table:
    """Read ``tables/<name>.toml``; raises ``ConfigurationInvalid`` naming the file and the key."""
    text = resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8")
    try:
        return Table.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigurationInvalid(f"tables/{name}.toml: {error}") from None
