"""Parquet files as Trino reads them: a SELECT over them for DuckDB, or Trino's error."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from localcloud.athena.engine import DATA_ERROR, INTERNAL, SYSTEM, QueryError
from localcloud.athena.object_files import ObjectFile

SIMPLE_TYPES = {
    "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER", "bigint": "BIGINT",
    "boolean": "BOOLEAN", "date": "DATE", "string": "VARCHAR", "float": "REAL", "double": "DOUBLE",
    "timestamp": "TIMESTAMP",
}  # fmt: skip
"""Glue's types, and DuckDB's with the same values."""

SIGNED = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")
UNSIGNED = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64}
INTEGERS = (*SIGNED, *UNSIGNED)
FLOATS = ("FLOAT", "DOUBLE")
MILLISECONDS = "TIMESTAMP_MS"
TIMESTAMPS = (
    MILLISECONDS,
    "TIMESTAMP",
    "TIMESTAMP_NS",
    "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMPTZ_NS",
)
NOTHING = '"NULL"'
"""A column in which a writer has seen only NULL."""

READABLE: dict[str, tuple[str, ...]] = {
    "TINYINT": (*INTEGERS, NOTHING),
    "SMALLINT": (*INTEGERS, NOTHING),
    "INTEGER": (*INTEGERS, NOTHING),
    "BIGINT": (*INTEGERS, NOTHING),
    "BOOLEAN": ("BOOLEAN",),
    "DATE": ("DATE", NOTHING),
    "VARCHAR": ("VARCHAR", "BLOB", "ENUM", "JSON", NOTHING),
    "REAL": ("FLOAT", NOTHING),
    "DOUBLE": ("DOUBLE", "FLOAT", NOTHING),
    "TIMESTAMP": TIMESTAMPS,
}
"""For each of DuckDB's types, what DuckDB calls the columns of a file that Trino reads as it."""

SHORT_DECIMAL = 18
"""Digits; Trino reads only such decimals from columns of integers or of NULL."""

CODECS = frozenset({"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4", "LZO"})
LEVELS_AND_DICTIONARIES = frozenset({"RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"})
NUMBERS = frozenset({"PLAIN", "DELTA_BINARY_PACKED"})
ENCODINGS = {
    "INT32": NUMBERS,
    "INT64": NUMBERS,
    "FLOAT": frozenset({"PLAIN", "BYTE_STREAM_SPLIT"}),
    "DOUBLE": frozenset({"PLAIN", "BYTE_STREAM_SPLIT"}),
    "BYTE_ARRAY": frozenset({"PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"}),
    "FIXED_LEN_BYTE_ARRAY": frozenset({"PLAIN", "DELTA_BYTE_ARRAY"}),
}
PLAIN = frozenset({"PLAIN"})

NOT_UTF8 = "\U0010fff0"
"""Stands in a text for bytes that aren't UTF-8, which DuckDB's texts can't hold."""

UNFRAMED_LZ4 = "^(fastparquet|parquet-cpp version 1\\.([0-4]\\.|5\\.0\\b))"
"""Writers whose LZ4 lacks the framing that Trino expects."""

LATER_TYPES = ("GeometryType", "GeographyType")
"""Logical types that Trino doesn't know; it opens no file that has one."""

FOLDED = str.maketrans({"\u0131": "i", "\u017f": "s", "\u212a": "k"})
"""The letters that aren't ASCII and equal an ASCII letter when case is ignored as Java does it."""

LEAST, MOST = -(2**63), 2**63 - 1

EARLIEST = -9_223_372_022_400_000
"""Milliseconds to DuckDB's first time; Trino's times begin some hours before it."""

OVERFLOWS = {
    MILLISECONDS: ("TIMESTAMP '1969-12-31 23:59:59.999'", "TIMESTAMP '1970-01-01 00:00:00.001'"),
    "TIMESTAMP": (f"make_timestamp_ms({EARLIEST})", f"make_timestamp_ms({MOST // 1000})"),
    "TIMESTAMP_NS": ("TIMESTAMP '1677-09-21 00:12:43.146'", "TIMESTAMP '2262-04-11 23:47:16.854'"),
}
"""What Trino's arithmetics make of the last and of the first times in 64 bits."""

SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]?")


