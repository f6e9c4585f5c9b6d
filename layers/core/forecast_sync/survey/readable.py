"""Which types, codecs and encodings Athena's engine reads in Parquet files, measured on Trino."""

from __future__ import annotations

from collections.abc import Iterator

from forecast_sync.survey.parquet_footer import Footer, ParquetColumn, Storage
from forecast_sync.tables.model import (
    FLOAT_TYPES,
    INTEGER_TYPES,
    Source,
    SourceType,
    decimal_arguments,
)

INTEGERS = {
    "INT32": {"", "INTEGER", "UINT_8", "UINT_16", "NULL"},
    "INT64": {"", "INTEGER"},
}
FLOATS = {"DOUBLE": {""}, "FLOAT": {""}, "INT32": {"NULL"}}
FITTING: dict[SourceType, dict[str, set[str]]] = {
    **dict.fromkeys(INTEGER_TYPES, INTEGERS),
    **dict.fromkeys(FLOAT_TYPES, FLOATS),
    "boolean": {"BOOLEAN": {""}},
    "date": {"INT32": {"DATE", "NULL"}},
    "string": {"BYTE_ARRAY": {"", "STRING", "ENUM"}, "INT32": {"NULL"}},
    "timestamp": {"INT96": {""}, "INT64": {"TIMESTAMP"}},
}
"""For each source type, the physical and logical Parquet types that Athena reads as it.

Some writers give the logical type NULL to a column without values. Decimals have their own rule,
``_fits_decimal``.
"""

LONGEST_SHORT_DECIMAL = 18
"""The most digits of a decimal that Athena reads from a column of the logical type NULL."""

LONGEST_DECIMAL_BYTES = 16

READ_AS_SIGNED = frozenset({"UINT_32", "UINT_64"})

CODECS = frozenset({"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4", "LZO"})
"""LZ4 and LZO mean Hadoop's framing; what most writers call "lz4" is LZ4_RAW, another codec."""

LEVELS_AND_DICTIONARIES = frozenset({"RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"})
ENCODINGS: dict[str, frozenset[str]] = {
    "BOOLEAN": frozenset({"PLAIN"}),
    "INT32": frozenset({"PLAIN", "DELTA_BINARY_PACKED"}),
    "INT64": frozenset({"PLAIN", "DELTA_BINARY_PACKED"}),
    "INT96": frozenset({"PLAIN"}),
    "FLOAT": frozenset({"PLAIN", "BYTE_STREAM_SPLIT"}),
    "DOUBLE": frozenset({"PLAIN", "BYTE_STREAM_SPLIT"}),
    "BYTE_ARRAY": frozenset({"PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"}),
    "FIXED": frozenset({"PLAIN", "DELTA_BYTE_ARRAY"}),
}
"""By physical type: the encodings of values that Athena reads, besides levels and dictionaries."""


def find_misfits(footer: Footer, source: Source) -> Iterator[str]:
    """The reasons why Athena can't read a file as ``source`` declares it, each as a predicate."""
    for name, expected in source.stored.items():
        column = footer.columns.get(name)
        if column is None:
            if name not in source.optional:
                yield f"lacks the column {name} ({expected})"
        elif not _fits(column, expected):
            yield f"has the column {name} as {column}, expected {expected}{_hint(column, expected)}"
    stored = {
        name: footer.storage[name]
        for name in source.stored
        if name in footer.columns and name in footer.storage
    }
    yield from _storage_misfits(footer.columns, stored)


def _fits(column: ParquetColumn, expected: SourceType) -> bool:
    if arguments := decimal_arguments(expected):
        return _fits_decimal(column, *arguments)
    return column.logical in FITTING[expected].get(column.physical, set())


def _fits_decimal(column: ParquetColumn, precision: int, scale: int) -> bool:
    """Whether ``decimal(precision, scale)`` holds every value of the column without rounding."""
    if column.logical == "NULL":
        return column.physical == "INT32" and precision <= LONGEST_SHORT_DECIMAL
    return (
        column.logical == "DECIMAL"
        and column.physical in ("INT32", "INT64", "FIXED", "BYTE_ARRAY")
        and column.length <= LONGEST_DECIMAL_BYTES
        and 0 <= column.scale <= scale
        and 0 < column.precision - column.scale <= precision - scale
    )


def _hint(column: ParquetColumn, expected: SourceType) -> str:
    if column.logical in READ_AS_SIGNED and column.physical in ("INT32", "INT64"):
        return ": Athena reads it as signed, the largest value as -1; write signed integers"
    if column.logical == "DECIMAL" and decimal_arguments(expected):
        return ", or one with fewer digits: declare as many in [source.columns] as files have"
    return ""


def _storage_misfits(
    columns: dict[str, ParquetColumn], stored: dict[str, Storage]
) -> Iterator[str]:
    """How columns are stored that Athena can't decode, in the order of the source's columns."""
    codecs: dict[str, list[str]] = {}
    encodings: dict[str, list[str]] = {}
    for name, storage in stored.items():
        readable = ENCODINGS.get(columns[name].physical, frozenset()) | LEVELS_AND_DICTIONARIES
        for codec in sorted(storage.codecs - CODECS):
            codecs.setdefault(codec, []).append(name)
        for encoding in sorted(storage.encodings - readable):
            encodings.setdefault(encoding, []).append(name)
    for codec, names in codecs.items():
        yield (
            f"compresses {_columns(names)} with {codec}, which Athena can't read: "
            "write it with snappy, gzip or zstd"
        )
    for encoding, names in encodings.items():
        yield (
            f"encodes {_columns(names)} as {encoding}, which Athena can't read there: "
            "write it without column encodings of your own"
        )
    if encrypted := [name for name, storage in stored.items() if storage.is_encrypted]:
        yield f"encrypts {_columns(encrypted)}, which Athena can't read: write it unencrypted"
    if elsewhere := [name for name, storage in stored.items() if storage.is_elsewhere]:
        yield f"has {_columns(elsewhere)} in another file, which Athena doesn't read"


def _columns(names: list[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(names)}"
