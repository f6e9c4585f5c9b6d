"""Reads and checks table files, which say what is synced to where, and how."""

from __future__ import annotations

import tomllib
from functools import cache

from pydantic import ValidationError

from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.tables.definition import definition_of
from forecast_sync.tables.faults import describe, find_faults
from forecast_sync.tables.files import known_tables, read_table_file
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
    "read_table",
]


@cache
def load_table(name: str = "forecast") -> Table:
    """Read ``tables/<name>.toml``; raises ``ConfigurationInvalid`` like ``parse_table``."""
    return parse_table(read_table_file(name), f"tables/{name}.toml")


def parse_table(text: str, file: str) -> Table:
    """Check a table file; raises ``ConfigurationInvalid`` with the line and key of each fault."""
    table = read_table(text, file)
    if isinstance(table, list):
        raise ConfigurationInvalid("; ".join(table))
    return table


def read_table(text: str, file: str) -> Table | list[str]:
    """The table that a file describes, or its faults, each with file, line and key."""
    try:
        table = Table.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        return [f"{file} isn't TOML: {error}."]
    except ValidationError as error:
        return describe(text, file, find_faults(error, Table.model_json_schema()))
    return describe(text, file, table.problems()) or table