class Stored(NamedTuple):
    """A column of a file: its name in the file, DuckDB's type of it, and its physical type.

    DuckDB's type of times in milliseconds, which it reads as microseconds, is ``MILLISECONDS``.
    """

    name: str
    kind: str
    physical: str


def define_view(
    connection: duckdb.DuckDBPyConnection,
    files: list[ObjectFile],
    columns: dict[str, str],
    objects: str = "objects",
) -> str:
    """The SELECT over a Glue table's ``columns``, by type, with ``$path`` and the modified time.

    ``objects`` names a table that is created for this SELECT alone. Raises ``QueryError`` for what
    Trino can't read.
    """
    typed = {name: duckdb_type(kind) for name, kind in columns.items()}
    parts = []
    files_with_rows = _with_rows(connection, files)
    stored = _find_stored(connection, files, columns)
    if files := files_with_rows:
        _check_storage(connection, files, columns)
        connection.execute(
            f"CREATE OR REPLACE TABLE {objects} (file TEXT, path TEXT, modified TIMESTAMPTZ)"
        )
        connection.executemany(
            f"INSERT INTO {objects} VALUES (?, ?, ?)",
            [(str(file.path), file.location, file.modified) for file in files],
        )
        parts = [
            _select(alike, stored_alike, typed, columns, objects)
            for stored_alike, alike in _group(files, stored).items()
        ]
    if not parts:
        empty = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in typed.items())
        hidden = 'NULL::VARCHAR AS "$path", NULL::TIMESTAMPTZ AS "$file_modified_time"'
        return f"SELECT {empty}, {hidden} WHERE false"
    return " UNION ALL ".join(parts)


def rewrite(files: Iterable[Path]) -> None:
    """Rewrite files with values that DuckDB can't read, as Trino reads them.

    Texts that aren't UTF-8 get ``NOT_UTF8`` where Java would replace, and milliseconds that
    overflow as microseconds do so. There are no statistics, which may be out of DuckDB's range.
    """
    for file in files:
        table = pq.read_table(
            file, coerce_int96_timestamp_unit="us", arrow_extensions_enabled=False
        )
        repaired = pa.table([_repaired(column) for column in table.columns], table.column_names)
        file.unlink()  # It is a link to a copy that other queries share.
        pq.write_table(repaired, file, write_statistics=False)


