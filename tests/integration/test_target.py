"""A target is held against the table file before the first write, in a real Postgres."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.errors import SchemaMismatch
from forecast_sync.tables import load_table
from forecast_sync.target.differences import find_differences
from forecast_sync.target.schema import ensure_schema
from localcloud.postgres import Postgres

from tests.builders import make_row, make_run
from tests.integration.loads import as_text, begin, load, stored

TABLE, PRICE = load_table(), load_table("price")
KEY = "key (restaurant_id, inventory_item_id, business_date)"
UNIQUE = "a unique constraint or primary key on exactly these columns"
DROP_KEY = "ALTER TABLE forecast_data DROP CONSTRAINT {};"
NO_DEFAULT = "a default, or no NOT NULL"
PARTITIONS = """
    CREATE TABLE parted (LIKE forecast_data INCLUDING DEFAULTS)
        PARTITION BY HASH (restaurant_id);
    ALTER SEQUENCE forecast_data_id_seq OWNED BY NONE;
    CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
    ALTER TABLE parted ADD UNIQUE (restaurant_id, inventory_item_id, business_date);
    DROP TABLE forecast_data; ALTER TABLE parted RENAME TO forecast_data
"""

WRONG = {
    "another type": (
        "ALTER TABLE forecast_data ALTER dc_id TYPE bigint",
        [("dc_id", "integer", "bigint")],
    ),
    "fewer digits": (
        "ALTER TABLE forecast_data ALTER y_05 TYPE numeric(10,1), ALTER y_95 TYPE numeric(9,2)",
        [("y_05", "numeric(10,2)", "numeric(10,1)"), ("y_95", "numeric(10,2)", "numeric(9,2)")],
    ),
    "no limit": (
        "ALTER TABLE forecast_data ALTER dma_id TYPE text",
        [("dma_id", "character varying(50)", "text")],
    ),
    "a missing column": (
        "ALTER TABLE forecast_data DROP y_95",
        [("y_95", "numeric(10,2)", None)],
    ),
    "a value that may be NULL": (
        "ALTER TABLE forecast_data ALTER y_50 DROP NOT NULL",
        [("y_50", "NOT NULL", "nullable")],
    ),
    "a value that may not be NULL": (
        "ALTER TABLE forecast_data ALTER dc_id SET NOT NULL",
        [("dc_id", "nullable", "NOT NULL")],
    ),
    "one more column to fill": (
        "ALTER TABLE forecast_data ADD note text NOT NULL",
        [("note", NO_DEFAULT, "text NOT NULL")],
    ),
    "a domain to fill": (
        "CREATE DOMAIN filled AS text NOT NULL; ALTER TABLE forecast_data ADD note filled",
        [("note", NO_DEFAULT, "filled NOT NULL")],
    ),
    "an id without a sequence": (
        "ALTER TABLE forecast_data ALTER id DROP DEFAULT",
        [("id", NO_DEFAULT, "integer NOT NULL")],
    ),
    "no time of the write": (
        "ALTER TABLE forecast_data DROP updated_at",
        [("updated_at", "timestamp without time zone", None)],
    ),
    "a date for the time of the write": (
        "ALTER TABLE forecast_data ALTER updated_at TYPE date",
        [("updated_at", "timestamp without time zone", "date")],
    ),
    "a generated column": (
        (
            "ALTER TABLE forecast_data DROP dc_id,"
            " ADD dc_id integer GENERATED ALWAYS AS (restaurant_id % 7) STORED"
        ),
        [("dc_id", "a column that can be written", "generated")],
    ),
    "a table that a crash, or Neon's suspension of its compute, empties": (
        "ALTER TABLE forecast_data SET UNLOGGED",
        [("table", "a logged table", "unlogged")],
    ),
    "a partition that a crash empties": (
        f"{PARTITIONS}; ALTER TABLE parted_1 SET UNLOGGED",
        [("table", "a logged table", "unlogged")],
    ),
    "no key": (DROP_KEY, [(KEY, UNIQUE, "unique on (id)")]),
    "no unique index at all": (
        (
            f"{DROP_KEY} ALTER TABLE forecast_data DROP CONSTRAINT forecast_data_pkey;"
            "ALTER TABLE forecast_data ALTER id DROP NOT NULL"
        ),
        [(KEY, UNIQUE, None)],
    ),
    "a longer key": (
        (
            f"{DROP_KEY} CREATE UNIQUE INDEX ON forecast_data"
            " (restaurant_id, inventory_item_id, business_date, state)"
        ),
        [
            (
                KEY,
                UNIQUE,
                (
                    "unique on (id), "
                    "unique on (restaurant_id, inventory_item_id, business_date, state)"
                ),
            )
        ],
    ),
    "a shorter key": (
        (
            f"{DROP_KEY} CREATE UNIQUE INDEX ON forecast_data (restaurant_id, business_date)"
            " INCLUDE (inventory_item_id)"
        ),
        [(KEY, UNIQUE, "unique on (id), unique on (restaurant_id, business_date)")],
    ),
    "a key of some rows": (
        (
            f"{DROP_KEY} CREATE UNIQUE INDEX ON forecast_data"
            " (restaurant_id, inventory_item_id, business_date) WHERE restaurant_id > 0"
        ),
        [(KEY, UNIQUE, "unique on (id)")],
    ),
    "a key of expressions": (
        (
            f"{DROP_KEY} CREATE UNIQUE INDEX ON forecast_data"
            " (restaurant_id, abs(inventory_item_id), business_date)"
        ),
        [(KEY, UNIQUE, "unique on (id)")],
    ),
    "several at once": (
        "ALTER TABLE forecast_data DROP dma_id, ALTER y_05 TYPE real, ADD note text NOT NULL",
        [
            ("dma_id", "character varying(50)", None),
            ("y_05", "numeric(10,2)", "real"),
            ("note", NO_DEFAULT, "text NOT NULL"),
        ],
    ),
    "a view": (
        "ALTER TABLE forecast_data RENAME TO rows;CREATE VIEW forecast_data AS SELECT * FROM rows",
        [
            *(
                (name, "NOT NULL", "nullable")
                for name in ("restaurant_id", "inventory_item_id", "business_date", "state", "y_50")
            ),
            (KEY, UNIQUE, None),
        ],
    ),
}

RIGHT = {
    "further columns": "ALTER TABLE forecast_data ADD note text, ADD n int NOT NULL DEFAULT 0,"
    " ADD twice int GENERATED ALWAYS AS (restaurant_id * 2) STORED",
    "an identity": "ALTER TABLE forecast_data DROP id, ADD id int GENERATED ALWAYS AS IDENTITY",
    "a domain with a default": "CREATE DOMAIN filled AS text NOT NULL DEFAULT 'x';"
    "ALTER TABLE forecast_data ADD note filled",
    "no id and no time of the insert": "ALTER TABLE forecast_data DROP id, DROP created_at",
    "a time of the write without a default": "ALTER TABLE forecast_data"
    " ALTER updated_at SET NOT NULL, ALTER updated_at DROP DEFAULT",
    "a time with time zone": "ALTER TABLE forecast_data ALTER updated_at TYPE timestamptz",
    "the key as the primary key": f"{DROP_KEY} ALTER TABLE forecast_data DROP id,"
    " ADD PRIMARY KEY (business_date, inventory_item_id, restaurant_id)",
    "a unique index as the key": f"{DROP_KEY} CREATE UNIQUE INDEX ON forecast_data"
    " (business_date, restaurant_id, inventory_item_id) INCLUDE (state)",
    "a key that is checked at the end": f"{DROP_KEY} ALTER TABLE forecast_data"
    " ADD UNIQUE (restaurant_id, inventory_item_id, business_date) DEFERRABLE INITIALLY DEFERRED",
    "further unique columns": "ALTER TABLE forecast_data ADD UNIQUE (id, state)",
    "columns in another order": "ALTER TABLE forecast_data DROP dma_id, ADD dma_id varchar(50)",
    "no index but the key": "DROP INDEX idx_forecast_state, idx_forecast_dma",
    "partitions": PARTITIONS,
}


def key_constraint(connection: Connection) -> str:
    """Postgres names the key's constraint; another version might do so differently."""
    row = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'forecast_data'::regclass"
        " AND contype = 'u'"
    ).fetchone()
    assert row is not None
    return str(row[0])


