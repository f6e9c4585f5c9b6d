"""Reads the columns of a Parquet file from its footer, in the format's Thrift compact encoding."""

from __future__ import annotations

from typing import Any, NamedTuple

MAGIC = b"PAR1"
FOOTER_END_BYTES = 8

PHYSICAL = ("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED")
LOGICAL = {
    1: "STRING",
    4: "ENUM",
    5: "DECIMAL",
    6: "DATE",
    7: "TIME",
    8: "TIMESTAMP",
    10: "INTEGER",
}
CONVERTED = {0: "STRING", 4: "ENUM", 5: "DECIMAL", 6: "DATE", 9: "TIMESTAMP", 10: "TIMESTAMP"}
CONVERTED |= dict.fromkeys((7, 8), "TIME") | dict.fromkeys(range(11, 19), "INTEGER")

# Field numbers of FileMetaData and SchemaElement in the format's parquet.thrift
SCHEMA, TYPE, NAME, CHILDREN, CONVERTED_TYPE, LOGICAL_TYPE = 2, 1, 4, 5, 6, 10


class ParquetColumn(NamedTuple):
    """A top-level column: its physical type ("GROUP" when nested) and its logical one, or ""."""

    physical: str
    logical: str


def footer_size(tail: bytes) -> int:
    """How many bytes at the end of the file hold the footer; ``tail`` is the file's end.

    Raises ``ValueError`` when the file doesn't end as Parquet does.
    """
    if len(tail) < FOOTER_END_BYTES or not tail.endswith(MAGIC):
        raise ValueError("it doesn't end with Parquet's magic bytes")
    return int.from_bytes(tail[-8:-4], "little") + FOOTER_END_BYTES


def read_columns(tail: bytes) -> dict[str, ParquetColumn]:
    """The top-level columns by name; ``tail`` holds at least ``footer_size`` bytes.

    Raises ``ValueError`` when the footer can't be read.
    """
    try:
        elements = _Compact(tail[-footer_size(tail) :]).struct()[SCHEMA]
        return _top_level(elements)
    except (IndexError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ValueError("its footer is damaged") from error


def _top_level(elements: list[dict[int, Any]]) -> dict[str, ParquetColumn]:
    columns: dict[str, ParquetColumn] = {}
    position = 1
    for _ in range(elements[0][CHILDREN]):
        element = elements[position]
        physical = PHYSICAL[element[TYPE]] if TYPE in element else "GROUP"
        columns[element[NAME].decode().lower()] = ParquetColumn(physical, _logical(element))
        position = _after(elements, position)
    return columns


def _after(elements: list[dict[int, Any]], position: int) -> int:
    """Where the element behind this one and all its descendants stands."""
    pending = 1
    while pending:
        pending += elements[position].get(CHILDREN, 0) - 1
        position += 1
    return position


def _logical(element: dict[int, Any]) -> str:
    for number in element.get(LOGICAL_TYPE, {}):
        return LOGICAL.get(number, "OTHER")
    converted = element.get(CONVERTED_TYPE)
    return "" if converted is None else CONVERTED.get(converted, "OTHER")


class _Compact:
    """A cursor over Thrift's compact protocol; structs become dicts by field number."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while kind := (header := self._byte()) & 0x0F:
            number = number + (header >> 4) if header >> 4 else self._zigzag()
            fields[number] = self._value(kind)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (1, 2):
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in (4, 5, 6):
            return self._zigzag()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            return self._list()
        if kind == 12:
            return self.struct()
        raise ValueError(f"its footer has an unknown type {kind}")

    def _list(self) -> list[Any]:
        header = self._byte()
        size = header >> 4 if header >> 4 != 15 else self._varint()
        kind = header & 0x0F
        return [self._byte() == 1 if kind in (1, 2) else self._value(kind) for _ in range(size)]

    def _byte(self) -> int:
        value = self._data[self._position]
        self._position += 1
        return value

    def _bytes(self, size: int) -> bytes:
        self._position += size
        return self._data[self._position - size : self._position]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
