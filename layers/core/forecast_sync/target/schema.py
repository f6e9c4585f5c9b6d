"""Creates what the schema lacks, and refuses a target that isn't what the table file says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import psycopg
from psycopg import sql

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.errors import DatabaseUnavailable, SchemaMismatch
from forecast_sync.tables import Column, Table
from forecast_sync.target.differences import (
    DescribedTarget,
    Difference,
    describe_target,
    find_addable,
    list_differences,
    tell_differences,
)
from forecast_sync.target.expressions import list_names
from forecast_sync.target.own_tables import create_own_tables, has_own_tables, lock_schema
from forecast_sync.target.remedies import add_columns, define_column, write_remedies
from forecast_sync.text.sentences import end_sentence

LOCK_SECONDS = 3
"""How long adding a column waits for its lock, behind which all other sessions would wait too."""

Missing = Literal["refuse", "add", "leave"]
"""What becomes of nullable columns that the target lacks: they are a difference like any other, or
they are added, or a dry run takes them for NULL."""


def ensure_schema(connection: Connection, table: Table, missing: Missing = "refuse") -> bool:
    """Create what is missing, unless the target differs from the table file.

    Returns whether tables were missing.
    Raises ``SchemaMismatch`` with every difference, before anything is created, or
    ``DatabaseUnavailable`` when other sessions keep the target locked.
    """
    target = refuse_differences(connection, table, may_lack=missing != "refuse")
    if missing == "add" and (addable := find_addable(target, table)):
        _add_columns(connection, table, target, addable)
        target = refuse_differences(connection, table)
    if target.exists and has_own_tables(connection):
        return False
    with transaction(connection) as cursor:
        create_own_tables(cursor)
        # Only its owner may create an index, even one that exists already; and a dry run's target
        # may lack a column of one.
        if not target.exists or (target.is_ours and not find_addable(target, table)):
            for definition in define_target(table):
                # The extended protocol executes one statement only, whatever the table file holds.
                cursor.execute(definition, binary=True)
    return True


def refuse_differences(
    connection: Connection, table: Table, *, may_lack: bool = False
) -> DescribedTarget:
    """Raise ``SchemaMismatch`` unless the target is what the table file says, or doesn't exist.

    With ``may_lack`` it may lack nullable columns. Returns the target as it is. Only reads.
    """
    target = describe_target(connection, table)
    differences = list_differences(target, table)
    absent = find_addable(target, table) if may_lack else ()
    names = {column.name for column in absent}
    if any(item["found"] is not None or item["column"] not in names for item in differences):
        raise _mismatch(table, differences)
    return target


def _mismatch(table: Table, differences: list[Difference], why: str = "") -> SchemaMismatch:
    """The error that names all differences, and the statements that would remove them."""
    remedies = "; ".join(write_remedies(table, differences))
    sentences = [
        f"{table.target.table} isn't what the table file says: {tell_differences(differences)}.",
        why,
        "Nothing is written until they agree.",
        "Change the table or the table file, and redrive.",
        f"To change the table: {remedies}." if remedies else "",
    ]
    return SchemaMismatch(" ".join(filter(None, sentences)))


def _add_columns(
    connection: Connection, table: Table, target: DescribedTarget, addable: Sequence[Column]
) -> None:
    """Add nullable columns to the target, and never anything else.

    May run twice: it says IF NOT EXISTS, under the advisory lock.
    """
    differences = list_differences(target, table)
    if not target.is_ours:
        raise _mismatch(table, differences, "Only the table's owner can add columns.")
    name, added = table.target.table, ", ".join(column.name for column in addable)
    try:
        with transaction(connection) as cursor:
            lock_schema(cursor)
            cursor.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(f"{LOCK_SECONDS}s"))
            try:
                cursor.execute(add_columns(table, addable))
            except psycopg.errors.LockNotAvailable:
                raise DatabaseUnavailable(
                    f"{name} lacks {added}, and couldn't get it: other sessions have kept the "
                    f"table locked for {LOCK_SECONDS} s. End long transactions that use it."
                ) from None
    except SchemaMismatch as error:
        raise _mismatch(
            table, differences, f"Adding columns failed: {end_sentence(str(error))}"
        ) from None


def define_target(table: Table) -> Iterator[sql.Composed]:
    """The statements that create the target and its indexes."""
    target = sql.Identifier(table.target.table)
    yield statement(
        "target/create_target.sql",
        target=target,
        columns=sql.SQL(",\n    ").join(map(define_column, table.column)),
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
