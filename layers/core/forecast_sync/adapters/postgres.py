"""Postgres: connects safely, and translates errors into those that the workflow knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql

from forecast_sync.adapters.connection_string import read_connection_string
from forecast_sync.adapters.sqlstates import decide, refuses_login
from forecast_sync.errors import (
    BatchConflict,
    DatabaseRefused,
    DatabaseUnavailable,
    ForecastSyncError,
    ServerTooOld,
)
from forecast_sync.sql import read_statement
from forecast_sync.text.sentences import end_sentence

OLDEST_SERVER = 170_000
CONNECT_SECONDS = 15

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
    from forecast_sync.adapters import connection_refusals

    text = next(iter(str(error).splitlines()), type(error).__name__).strip()
    code = connection_refusals.find_code(parameters, error)
    if code and refuses_login(code):
        return DatabaseRefused(
            f"Postgres refused the connection with {code}: {text}. Correct the database, the role "
            "or its password in the connection string, then redrive.",
            while_connecting=True,
        )
    if code is None and parameters.get("sslmode") == "verify-full":
        refusal = connection_refusals.find_tls_refusal(parameters)
        if refusal:
            return DatabaseRefused(
                f"No TLS to Postgres, {refusal}: {text}. The server needs a certificate for its "
                "host name from a known authority, or one that sslrootcert names.",
                while_connecting=True,
            )
    return DatabaseUnavailable(
        f"No connection to Postgres: {end_sentence(text)} Check that the server runs, and that the "
        "connection string has its host and port."
    )


def _translate(error: psycopg.Error) -> ForecastSyncError:
    code = error.sqlstate
    if code is None:
        text = next(iter(str(error).splitlines()), type(error).__name__).strip()
        return DatabaseUnavailable(
            f"The connection to Postgres was lost: {end_sentence(text)} If that repeats, look at "
            "the server's log and its timeouts."
        )
    primary = error.diag.message_primary or type(error).__name__
    table, constraint = error.diag.table_name, error.diag.constraint_name
    named = ", ".join(
        f"{what} {name}" for what, name in (("table", table), ("constraint", constraint)) if name
    )
    where = f" ({named})" if named else ""
    message = f"Postgres answered {code}{where}: {primary}"
    kind = decide(code).error
    if kind is BatchConflict:
        return BatchConflict(message, index=_colliding_index(error))
    return kind(message)


def _colliding_index(error: psycopg.Error) -> tuple[str, str, str] | None:
    """Schema, table and name of the unique index that refused a row; None for any other error."""
    diag = error.diag
    if not isinstance(error, errors.UniqueViolation) or not diag.constraint_name:
        return None
    return diag.schema_name or "", diag.table_name or "", diag.constraint_name
