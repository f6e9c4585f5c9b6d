"""What the watermark rests on: the run that moved it, and whether its rows still hold.

The watermark says that everything older is in the target. That was true for one table file; when it
no longer is, an incremental run reads the whole lake by itself.
"""

from __future__ import annotations

from typing import NamedTuple

from forecast_sync.adapters.postgres import Cursor, statement


class Basis(NamedTuple):
    """The run that moved the lake's watermark last.

    ``definition`` is None when an older version has filled the database; ``mixed`` is whether a run
    with another definition, or of another lake, has written since.
    """

    run_id: str
    definition: str | None
    mixed: bool


def read_basis(cursor: Cursor, source: str, definition: str) -> Basis | None:
    """What the watermark of the lake ``source`` rests on; None before the first success."""
    values = {"source": source, "definition": definition}
    row = cursor.execute(statement("lease/read_basis.sql"), values).fetchone()
    return Basis(*row) if row else None


def find_reason(basis: Basis, definition: str) -> str | None:
    """Why a run of this definition can't build on the watermark; None when it can.

    A database that an older version filled adopts the present definition.
    """
    if basis.definition not in (None, definition):
        return (
            f"The table file has changed since run {basis.run_id}: its definition was "
            f"{basis.definition}, and is {definition} now."
        )
    if basis.mixed:
        return (
            f"Since run {basis.run_id}, a run of another table file or another lake has written "
            "to the target."
        )
    return None
