"""Probes: a run's own statements over no rows, over one row of the lake, and over a made-up row.

The code that composes a run's statements composes these, too. The made-up row holds values that are
easily garbled between Athena and Postgres. It is written three times, independently: as an Athena
query, as the line that an UNLOAD must write, and as the values that Postgres must read from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from forecast_sync.config import Settings
from forecast_sync.contracts.run import Window
from forecast_sync.contracts.survey import Survey
from forecast_sync.extract.athena_sql import (
    Dates,
    build_extract,
    build_listed,
    build_profile,
    quote_literal,
    quote_name,
    source_of,
)
from forecast_sync.sql import read_statement
from forecast_sync.tables import Column, Table

TEXT = "\\\t\n\r\\N é🍕 'quoted'"
ESCAPED = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}

VALUES = {
    "smallint": ("-7", "-7"),
    "integer": ("-7", "-7"),
    "real": ("-0.1", "-0.1"),
    "double": ("0.1E0 + 0.2E0", "0.30000000000000004"),
    "timestamptz": (
        (
            "at_timezone(CAST(TIMESTAMP '2026-02-28 18:29:59.120' AS timestamp with time zone), "
            "'Asia/Kolkata')"
        ),
        "2026-02-28 18:29:59.12+00",
    ),
    "uuid": (
        "'{6F9619FF-8B86-D011-B42D-00C04FC964FF}'",
        "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    ),
    "bigint": ("BIGINT '-7000000000'", "-7000000000"),
    "boolean": ("true", "true"),
    "timestamp": ("TIMESTAMP '2026-02-28 23:59:59.120'", "2026-02-28 23:59:59.12"),
    "date": ("DATE '2026-02-28'", "2026-02-28"),
}
"""By kind of column: the value in Athena, and its text in Postgres."""

FLOATS = {"real": "-0x1.99999a0000000p-4", "double": "0x1.3333333333334p-2"}
"""The floats in ``VALUES`` as lines have them."""

HALF = "1.005"
"""1.01 when its shortest decimal form is rounded half up, as Trino does; 1.00 in binary."""

ATHENA_TYPES = {
    "numeric": "double",
    "varchar": "varchar",
    "text": "varchar",
    "uuid": "varchar",
    "timestamptz": "timestamp with time zone",
}

PROBE_PATH = "s3://probe/row.parquet"
PROBED_AT = datetime(2026, 2, 28, tzinfo=UTC)


class Statements(NamedTuple):
    """An extract and the profile that it must add up to."""

    extract: str
    profile: str


def listed_window(survey_id: str) -> Window:
    """The window of an incremental run whose lists are the partitions of ``survey_id``."""
    survey = Survey(survey_id=survey_id, location="", began_at=PROBED_AT, done=True, reads=None)
    return Window(low=PROBED_AT, high=PROBED_AT, survey=survey)


def build_empty(table: Table, settings: Settings, prefix: str, survey_id: str) -> Statements:
    """An incremental run's statements over empty lists; results are written under ``prefix``."""
    window = listed_window(survey_id)
    return Statements(
        build_extract(table, settings, Dates(), window, prefix, 1),
        build_profile(table, settings, Dates(), window),
    )


def build_sample(table: Table, settings: Settings, survey_id: str) -> str:
    """The SELECT that picks a row for ``build_one`` from the lists' objects: one or none."""
    sources = {name: quote_name(name) for name in table.target.key}
    return read_statement("diagnostics/sample.athena.sql").format(
        date=sources[table.source.date],
        keys=", ".join(
            f"CAST({name} AS varchar) AS key_{number}"
            for number, name in enumerate(sources.values())
        ),
        lake=build_listed(table, settings, Dates(), listed_window(survey_id)),
        present=" AND ".join(f"{name} IS NOT NULL" for name in sources.values()),
    )


def build_one(
    table: Table, settings: Settings, prefix: str, sample: Mapping[str, str], survey_id: str
) -> Statements:
    """A run's statements over the key of the row that ``build_sample`` picked.

    The lists have the object of that row.
    """
    columns = {column.name: column for column in table.column}
    conditions = [
        f"CAST({source_of(columns[name])} AS varchar) = {quote_literal(sample[f'key_{number}'])}"
        for number, name in enumerate(table.target.key)
    ]
    if table.source.filter:
        conditions.append(f"({table.source.filter})")
    source = table.source.model_copy(update={"filter": " AND ".join(conditions)})
    narrowed = table.model_copy(update={"source": source})
    day = date.fromisoformat(sample["day"])
    window = listed_window(survey_id)
    return Statements(
        build_extract(narrowed, settings, Dates(day, day), window, prefix, 1),
        build_profile(narrowed, settings, Dates(day, day), window),
    )


def build_probe(table: Table, settings: Settings, prefix: str) -> Statements:
    """A run's statements over the made-up row, without the table file's rules."""
    ruleless = table.model_copy(update={"reject": (), "expect": ()})
    window, row = Window(high=PROBED_AT), _probe(table)
    return Statements(
        build_extract(ruleless, settings, Dates(), window, prefix, 1, row),
        build_profile(ruleless, settings, Dates(), window, row),
    )


def expected_values(table: Table) -> dict[str, str | None]:
    """The values, as text, that Postgres must hold."""
    return {column.name: _text(column, table) for column in table.column}


def expected_line(table: Table) -> str:
    """The line that Athena must write, without the newline."""
    return "\t".join(_as_field(column, table) for column in table.column)


def _as_field(column: Column, table: Table) -> str:
    text = _text(column, table)
    if text is None:
        return "\\N"
    if column.kind == "timestamp":
        return text.ljust(len("2026-02-28 23:59:59.120000"), "0")
    if column.kind == "timestamptz":
        return f"{text.removesuffix('+00').ljust(len('2026-02-28 23:59:59.120000'), '0')}+00"
    if column.kind in FLOATS:
        return FLOATS[column.kind]
    return "".join(ESCAPED.get(letter, letter) for letter in text)


def _probe(table: Table) -> str:
    """The made-up row, as a query in place of the lake."""
    return read_statement("diagnostics/probe.athena.sql").format(
        path=quote_literal(PROBE_PATH),
        modified=quote_literal(PROBED_AT.isoformat()),
        values=", ".join(
            f"{_expression(column, table)} AS {quote_name(column.name)}" for column in table.column
        )
        + (", false AS row__deleted" if table.source.deleted else ""),
    )


def _expression(column: Column, table: Table) -> str:
    text = _text(column, table)
    if text is None:
        return f"CAST(NULL AS {ATHENA_TYPES.get(column.kind, column.kind)})"
    if column.kind == "numeric":
        return f"CAST({HALF} AS double)"
    return VALUES[column.kind][0] if column.kind in VALUES else quote_literal(text)


def _text(column: Column, table: Table) -> str | None:
    """NULL in the last nullable column; texts as long as their column allows."""
    last_nullable = [item.name for item in table.column if not item.required][-1:]
    if [column.name] == last_nullable:
        return None
    if column.kind == "numeric":
        return str(Decimal(HALF).quantize(Decimal(1).scaleb(-column.arguments[1]), ROUND_HALF_UP))
    if column.kind in VALUES:
        return VALUES[column.kind][1]
    return TEXT[: column.arguments[0]] if column.arguments else TEXT