def _repaired(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_timestamp(column.type) and column.type.unit == "ms":
        overflowing = pc.multiply(column.cast(pa.int64()), 1000)
        whole = pc.subtract(overflowing, _modulo(overflowing, 1000))
        return whole.cast(pa.timestamp("us", column.type.tz))
    if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
        return column
    values = column.cast(pa.binary()).to_pylist()
    return pa.chunked_array([[None if value is None else _decode(value) for value in values]])


def _modulo(numbers: pa.ChunkedArray, divisor: int) -> pa.ChunkedArray:
    remainder = pc.subtract(numbers, pc.multiply(pc.divide(numbers, divisor), divisor))
    return pc.if_else(pc.less(remainder, 0), pc.add(remainder, divisor), remainder)


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        text = SURROGATE.sub(b"\xff", value).decode(errors="replace")
        return text.replace("\ufffd", NOT_UTF8)


def duckdb_type(glue_type: str) -> str:
    """DuckDB's type with the values of one of Glue's."""
    if glue_type.startswith("decimal("):
        return glue_type.upper()
    return SIMPLE_TYPES[glue_type]


def _with_rows(connection: duckdb.DuckDBPyConnection, files: list[ObjectFile]) -> list[ObjectFile]:
    """The files that have rows; Trino doesn't look at the others' columns."""
    if not files:
        return []
    counting = "SELECT file_name FROM parquet_file_metadata(?) WHERE num_rows > 0"
    paths = [str(file.path) for file in files]
    try:
        paths_with_rows = {name for (name,) in connection.execute(counting, [paths]).fetchall()}
    except duckdb.Error:
        for file in files:
            try:
                connection.execute(counting, [[str(file.path)]]).fetchall()
            except duckdb.Error:
                raise _cannot_open(file.location, "it is not a Parquet file") from None
        raise
    return [file for file in files if str(file.path) in paths_with_rows]


def _cannot_open(location: str, reason: str) -> QueryError:
    return QueryError(
        f"HIVE_CANNOT_OPEN_SPLIT: Error opening Hive split {location}: {reason}",
        error_type=DATA_ERROR,
    )


def _check_storage(
    connection: duckdb.DuckDBPyConnection, files: list[ObjectFile], columns: dict[str, str]
) -> None:
    """Fail for codecs and encodings that Trino lacks, without a file's name, as Trino does."""
    paths = [str(file.path) for file in files]
    chunks = _find_chunks(connection, paths)
    for path_in_schema, physical, codec, encodings in chunks:
        name = fold_name(path_in_schema)
        if name not in columns:
            continue
        if codec not in CODECS or (codec == "LZ4" and _has_unframed_lz4(connection, paths, name)):
            reason = f"Codec not supported in Parquet: {codec}"
            raise QueryError(
                f"GENERIC_INTERNAL_ERROR: {reason}", category=SYSTEM, error_type=INTERNAL
            )
        readable = ENCODINGS.get(physical, PLAIN) | LEVELS_AND_DICTIONARIES
        for encoding in sorted(set(encodings.split(", ")) - readable):
            raise QueryError(
                f"GENERIC_INTERNAL_ERROR: Wrong encoding {encoding} for column [{name}]",
                category=SYSTEM,
                error_type=INTERNAL,
            )


def _find_chunks(
    connection: duckdb.DuckDBPyConnection, paths: list[str]
) -> list[tuple[str, str, str, str]]:
    """Name, physical type, codec and encodings of the files' columns."""
    chunks = "SELECT DISTINCT path_in_schema, type, compression, encodings FROM parquet_metadata(?)"
    try:
        return connection.execute(chunks, [paths]).fetchall()
    except duckdb.ConversionException:
        # It converts the statistics too.
        for path in paths:
            try:
                connection.execute(chunks, [[path]]).fetchall()
            except duckdb.ConversionException:
                rewrite([Path(path)])
        return connection.execute(chunks, [paths]).fetchall()


def _has_unframed_lz4(connection: duckdb.DuckDBPyConnection, paths: list[str], column: str) -> bool:
    """Whether a column of one of the files is compressed by a writer of ``UNFRAMED_LZ4``."""
    names = connection.execute(
        "SELECT DISTINCT path_in_schema FROM parquet_metadata($paths) JOIN "
        "parquet_file_metadata($paths) USING (file_name) "
        "WHERE compression = 'LZ4' AND regexp_matches(created_by, $writers)",
        {"paths": paths, "writers": UNFRAMED_LZ4},
    ).fetchall()
    return any(fold_name(name) == column for (name,) in names)


def fold_name(name: str) -> str:
    """A column's name as Trino compares it."""
    return name.translate(FOLDED).lower()


def _find_stored(
    connection: duckdb.DuckDBPyConnection, files: list[ObjectFile], columns: dict[str, str]
) -> dict[str, tuple[Stored, ...]]:
    """How each file, by its path, stores the columns.

    What Trino can't open fails, even without rows, and so does what it misreads: a column that
    occurs twice.
    """
    if not files:
        return {}
    schema = connection.execute(
        "SELECT file_name, name, CASE WHEN duckdb_type LIKE 'TIMESTAMP%' AND "
        "(converted_type = 'TIMESTAMP_MILLIS' OR logical_type LIKE '%=MilliSeconds%') "
        f"THEN '{MILLISECONDS}' ELSE duckdb_type END, "
        "type, column_id, num_children, repetition_type, logical_type "
        "FROM parquet_schema(?) ORDER BY file_name, column_id",
        [[str(file.path) for file in files]],
    ).fetchall()
    found: dict[str, dict[str, Stored]] = defaultdict(dict)
    inside = 0
    locations = {str(file.path): file.location for file in files}
    for file_name, name, kind, physical, column_id, children, repetition, logical in schema:
        if column_id == 0:
            continue
        if repetition is None or (logical or "").startswith(LATER_TYPES):
            fault = f"{name} has no repetition_type" if repetition is None else f"{name}: {logical}"
            raise _cannot_open(locations[file_name], fault)
        if inside:
            inside += (children or 0) - 1
            continue
        inside = children or 0
        column = fold_name(name)
        if column in columns:
            if inside:
                raise QueryError(
                    f"HIVE_BAD_DATA: Field {name} is nested, expected {columns[column]}",
                    error_type=DATA_ERROR,
                )
            if column in found[file_name]:
                raise _cannot_open(locations[file_name], f"it has {column} twice")
            found[file_name][column] = Stored(name, kind, physical)
    return {path: tuple(stored.values()) for path, stored in found.items()}


def _group(
    files: list[ObjectFile], stored: dict[str, tuple[Stored, ...]]
) -> dict[tuple[Stored, ...], list[ObjectFile]]:
    """The files that store the columns alike."""
    alike = defaultdict(list)
    for file in files:
        alike[stored.get(str(file.path), ())].append(file)
    return alike


def _select(
    files: list[ObjectFile],
    stored: tuple[Stored, ...],
    typed: dict[str, str],
    columns: dict[str, str],
    objects: str,
) -> str:
    by_name = {fold_name(item.name): item for item in stored}
    values = []
    for name, kind in typed.items():
        value = "NULL"
        if item := by_name.get(name):
            if not _is_readable(item, kind):
                raise QueryError(
                    f"HIVE_BAD_DATA: Field {name}'s type {item.physical} ({item.kind}) in parquet "
                    f"file {files[0].location} is incompatible with type {columns[name]} defined "
                    "in table schema",
                    error_type=DATA_ERROR,
                )
            value = _value(item)
        values.append(f'CAST({value} AS {kind}) AS "{name}"')
    paths = ", ".join(f"'{file.path}'" for file in files)
    options = "filename = true, hive_partitioning = false, binary_as_string = true"
    return (
        f'SELECT {", ".join(values)}, {objects}.path AS "$path", '
        f'{objects}.modified AS "$file_modified_time" '
        f"FROM read_parquet([{paths}], {options}) AS source "
        f"JOIN {objects} ON {objects}.file = source.filename"
    )


def _is_readable(item: Stored, kind: str) -> bool:
    if not kind.startswith("DECIMAL"):
        # DuckDB takes half floats and decimals of more than 38 digits for floats.
        is_bytes = item.kind in FLOATS and item.physical not in FLOATS
        return item.kind in READABLE[kind] and not is_bytes
    precision = int(kind.partition("(")[2].partition(",")[0])
    return item.kind.startswith("DECIMAL") or (
        precision <= SHORT_DECIMAL and item.kind in (*SIGNED[:3], "UTINYINT", "USMALLINT", NOTHING)
    )


def _value(item: Stored) -> str:
    """Unsigned integers are read as signed, and timestamps are rounded half up to milliseconds."""
    column = f'source."{item.name}"'
    if bits := UNSIGNED.get(item.kind):
        signed, size = f"CAST({column} AS HUGEINT)", 2**bits
        if bits < 32:
            return signed
        return f"CASE WHEN {signed} >= {size // 2} THEN {signed} - {size} ELSE {signed} END"
    return _time(column, item.kind) if item.kind in TIMESTAMPS else column


def _time(column: str, kind: str) -> str:
    """A time in milliseconds; where Trino's arithmetics overflow 64 bits, it does so here."""
    plain = "TIMESTAMP_NS" if kind.endswith("_NS") else "TIMESTAMP"
    scale, function = (10**6, "epoch_ns") if plain == "TIMESTAMP_NS" else (10**3, "epoch_us")
    count = f"CAST({function}({column}) AS HUGEINT)"
    # The first and the last value mean infinity to DuckDB, which counts nothing to there.
    time = f"CAST({column} AS TIMESTAMP_NS)" if plain == "TIMESTAMP_NS" else column
    after, before = OVERFLOWS[MILLISECONDS if kind == MILLISECONDS else plain]
    half = scale // 2
    raised = f"{count} + {half}"
    floor = f"({raised} - (({raised}) % {scale} + {scale}) % {scale}) // {scale}"
    return (
        f"CASE WHEN {time} = 'infinity' OR {count} > {MOST - half} THEN {after} "
        f"WHEN {time} = '-infinity' OR {count} < {LEAST + half - 1} THEN {before} "
        f"WHEN {floor} < {EARLIEST} THEN make_timestamp_ms({EARLIEST}) "
        f"ELSE make_timestamp_ms(CAST({floor} AS BIGINT)) END"
    )
