"""Probing: one row with everything that gets lost on other ways, from Athena to Postgres.

The row is written down three times, independently: as an Athena query, as the line that its
UNLOAD must write, and as the values that Postgres must read from that line.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from forecast_sync.extract.athena_sql import (
    LINE_HASH,
    copy_line,
    exact_columns,
    quote_literal,
    quote_name,
)
from forecast_sync.sql import read_statement
from forecast_sync.tables import Column, Table

TEXT = "\\\t\n\r\\N é🍕 'quoted'"
ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}

VALUES = {
    "integer": ("-7", "-7"),
    "bigint": ("BIGINT '-7000000000'", "-7000000000"),
    "boolean": ("true", "true"),
    "timestamp": ("TIMESTAMP '2026-02-28 23:59:59.120'", "2026-02-28 23:59:59.12"),
    "date": ("DATE '2026-02-28'", "2026-02-28"),
}
"""By kind of column: the value in Athena, and its text in Postgres."""

HALF = "1.005"
"""Half up on its shortest decimal form, as Trino rounds, it is 1.01; in binary it is under half."""

ATHENA_TYPES = {"numeric": "double", "varchar": "varchar", "text": "varchar"}


def build_probe_unload(table: Table, prefix: str) -> str:
    """The UNLOAD of the probe's row under ``prefix`` (``s3://...``)."""
    return read_statement("diagnostics/probe_unload.athena.sql").format(
        probe=_probe(table), prefix=quote_literal(prefix)
    )


def build_probe_select(table: Table) -> str:
    """The SELECT of the probe's line and its 60 bits of md5; one row."""
    return read_statement("diagnostics/probe_select.athena.sql").format(
        probe=_probe(table), line_hash=LINE_HASH
    )


def expected_values(table: Table) -> dict[str, str | None]:
    """The values, as text, that Postgres must hold."""
    return {column.name: _text(column, table) for column in table.column}


def expected_line(table: Table) -> str:
    """The line that Athena must write, without its end."""
    return "\t".join(_as_field(column, table) for column in table.column)


def _as_field(column: Column, table: Table) -> str:
    text = _text(column, table)
    if text is None:
        return "\\N"
    if column.kind == "timestamp":
        return text.ljust(len("2026-02-28 23:59:59.120000"), "0")
    return "".join(ESCAPED.get(letter, letter) for letter in text)


def _probe(table: Table) -> str:
    values = ", ".join(
        f"{_expression(column, table)} AS {quote_name(column.name)}" for column in table.column
    )
    return read_statement("diagnostics/probe.athena.sql").format(
        values=values, exact_columns=exact_columns(table), line=copy_line(table)
    )


def _expression(column: Column, table: Table) -> str:
    text = _text(column, table)
    if text is None:
        return f"CAST(NULL AS {ATHENA_TYPES.get(column.kind, column.kind)})"
    if column.kind == "numeric":
        return f"CAST({HALF} AS double)"
    return VALUES[column.kind][0] if column.kind in VALUES else quote_literal(text)


def _text(column: Column, table: Table) -> str | None:
    """NULL in the last column that may be NULL; text as long as it may be."""
    last_nullable = [item.name for item in table.column if not item.required][-1:]
    if [column.name] == last_nullable:
        return None
    if column.kind == "numeric":
        return str(Decimal(HALF).quantize(Decimal(1).scaleb(-column.arguments[1]), ROUND_HALF_UP))
    if column.kind in VALUES:
        return VALUES[column.kind][1]
    return TEXT[: column.arguments[0]] if column.arguments else TEXT
