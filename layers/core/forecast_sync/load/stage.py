"""Copies a batch's lines into a temporary table, and from there to the target or the rejects."""

from __future__ import annotations

from collections.abc import Iterator

from forecast_sync.adapters.postgres import Cursor, copy_in, statement
from forecast_sync.contracts.run import Run
from forecast_sync.load.merge import BY_INDEX, SMALL_BATCH, Merger
from forecast_sync.target.expressions import list_names


def stage_rows(
    cursor: Cursor, lines: Iterator[bytes], merger: Merger, *, dry_run: bool
) -> dict[str, int]:
    """Stage and merge lines of good rows; a dry run only compares them.

    Returns inserted, updated, unchanged, and the checksum of these rows in the target.
    """
    merger.create_stage(cursor)
    staged = copy_in(cursor, merger.statements.copy_stage, lines)
    if not dry_run:
        return merger.merge(cursor, staged)
    compared = merger.compare(cursor, staged)
    if staged <= SMALL_BATCH:
        # The statements that describe the changes join the target too.
        cursor.execute(BY_INDEX)
    return {
        "inserted": compared.missing,
        "updated": staged - compared.missing - compared.unchanged,
        "unchanged": compared.unchanged,
        "checksum": 0,
    }


def stage_rejects(cursor: Cursor, lines: Iterator[bytes], run: Run) -> int:
    """Stage and save lines of rejected rows, or only count them in a dry run; how many they are."""
    cursor.execute(statement("load/create_reject_stage.sql"))
    columns = list_names(["source_file", "reason", "row_json"])
    copy_stage = statement("load/copy_stage.sql", columns=columns).as_bytes()
    staged = copy_in(cursor, copy_stage, lines)
    if not run.dry_run:
        parameters = {
            "run_id": run.run_id,
            "full": run.sync_type == "full",
            "scope": run.scope,
        }
        cursor.execute(statement("load/save_rejects.sql"), parameters)
    return staged
