"""The target's identifiers and columns as SQL, which the statements are composed of."""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from forecast_sync.tables import Column, Table
from forecast_sync.text.size_limits import VALUE_CHARACTERS

Parts = dict[str, sql.Composable]

NUL = "\\u0000"
"""NUL as JSON escapes it. Postgres can read no value of a document that contains one."""


WRITTEN_AS_CAST = ("smallint", "integer", "bigint", "date", "numeric", "uuid")


def compose_parts(table: Table, *, checksum: bool = True, absent: Sequence[Column] = ()) -> Parts:
    """The values of the statements' placeholders; ``hash`` is 0 without ``checksum``.

    ``absent`` are columns that the target lacks: in statements that only read it, they are NULL.
    """
    key, values = table.target.key, table.values
    written_at = sql.Identifier(table.target.written_at)
    sets_time = sql.SQL("{} = CURRENT_TIMESTAMP").format(written_at)
    assignments = [sql.SQL("{0} = source.{0}").format(sql.Identifier(name)) for name in values]
    return {
        "target": _with_absent(table, absent),
        "columns": list_names(table.names),
        "written_at": written_at,
        "key": list_names(key),
        "first_key": sql.Identifier(key[0]),
        "values": sql.SQL(", ").join(sql.Identifier("source", name) for name in table.names),
        "same_key": _pairs("{} = {}", key, " AND "),
        "differs": _pairs("{} IS DISTINCT FROM {}", values, " OR "),
        "assignments": sql.SQL(", ").join([*assignments, sets_time]),
        "hash": row_hash(table) if checksum else sql.SQL("0::bigint"),
    }


def _with_absent(table: Table, absent: Sequence[Column]) -> sql.Composable:
    """The target, or a query for its rows with NULL in columns that it lacks."""
    target = sql.Identifier(table.target.table)
    if not absent:
        return target
    nulls = sql.SQL(", ").join(
        sql.SQL("NULL::{} AS {}").format(type_sql(column), sql.Identifier(column.name))
        for column in absent
    )
    return sql.SQL("(SELECT *, {} FROM {})").format(nulls, target)


def list_names(names: tuple[str, ...] | list[str]) -> sql.Composable:
    """Identifiers, separated by commas."""
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _pairs(template: str, names: tuple[str, ...], separator: str) -> sql.Composable:
    return sql.SQL(separator).join(
        sql.SQL(template).format(sql.Identifier("target", name), sql.Identifier("source", name))
        for name in names
    )


def row_hash(table: Table) -> sql.Composable:
    """60 bits of the md5 of a target row's line, in exactly the form that Athena sent."""
    line = sql.SQL(", ").join(
        sql.Identifier("target", column.name) if _needs_no_cast(column) else copy_field(column)
        for column in table.column
    )
    return sql.SQL(r"('0x' || md5(concat_ws(E'\t', {})))::varchar(17)::bigint").format(line)


def _needs_no_cast(column: Column) -> bool:
    """Whether ``concat_ws`` converts the value as a cast to text would, but faster."""
    return column.required and column.kind in WRITTEN_AS_CAST


def copy_field(column: Column) -> sql.Composable:
    """A target column as a COPY text field, escaped as Athena escapes it."""
    name = sql.Identifier("target", column.name)
    text: sql.Composable = sql.SQL("{}::text").format(name)
    if column.kind in ("real", "double"):
        text = _float_bits(name)
    elif column.kind == "timestamptz":
        utc = sql.SQL("{} AT TIME ZONE 'UTC'").format(name)
        text = sql.SQL("to_char({}, 'YYYY-MM-DD HH24:MI:SS.US') || '+00'").format(utc)
    elif column.kind == "timestamp":
        text = sql.SQL("to_char({}, 'YYYY-MM-DD HH24:MI:SS.US')").format(name)
    elif column.kind in ("varchar", "text"):
        for plain, escaped in ((r"\\", r"\\\\"), (r"\t", r"\\t"), (r"\n", r"\\n"), (r"\r", r"\\r")):
            pair = sql.SQL(f"E'{plain}', E'{escaped}'")
            text = sql.SQL("replace({}, {})").format(text, pair)
    return text if column.required else sql.SQL(r"coalesce({}, E'\\N')").format(text)


def _float_bits(name: sql.Composable) -> sql.Composable:
    """A float's bits as a hexadecimal number, as ``athena_sql`` writes them; -0 is 0.

    Each engine has decimal digits of its own for the same float, and C's strtod, with which
    Postgres reads floats, takes this form too. A real is written as the double that is equal to it.
    """
    double = sql.SQL("{}::double precision").format(name)
    digits = sql.SQL("encode(float8send(abs({})), 'hex')").format(double)
    exponent = sql.SQL("('0x' || left({}, 3))::integer").format(digits)
    return sql.SQL(
        "CASE WHEN {name} = 0 THEN '0' WHEN {name} IN ('NaN', 'Infinity', '-Infinity') "
        "THEN {name}::text ELSE CASE WHEN {name} < 0 THEN '-' ELSE '' END || "
        "CASE WHEN {exponent} = 0 THEN '0x0.' ELSE '0x1.' END || substr({digits}, 4) || 'p' || "
        "(greatest({exponent}, 1) - 1023)::text END"
    ).format(name=name, digits=digits, exponent=exponent)


def type_sql(column: Column) -> sql.SQL:
    """A column's type in a definition."""
    return sql.SQL("double precision" if column.kind == "double" else column.type)


def shown(text: sql.Composable) -> sql.Composable:
    """A text as shown to people: only its beginning and its length when it is long."""
    return sql.SQL(
        "CASE WHEN length({text}) > {characters} THEN left({text}, {characters}) || '… (' || "
        "to_char(length({text}), 'FM999,999,999,999') || ' characters)' ELSE {text} END"
    ).format(text=text, characters=sql.Literal(VALUE_CHARACTERS))


def reject_value(name: str) -> sql.Composable:
    """A value of a rejected row as text; SQL NULL if the row contains a NUL character."""
    return sql.SQL("CASE WHEN strpos(row_json::text, {}) = 0 THEN row_json ->> {} END").format(
        sql.Literal(NUL), sql.Literal(name)
    )
