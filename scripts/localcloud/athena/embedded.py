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
import sqlglot
from ministack.services import athena, glue
from sqlglot import exp

from localcloud.athena import storage
from localcloud.athena.engine import (
    DATA_ERROR,
    EXHAUSTED,
    SYNTAX,
    SYSTEM,
    Job,
    QueryError,
    Rows,
)
from localcloud.athena.object_files import ObjectFile, ObjectFiles
from localcloud.athena.unload import Unload
from localcloud.athena.values import as_text

LARGEST_FILE_ROWS = 250_000
SPREAD_FILES, SPREAD_ROWS = 4, 5_000

MACROS = """
CREATE MACRO is_infinite(number) AS isinf(number);
CREATE MACRO from_base(digits, base) AS CAST('0x' || digits AS BIGINT);
CREATE MACRO to_iso8601(moment) AS strftime(moment, '%Y-%m-%dT%H:%M:%S.%g') || 'Z';
"""

FITTING = {
    "int": ({"INT32", "INT64"}, {None, "INT_8", "INT_16", "INT_32", "INT_64"}),
    "bigint": ({"INT32", "INT64"}, {None, "INT_8", "INT_16", "INT_32", "INT_64"}),
    "boolean": ({"BOOLEAN"}, {None}),
    "date": ({"INT32"}, {"DATE"}),
    "string": ({"BYTE_ARRAY"}, {None, "UTF8", "ENUM"}),
    "double": ({"DOUBLE", "FLOAT"}, {None}),
    "timestamp": ({"INT96", "INT64"}, {None, "TIMESTAMP_MILLIS", "TIMESTAMP_MICROS"}),
}
DUCKDB_TYPES = {
    "int": "INTEGER", "bigint": "BIGINT", "boolean": "BOOLEAN", "date": "DATE",
    "string": "VARCHAR", "double": "DOUBLE", "timestamp": "TIMESTAMP_MS",
}  # fmt: skip


class EmbeddedEngine:
    """An ``Engine``: one query at a time per call, each in a DuckDB of its own."""

    def __init__(self) -> None:
        self._objects = ObjectFiles(Path(tempfile.mkdtemp(prefix="athena-")))

    def select(self, query: str, job: Job) -> Rows:
        """See ``Engine``."""
        self._measure(query, job)
        with self._workplace(job) as (connection, workdir):
            statement = self._prepare(connection, query, job.database, workdir)
            result = _run(connection, statement)
            description = result.description or []
            types = [str(column[1]).upper().split("(")[0] for column in description]
            return Rows(
                [column[0] for column in description],
                [athena._DUCKDB_TYPE_MAP.get(kind, "varchar") for kind in types],
                [list(map(as_text, row)) for row in result.fetchall()],
            )

    def unload(self, unload: Unload, job: Job) -> list[str]:
        """See ``Engine``."""
        self._measure(unload.query, job)
        with self._workplace(job) as (connection, workdir):
            statement = self._prepare(connection, unload.query, job.database, workdir)
            _run(connection, f"CREATE TEMP TABLE unloaded AS {statement}")
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

    def _measure(self, query: str, job: Job) -> None:
        """The bytes of the objects that a query looks at, whatever columns it reads."""
        locations = {
            glue._tables[name]["StorageDescriptor"]["Location"]
            for name in _named_tables(_parse(query), job.database)
        }
        job.statistics.scanned_bytes = sum(map(self._objects.measure, locations))

    @contextmanager
    def _workplace(self, job: Job) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
        """A database and a folder for one query, whose cancellation interrupts it."""
        try:
            with (
                tempfile.TemporaryDirectory() as workdir,
                _connect() as connection,
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
        self, connection: duckdb.DuckDBPyConnection, query: str, database: str, workdir: Path
    ) -> str:
        """Make views of the Glue tables that the query names, and return it in DuckDB's dialect."""
        tree = _parse(query)
        for name in _named_tables(tree, database):
            self._make_view(connection, name, glue._tables[name], workdir)
        return tree.transform(_round_as_trino).sql(dialect="duckdb")

    def _make_view(
        self, connection: duckdb.DuckDBPyConnection, name: str, table: dict[str, Any], workdir: Path
    ) -> None:
        storage = table["StorageDescriptor"]
        columns = {item["Name"]: item["Type"] for item in storage["Columns"]}
        files = self._objects.collect(storage["Location"], workdir)
        database, _, table_name = name.partition("/")
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"')
        _check_types(connection, files, columns)
        relation = _relation(connection, files, columns)
        connection.execute(f'CREATE OR REPLACE VIEW "{database}"."{table_name}" AS {relation}')


