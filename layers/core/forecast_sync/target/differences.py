"""Where the target and its database differ from what the table file says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypedDict

from forecast_sync.adapters.postgres import Connection, Cursor, transaction
from forecast_sync.sql import read_statement
from forecast_sync.tables import Column, Table

ENCODING = "UTF8"

TYPE_NAMES = {
    "varchar": "character varying",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "double": "double precision",
}
"""What Postgres calls types that have another name in table files."""

WRITTEN_AT_TYPES = ("timestamp without time zone", "timestamp with time zone")

NO_DEFAULT = "a default, or no NOT NULL"


class Difference(TypedDict):
    """What the table file says and the target isn't; ``found`` is None for what is missing.

    ``column`` is a column's name, ``key`` with the names of the key's columns, the name of an
    encoding, or ``table``.
    """

    column: str
    expected: str
    found: str | None


class TargetColumn(TypedDict):
    """A column of the target; ``generated`` when an insert can't give it a value.

    ``loose_collation`` is the name of a collation that takes different texts for equal, else None.
    """

    name: str
    type: str
    not_null: bool
    has_default: bool
    generated: bool
    loose_collation: str | None


class DescribedTarget(NamedTuple):
    """The target as it is; without a target there are no columns."""

    server_encoding: str
    client_encoding: str
    is_ours: bool
    is_unlogged: bool
    columns: dict[str, TargetColumn]
    unique: list[list[str]]

    @property
    def exists(self) -> bool:
        """Whether the search path leads to a table of this name."""
        return bool(self.columns)


def find_differences(connection: Connection, table: Table) -> list[Difference]:
    """How the target differs from the table file; only reads."""
    return list_differences(describe_target(connection, table), table)


def describe_target(connection: Connection, table: Table) -> DescribedTarget:
    """What the database's catalog says about the target, in one query."""
    with transaction(connection) as cursor:
        return describe_in(cursor, table)


def describe_in(cursor: Cursor, table: Table) -> DescribedTarget:
    """The same within a transaction."""
    describe = read_statement("target/describe_target.sql").encode()
    row = cursor.execute(describe, {"table": table.target.table}).fetchone()
    server, client, is_ours, is_unlogged, columns, unique = row or ("", "", *[None] * 4)
    return DescribedTarget(
        server,
        client,
        bool(is_ours),
        bool(is_unlogged),
        {item["name"]: item for item in columns or ()},
        unique or [],
    )


def list_differences(target: DescribedTarget, table: Table) -> list[Difference]:
    """How a described target differs; of one that doesn't exist yet, only the encodings can."""
    differences = list(_compare_encodings(target))
    if target.is_unlogged:
        differences.append(Difference(column="table", expected="a logged table", found="unlogged"))
    if target.exists:
        for column in table.column:
            differences += _compare_column(column, target.columns.get(column.name))
        differences += _compare_other_columns(target, table)
        differences += _compare_key(target, table)
    return differences


def find_addable(target: DescribedTarget, table: Table) -> list[Column]:
    """The nullable columns that an existing target lacks: they can be added without a value."""
    if not target.exists:
        return []
    return [
        column
        for column in table.column
        if not column.required and column.name not in target.columns
    ]


def find_added(target: DescribedTarget, table: Table) -> list[Column]:
    """The columns that the next run adds: only the target's owner can."""
    return find_addable(target, table) if target.is_ours else []


def tell_differences(differences: list[Difference]) -> str:
    """All differences in one line."""
    return "; ".join(
        f"{item['column']} is {item['found'] or 'missing'}, expected {item['expected']}"
        for item in differences
    )


def type_name(column: Column) -> str:
    """A column's type as Postgres writes it."""
    return column.type.replace(column.kind, TYPE_NAMES.get(column.kind, column.kind), 1)


def _compare_encodings(target: DescribedTarget) -> Iterator[Difference]:
    encodings = {
        "server_encoding": target.server_encoding,
        "client_encoding": target.client_encoding,
    }
    for name, encoding in encodings.items():
        if encoding != ENCODING:
            yield Difference(column=name, expected=ENCODING, found=encoding)


def _compare_column(expected: Column, found: TargetColumn | None) -> Iterator[Difference]:
    name, kind = expected.name, type_name(expected)
    if found is None:
        yield Difference(column=name, expected=kind, found=None)
        return
    if found["type"] != kind:
        yield Difference(column=name, expected=kind, found=found["type"])
    if expected.required and not found["not_null"]:
        yield Difference(column=name, expected="NOT NULL", found="nullable")
    if found["not_null"] and not expected.required:
        yield Difference(column=name, expected="nullable", found="NOT NULL")
    if found["generated"]:
        yield Difference(column=name, expected="a column that can be written", found="generated")
    if found["loose_collation"] is not None:
        yield Difference(
            column=name,
            expected="a deterministic collation",
            found=f'text of the nondeterministic collation "{found["loose_collation"]}"',
        )


def _compare_other_columns(target: DescribedTarget, table: Table) -> Iterator[Difference]:
    name = table.target.written_at
    written_at = target.columns.get(name)
    if written_at is None:
        yield Difference(column=name, expected=WRITTEN_AT_TYPES[0], found=None)
    elif written_at["type"] not in WRITTEN_AT_TYPES:
        yield Difference(column=name, expected=WRITTEN_AT_TYPES[0], found=written_at["type"])
    elif written_at["generated"]:
        yield Difference(column=name, expected="a column that can be written", found="generated")
    for column in target.columns.values():
        must_be_named = column["not_null"] and not column["has_default"]
        if must_be_named and column["name"] not in (*table.names, name):
            column_type = f"{column['type']} NOT NULL"
            yield Difference(column=column["name"], expected=NO_DEFAULT, found=column_type)


def _compare_key(target: DescribedTarget, table: Table) -> Iterator[Difference]:
    key = table.target.key
    if any(set(columns) == set(key) for columns in target.unique):
        return
    unique = ", ".join(f"unique on ({', '.join(columns)})" for columns in target.unique)
    yield Difference(
        column=f"key ({', '.join(key)})",
        expected="a unique constraint or primary key on exactly these columns",
        found=unique or None,
    )
