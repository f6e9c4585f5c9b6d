"""Staging: a batch's lines into a temporary table, and from there into the target."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from forecast_sync.adapters.postgres import statement
from forecast_sync.contracts import Run
from forecast_sync.errors import BatchConflict, ResultInvalid
from forecast_sync.leases import Rows
from forecast_sync.tables import Column, Table

INDEX_ONLY_ROWS = 50_000
"""Up to this many rows are looked up by index. Left alone, the planner reads the whole target for
each small batch when the target has grown since it was analyzed, as it does in a first load."""


def stage_rows(
    cursor: Rows, lines: Iterator[bytes], table: Table, *, dry_run: bool
) -> dict[str, int]:
    """Stage and merge lines of good rows; a dry run only compares.

    Returns inserted, updated, unchanged and the checksum of what then stands in the target.
    """
    parts = compose_parts(table)
    cursor.execute(statement("create_stage.sql", **parts))
    staged = _copy(cursor, lines, parts["columns"])
    if staged <= INDEX_ONLY_ROWS:
        cursor.execute("SET LOCAL enable_hashjoin = off")
        cursor.execute("SET LOCAL enable_mergejoin = off")
    if dry_run:
        return _compare(cursor, parts, staged)
    merge = statement("merge_stage.sql", **parts)
    inserted, updated, unchanged, checksum = _one_row(cursor.execute(merge))
    if inserted + updated + unchanged != staged:
        raise BatchConflict(
            f"Of {staged} rows {inserted} were inserted, {updated} updated and {unchanged} found "
            "equal: another transaction or a trigger got in the way."
        )
    return {"inserted": inserted, "updated": updated, "unchanged": unchanged, "checksum": checksum}


def stage_rejects(cursor: Rows, lines: Iterator[bytes], run: Run) -> int:
    """Stage and keep lines of rejected rows, or only count them in a dry run; how many they are."""
    cursor.execute(statement("create_reject_stage.sql"))
    staged = _copy(cursor, lines, _names(["source_file", "reason", "row_json"]))
    if not run.dry_run:
        known = {"run_id": run.run_id, "full": run.sync_type == "full"}
        cursor.execute(statement("keep_rejects.sql"), known)
    return staged


def _compare(cursor: Rows, parts: dict[str, sql.Composable], staged: int) -> dict[str, int]:
    compare = statement("compare_stage.sql", **parts)
    inserted, updated = _one_row(cursor.execute(compare))
    unchanged = staged - inserted - updated
    return {"inserted": inserted, "updated": updated, "unchanged": unchanged, "checksum": 0}


def _copy(cursor: Rows, lines: Iterator[bytes], columns: sql.Composable) -> int:
    sent = 0
    with cursor.copy(statement("copy_stage.sql", columns=columns)) as copy:
        for block in lines:
            sent += block.count(b"\n")
            copy.write(block)
    if cursor.rowcount != sent:
        raise ResultInvalid(f"COPY took {cursor.rowcount} rows of {sent} lines.")
    return sent


def _one_row(cursor: Rows) -> tuple[int, ...]:
    row = cursor.fetchone()
    return tuple(int(value) for value in row) if row else ()


def compose_parts(table: Table) -> dict[str, sql.Composable]:
    """The identifiers and expressions that the statements are composed of."""
    key, values = table.target.key, table.values
    written_at = sql.SQL("{} = CURRENT_TIMESTAMP").format(sql.Identifier(table.target.written_at))
    assignments = [sql.SQL("{0} = source.{0}").format(sql.Identifier(name)) for name in values]
    return {
        "target": sql.Identifier(table.target.table),
        "columns": _names(table.names),
        "key": _names(key),
        "first_key": sql.Identifier(key[0]),
        "values": sql.SQL(", ").join(sql.Identifier("source", name) for name in table.names),
        "same_key": _pairs("{} = {}", key, " AND "),
        "differs": _pairs("{} IS DISTINCT FROM {}", values, " OR "),
        "assignments": sql.SQL(", ").join([*assignments, written_at]),
        "hash": row_hash(table),
    }


def _names(names: tuple[str, ...] | list[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _pairs(template: str, names: tuple[str, ...], separator: str) -> sql.Composable:
    return sql.SQL(separator).join(
        sql.SQL(template).format(sql.Identifier("target", name), sql.Identifier("source", name))
        for name in names
    )


def row_hash(table: Table) -> sql.Composable:
    """60 bits of the md5 of a target row's line, in the form in which Athena sent it."""
    line = sql.SQL(" || E'\\t' || ").join(copy_field(column) for column in table.column)
    return sql.SQL("('x' || substr(md5({}), 1, 15))::bit(60)::bigint").format(line)


def copy_field(column: Column) -> sql.Composable:
    """A target column as a COPY-text field, escaped as Athena escaped it."""
    name = sql.Identifier("target", column.name)
    text: sql.Composable = sql.SQL("{}::text").format(name)
    if column.kind == "timestamp":
        text = sql.SQL("to_char({}, 'YYYY-MM-DD HH24:MI:SS.US')").format(name)
    elif column.kind in ("varchar", "text"):
        for plain, escaped in ((r"\\", r"\\\\"), (r"\t", r"\\t"), (r"\n", r"\\n"), (r"\r", r"\\r")):
            pair = sql.SQL(f"E'{plain}', E'{escaped}'")
            text = sql.SQL("replace({}, {})").format(text, pair)
    return text if column.required else sql.SQL(r"coalesce({}, E'\\N')").format(text)
