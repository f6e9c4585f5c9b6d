"""Edits the footers of Parquet files: structs of Thrift in its compact encoding.

For files that no writer at hand makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TRUE, FALSE, BYTE, I32, I64, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 5, 6, 7, 8, 9, 10, 12

Value = Any
Struct = dict[int, tuple[int, Value]]
"""A struct's fields: by number, the type and the value. A list's is its items' type, and they."""

SCHEMA, ROW_GROUPS, CREATED_BY = 2, 4, 6
TYPE_LENGTH, REPETITION, NAME, CHILDREN, CONVERTED_TYPE, LOGICAL_TYPE = 2, 3, 4, 5, 6, 10
REQUIRED, OPTIONAL, REPEATED = range(3)


def edit_footer(content: bytes, change: Callable[[Struct], None]) -> bytes:
    """A file with the same pages and another footer."""
    size = int.from_bytes(content[-8:-4], "little")
    footer, _ = read_struct(content[-8 - size : -8])
    change(footer)
    written = write_struct(footer)
    return content[: -8 - size] + written + len(written).to_bytes(4, "little") + b"PAR1"


def edit_column(content: bytes, name: str, **fields: tuple[int, Value] | None) -> bytes:
    """Set fields of a top-level column's element of the schema, or take them out with None."""
    numbers = {"repetition": REPETITION, "converted": CONVERTED_TYPE, "logical": LOGICAL_TYPE}

    def change(footer: Struct) -> None:
        element = next(item for item in footer[SCHEMA][1][1] if item[NAME][1] == name.encode())
        for field, value in fields.items():
            element.pop(numbers[field], None)
            if value is not None:
                element[numbers[field]] = value

    return edit_footer(content, change)


def logical_type(number: int) -> tuple[int, Value]:
    """A logical type without arguments."""
    return (STRUCT, {number: (STRUCT, {})})


def created_by(content: bytes, writer: str) -> bytes:
    """A file that says another writer."""
    return edit_footer(
        content, lambda footer: footer.update({CREATED_BY: (BINARY, writer.encode())})
    )


def column_metadata(footer: Struct) -> list[Struct]:
    """The metadata of each column of each row group."""
    groups = footer[ROW_GROUPS][1][1]
    return [chunk[3][1] for group in groups for chunk in group[1][1][1]]


def read_struct(data: bytes, position: int = 0) -> tuple[Struct, int]:
    """A struct, and the position after it."""
    fields: Struct = {}
    number = 0
    while header := data[position]:
        position += 1
        if header >> 4:
            number += header >> 4
        else:
            number, position = _read_number(data, position)
        kind = header & 0x0F
        if kind in (TRUE, FALSE):
            fields[number] = (TRUE, kind == TRUE)
        else:
            value, position = _read(data, position, kind)
            fields[number] = (kind, value)
    return fields, position + 1


def write_struct(fields: Struct) -> bytes:
    """A struct's bytes."""
    written, last = b"", 0
    for number, (kind, value) in sorted(fields.items()):
        shown = kind if kind != TRUE or value else FALSE
        step = number - last
        written += bytes([step << 4 | shown]) if step < 16 else bytes([shown]) + _zigzag(number)
        written += b"" if kind == TRUE else _write(kind, value)
        last = number
    return written + b"\0"


def _read(data: bytes, position: int, kind: int) -> tuple[Value, int]:
    if kind in (TRUE, FALSE, BYTE):
        return data[position], position + 1
    if kind in (4, I32, I64):
        return _read_number(data, position)
    if kind == DOUBLE:
        return data[position : position + 8], position + 8
    if kind == BINARY:
        size, position = _read_varint(data, position)
        return data[position : position + size], position + size
    if kind == STRUCT:
        return read_struct(data, position)
    of_items, size = data[position] & 0x0F, data[position] >> 4
    position += 1
    if size == 15:
        size, position = _read_varint(data, position)
    items = []
    for _ in range(size):
        item, position = _read(data, position, of_items)
        items.append(item)
    return (of_items, items), position


def _write(kind: int, value: Value) -> bytes:
    if kind in (TRUE, FALSE, BYTE):
        return bytes([value])
    if kind in (4, I32, I64):
        return _zigzag(value)
    if kind == DOUBLE:
        return bytes(value)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind == STRUCT:
        return write_struct(value)
    of_items, items = value
    size = len(items)
    header = bytes([size << 4 | of_items]) if size < 15 else bytes([0xF0 | of_items]) + varint(size)
    return header + b"".join(_write(of_items, item) for item in items)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _read_number(data: bytes, position: int) -> tuple[int, int]:
    value, position = _read_varint(data, position)
    return value >> 1 ^ -(value & 1), position


def varint(value: int) -> bytes:
    """A number that isn't negative, seven bits a byte."""
    written = b""
    while value >= 0x80:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])


def _zigzag(value: int) -> bytes:
    return varint(value << 1 if value >= 0 else -(value << 1) - 1)
