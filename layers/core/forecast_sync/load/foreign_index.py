"""Tells a unique index that somebody added to the target from the one on its key.

Another session may insert a key at the same moment as a batch, and the batch's next try finds it.
A unique index on other columns refuses the same row each time, and each try uses up serial ids.
"""

from __future__ import annotations

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.errors import BatchConflict, BatchRefused
from forecast_sync.tables import Table

OWN_TABLES = "forecast_sync_"
"""The beginning of the names of this package's own tables, whose keys only collide in races."""


def refuse_foreign_index(connection: Connection, table: Table, conflict: BatchConflict) -> None:
    """Raise ``BatchRefused`` if a unique index refused a row that isn't on the whole key."""
    if conflict.index is None:
        return
    schema, index_table, name = conflict.index
    if index_table.startswith(OWN_TABLES):
        return
    parameters = {"schema": schema, "name": name}
    with transaction(connection) as cursor:
        row = cursor.execute(statement("load/list_unique_columns.sql"), parameters).fetchone()
    columns: list[str] = row[0] if row and row[0] else []
    is_on_key = index_table == table.target.table and {*table.target.key} <= {*columns}
    if is_on_key or not columns:
        return  # Without columns, the index was dropped meanwhile.
    raise BatchRefused(
        f"{conflict}. It is on {', '.join(columns)}, and the key of {table.target.table} is "
        f"{', '.join(table.target.key)}: drop it, or correct the rows at their source. "
        "Then redrive."
    ) from None
