"""The statements that would make a target what the table file says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql

from forecast_sync.tables import Column, Table
from forecast_sync.tables.model import OWN_COLUMNS
from forecast_sync.target.differences import (
    NO_DEFAULT,
    WRITTEN_AT_TYPES,
    Difference,
    type_name,
)
from forecast_sync.target.expressions import list_names, type_sql


def define_column(column: Column) -> sql.Composed:
    """A column as the target's definition has it."""
    null = " NOT NULL" if column.required else ""
    return sql.SQL("{} {}{}").format(sql.Identifier(column.name), type_sql(column), sql.SQL(null))


def add_columns(table: Table, columns: Sequence[Column]) -> sql.Composed:
    """The statement that adds columns to the target, unless it has them."""
    additions = [
        sql.SQL("ADD COLUMN IF NOT EXISTS {}").format(define_column(column)) for column in columns
    ]
    return _alter(table, sql.SQL(", ").join(additions))


def write_remedies(table: Table, differences: Sequence[Difference]) -> Iterator[str]:
    """For each difference that one statement can remove, this statement."""
    for difference in differences:
        if remedy := write_remedy(table, difference):
            yield remedy


def write_remedy(table: Table, difference: Difference) -> str | None:
    """The statement that removes a difference; None when there is no such statement."""
    name, expected, found = difference["column"], difference["expected"], difference["found"]
    columns = {column.name: column for column in table.column}
    column = columns.get(name)
    identifier = sql.Identifier(name)
    if name.startswith("key ("):
        change: sql.Composable = sql.SQL("ADD UNIQUE ({})").format(list_names(table.target.key))
    elif name == table.target.written_at and found is None:
        change = sql.SQL("ADD COLUMN {} timestamp DEFAULT CURRENT_TIMESTAMP").format(identifier)
    elif name == table.target.written_at and expected == WRITTEN_AT_TYPES[0]:
        change = sql.SQL("ALTER COLUMN {0} TYPE timestamp USING {0}::timestamp").format(identifier)
    elif name in OWN_COLUMNS:
        return None
    elif expected in (NO_DEFAULT, "nullable"):
        change = sql.SQL("ALTER COLUMN {} DROP NOT NULL").format(identifier)
    elif column is None:
        return None
    elif found is None:
        # Existing rows have no value for it, so it can be required only once they are filled.
        nullable = column.model_copy(update={"required": False})
        change = sql.SQL("ADD COLUMN {}").format(define_column(nullable))
    elif expected == "NOT NULL":
        change = sql.SQL("ALTER COLUMN {} SET NOT NULL").format(identifier)
    elif expected == type_name(column):
        change = sql.SQL("ALTER COLUMN {0} TYPE {1} USING {0}::{1}").format(
            identifier, type_sql(column)
        )
    else:
        return None
    return _alter(table, change).as_string()


def _alter(table: Table, change: sql.Composable) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} {}").format(sql.Identifier(table.target.table), change)
