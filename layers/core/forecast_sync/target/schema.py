"""Creates what the schema lacks, and refuses a target that isn't what the table file says."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.errors import SchemaMismatch
from forecast_sync.tables import Column, Table
from forecast_sync.target.differences import (
    Target,
    describe_target,
    list_differences,
    tell_differences,
)
from forecast_sync.target.expressions import list_names
from forecast_sync.target.own_tables import create_own_tables, has_own_tables


def ensure_schema(connection: Connection, table: Table) -> None:
    """Create what is missing, unless the target differs from the table file.

    Raises ``SchemaMismatch`` with every difference, before anything is created.
    """
    target = refuse_differences(connection, table)
    if target.exists and has_own_tables(connection):
        return
    with transaction(connection) as cursor:
        create_own_tables(cursor)
        # Only its owner may create an index, even one that exists already.
        if not target.exists or target.is_ours:
            for definition in define_target(table):
                # The extended protocol executes one statement only, whatever the table file holds.
                cursor.execute(definition, binary=True)


def refuse_differences(connection: Connection, table: Table) -> Target:
    """Raise ``SchemaMismatch`` unless the target is what the table file says, or doesn't exist.

    Returns the target as it is. Only reads.
    """
    target = describe_target(connection, table)
    differences = list_differences(target, table)
    if differences:
        raise SchemaMismatch(
            f"{table.target.table} isn't what the table file says: {tell_differences(differences)}."
            " Nothing is written until they agree. Change the table or the table file, and redrive."
        )
    return target


def define_target(table: Table) -> Iterator[sql.Composed]:
    """The statements that create the target and its indexes."""
    target = sql.Identifier(table.target.table)
    yield statement(
        "target/create_target.sql",
        target=target,
        columns=sql.SQL(",\n    ").join(map(_define, table.column)),
        written_at=sql.Identifier(table.target.written_at),
        key=list_names(table.target.key),
    )
    for index in table.target.index:
        yield statement(
            "target/create_index.sql",
            index=sql.Identifier(index.name),
            target=target,
            columns=list_names(index.columns),
            where=sql.SQL(f" WHERE ({index.where})" if index.where else ""),
        )


def _define(column: Column) -> sql.Composed:
    null = " NOT NULL" if column.required else ""
    return sql.SQL("{} {}{}").format(
        sql.Identifier(column.name), sql.SQL(column.type), sql.SQL(null)
    )
