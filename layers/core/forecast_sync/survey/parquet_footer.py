"""Reads the columns of a Parquet file from its footer, in the format's Thrift compact encoding.

A footer is whatever somebody has uploaded. Nothing in it is believed before it is checked: lengths
and counts against the bytes that are there, depth and number of columns against limits. Only the
schema's elements become objects, so memory grows with the columns and time with the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

MAGIC = b"PAR1"
FOOTER_END_BYTES = 8
MOST_FOOTER_BYTES = 8 * 1024 * 1024
"""A footer of 3,000 columns in 10 row groups has 3 MB."""

MOST_VALUES = 3_000_000
"""Fields and list values of a footer, which is its cost: these take about two seconds. The footer
of 3,000 columns in 10 row groups has 1,100,000."""

MOST_ELEMENTS = 20_000
"""Of the schema: columns, groups and what is in them."""

DEEPEST = 32
"""Lists and structs in one another; the format's own go to ten."""

LONGEST_VARINT = 10
"""Bytes of a 64-bit number."""

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

# Types of the compact encoding
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    12,
)
NUMBERS = frozenset({I16, I32, I64})
KINDS = frozenset({TRUE, FALSE, BYTE, *NUMBERS, DOUBLE, BINARY, LIST, SET, STRUCT})


class ParquetColumn(NamedTuple):
    """A top-level column: its physical type ("GROUP" when nested) and its logical one, or ""."""

    physical: str
    logical: str


class _Element(NamedTuple):
    """An element of the schema, which is a tree in depth-first order."""

    name: str
    physical: str
    logical: str
    children: int


def footer_size(tail: bytes) -> int:
    """How many bytes at the end of the file hold the footer; ``tail`` is the file's end.

    Raises ``ValueError`` when the file doesn't end as Parquet does, or claims a footer that is
    larger than ``MOST_FOOTER_BYTES``.
    """
    if len(tail) < FOOTER_END_BYTES or not tail.endswith(MAGIC):
        raise ValueError("it doesn't end with Parquet's magic bytes")
    size = int.from_bytes(tail[-8:-4], "little")
    if size > MOST_FOOTER_BYTES:
        raise ValueError(
            f"it claims a footer of {size:,} bytes, and at most {MOST_FOOTER_BYTES:,} are read"
        )
    return size + FOOTER_END_BYTES


def read_columns(tail: bytes) -> dict[str, ParquetColumn]:
    """The top-level columns by name; ``tail`` holds at least ``footer_size`` bytes.

    Raises ``ValueError`` when the footer can't be read, and nothing else, whatever the bytes are.
    """
    size = footer_size(tail)
    if size > len(tail):
        raise ValueError(f"it claims a footer of {size - FOOTER_END_BYTES:,} bytes and is shorter")
    elements = _Footer(tail[-size:-FOOTER_END_BYTES]).schema()
    columns = {}
    root = next(elements, None)
    if root is None:
        raise _damaged("it has no schema")
    for _ in range(root.children):
        element = _next(elements)
        columns[element.name.lower()] = ParquetColumn(element.physical, element.logical)
        pending = element.children
        while pending:
            pending += _next(elements).children - 1
    if next(elements, None) is not None:
        raise _damaged("its schema has more elements than it claims")
    return columns


def _next(elements: Iterator[_Element]) -> _Element:
    element = next(elements, None)
    if element is None:
        raise _damaged("its schema has fewer elements than it claims")
    return element


def _damaged(how: str) -> ValueError:
    return ValueError(f"its footer is damaged: {how}")


