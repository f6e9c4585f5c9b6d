"""Runs Athena's SQL on a real Trino, which Athena's engine version 3 is built on."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests
import trino

from localcloud.athena import storage
from localcloud.athena.engine import (
    DATA_ERROR,
    EXHAUSTED,
    INTERNAL,
    NO_SUCH_TABLE,
    SYNTAX,
    SYSTEM,
    USER,
    USER_ERROR,
    WRITE_FAILED,
    Job,
    QueryCancelled,
    QueryError,
    Rows,
)
from localcloud.athena.trino_catalogs import SCHEMA, Catalogs
from localcloud.athena.trino_client import TrinoClient
from localcloud.athena.unload import Unload
from localcloud.athena.values import as_text
from localcloud.errors import LocalCloudError

_TYPES = {
    "SYNTAX_ERROR": SYNTAX,
    "COLUMN_NOT_FOUND": SYNTAX,
    "TYPE_MISMATCH": DATA_ERROR,
    "DIVISION_BY_ZERO": DATA_ERROR,
    "NUMERIC_VALUE_OUT_OF_RANGE": DATA_ERROR,
    "INVALID_CAST_ARGUMENT": DATA_ERROR,
    "HIVE_BAD_DATA": DATA_ERROR,
    "HIVE_CURSOR_ERROR": DATA_ERROR,
    "HIVE_CANNOT_OPEN_SPLIT": DATA_ERROR,
    "TABLE_NOT_FOUND": NO_SUCH_TABLE,
    "SCHEMA_NOT_FOUND": NO_SUCH_TABLE,
    "HIVE_WRITER_OPEN_ERROR": WRITE_FAILED,
    "HIVE_WRITER_DATA_ERROR": WRITE_FAILED,
    "HIVE_WRITER_CLOSE_ERROR": WRITE_FAILED,
}
_BAD_FILES = frozenset({"HIVE_BAD_DATA", "HIVE_CURSOR_ERROR", "HIVE_CANNOT_OPEN_SPLIT"})
"""Trino calls them external errors; the author of the files can fix them."""
_PASSING = frozenset(
    {
        "NO_NODES_AVAILABLE",
        "SERVER_SHUTTING_DOWN",
        "SERVER_STARTING_UP",
        "REMOTE_HOST_GONE",
        "REMOTE_TASK_ERROR",
        "PAGE_TRANSPORT_ERROR",
        "PAGE_TRANSPORT_TIMEOUT",
        "CLUSTER_OUT_OF_MEMORY",
        "HIVE_WRITER_OPEN_ERROR",
        "HIVE_WRITER_DATA_ERROR",
        "HIVE_WRITER_CLOSE_ERROR",
    }
)
"""Names of errors that may not recur when the same statement runs again."""


class TrinoEngine:
    """An ``Engine`` on a server that several queries share.

    ``await_client`` returns when the server answers, and raises ``LocalCloudError``.
    """

    def __init__(self, await_client: Callable[[], TrinoClient], catalogs: Catalogs) -> None:
        self._await_client, self._catalogs = await_client, catalogs

    def select(self, query: str, job: Job) -> Rows:
        """See ``Engine``."""
        columns, rows = self._run(self._reach(), query, job)
        types = [re.sub(r"\([^()]*\)", "", kind) for _, kind in columns]
        return Rows(
            [name for name, _ in columns],
            types,
            [
                [as_text(_decode(value, kind)) for value, kind in zip(row, types, strict=True)]
                for row in rows
            ],
        )

    def unload(self, unload: Unload, job: Job) -> list[str]:
        """See ``Engine``. Trino has no UNLOAD, so it creates a table and keeps its files."""
        table = f'{self._catalogs.unloads}.{SCHEMA}."{job.query_id}"'
        options = [
            "format = 'TEXTFILE'",
            f"external_location = {_quote(f's3://{unload.bucket}/{unload.prefix}')}",
        ]
        if unload.partitions:
            options.append(f"partitioned_by = ARRAY[{', '.join(map(_quote, unload.partitions))}]")
        statement = f"CREATE TABLE {table} WITH ({', '.join(options)}) AS {unload.query}"
        client = self._reach()
        try:
            self._run(client, statement, job)
        finally:
            # But not its files. A server that has died meanwhile doesn't know the table any more.
            with suppress(trino.exceptions.Error, requests.RequestException, ValueError):
                client.run(f"DROP TABLE IF EXISTS {table}")
        return storage.list_keys(unload.bucket, unload.prefix)

    def _reach(self) -> TrinoClient:
        """The server, when it answers."""
        try:
            return self._await_client()
        except LocalCloudError as error:
            raise _lost(str(error)) from None

    def _run(
        self, client: TrinoClient, statement: str, job: Job
    ) -> tuple[list[tuple[str, str]], list[list[Any]]]:
        """Columns as (name, Trino's type), and rows as the server writes them in JSON."""

        def observe(stats: dict[str, Any]) -> None:
            measured = job.statistics
            measured.scanned_bytes = stats.get("physicalInputBytes", 0)
            measured.rows = stats.get("processedRows", 0)
            measured.peak_memory_bytes = stats.get("peakMemoryBytes", 0)
            measured.queued_milliseconds = stats.get("queuedTimeMillis", 0)
            measured.planning_milliseconds = stats.get("planningTimeMillis", 0)
            job.cancellation.check()

        session = client.connect(self._catalogs.lake, job.database)
        cursor = session.cursor(stats_callback=observe)
        try:
            cursor.execute(statement)
            rows = cursor.fetchall()
        except QueryCancelled:
            cursor.cancel()
            raise
        except trino.exceptions.TrinoQueryError as error:
            raise _translate(error) from None
        except (trino.exceptions.Error, requests.RequestException, ValueError) as error:
            raise _lost(type(error).__name__) from error
        return [(column[0], column[1]) for column in cursor.description or []], rows


def _lost(why: str) -> QueryError:
    return QueryError(
        f"INTERNAL_ERROR_QUERY_ENGINE: the query engine ended while the query ran ({why})",
        category=SYSTEM,
        error_type=INTERNAL,
        retryable=True,
    )


def _translate(error: trino.exceptions.TrinoQueryError) -> QueryError:
    """With the category and type that Athena's error catalog has for it."""
    name, kind = error.error_name or "", error.error_type
    reason = f"{name}: {error.message}"
    if kind == "INSUFFICIENT_RESOURCES":
        reason = f"Query exhausted resources at this scale factor: {reason}"
        return QueryError(reason, category=SYSTEM, error_type=EXHAUSTED)
    is_user = kind == "USER_ERROR" or name in _BAD_FILES
    return QueryError(
        reason,
        category=USER if is_user else SYSTEM,
        error_type=_TYPES.get(name, USER_ERROR if is_user else INTERNAL),
        retryable=name in _PASSING,
    )


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _decode(value: Any, kind: str) -> Any:
    """The value itself; bytes arrive in JSON as base64."""
    return base64.b64decode(value) if kind == "varbinary" and value is not None else value
