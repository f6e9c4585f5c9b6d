# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Runs Athena's SQL on DuckDB: transpiled, over the objects of a Glue table as Athena sees them."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from ministack.services import athena, glue
from sqlglot import exp

from localcloud.athena import storage
from localcloud.athena.engine import (
    EXHAUSTED,
    SYSTEM,
    Job,
    QueryError,
    Rows,
)
from localcloud.athena.object_files import ObjectFiles
from localcloud.athena.parquet_files import define_view, replace_bad_text
from localcloud.athena.trino_dialect import MACROS, parse, transpile
from localcloud.athena.unload import Unload
from localcloud.athena.values import as_text

LARGEST_FILE_ROWS = 250_000
SPREAD_FILES, SPREAD_ROWS = 4, 5_000

BAD_TEXT = "Invalid string encoding"
"""What DuckDB says of a text that isn't UTF-8; Trino reads it as it is."""


class EmbeddedEngine:
    """An ``Engine``: each query runs in its own DuckDB database."""

    def __init__(self) -> None:
        self._objects = ObjectFiles(Path(tempfile.mkdtemp(prefix="athena-")))

    def select(self, query: str, job: Job) -> Rows:
        """See ``Engine``."""
        tree = parse(query)
        self._measure(tree, job)
        with self._workplace(job) as (connection, workdir):
            statement = self._prepare(connection, tree, job.database, workdir)
            result = execute(connection, statement, workdir)
            description = result.description or []
            types = [str(column[1]).upper().split("(")[0] for column in description]
            return Rows(
                [column[0] for column in description],
                [athena._DUCKDB_TYPE_MAP.get(kind, "varchar") for kind in types],
                [list(map(as_text, row)) for row in result.fetchall()],
            )

    def unload(self, unload: Unload, job: Job) -> list[str]:
        """See ``Engine``."""
        tree = parse(unload.query)
        self._measure(tree, job)
        with self._workplace(job) as (connection, workdir):
            statement = self._prepare(connection, tree, job.database, workdir)
            execute(connection, f"CREATE TEMP TABLE unloaded AS {statement}", workdir)
            columns = [name for (name, *_) in connection.execute("DESCRIBE unloaded").fetchall()]
            (value,) = (name for name in columns if name not in unload.partitions)
            folders = _folders(connection, unload.partitions)
            files = [
                file
                for folder, condition in folders
                for file in _files(connection, value, folder, condition)
            ]
        keys = []
        for number, (folder, content) in enumerate(files):
            keys.append(f"{unload.prefix}{folder}{job.query_id}_{number:05}.gz")
            storage.put(unload.bucket, keys[-1], content)
        return keys

    def _measure(self, tree: exp.Expr, job: Job) -> None:
        """The bytes of the objects that a query looks at, whatever columns it reads."""
        locations = {
            glue._tables[name]["StorageDescriptor"]["Location"]
            for name in _named_tables(tree, job.database)
        }
        job.statistics.scanned_bytes = sum(map(self._objects.measure, locations))

    @contextmanager
    def _workplace(self, job: Job) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
        """A database and a folder for one query, whose cancellation interrupts it."""
        try:
            with (
                tempfile.TemporaryDirectory() as workdir,
                open_database() as connection,
                job.cancellation.stopping(connection.interrupt),
            ):
                yield connection, Path(workdir)
        except OSError as error:
            raise QueryError(
                f"Query exhausted resources at this scale factor: {error.strerror}",
                category=SYSTEM,
                error_type=EXHAUSTED,
            ) from None

    def _prepare(
        self, connection: duckdb.DuckDBPyConnection, tree: exp.Expr, database: str, workdir: Path
    ) -> str:
        """Make views of the Glue tables that a query names, and return it in DuckDB's dialect."""
        for name in _named_tables(tree, database):
            self._make_view(connection, name, glue._tables[name], workdir)
        return transpile(tree)

    def _make_view(
        self, connection: duckdb.DuckDBPyConnection, name: str, table: dict[str, Any], workdir: Path
    ) -> None:
        storage = table["StorageDescriptor"]
        columns = {item["Name"]: item["Type"] for item in storage["Columns"]}
        files = self._objects.collect(storage["Location"], workdir)
        database, _, table_name = name.partition("/")
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"')
        relation = define_view(connection, files, columns)
        connection.execute(f'CREATE OR REPLACE VIEW "{database}"."{table_name}" AS {relation}')


def _named_tables(tree: exp.Expr, database: str) -> list[str]:
    """The Glue tables that a query names, each once."""
    named = {f"{table.db or database}/{table.name}" for table in tree.find_all(exp.Table)}
    return sorted(name for name in named if name in glue._tables)


def open_database() -> duckdb.DuckDBPyConnection:
    """An empty database for one query."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    connection.execute(MACROS)
    return connection


def execute(
    connection: duckdb.DuckDBPyConnection, statement: str, workdir: Path
) -> duckdb.DuckDBPyConnection:
    """Run a statement over views of the files in ``workdir``; raises ``QueryError``."""
    try:
        try:
            return connection.execute(statement)
        except duckdb.InvalidInputException as error:
            if BAD_TEXT not in str(error):
                raise
            replace_bad_text(workdir.glob("*.parquet"))
            return connection.execute(statement)
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise QueryError(
            f"Query exhausted resources at this scale factor: {error}",
            category=SYSTEM,
            error_type=EXHAUSTED,
        ) from None
    except duckdb.Error as error:
        raise QueryError(f"{type(error).__name__}: {error}") from None


def _folders(
    connection: duckdb.DuckDBPyConnection, partitions: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Each combination of the partitions' values as a folder, and the condition of its rows."""
    if not partitions:
        return [("", "true")]
    names = ", ".join(f'"{name}"' for name in partitions)
    combinations = connection.execute(
        f"SELECT DISTINCT {names} FROM unloaded ORDER BY ALL"
    ).fetchall()
    return [
        (
            "".join(f"{name}={value}/" for name, value in zip(partitions, values, strict=True)),
            " AND ".join(
                f"\"{name}\" = '{value}'" for name, value in zip(partitions, values, strict=True)
            ),
        )
        for values in combinations
    ]


def _files(
    connection: duckdb.DuckDBPyConnection, value: str, folder: str, condition: str
) -> list[tuple[str, bytes]]:
    """Several files, as from several of Athena's workers; the lines pass untouched."""
    (rows,) = connection.execute(f"SELECT count(*) FROM unloaded WHERE {condition}").fetchone() or (
        0,
    )
    count = max(-(-rows // LARGEST_FILE_ROWS), min(SPREAD_FILES, -(-rows // SPREAD_ROWS)))
    files = []
    for number in range(count):
        (text,) = connection.execute(
            f'SELECT string_agg("{value}", chr(10)) || chr(10) FROM (SELECT "{value}", '
            f"row_number() OVER () % {count} AS file FROM unloaded WHERE {condition}) "
            f"WHERE file = {number}"
        ).fetchone() or ("",)
        files.append((folder, gzip.compress(text.encode(), compresslevel=1, mtime=0)))
    return files
