"""Postgres: connects safely, and translates errors into those that the workflow knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from forecast_sync.adapters.connection_string import read_connection_string
from forecast_sync.errors import (
    BatchConflict,
    BatchRefused,
    DatabaseRefused,
    DatabaseUnavailable,
    ForecastSyncError,
    SchemaMismatch,
    ServerTooOld,
)
from forecast_sync.sql import read_statement

OLDEST_SERVER = 170_000
CONNECT_SECONDS = 15

BY_CODE: dict[str, type[ForecastSyncError]] = {
    "23505": BatchConflict,
    "40001": BatchConflict,
    "40P01": BatchConflict,
    "55P03": BatchConflict,
    "57014": BatchConflict,
    "25006": DatabaseUnavailable,
    "25P03": DatabaseUnavailable,
    "42501": DatabaseRefused,
    "3D000": DatabaseRefused,
    "42P01": SchemaMismatch,
    "42703": SchemaMismatch,
    "42804": SchemaMismatch,
}
BY_CLASS: dict[str, type[ForecastSyncError]] = {
    "08": DatabaseUnavailable,
    "53": DatabaseUnavailable,
    "57": DatabaseUnavailable,
    "58": DatabaseUnavailable,
    "28": DatabaseRefused,
}

REFUSED = frozenset({"3D000", "42501", "55000"})
"""Besides class 28: no such database, no permission to connect, no connections allowed."""

Connection = psycopg.Connection[tuple[Any, ...]]
Cursor = psycopg.Cursor[tuple[Any, ...]]


def connect(url: str) -> Connection:
    """Open a connection that works both directly and through a pooler in transaction mode.

    ``read_connection_string`` decides where it leads and how TLS is verified. Raises
    ``ConfigurationInvalid`` for a malformed URL, ``DatabaseUnavailable``, ``DatabaseRefused`` or
    ``ServerTooOld``; no message contains the URL.
    """
    parameters = read_connection_string(url)
    parameters.setdefault("connect_timeout", str(CONNECT_SECONDS))
    # Poolers follow it. Otherwise it's a setting of the server, database, role or environment.
    parameters["client_encoding"] = "UTF8"
    try:
        connection = psycopg.connect(**parameters, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise _explain(parameters, error) from None
    if connection.info.server_version < OLDEST_SERVER:
        version = connection.info.server_version // 10_000
        connection.close()
        raise ServerTooOld(f"The server is Postgres {version}; 17 or newer is needed. Upgrade it.")
    # Whatever the database's default: the fence must see what was committed while it waited.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    return connection


def is_healthy(connection: Connection) -> bool:
    """Whether an open connection still answers."""
    if connection.closed or connection.broken:
        return False
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        connection.close()
        return False
    return True


@contextmanager
def transaction(
    connection: Connection, opening: bytes = b""
) -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
    """One short READ COMMITTED transaction with settings of its own, and with errors translated.

    ``opening`` statements are sent together with its beginning; ``fetch_last`` reads their result.
    """
    with translated(), connection.transaction(), connection.cursor() as cursor:
        cursor.execute(read_statement("session/settings.sql").encode() + opening)
        yield cursor


def copy_in(
    cursor: psycopg.Cursor[tuple[Any, ...]], copy_from: bytes, blocks: Iterable[bytes]
) -> int:
    """Send blocks of lines to a ``COPY ... FROM STDIN``; the number of rows copied.

    Call it within a ``transaction``, which translates psycopg's errors.
    """
    try:
        with cursor.copy(copy_from) as copy:
            for block in blocks:
                copy.write(block)
    except ValueError:
        # A pooler that loses its server answers with two errors; psycopg unpacks one result.
        if not cursor.connection.broken:
            raise
        raise DatabaseUnavailable("The connection to Postgres was lost during a COPY.") from None
    return cursor.rowcount


def fetch_last(cursor: psycopg.Cursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The row returned by the last of several statements that were sent together."""
    while cursor.nextset():
        pass
    return cursor.fetchone() or ()


def has_table(cursor: psycopg.Cursor[tuple[Any, ...]], name: str) -> bool:
    """Whether the database has a table of this name."""
    row = cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name]).fetchone()
    return row is not None and bool(row[0])


def statement(name: str, **parts: sql.Composable) -> sql.Composed:
    """The statement ``sql/<name>`` with identifiers and expressions composed safely."""
    return sql.SQL(read_statement(name)).format(**parts)


@contextmanager
def translated() -> Iterator[None]:
    """Translate psycopg's errors into this package's, by SQLSTATE and never by text."""
    try:
        yield
    except psycopg.Error as error:
        raise _translate(error) from None


def _explain(parameters: dict[str, Any], error: psycopg.Error) -> ForecastSyncError:
    """Why connecting failed: a refusal, which lasts, or something that may pass."""
    from forecast_sync.adapters import refusals

    text = next(iter(str(error).splitlines()), type(error).__name__).strip()
    code = refusals.find_code(parameters, error)
    if code in REFUSED or (code and code[:2] == "28"):
        return DatabaseRefused(
            f"Postgres refused the connection with {code}: {text}. Correct the database, the role "
            "or its password in the connection string, then redrive."
        )
    if code is None and parameters.get("sslmode") == "verify-full":
        refusal = refusals.find_tls_refusal(parameters)
        if refusal:
            return DatabaseRefused(
                f"No TLS to Postgres, {refusal}: {text}. The server needs a certificate for its "
                "host name from a known authority, or one that sslrootcert names."
            )
    return DatabaseUnavailable(f"No connection to Postgres: {text}")


def _translate(error: psycopg.Error) -> ForecastSyncError:
    code = error.sqlstate
    if code is None:
        text = next(iter(str(error).splitlines()), type(error).__name__)
        return DatabaseUnavailable(f"No connection to Postgres: {text.strip()}")
    kind = BY_CODE.get(code) or BY_CLASS.get(code[:2]) or BatchRefused
    primary = error.diag.message_primary or type(error).__name__
    where = f" (table {error.diag.table_name})" if error.diag.table_name else ""
    return kind(f"Postgres answered {code}{where}: {primary}")
