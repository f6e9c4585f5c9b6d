"""Verifying: what Athena counted in the lake against what Postgres has in its ledger."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from forecast_sync import leases
from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.adapters.s3 import Listed, split_location
from forecast_sync.contracts import Counts, Profile, Run, VerifyRequest
from forecast_sync.errors import InputsOutdated, SourceChanged, VerificationFailed
from forecast_sync.settings import Settings

RENEWALS_PER_REDRIVE = 2


class Lake(Protocol):
    """What verifying needs of S3."""

    def list(self, bucket: str, prefix: str) -> Iterable[Listed]:
        """The objects under a prefix."""
        ...


def verify_load(
    connection: Connection, lake: Lake, settings: Settings, request: VerifyRequest
) -> Counts:
    """Compare the profile with the ledger and return the run's counts.

    Raises ``SourceChanged`` when they differ and objects were modified since the run began,
    ``InputsOutdated`` when they differ and were made before the present redrive, and
    ``VerificationFailed`` with both sides otherwise.
    """
    leases.resume(connection, request.run)
    counts, checksum = read_counts(
        connection, request.queries.extract.query_execution_id, request.plan.profile
    )
    differences = _differences(request.plan.profile, counts, checksum, request.run)
    if not differences:
        return counts
    message = "Lake and ledger differ: " + "; ".join(differences) + "."
    if request.redrive_count > request.queries.extract.redrive_count:
        raise InputsOutdated(message)
    renewals_left = request.renewal < RENEWALS_PER_REDRIVE * (request.redrive_count + 1)
    if renewals_left and _changed_since(lake, settings, request):
        raise SourceChanged(message)
    raise VerificationFailed(f"{message} Redrive to query and load the window again.")


def read_counts(
    connection: Connection, query_execution_id: str, profile: Profile
) -> tuple[Counts, int]:
    """The run's counts, from ledger and profile, and the ledger's checksum."""
    with transaction(connection) as cursor:
        row = cursor.execute(
            statement("sum_ledger.sql"), {"query_execution_id": query_execution_id}
        ).fetchone()
    inserted, updated, unchanged, rejected, checksum = map(int, row or (0, 0, 0, 0, 0))
    counts = Counts(
        window_rows=profile.window_rows,
        rejected=rejected,
        candidates=profile.candidates,
        superseded=profile.superseded,
        good=inserted + updated + unchanged,
        inserted=inserted,
        updated=updated,
        unchanged=unchanged,
    )
    return counts, checksum


def _differences(profile: Profile, counts: Counts, checksum: int, run: Run) -> list[str]:
    compared = [
        ("good rows", profile.good, counts.good),
        ("rejected rows", profile.rejected, counts.rejected),
    ]
    if not run.dry_run:
        compared.append(("checksum", profile.checksum, checksum))
    return [
        f"{name}: {sent} in the lake, {arrived} in the ledger"
        for name, sent, arrived in compared
        if sent != arrived
    ]


def _changed_since(lake: Lake, settings: Settings, request: VerifyRequest) -> bool:
    bucket, prefix = split_location(settings.data_location)
    return any(item.modified >= request.window.high for item in lake.list(bucket, prefix))
