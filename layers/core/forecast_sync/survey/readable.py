"""Which types, codecs and encodings Athena's engine reads in Parquet files, measured on Trino."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forecast_sync.survey.parquet_footer import Footer, ParquetColumn, Storage
from forecast_sync.tables.model import (
    FLOAT_TYPES,
    INTEGER_TYPES,
    Source,
    SourceType,
    decimal_arguments,
)
from forecast_sync.text.visible import visible

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
    "string": {"BYTE_ARRAY": {"", "STRING", "ENUM", "JSON"}, "INT32": {"NULL"}},
    "timestamp": {"INT96": {""}, "INT64": {"TIMESTAMP"}},
}
"""For each source type, the physical and logical Parquet types that Athena reads as it.

Some writers give the logical type NULL to a column without values. Decimals have their own rule,
``_fits_decimal``.
"""

LONGEST_SHORT_DECIMAL = 18
"""The most digits of a decimal that Athena reads from a column of the logical type NULL."""

LONGEST_DECIMAL_BYTES = 16
LONGEST_SHOWN = 100

READ_AS_SIGNED = frozenset({"UINT_32", "UINT_64"})

CODECS = frozenset({"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4", "LZO"})
"""LZ4 and LZO mean Hadoop's framing; what most writers call "lz4" is LZ4_RAW, another codec."""

UNFRAMED_LZ4 = re.compile(r"fastparquet|parquet-cpp version 1\.([0-4]\.|5\.0\b)")
"""Writers that say LZ4 and leave out Hadoop's framing.

Arrow before 4.0 isn't among them: it calls itself 1.5.1-SNAPSHOT, whether it frames, as since 2.0,
or not.
"""

INT64 = range(-(2**63), 2**63)
UNIT_NAMES = {"MILLIS": "milliseconds", "NANOS": "nanoseconds"}
TIMES_READ = {
    "MILLIS": range(-(2**63 // 1000), 2**63 // 1000 + 1),
    "NANOS": range(INT64.start + 499_999, INT64.stop - 500_000),
}
"""By unit of a timestamp: the values that don't overflow in Athena's engine.

It multiplies milliseconds by 1,000, and adds half a millisecond to nanoseconds. Microseconds that
overflow stay outside the years that a target holds.
"""

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
    if name := footer.without_repetition:
        yield (
            f"doesn't say whether the column {_shown(name)} may be NULL, so Athena can't open it: "
            "write its repetition type, in fastparquet with has_nulls=True"
        )
    if name := footer.of_later_type:
        yield (
            f"has the column {_shown(name)} of a logical type that Athena doesn't know, so it "
            "can't open the file: write it as text or bytes, or leave it out"
        )
    for name, expected in source.stored.items():
        column = footer.columns.get(name)
        if column is None:
            if name not in source.optional:
                yield f"lacks the column {name} ({expected})"
        elif name in footer.repeated_names:
            names = ", ".join(footer.repeated_names[name])
            yield (
                f"has the column {name} more than once ({names}), and capital letters don't matter "
                "to Athena: leave one"
            )
        elif not _fits(column, expected):
            yield f"has the column {name} as {column}, expected {expected}{_hint(column, expected)}"
        elif expected == "timestamp":
            yield from _time_misfits(name, column, footer)
    stored = {
        name: footer.storage[name]
        for name in source.stored
        if name in footer.columns and name in footer.storage and name not in footer.repeated_names
    }
    yield from _storage_misfits(footer.columns, stored, footer.created_by)


def readable_codecs(created_by: str) -> frozenset[str]:
    """The codecs that Athena reads of a writer."""
    return CODECS - {"LZ4"} if UNFRAMED_LZ4.match(created_by) else CODECS


def _fits(column: ParquetColumn, expected: SourceType) -> bool:
    if column.is_nested:
        return False
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
        and 0 <= column.precision - column.scale <= precision - scale
    )


def _hint(column: ParquetColumn, expected: SourceType) -> str:
    if column.logical in READ_AS_SIGNED and column.physical in ("INT32", "INT64"):
        return ": Athena reads it as signed, the largest value as -1; write signed integers"
    if column.logical == "DECIMAL" and decimal_arguments(expected):
        return ", or one with fewer digits: declare as many in [source.columns] as files have"
    if column.logical == "UUID" and expected == "string":
        return ": Athena reads its bytes as text; write UUIDs as text"
    return ""


def _time_misfits(name: str, column: ParquetColumn, footer: Footer) -> Iterator[str]:
    """Why Athena would silently take a column's times for others."""
    read, storage = TIMES_READ.get(column.unit), footer.storage.get(name)
    bounds = (storage.least, storage.most) if storage is not None else ()
    if read and any(bound is not None and bound not in read for bound in bounds):
        yield (
            f"has times in the column {name} that overflow in Athena, which reads {read.start} to "
            f"{read.stop - 1} {UNIT_NAMES[column.unit]} since 1970: write NULL in their place"
        )
    if column.unit == "MILLIS" and column.is_required and _is_fastparquets(footer):
        yield (
            f"has the column {name} without NULLs in milliseconds, in which fastparquet stores no "
            "time (NaT) as what Athena reads as 1970: write it with has_nulls=True"
        )


def _is_fastparquets(footer: Footer) -> bool:
    return footer.created_by.startswith("fastparquet")


def _storage_misfits(
    columns: dict[str, ParquetColumn], stored: dict[str, Storage], created_by: str
) -> Iterator[str]:
    """How columns are stored that Athena can't decode, in the order of the source's columns."""
    codecs: dict[str, list[str]] = {}
    encodings: dict[str, list[str]] = {}
    for name, storage in stored.items():
        readable = ENCODINGS.get(columns[name].physical, frozenset()) | LEVELS_AND_DICTIONARIES
        for codec in sorted(storage.codecs - readable_codecs(created_by)):
            codecs.setdefault(codec, []).append(name)
        for encoding in sorted(storage.encodings - readable):
            encodings.setdefault(encoding, []).append(name)
    for codec, names in codecs.items():
        shown = "unframed LZ4" if codec == "LZ4" else codec
        yield (
            f"compresses {_columns(names)} with {shown}, which Athena can't read: "
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


def _shown(name: str) -> str:
    """A name that no table file has checked."""
    return visible(name[:LONGEST_SHOWN])


def _columns(names: list[str]) -> str:
    return f"the column{'s' if len(names) > 1 else ''} {', '.join(names)}"
