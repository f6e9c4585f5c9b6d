"""The statements of a batch, composed for a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from psycopg import sql

from forecast_sync.adapters.postgres import statement
from forecast_sync.tables import Column, Table
from forecast_sync.target.expressions import compose_parts


class BatchStatements(NamedTuple):
    """The statements of a batch as sent to the server, composed once per page."""

    create_stage: bytes
    copy_stage: bytes
    has_rows: bytes
    count_near: bytes
    compare: bytes
    compare_near: bytes
    insert: bytes
    merge: bytes


def compose_batch(
    table: Table, *, checksum: bool, absent: Sequence[Column] = ()
) -> BatchStatements:
    """A table's statements; with ``checksum`` the insert also counts and sums its rows.

    ``absent`` are columns that the target of a dry run lacks.
    """
    parts = compose_parts(table, checksum=checksum, absent=absent)

    def compose(name: str, **more: sql.Composable) -> bytes:
        return statement(name, **parts, **more).as_bytes()

    near = sql.SQL("({})").format(statement("load/near.sql", **parts))
    insert = statement("load/insert_stage.sql", **parts)
    return BatchStatements(
        create_stage=compose("load/create_stage.sql"),
        copy_stage=compose("load/copy_stage.sql"),
        has_rows=compose("load/has_rows.sql"),
        count_near=compose("load/count_near.sql"),
        compare=compose("load/compare_stage.sql", opposite=parts["target"]),
        compare_near=compose("load/compare_stage.sql", opposite=near),
        insert=compose("load/sum_inserted.sql", insert=insert) if checksum else insert.as_bytes(),
        merge=compose("load/merge_stage.sql"),
    )
