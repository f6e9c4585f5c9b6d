"""Columns come and go: what a run adds to the target, and what it refuses with a statement."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from forecast_sync.adapters.postgres import Connection
from forecast_sync.errors import DatabaseUnavailable, SchemaMismatch
from forecast_sync.tables import load_table
from forecast_sync.tables.model import Column
from forecast_sync.target import schema
from forecast_sync.target.differences import describe_target, find_differences
from forecast_sync.target.remedies import write_remedies
from forecast_sync.target.schema import ensure_schema

from tests.integration.test_target import WRONG, change

TABLE = load_table()
NOTE = Column(name="note", type="double", source="y_50")
TIMES = Column(name="seen_at", type="timestamptz", source="updated_at")
WIDER = TABLE.model_copy(update={"column": (*TABLE.column, NOTE, TIMES)})


def columns(connection: Connection) -> dict[str, str]:
    described = describe_target(connection, TABLE)
    return {name: column["type"] for name, column in described.columns.items()}


def test_new_nullable_columns_are_added_and_nothing_else(connection: Connection) -> None:
    before = columns(connection)
    ensure_schema(connection, WIDER, "add")
    after = columns(connection)
    assert after == {
        **before,
        "note": "double precision",
        "seen_at": "timestamp with time zone",
    }
    ensure_schema(connection, WIDER, "add")
    assert columns(connection) == after


def test_nobody_else_s_view_of_the_table_is_changed_by_a_dry_run(connection: Connection) -> None:
    before = columns(connection)
    ensure_schema(connection, WIDER, "leave")
    assert columns(connection) == before
    with pytest.raises(SchemaMismatch, match="note is missing, expected double precision"):
        ensure_schema(connection, WIDER)


def test_nothing_is_added_while_anything_else_differs(connection: Connection) -> None:
    connection.execute("ALTER TABLE forecast_data ALTER dc_id TYPE bigint")
    before = columns(connection)
    with pytest.raises(SchemaMismatch) as raised:
        ensure_schema(connection, WIDER, "add")
    assert columns(connection) == before
    message = str(raised.value)
    assert "note is missing" in message
    assert (
        'ALTER TABLE "forecast_data" ALTER COLUMN "dc_id" TYPE integer USING "dc_id"::integer'
        in message
    )
    assert 'ALTER TABLE "forecast_data" ADD COLUMN "note" double precision' in message


@pytest.mark.parametrize(
    ("statements", "gone"),
    [
        ("ALTER TABLE forecast_data ADD extra text", True),
        ("ALTER TABLE forecast_data ADD extra int NOT NULL DEFAULT 7", True),
        ("ALTER TABLE forecast_data ADD extra int NOT NULL", False),
    ],
    ids=["nullable", "with a default", "neither"],
)
def test_a_column_that_the_file_has_no_more(
    connection: Connection, statements: str, gone: bool
) -> None:
    connection.execute(statements.encode())
    if gone:
        ensure_schema(connection, TABLE, "add")
        assert "extra" in columns(connection)
        return
    with pytest.raises(SchemaMismatch) as raised:
        ensure_schema(connection, TABLE, "add")
    assert 'ALTER TABLE "forecast_data" ALTER COLUMN "extra" DROP NOT NULL' in str(raised.value)


def test_a_required_column_isn_t_added(connection: Connection) -> None:
    required = NOTE.model_copy(update={"required": True})
    table = TABLE.model_copy(update={"column": (*TABLE.column, required)})
    with pytest.raises(SchemaMismatch, match='ADD COLUMN "note" double precision'):
        ensure_schema(connection, table, "add")
    assert "note" not in columns(connection)


@contextmanager
def as_role(connection: Connection, name: str) -> Iterator[None]:
    connection.execute(f"CREATE ROLE {name}".encode())
    connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}".encode())
    connection.execute(f"SET ROLE {name}".encode())
    try:
        yield
    finally:
        connection.execute("RESET ROLE")
        connection.execute(f"DROP OWNED BY {name}".encode())
        connection.execute(f"DROP ROLE {name}".encode())


def test_who_isn_t_the_owner_gets_the_statement(connection: Connection) -> None:
    with as_role(connection, "guest_of_columns"), pytest.raises(SchemaMismatch) as raised:
        ensure_schema(connection, WIDER, "add")
    message = str(raised.value)
    assert "Only the table's owner can add columns" in message
    statements = [
        part.strip(" .") for part in message.partition("To change the table:")[2].split(";")
    ]
    for statement in statements:
        connection.execute(statement.encode())
    ensure_schema(connection, WIDER)


def test_a_table_that_others_use_isn_t_locked_for_long(
    connection: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "LOCK_SECONDS", 0.2)
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM forecast_data")
        with pytest.raises(DatabaseUnavailable, match="kept the table locked"):
            ensure_schema(connection, WIDER, "add")
    ensure_schema(connection, WIDER, "add")
    assert "note" in columns(connection)


def test_a_view_gets_no_column(connection: Connection) -> None:
    connection.execute(
        "ALTER TABLE forecast_data RENAME TO rows; CREATE VIEW forecast_data AS SELECT * FROM rows"
    )
    with pytest.raises(SchemaMismatch):
        ensure_schema(connection, WIDER, "add")


UNHELPED = ("view", "generated", "domain", "sequence", "crash")
"""What no single statement mends, or only one that needs to know more than the difference says."""

HELPED = [name for name in WRONG if not any(word in name for word in UNHELPED)]


@pytest.mark.parametrize("name", HELPED)
def test_the_statements_of_a_refusal_help(connection: Connection, name: str) -> None:
    statements, _ = WRONG[name]
    change(connection, statements)
    remedies = list(write_remedies(TABLE, find_differences(connection, TABLE)))
    assert remedies
    for remedy in remedies:
        connection.execute(remedy.encode())
    assert find_differences(connection, TABLE) == []
