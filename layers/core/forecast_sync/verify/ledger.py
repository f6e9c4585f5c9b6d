"""What the ledger in Postgres says that a run has loaded."""

from __future__ import annotations

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.contracts.counts import Counts, Profile


def read_counts(
    connection: Connection, query_execution_id: str, profile: Profile
) -> tuple[Counts, int]:
    """The run's counts and the ledger's checksum; what isn't loaded is counted by the profile."""
    with transaction(connection) as cursor:
        row = cursor.execute(
            statement("verify/sum_ledger.sql"), {"query_execution_id": query_execution_id}
        ).fetchone()
    inserted, updated, unchanged, rejected, checksum, deleted = map(int, row or (0,) * 6)
    counts = Counts(
        window_rows=profile.window_rows,
        rejected=rejected,
        candidates=profile.candidates,
        superseded=profile.superseded,
        good=inserted + updated + unchanged,
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
        deleted=deleted,
        warnings=profile.warnings,
    )
    return counts, checksum
