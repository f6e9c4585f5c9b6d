"""Reads and checks table files, which say what is synced to where, and how."""

from __future__ import annotations

import tomllib
from functools import cache

from pydantic import ValidationError

from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.tables.definition import definition_of
from forecast_sync.tables.files import known_tables, read_table_file
from forecast_sync.tables.lines import Location, find_line
from forecast_sync.tables.model import Column, SourceType, Table, declared_type, is_declared

__all__ = [
    "Column",
    "SourceType",
    "Table",
    "declared_type",
    "definition_of",
    "is_declared",
    "known_tables",
    "load_table",
    "parse_table",
]


@cache
def load_table(name: str = "forecast") -> Table:
    """Read ``tables/<name>.toml``; raises ``ConfigurationInvalid`` like ``parse_table``."""
    return parse_table(read_table_file(name), f"tables/{name}.toml")


def parse_table(text: str, file: str) -> Table:
    """Check a table file; raises ``ConfigurationInvalid`` with the line and key of each fault."""
    try:
        table = Table.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationInvalid(f"{file} isn't TOML: {error}.") from None
    except ValidationError as error:
        # pydantic marks what is wrong with a key rather than its value.
        faults = [
            (tuple(part for part in item["loc"] if part != "[key]"), item["msg"])
            for item in error.errors()
        ]
        raise ConfigurationInvalid(_describe(text, file, faults)) from None
    if problems := list(table.problems()):
        raise ConfigurationInvalid(_describe(text, file, problems))
    return table


def _describe(text: str, file: str, faults: list[tuple[Location, str]]) -> str:
    return "; ".join(
        f"{file}, line {find_line(text, location)}, {'.'.join(map(str, location))}: {message}"
        for location, message in faults
    )
