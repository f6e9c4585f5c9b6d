"""Nothing that a server, database, role or pooled session has set changes what arrives."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from forecast_sync.adapters.postgres import connect, transaction
from forecast_sync.errors import DatabaseUnavailable
from forecast_sync.tables import load_table
from forecast_sync.target.differences import find_differences
from forecast_sync.target.schema import ensure_schema
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from localcloud.postgres import Postgres

from tests.builders import STARTED_AT, make_row, make_run
from tests.integration.loads import begin, ledger, load
from tests.waiting import eventually

SETTINGS = {
    "client_encoding": ["LATIN1", "SQL_ASCII", "WIN1251"],
    "DateStyle": ["SQL, DMY", "German", "Postgres, MDY"],
    "TimeZone": ["Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"],
    "IntervalStyle": ["iso_8601", "sql_standard"],
    "standard_conforming_strings": ["off"],
    "backslash_quote": ["off"],
    "escape_string_warning": ["off"],
    "search_path": ["", "elsewhere", "elsewhere, pg_catalog", '"$user", nowhere', "shadow"],
    "bytea_output": ["escape"],
    "extra_float_digits": ["-15", "3"],
    "array_nulls": ["off"],
    "transform_null_equals": ["on"],
    "quote_all_identifiers": ["on"],
    "lc_messages": ["C", "POSIX"],
    "lc_monetary": ["POSIX"],
    "lc_numeric": ["POSIX"],
    "lc_time": ["POSIX"],
    "default_transaction_isolation": ["serializable", "repeatable read"],
    "default_transaction_deferrable": ["on"],
    "session_replication_role": ["replica"],
    "row_security": ["off"],
    "synchronous_commit": ["off"],
    "xmlbinary": ["hex"],
    "enable_indexscan": ["off"],
    "plan_cache_mode": ["force_generic_plan"],
    "default_toast_compression": ["pglz"],
    "jit": ["off"],
}
"""Values that aren't the defaults. What limits a session's time or its rights isn't among them."""

SCOPES = {
    "server": "ALTER SYSTEM",
    "database": "ALTER DATABASE {}",
    "role": "ALTER ROLE postgres",
    "role in database": "ALTER ROLE postgres IN DATABASE {}",
}
STATES = {name: st.sampled_from(values) for name, values in SETTINGS.items()}

READ = """
SELECT restaurant_id, to_char(business_date, 'YYYY-MM-DD'),
       encode(convert_to(dma_id, 'UTF8'), 'hex'), to_char(y_50, 'FM9990.000'),
       abs(extract(epoch FROM updated_at AT TIME ZONE 'UTC' - now())) < 600
FROM public.forecast_data ORDER BY 1
"""
TEXTS = ("é\\\t🍕", "\\N'\"", "a\nb\\n\r", "ÿ", "")
DAYS = ("2026-01-02", "0099-12-31", "9999-02-01", "1582-10-04", "2026-12-11")
ROWS = [
    make_row(number, dma_id=text, business_date=day, y_50=f"{number}.05")
    for number, (text, day) in enumerate(zip(TEXTS, DAYS, strict=True), 1)
]


@contextmanager
def configured(postgres: Postgres, url: str, scope: str, values: dict[str, str]) -> Iterator[None]:
    """Settings of all new sessions, in an otherwise untouched server."""
    alter = SCOPES[scope].format(urlsplit(url).path.strip("/"))
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        try:
            for name, value in values.items():
                shown = value if name in ("search_path", "DateStyle") and value else f"'{value}'"
                admin.execute(f"{alter} SET {name} = {shown}".encode())
            _reload(admin, postgres)
            yield
        finally:
            for name in values:
                admin.execute(f"{alter} RESET {name}".encode())
            _reload(admin, postgres)


def _reload(admin: psycopg.Connection[Any], postgres: Postgres) -> None:
    """Let new sessions have what the server's configuration says."""
    mark = uuid.uuid4().hex
    admin.execute(f"ALTER SYSTEM SET forecast.mark = '{mark}'".encode())
    admin.execute("SELECT pg_reload_conf()")

    def has_arrived() -> bool:
        with psycopg.connect(postgres.url(), client_encoding="UTF8") as fresh:
            return fresh.execute("SHOW forecast.mark").fetchone() == (mark,)

    eventually(has_arrived, 20, "the new configuration")


@pytest.mark.parametrize("way", ["direct", "pooled"])
@pytest.mark.parametrize("scope", SCOPES)
def test_no_setting_changes_what_arrives(
    postgres: Postgres, request: pytest.FixtureRequest, way: str, scope: str
) -> None:
    pooler: str | None = request.getfixturevalue("pooler") if way == "pooled" else None

    @settings(
        max_examples=4,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.fixed_dictionaries(STATES))
    def checked(values: dict[str, str]) -> None:
        with database(postgres) as url, configured(postgres, url, scope, values):
            through = urlsplit(pooler)._replace(path=urlsplit(url).path).geturl() if pooler else url
            check(url, through)

    checked()