def change(connection: Connection, statements: str) -> None:
    changed = statements.format(key_constraint(connection)) if "{}" in statements else statements
    connection.execute(changed.encode())


@pytest.mark.parametrize(("statements", "expected"), WRONG.values(), ids=WRONG)
def test_each_difference_is_named_and_nothing_is_written(
    connection: Connection, statements: str, expected: list[tuple[str, str, str | None]]
) -> None:
    change(connection, statements)
    differences = [tuple(difference.values()) for difference in find_differences(connection, TABLE)]
    assert differences == expected
    connection.execute(
        "DROP TABLE forecast_sync_status, forecast_sync_batch, forecast_sync_rejects,"
        " forecast_sync_announced"
    )
    with pytest.raises(SchemaMismatch) as raised:
        ensure_schema(connection, TABLE)
    for column, wanted, instead in expected:
        assert f"{column} is {instead or 'missing'}, expected {wanted}" in str(raised.value)
    created = connection.execute("SELECT to_regclass('forecast_sync_status')").fetchone()
    assert created == (None,)


@pytest.mark.parametrize("statements", RIGHT.values(), ids=RIGHT)
def test_a_target_that_holds_the_rows_exactly_is_taken_as_it_is(
    connection: Connection, statements: str
) -> None:
    change(connection, statements)
    ensure_schema(connection, TABLE)
    assert find_differences(connection, TABLE) == []
    run, rows = make_run(), [make_row(n) for n in range(1, 30)]
    begin(connection, run)
    for query in ("q-1", "q-2"):
        load(connection, run, rows, query=query)
    changed = [make_row(n, y_50="7.00") for n in range(1, 5)]
    load(connection, run, changed, query="q-3")
    assert stored(connection) == as_text(changed + rows[4:])