class _Footer:
    """A cursor over FileMetaData; only the schema's elements are kept, the rest is passed over."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._values_left = MOST_VALUES

    def schema(self) -> Iterator[_Element]:
        """The elements in their order.

        Reads the whole struct before the first one is given: what stands behind the schema may be
        damaged, or be another schema. Bytes behind the struct may be a signature.
        """
        found: list[_Element] | None = None
        for number, kind in self._fields():
            if number != SCHEMA:
                self._skip(kind, 1)
            elif found is not None:
                raise _damaged("it has two schemas")
            else:
                found = self._elements(kind)
        return iter(found or ())

    def _elements(self, kind: int) -> list[_Element]:
        if kind != LIST:
            raise _damaged("its schema isn't a list")
        size, kind = self._list_header()
        if kind != STRUCT:
            raise _damaged("its schema isn't a list of elements")
        if size > MOST_ELEMENTS:
            raise ValueError(
                f"its schema has {size:,} elements, and at most {MOST_ELEMENTS:,} are read"
            )
        return [self._element() for _ in range(size)]

    def _element(self) -> _Element:
        name, physical, logical, converted, children = None, "GROUP", "", "", 0
        for number, kind in self._fields():
            if number == TYPE and kind in NUMBERS:
                value = self._zigzag()
                if not 0 <= value < len(PHYSICAL):
                    raise _damaged(f"{value} is no physical type")
                physical = PHYSICAL[value]
            elif number == NAME and kind == BINARY:
                name = self._text()
            elif number == CHILDREN and kind in NUMBERS:
                children = self._zigzag()
                if not 0 <= children <= MOST_ELEMENTS:
                    raise _damaged(f"an element of its schema claims {children} children")
            elif number == CONVERTED_TYPE and kind in NUMBERS:
                converted = CONVERTED.get(self._zigzag(), "OTHER")
            elif number == LOGICAL_TYPE and kind == STRUCT:
                logical = self._union()
            else:
                self._skip(kind, 3)
        if name is None:
            raise _damaged("an element of its schema has no name")
        return _Element(name, physical, logical or converted, children)

    def _union(self) -> str:
        """The name of the logical type: the first member that is set."""
        logical = ""
        for number, kind in self._fields():
            logical = logical or LOGICAL.get(number, "OTHER")
            self._skip(kind, 4)
        return logical

    def _fields(self) -> Iterator[tuple[int, int]]:
        """Number and type of each field of a struct; the caller reads or skips its value."""
        number = 0
        while kind := (header := self._byte()) & 0x0F:
            if kind not in KINDS:
                raise _damaged(f"it has an unknown type {kind}")
            number = number + (header >> 4) if header >> 4 else self._zigzag()
            self._spend(1)
            yield number, kind

    def _skip(self, kind: int, depth: int) -> None:
        """Pass over a field's value."""
        if kind in (TRUE, FALSE):
            return  # A field's truth is in its type.
        self._skip_value(kind, depth)

    def _skip_value(self, kind: int, depth: int) -> None:
        if kind in (TRUE, FALSE, BYTE):
            self._advance(1)
        elif kind in NUMBERS:
            self._varint()
        elif kind == DOUBLE:
            self._advance(8)
        elif kind == BINARY:
            self._advance(self._varint())
        elif depth >= DEEPEST:
            raise _damaged(f"it nests deeper than {DEEPEST}")
        elif kind == STRUCT:
            for _, of_field in self._fields():
                self._skip(of_field, depth + 1)
        else:
            size, of_value = self._list_header()
            if of_value in (TRUE, FALSE, BYTE):
                self._advance(size)
                return
            for _ in range(size):
                self._skip_value(of_value, depth + 1)

    def _list_header(self) -> tuple[int, int]:
        """How many values, and their type; each takes a byte at least."""
        header = self._byte()
        size = header >> 4 if header >> 4 != 15 else self._varint()
        kind = header & 0x0F
        if size and kind not in KINDS:
            raise _damaged(f"it has an unknown type {kind}")
        self._require(size)
        self._spend(size)
        return size, kind

    def _spend(self, values: int) -> None:
        self._values_left -= values
        if self._values_left < 0:
            raise ValueError(
                f"its footer has more than {MOST_VALUES:,} values, and no more are read"
            )

    def _text(self) -> str:
        size = self._varint()
        start = self._position
        self._advance(size)
        try:
            return self._data[start : self._position].decode()
        except UnicodeDecodeError:
            raise _damaged("a name in its schema isn't UTF-8") from None

    def _byte(self) -> int:
        position = self._position
        if position >= len(self._data):
            raise _damaged("it claims more bytes than it has")
        self._position = position + 1
        return self._data[position]

    def _advance(self, size: int) -> None:
        self._require(size)
        self._position += size

    def _require(self, size: int) -> None:
        if size > len(self._data) - self._position:
            raise _damaged("it claims more bytes than it has")

    def _varint(self) -> int:
        value = self._byte()
        if value < 0x80:
            return value
        value &= 0x7F
        for shift in range(7, 7 * LONGEST_VARINT, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise _damaged("it has a number of more than 64 bits")

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
