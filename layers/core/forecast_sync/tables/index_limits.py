"""How much text an index of the target holds: Postgres refuses a row (54000) that exceeds it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from forecast_sync.tables.model import Column, Table

ENTRY_BYTES = 2704
"""The most of a B-tree's entry, on pages of 8 kB (``BTMaxItemSize`` in Postgres' nbtree.h)."""

HEADER_BYTES = 16
"""The size of an entry's header when it has NULLs, aligned."""

TEXT_OVERHEAD = 7
"""A text's own header and its alignment."""

PLAIN_BYTES = 15
"""The most that any other value takes, aligned; a number's digits come on top."""

UUID_BYTES = 16

UTF8_BYTES = 4
"""The most of a character."""

TEXTS = ("varchar", "text")

KEY_INDEX = "the key"
"""What messages call the unique index of the key."""


class TextLimit(NamedTuple):
    """The texts of an index, and how many bytes of UTF-8 they may have together.

    Postgres compresses an entry's texts, so it may hold longer ones; whether it does depends on
    what they say, and a row's fate mustn't.
    """

    index_name: str
    columns: tuple[str, ...]
    most_bytes: int


def find_text_limits(table: Table) -> Iterator[TextLimit]:
    """The indexes, the key's among them, whose texts can be longer than an entry holds."""
    columns = {column.name: column for column in table.column}
    indexes = [(KEY_INDEX, table.target.key)]
    indexes += [(f"the index {index.name}", index.columns) for index in table.target.index]
    for index, names in indexes:
        texts = [columns[name] for name in names if _is_text(columns.get(name))]
        others = [columns.get(name) for name in names if not _is_text(columns.get(name))]
        most_bytes = ENTRY_BYTES - HEADER_BYTES - TEXT_OVERHEAD * len(texts)
        most_bytes -= sum(map(_plain_bytes, others))
        if not all(text.arguments for text in texts) or most_bytes < UTF8_BYTES * sum(
            text.arguments[0] for text in texts
        ):
            yield TextLimit(index, tuple(text.name for text in texts), most_bytes)


def _is_text(column: Column | None) -> bool:
    return column is not None and column.kind in TEXTS


def _plain_bytes(column: Column | None) -> int:
    """The most that another value takes; None is one of the columns that the sync fills itself."""
    if column is not None and column.kind == "uuid":
        return UUID_BYTES
    if column is None or column.kind != "numeric":
        return PLAIN_BYTES
    # Two bytes hold four decimal digits.
    return PLAIN_BYTES + 2 * (column.arguments[0] // 4 + 2)
