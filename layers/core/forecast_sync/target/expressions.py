"""The target's identifiers and columns as SQL, which the statements are composed of."""

from __future__ import annotations

from psycopg import sql

from forecast_sync.tables import Column, Table
from forecast_sync.text.size_limits import VALUE_CHARACTERS

Parts = dict[str, sql.Composable]

NUL = "\\u0000"
"""NUL as JSON escapes it. Postgres can read no value of a document that contains one."""


def compose_parts(table: Table, *, checksum: bool = True) -> Parts:
    """The values of the statements' placeholders; ``hash`` is 0 without ``checksum``."""
    key, values = table.target.key, table.values
    written_at = sql.Identifier(table.target.written_at)
    sets_time = sql.SQL("{} = CURRENT_TIMESTAMP").format(written_at)
    assignments = [sql.SQL("{0} = source.{0}").format(sql.Identifier(name)) for name in values]
    return {
        "target": sql.Identifier(table.target.table),
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
    return column.required and column.kind in ("integer", "bigint", "date", "numeric")


def copy_field(column: Column) -> sql.Composable:
    """A target column as a COPY text field, escaped as Athena escapes it."""
    name = sql.Identifier("target", column.name)
    text: sql.Composable = sql.SQL("{}::text").format(name)
    if column.kind == "timestamp":
        text = sql.SQL("to_char({}, 'YYYY-MM-DD HH24:MI:SS.US')").format(name)
    elif column.kind in ("varchar", "text"):
        for plain, escaped in ((r"\\", r"\\\\"), (r"\t", r"\\t"), (r"\n", r"\\n"), (r"\r", r"\\r")):
            pair = sql.SQL(f"E'{plain}', E'{escaped}'")
            text = sql.SQL("replace({}, {})").format(text, pair)
    return text if column.required else sql.SQL(r"coalesce({}, E'\\N')").format(text)


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