def _parse(query: str) -> exp.Expr:
    try:
        return sqlglot.parse_one(query, read="athena")
    except sqlglot.ParseError as error:
        raise QueryError(f"SYNTAX_ERROR: {error}", error_type=SYNTAX) from None


def _named_tables(tree: exp.Expr, database: str) -> list[str]:
    """The Glue tables that a query names, each once."""
    named = {f"{table.db or database}/{table.name}" for table in tree.find_all(exp.Table)}
    return sorted(name for name in named if name in glue._tables)


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
    connection.execute(MACROS)
    return connection


def _run(connection: duckdb.DuckDBPyConnection, statement: str) -> duckdb.DuckDBPyConnection:
    try:
        return connection.execute(statement)
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise QueryError(
            f"Query exhausted resources at this scale factor: {error}",
            category=SYSTEM,
            error_type=EXHAUSTED,
        ) from None
    except duckdb.Error as error:
        raise QueryError(f"{type(error).__name__}: {error}") from None


def _round_as_trino(node: exp.Expression) -> exp.Expression:
    """Trino rounds the shortest decimal form half up; DuckDB does so only when it is text."""
    if isinstance(node, exp.Cast) and node.to.is_type(exp.DataType.Type.DECIMAL):
        node.set("this", exp.cast(node.this, "text"))
    return node


def _relation(
    connection: duckdb.DuckDBPyConnection, files: list[ObjectFile], columns: dict[str, str]
) -> str:
    typed = {name: DUCKDB_TYPES[kind] for name, kind in columns.items()}
    if not files:
        empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in typed.items())
        hidden = 'NULL::VARCHAR AS "$path", NULL::TIMESTAMPTZ AS "$file_modified_time"'
        return f"SELECT {empty}, {hidden} WHERE false"
    connection.execute(
        "CREATE OR REPLACE TABLE objects (file TEXT, path TEXT, modified TIMESTAMPTZ)"
    )
    connection.executemany(
        "INSERT INTO objects VALUES (?, ?, ?)",
        [(str(file.path), file.location, file.modified) for file in files],
    )
    paths = ", ".join(f"'{file.path}'" for file in files)
    options = "union_by_name = true, filename = true, hive_partitioning = false"
    source = f"read_parquet([{paths}], {options}, binary_as_string = true)"
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    found = {name.lower() for (name, *_) in described}
    values = ", ".join(
        f'CAST({_value(name, kind) if name in found else "NULL"} AS {kind}) AS "{name}"'
        for name, kind in typed.items()
    )
    return (
        f'SELECT {values}, objects.path AS "$path", objects.modified AS "$file_modified_time" '
        f"FROM {source} AS source JOIN objects ON objects.file = source.filename"
    )


def _value(name: str, kind: str) -> str:
    """A timestamp with time zone is its UTC time; finer than milliseconds is cut off."""
    column = f'source."{name}"'
    return (
        f"date_trunc('millisecond', CAST({column} AS TIMESTAMP))"
        if kind == "TIMESTAMP_MS"
        else column
    )


def _check_types(
    connection: duckdb.DuckDBPyConnection, files: list[ObjectFile], columns: dict[str, str]
) -> None:
    """Fail as Athena does for a file that isn't Parquet or has a column of another type."""
    for file in files:
        try:
            schema = connection.execute(
                "SELECT lower(name), type, converted_type FROM parquet_schema(?) "
                "WHERE type IS NOT NULL",
                [str(file.path)],
            ).fetchall()
        except duckdb.Error:
            raise QueryError(
                f"HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split {file.location}: "
                "it is not a Parquet file",
                error_type=DATA_ERROR,
            ) from None
        for name, physical, converted in schema:
            types, converted_types = FITTING.get(columns.get(name, ""), ({physical}, {converted}))
            if physical not in types or converted not in converted_types:
                raise QueryError(
                    f"HIVE_BAD_DATA: Field {name}'s type {physical} in parquet file "
                    f"{file.location} is incompatible with type {columns[name]} defined in table "
                    "schema",
                    error_type=DATA_ERROR,
                )


def _folders(
    connection: duckdb.DuckDBPyConnection, partitions: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Each combination of the partitions' values as a folder, and the condition of its rows."""
    if not partitions:
        return [("", "true")]
    names = ", ".join(f'"{name}"' for name in partitions)
    found = connection.execute(f"SELECT DISTINCT {names} FROM unloaded ORDER BY ALL").fetchall()
    return [
        (
            "".join(f"{name}={value}/" for name, value in zip(partitions, values, strict=True)),
            " AND ".join(
                f"\"{name}\" = '{value}'" for name, value in zip(partitions, values, strict=True)
            ),
        )
        for values in found
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
