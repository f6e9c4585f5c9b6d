# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Runs Athena's SQL on DuckDB: transpiled, over the objects of a Glue table as Athena sees them."""

from __future__ import annotations

import gzip
import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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
from localcloud.athena.object_files import (
    ObjectFiles,
    StoredObject,
    find_listed_objects,
    find_objects,
)
from localcloud.athena.parquet_files import define_view, duckdb_type, rewrite
from localcloud.athena.trino_dialect import MACROS, parse, transpile
from localcloud.athena.unload import Unload
from localcloud.athena.values import as_text

LARGEST_FILE_ROWS = 250_000
SPREAD_FILES, SPREAD_ROWS = 4, 5_000

_SESSION = "SET TimeZone = 'UTC'"

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""A partition's value for NULL."""

BAD_TEXT = "Invalid string encoding"
"""What DuckDB says of a text that isn't UTF-8; Trino reads it as it is."""

WIDE_TIME = "Could not convert Timestamp(MS)"
"""What DuckDB says of milliseconds that overflow as microseconds; Trino lets them."""


class EmbeddedEngine:
    """An ``Engine``: each query runs in a catalog of its own, in one DuckDB database."""

    def __init__(self) -> None:
        self._objects = ObjectFiles(Path(tempfile.mkdtemp(prefix="athena-")))
        self._database = open_database()
        self._numbers = itertools.count()

    def select(self, query: str, job: Job) -> Rows:
        """See ``Engine``."""
        tree = self._parse(query, job)
        with self._workplace(job) as (connection, workdir):
            statement = self._prepare(connection, tree, job.database, workdir)
            columns, rows = fetch(connection, statement, workdir)
            types = [kind.upper().split("(")[0] for _, kind in columns]
            return Rows(
                [name for name, _ in columns],
                [athena._DUCKDB_TYPE_MAP.get(kind, "varchar") for kind in types],
                [list(map(as_text, row)) for row in rows],
            )

    def unload(self, unload: Unload, job: Job) -> list[str]:
        """See ``Engine``."""
        tree = self._parse(unload.query, job)
        with self._workplace(job) as (connection, workdir):
            statement = self._prepare(connection, tree, job.database, workdir)
            fetch(connection, f"CREATE TEMP TABLE unloaded AS {statement}", workdir)
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

    def _parse(self, query: str, job: Job) -> exp.Expr:
        """The statement's tree; notes the bytes of the objects that it looks at."""
        tree = parse(query)
        job.statistics.scanned_bytes = sum(
            int(item.record["size"])
            for name in _named_tables(tree, job.database)
            for part in _find_parts(tree, name)
            for item in part.objects
        )
        return tree

    @contextmanager
    def _workplace(self, job: Job) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
        """A catalog and a folder for one query, whose cancellation interrupts it."""
        try:
            with (
                tempfile.TemporaryDirectory() as workdir,
                self._own_catalog() as connection,
                job.cancellation.stopping(connection.interrupt),
            ):
                yield connection, Path(workdir)
        except OSError as error:
            raise QueryError(
                f"Query exhausted resources at this scale factor: {error.strerror}",
                category=SYSTEM,
                error_type=EXHAUSTED,
            ) from None

    @contextmanager
    def _own_catalog(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A session whose views and tables no other session sees; a database of its own costs more.

        After an error that leaves the session unusable, later queries get another database.
        """
        name = f"query_{next(self._numbers)}"
        session = self._database.cursor()
        try:
            session.execute(
                f"ATTACH ':memory:' AS {name}; SET search_path = '{name},memory'; {_SESSION}"
            )
            yield session
        finally:
            try:
                session.execute(f"USE memory; DETACH {name}")
            except duckdb.Error:
                self._database = open_database()
            session.close()

    def _prepare(
        self, connection: duckdb.DuckDBPyConnection, tree: exp.Expr, database: str, workdir: Path
    ) -> str:
        """Make views of the Glue tables that the query names, and return it in DuckDB's dialect."""
        for name in _named_tables(tree, database):
            self._make_view(connection, name, _find_parts(tree, name), workdir)
        return transpile(tree)

    def _make_view(
        self, connection: duckdb.DuckDBPyConnection, name: str, parts: list[_Part], workdir: Path
    ) -> None:
        """A view of the table's parts, each with its partition's values as columns."""
        table = glue._tables[name]
        columns = {item["Name"]: item["Type"] for item in table["StorageDescriptor"]["Columns"]}
        keys = {item["Name"]: item["Type"] for item in table.get("PartitionKeys", [])}
        relations = []
        for part in parts:
            used = f"objects_{len(list(workdir.iterdir()))}"
            files = self._objects.collect(part.objects, workdir / used)
            relation = define_view(connection, files, columns, used)
            values = "".join(
                f", CAST({_partition_value(value)} AS {duckdb_type(kind)}) AS {_identifier(key)}"
                for (key, kind), value in zip(keys.items(), part.values, strict=True)
            )
            relations.append(f"SELECT *{values} FROM ({relation})")
        database, _, table_name = name.partition("/")
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"')
        connection.execute(
            f'CREATE OR REPLACE VIEW "{database}"."{table_name}" AS {" UNION ALL ".join(relations)}'
        )


class _Part(NamedTuple):
    """A table's partition, or all of a table without: the partition's values, and the objects."""

    values: tuple[str, ...]
    objects: list[StoredObject]


def _find_parts(tree: exp.Expr, name: str) -> list[_Part]:
    """A table's parts; of a partitioned one, those whose first value the query names."""
    table = glue._tables[name]
    storage = table["StorageDescriptor"]
    find = find_listed_objects if "Symlink" in storage["InputFormat"] else find_objects
    if not table.get("PartitionKeys"):
        return [_Part((), find(storage["Location"]))]
    literals = {literal.this for literal in tree.find_all(exp.Literal) if literal.is_string}
    partitions = glue._partitions.get(name, [])
    named = [partition for partition in partitions if partition["Values"][0] in literals]
    parts = [
        _Part(tuple(partition["Values"]), find(partition["StorageDescriptor"]["Location"]))
        for partition in named or partitions
    ]
    return parts or [_Part((NULL_PARTITION,) * len(table["PartitionKeys"]), [])]


def _partition_value(text: str) -> str:
    return "NULL" if text == NULL_PARTITION else _literal(text)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _named_tables(tree: exp.Expr, database: str) -> list[str]:
    """The Glue tables that a query names, each once."""
    named = {f"{table.db or database}/{table.name}" for table in tree.find_all(exp.Table)}
    return sorted(name for name in named if name in glue._tables)


def open_database() -> duckdb.DuckDBPyConnection:
    """An empty database that knows Trino's functions."""
    connection = duckdb.connect(":memory:")
    connection.execute(f"{_SESSION}; SET preserve_insertion_order = false")
    # From a file's least and greatest values it infers that there is no NaN; they never are one.
    connection.execute("SET disabled_optimizers = 'statistics_propagation'")
    connection.execute(MACROS)
    return connection


class Fetched(NamedTuple):
    """All rows of a result, and its columns as (name, DuckDB's type)."""

    columns: list[tuple[str, str]]
    rows: list[tuple[Any, ...]]


def fetch(connection: duckdb.DuckDBPyConnection, statement: str, workdir: Path) -> Fetched:
    """Run a statement over views of the files in ``workdir``; raises ``QueryError``."""
    try:
        try:
            return _fetch(connection, statement)
        except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
            if BAD_TEXT not in str(error) and WIDE_TIME not in str(error):
                raise
            rewrite(workdir.rglob("*.parquet"))
            return _fetch(connection, statement)
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        raise QueryError(
            f"Query exhausted resources at this scale factor: {error}",
            category=SYSTEM,
            error_type=EXHAUSTED,
        ) from None
    except duckdb.Error as error:
        raise QueryError(f"{type(error).__name__}: {error}") from None


def _fetch(connection: duckdb.DuckDBPyConnection, statement: str) -> Fetched:
    """A statement that fails may do so only when its rows are fetched."""
    result = connection.execute(statement)
    columns = [(name, str(kind)) for name, kind, *_ in result.description or []]
    return Fetched(columns, result.fetchall())


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
