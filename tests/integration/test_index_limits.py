"""The longest texts that the rejects' rule lets through fit each index, whatever they say."""

from __future__ import annotations

import string
from random import Random

import psycopg
import pytest
from forecast_sync.adapters.postgres import connect
from forecast_sync.tables import Table, parse_table
from forecast_sync.tables.index_limits import ENTRY_BYTES, find_text_limits
from forecast_sync.target.schema import define_target
from psycopg import sql

HEAD = """
[target]
table = "long"
key = {key}
written_at = "written"
{index}
[source]
date = "day"
newest = "day"
[source.columns]
day = "date"
"""
COLUMNS = {
    "a": "text",
    "b": "text",
    "c": "varchar(2000)",
    "short": "varchar(100)",
    "flag": "boolean",
    "day": "date",
    "amount": "numeric(38,10)",
    "number": "integer",
    "big": "bigint",
    "at": "timestamp",
}
VALUES = {
    "flag": "true",
    "day": "9999-12-31",
    "amount": "-1234567890123456789012345678.9876543219",
    "number": "-2147483648",
    "big": "-9223372036854775808",
    "at": "9999-12-31 23:59:59.999999",
}


def make_table(key: list[str], index: list[str] | None = None) -> Table:
    names = {name: kind for name, kind in COLUMNS.items() if name in {*key, *(index or ())}}
    text = HEAD.format(
        key=key,
        index=f'[[target.index]]\nname = "i"\ncolumns = {index}' if index else "",
    )
    text += "".join(
        f'[[column]]\nname = "{name}"\ntype = "{kind}"\nrequired = {str(name in key).lower()}\n'
        + ("" if name == "day" else "source = \"'x'\"\n")
        for name, kind in names.items()
    )
    return parse_table(text, "long.toml")


@pytest.mark.parametrize(
    ("key", "index"),
    [
        (["a", "day"], None),
        (["day", "a"], None),
        (["flag", "a", "day"], None),
        (["flag", "a", "number", "b", "day", "big"], None),
        (["amount", "a", "flag", "day", "at"], None),
        (["c", "short", "a", "day"], None),
        (["number", "day"], ["flag", "a", "amount", "created_at", "b"]),
        (["number", "day"], ["c", "short", "id", "written", "b"]),
    ],
)
def test_the_longest_texts_fit_and_longer_ones_do_not(
    database_url: str, key: list[str], index: list[str] | None
) -> None:
    table = make_table(key, index)
    (limit,) = find_text_limits(table)
    with connect(database_url) as connection:
        for definition in define_target(table):
            connection.execute(definition)
        _insert(connection, table, limit.columns, limit.most_bytes)
        connection.execute("DELETE FROM long")
        with pytest.raises(psycopg.errors.ProgramLimitExceeded, match="index row size"):
            _insert(connection, table, limit.columns, ENTRY_BYTES)


def _insert(
    connection: psycopg.Connection[tuple[object, ...]],
    table: Table,
    texts: tuple[str, ...],
    total: int,
) -> None:
    """Insert a row whose texts have so many bytes together, and can't be compressed."""
    random, left = Random(total), total
    values = {name: VALUES.get(name) for name in table.names}
    for number, name in enumerate(texts):
        column = next(column for column in table.column if column.name == name)
        most = column.arguments[0] if column.arguments else left
        # One byte besides the first text's, so that the last one has the most to align.
        size = min(most, left if number == len(texts) - 1 else left // 2 + 1)
        values[name] = "".join(random.choices(string.ascii_letters + string.digits, k=size))
        left -= size
    assert left == 0
    names = [name for name, value in values.items() if value is not None]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table.target.table),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join(sql.Placeholder() * len(names)),
    )
    connection.execute(statement, [values[name] for name in names])


def test_short_texts_and_numbers_need_no_rule() -> None:
    assert list(find_text_limits(make_table(["short", "day", "number"], ["short", "amount"]))) == []