def check(url: str, through: str) -> None:
    """What ``through`` this URL is written stands in the database, as ``url`` shows it."""
    run, later = make_run(), make_run("later", started_at=STARTED_AT + timedelta(hours=1))
    observer = psycopg.connect(
        url, autocommit=True, client_encoding="UTF8", options="-c search_path=public"
    )
    with connect(through) as opened, observer:
        ensure_schema(opened, load_table())
        assert find_differences(opened, load_table()) == []
        assert begin(opened, run).high == STARTED_AT
        load(opened, run, ROWS)
        load(opened, run, ROWS, query="q-2")
        assert [row[2:] for row in ledger(observer, "q-2")] == [(0, 0, len(ROWS))]
        observer.execute("UPDATE forecast_sync_status SET status = 'succeeded'")
        assert begin(opened, later).high == later.started_at
        arrived = observer.execute(READ.encode()).fetchall()
        times = observer.execute(
            "SELECT extract(epoch FROM window_high)::bigint FROM forecast_sync_status ORDER BY id"
        ).fetchall()
    assert arrived == [
        (row[0], row[2], row[3].encode().hex(), f"{row[0]}.050", True) for row in ROWS
    ]
    assert times == [(int(one.started_at.timestamp()),) for one in (run, later)]


@contextmanager
def database(postgres: Postgres) -> Iterator[str]:
    """A database whose schema ``shadow`` has functions and operators of the catalog's names."""
    name = f"settings_{STARTED_AT:%H%M%S}"
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        admin.execute(f"CREATE DATABASE {name}".encode())
    with psycopg.connect(postgres.url(name), autocommit=True) as inside:
        with connect(postgres.url(name)) as opened:
            ensure_schema(opened, load_table())
        inside.execute(
            "CREATE SCHEMA shadow; CREATE FUNCTION shadow.md5(text) RETURNS text"
            " LANGUAGE sql AS 'SELECT ''0'''; CREATE SCHEMA elsewhere"
        )
    yield postgres.url(name)


def test_what_a_pooled_session_was_left_with_is_gone(postgres: Postgres, pooler: str) -> None:
    with database(postgres) as url:
        through = urlsplit(pooler)._replace(path=urlsplit(url).path).geturl()
        with psycopg.connect(through, autocommit=True, prepare_threshold=None) as careless:
            for name, values in SETTINGS.items():
                careless.execute(f"SET {name} = '{values[0]}'".encode())
            careless.execute("SET search_path = shadow, pg_catalog, elsewhere")
        check(url, through)


def test_our_own_tables_are_completed_where_they_are(database_url: str) -> None:
    """Another schema that comes first must not get a second status table."""
    with psycopg.connect(database_url, autocommit=True) as owner:
        with connect(database_url) as opened:
            ensure_schema(opened, load_table())
        name = urlsplit(database_url).path.strip("/")
        owner.execute("ALTER TABLE forecast_sync_status DROP warnings; CREATE SCHEMA elsewhere")
        owner.execute(f"ALTER DATABASE {name} SET search_path = elsewhere, public".encode())
        with connect(database_url) as opened:
            ensure_schema(opened, load_table())
        tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'elsewhere'::regnamespace"
        assert owner.execute(tables.encode()).fetchone() == (0,)
        assert owner.execute("SELECT count(warnings) FROM forecast_sync_status").fetchone() == (0,)


def test_a_role_s_own_schema_is_where_its_tables_are_made_and_found(database_url: str) -> None:
    name = urlsplit(database_url).path.strip("/")
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA analytics")
        owner.execute(f"ALTER DATABASE {name} SET search_path = analytics".encode())
    with connect(database_url) as opened:
        for _ in range(2):
            ensure_schema(opened, load_table())
        with transaction(opened) as cursor:
            schemas = cursor.execute(
                "SELECT DISTINCT relnamespace::regnamespace::text FROM pg_class"
                " WHERE relkind = 'r' AND relname ~ '^forecast_'"
            )
            assert schemas.fetchall() == [("analytics",)]


def test_a_database_that_is_read_only_by_default_gets_nothing(database_url: str) -> None:
    """Providers set it when a disk is full; it isn't overridden."""
    name = urlsplit(database_url).path.strip("/")
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
    with connect(database_url) as opened, pytest.raises(DatabaseUnavailable, match="25006"):
        ensure_schema(opened, load_table())