def test_a_target_that_changes_between_two_pages_gets_no_more_rows(connection: Connection) -> None:
    run = make_run()
    begin(connection, run)
    load(connection, run, [make_row(1)])
    change(connection, DROP_KEY)
    with pytest.raises(SchemaMismatch, match="exactly these columns"):
        load(connection, run, [make_row(2)], query="q-2")
    assert stored(connection) == as_text([make_row(1)])


def test_collations_that_take_different_texts_for_equal_are_refused(database_url: str) -> None:
    """The embedded Postgres has no ICU, which such collations need, so the catalog claims one."""
    with connect(database_url) as opened:
        ensure_schema(opened, PRICE)
        opened.execute('CREATE COLLATION loose FROM "C"')
        opened.execute("ALTER TABLE menu_price ALTER item TYPE text COLLATE loose")
        assert find_differences(opened, PRICE) == []
        opened.execute(
            "UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'loose'"
        )
        assert find_differences(opened, PRICE) == [
            {
                "column": "item",
                "expected": "a deterministic collation",
                "found": 'text of the nondeterministic collation "loose"',
            },
            {
                "column": "key (restaurant, item, valid_on)",
                "expected": UNIQUE,
                "found": "unique on (id)",
            },
        ]


@contextmanager
def encoded(postgres: Postgres, encoding: str) -> Iterator[str]:
    """The URL of a database of another encoding, which is dropped again."""
    name = f"encoded_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'"
            " TEMPLATE template0".encode()
        )
        try:
            yield postgres.url(name)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_of_another_encoding_is_refused(postgres: Postgres, encoding: str) -> None:
    with encoded(postgres, encoding) as url, connect(url) as opened:
        with pytest.raises(SchemaMismatch, match=f"server_encoding is {encoding}, expected UTF8"):
            ensure_schema(opened, TABLE)
        tables = opened.execute("SELECT count(*) FROM pg_class WHERE relname ~ '^forecast'")
        assert str(tables.fetchone()) == "(0,)"
