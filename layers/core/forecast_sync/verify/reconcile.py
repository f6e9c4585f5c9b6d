"""Verifying: what Athena counted in the lake against what Postgres has in its ledger."""

from __future__ import annotations

from typing import Protocol

from forecast_sync.adapters.postgres import Connection, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Counts, Profile
from forecast_sync.contracts.redrive import RENEWALS_PER_REDRIVE
from forecast_sync.contracts.result import VerifyRequest
from forecast_sync.contracts.run import Run
from forecast_sync.errors import InputsOutdated, SourceChanged, VerificationFailed
from forecast_sync.lease import lease
from forecast_sync.survey.objects import Listing, lake_changed
from forecast_sync.verify.locate_mismatch import Results, find_parting


class Storage(Listing, Results, Protocol):
    """What verifying needs of S3."""


def verify_load(
    connection: Connection, storage: Storage, settings: Settings, request: VerifyRequest
) -> Counts:
    """Compare the profile with the ledger and return the run's counts.

    Raises ``SourceChanged`` when they differ and the lake changed between the queries or since,
    ``InputsOutdated`` when they differ and were made before the present redrive, and
    ``VerificationFailed`` with both sides, and the page where they part, otherwise.
    """
    lease.resume(connection, request.run)
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
    if renewals_left and lake_changed(storage, settings, request.window, request.queries):
        raise SourceChanged(message)
    parting = find_parting(connection, storage, request.plan, summed=request.run.sums_content)
    raise VerificationFailed(f"{message} {parting} Redrive to query and load the window again.")


def read_counts(
    connection: Connection, query_execution_id: str, profile: Profile
) -> tuple[Counts, int]:
    """The run's counts, from ledger and profile, and the ledger's checksum."""
    with transaction(connection) as cursor:
        row = cursor.execute(
            statement("verify/sum_ledger.sql"), {"query_execution_id": query_execution_id}
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
        warnings=profile.warnings,
    )
    return counts, checksum


def _differences(profile: Profile, counts: Counts, checksum: int, run: Run) -> list[str]:
    compared = [
        ("good rows", profile.good, counts.good),
        ("rejected rows", profile.rejected, counts.rejected),
    ]
    if run.sums_content:
        compared.append(("checksum", profile.checksum, checksum))
    return [
        f"{name}: {sent} in the lake, {arrived} in the ledger"
        for name, sent, arrived in compared
        if sent != arrived
    ]
