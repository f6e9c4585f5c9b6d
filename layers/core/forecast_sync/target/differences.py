"""Where the target differs from the table file: columns that are missing, or of another type."""

from __future__ import annotations

from forecast_sync.adapters.postgres import Connection, transaction
from forecast_sync.sql import read_statement
from forecast_sync.tables import Column, Table

TYPE_NAMES = {"varchar": "character varying", "timestamp": "timestamp without time zone"}
"""Postgres' own names of types, where the table file has another."""


def find_differences(connection: Connection, table: Table) -> list[dict[str, str | None]]:
    """Where the target isn't what the table file says; ``found`` is None for a missing column.

    Each difference is ``{"column", "expected", "found"}``.
    """
    actual = read_columns(connection, table)
    expected = {column.name: type_name(column) for column in table.column}
    differences: list[dict[str, str | None]] = [
        {"column": name, "expected": kind, "found": actual[name][0] if name in actual else None}
        for name, kind in expected.items()
        if name not in actual or actual[name][0] != kind
    ]
    filled = {*expected, table.target.written_at}
    differences += [
        {"column": name, "expected": "a default, or no NOT NULL", "found": f"{kind} NOT NULL"}
        for name, (kind, must_be_named) in actual.items()
        if must_be_named and name not in filled
    ]
    return differences


def type_name(column: Column) -> str:
    """A column's type as Postgres writes it."""
    return column.type.replace(column.kind, TYPE_NAMES.get(column.kind, column.kind), 1)


def read_columns(connection: Connection, table: Table) -> dict[str, tuple[str, bool]]:
    """The target's columns: type, and whether an insert must name it; empty without a target."""
    with transaction(connection) as cursor:
        cursor.execute(read_statement("target/describe_columns.sql").encode(), [table.target.table])
        return {name: (kind, must_be_named) for name, kind, must_be_named in cursor}
