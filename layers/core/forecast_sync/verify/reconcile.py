"""Verify load: what Athena counted in the lake against what the ledger says was loaded."""

from __future__ import annotations

from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Counts, Profile
from forecast_sync.contracts.redrive import (
    has_renewals_left,
    raise_if_stale,
    refuse_other_definitions,
)
from forecast_sync.contracts.result import VerifyRequest
from forecast_sync.contracts.run import Run
from forecast_sync.errors import SourceChanged, VerificationFailed
from forecast_sync.lease import lease
from forecast_sync.survey.proof import lake_changed
from forecast_sync.tables import Table, definition_of
from forecast_sync.verify.ledger import read_counts
from forecast_sync.verify.locate_mismatch import locate_mismatch


def verify_load(
    connection: Connection,
    storage: Storage,
    table: Table,
    settings: Settings,
    request: VerifyRequest,
) -> Counts:
    """Compare the profile with the ledger and return the run's counts.

    Raises ``InputsOutdated`` for inputs of another definition, some of whose pages the loaders have
    refused.

    When they differ, raises ``InputsOutdated`` if the results predate the present redrive,
    ``SourceChanged`` if the lake has changed since the window was decided and the run may decide it
    again, and otherwise ``VerificationFailed`` with both sides and the first page with a mismatch.
    """
    queries = request.queries
    refuse_other_definitions(
        definition_of(table),
        queries.extract.definition,
        queries.profile.definition,
        request.plan.definition,
    )
    lease.resume(connection, request.run, request.redrive_count)
    extract, profile = request.queries.extract, request.plan.profile
    counts, checksum = read_counts(connection, extract.query_execution_id, profile)
    differences = _find_differences(profile, counts, checksum, request.run)
    if not differences:
        return counts
    message = "Lake and ledger differ: " + "; ".join(differences) + "."
    raise_if_stale(message, made_at=extract.redrive_count, redrive_count=request.redrive_count)
    survey, may_renew = (
        request.window.survey,
        has_renewals_left(request.renewal, request.redrive_count),
    )
    if survey and may_renew and lake_changed(storage, settings, survey):
        raise SourceChanged(message)
    mismatch = locate_mismatch(
        connection, storage, request.plan, with_checksum=request.run.sums_content
    )
    raise VerificationFailed(f"{message} {mismatch} Redrive to query and load the window again.")


def _find_differences(profile: Profile, counts: Counts, checksum: int, run: Run) -> list[str]:
    compared = [
        ("good rows", profile.good, counts.good),
        ("rejected rows", profile.rejected, counts.rejected),
    ]
    if run.sums_content:
        compared.append(("checksum", profile.checksum, checksum))
    return [
        f"{name}: {in_lake} in the lake, {in_ledger} in the ledger"
        for name, in_lake, in_ledger in compared
        if in_lake != in_ledger
    ]
