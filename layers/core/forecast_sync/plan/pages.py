"""Planning: the result manifest becomes a pages file in S3, unless too much was rejected."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Protocol

from forecast_sync.adapters.s3 import Listed, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.page import Page, PageKind, Plan, PlanRequest
from forecast_sync.contracts.redrive import RENEWALS_PER_REDRIVE, renewing_inputs
from forecast_sync.errors import QueryFailed, ResultInvalid, SourceChanged, TooManyRejects
from forecast_sync.extract.athena_sql import warning_names
from forecast_sync.survey.objects import lake_changed
from forecast_sync.tables import Table
from forecast_sync.telemetry.metrics import measure_rejects

SMALLEST_SHARE = 1024 * 1024
MOST_KEYS = 400
"""A page's keys travel in a state, which holds 256 KiB; Athena's take about 200 bytes each."""

CONNECTIONS_A_WORKER = 25
"""Neon and RDS set max_connections by the memory of the server, so it tells how much it can do: the
smallest compute of Neon gets 4 workers, one of a whole CPU 16, and none more than 4 in 100
connections, whatever else uses the database."""


class QueryResults(Protocol):
    """What planning needs of Athena."""

    def read_row(self, query_execution_id: str) -> dict[str, str]:
        """The only row of a query's result."""
        ...

    def manifest_location(self, query_execution_id: str) -> str | None:
        """Where the list of written files is; None when Athena names none."""
        ...


class ResultStore(Protocol):
    """What planning needs of S3."""

    def find(self, bucket: str, key: str) -> bytes | None:
        """A whole object, or None when it isn't there."""
        ...

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Put an object."""
        ...

    def list(self, bucket: str, prefix: str) -> Iterable[Listed]:
        """The objects under a prefix."""
        ...


def plan_pages(
    athena: QueryResults,
    storage: ResultStore,
    table: Table,
    settings: Settings,
    request: PlanRequest,
) -> Plan:
    """Write the pages file of a run and say what to expect of the load.

    A query without a row may have left no manifest; whether there should be rows, the profile says.
    Raises ``SourceChanged`` when only the profile found rows and the lake has changed meanwhile,
    ``TooManyRejects`` when the threshold is exceeded and ``ResultInvalid`` for results that
    can't be read, or ``InputsOutdated`` when these results were made before the present redrive.
    """
    made_at = min(request.queries.extract.redrive_count, request.queries.profile.redrive_count)
    judgements = (QueryFailed, ResultInvalid, TooManyRejects)
    with renewing_inputs(made_at, request.redrive_count, *judgements):
        profile = _read_profile(athena, table, request.queries.profile.query_execution_id)
        measure_rejects(request.run, profile)
        _judge_rejects(profile, settings)
        query_execution_id = request.queries.extract.query_execution_id
        manifest = athena.manifest_location(query_execution_id)
        listed = storage.find(*split_location(manifest)) if manifest else None
        if listed is None:
            _refuse_missing_rows(storage, settings, profile, request)
        files = _list_files(storage, listed or b"")
        total = sum(file.size for _, file in files)
        workers = count_workers(settings.load_concurrency, request.window.connections)
        limit = page_limit(total, settings.page_bytes, workers)
        pages = group_into_pages(query_execution_id, files, limit)
        bucket, key = split_location(manifest or settings.athena_output_location)
        pages_key = f"{key.rpartition('/')[0]}/{query_execution_id}-pages.json".lstrip("/")
        body = json.dumps([page.model_dump(mode="json") for page in pages])
        storage.write(bucket, pages_key, body.encode())
    return Plan(
        pages=len(pages),
        concurrency=max(1, min(len(pages), workers)),
        pages_bucket=bucket,
        pages_key=pages_key,
        profile=profile,
    )


def count_workers(limit: int, connections: int) -> int:
    """How many pages are loaded at once: what the server's connections allow, at most ``limit``."""
    if connections == 0:
        return limit
    return max(1, min(limit, connections // CONNECTIONS_A_WORKER))


def page_limit(total: int, page_bytes: int, concurrency: int) -> int:
    """How large a page may be, in compressed bytes: all workers get one, and none a tiny one."""
    share = -(-total // concurrency)
    return min(page_bytes, max(share, SMALLEST_SHARE))


def _read_profile(athena: QueryResults, table: Table, query_execution_id: str) -> Profile:
    row = athena.read_row(query_execution_id)
    names = warning_names(table)
    try:
        counted = {
            rule.message: int(row[name])
            for name, rule in zip(names, table.expect, strict=True)
            if row[name] != "0"
        }
        counts = {name: value for name, value in row.items() if name not in names}
        return Profile.model_validate({**counts, "warnings": counted})
    except (KeyError, ValueError):
        raise ResultInvalid(
            f"Athena query {query_execution_id} returned {row}, expected the counts of a profile; "
            "redrive to query anew."
        ) from None


def group_into_pages(
    query_execution_id: str, files: Iterable[tuple[str, Listed]], page_bytes: int
) -> list[Page]:
    """Result files, in order, as pages of one kind and about ``page_bytes`` compressed bytes."""
    groups: list[tuple[str, PageKind, list[str], int]] = []
    for bucket, file in files:
        kind: PageKind = "reject" if "/kind=reject/" in file.key else "row"
        fits = groups and groups[-1][:2] == (bucket, kind)
        fits = fits and len(groups[-1][2]) < MOST_KEYS
        if fits and groups[-1][3] + file.size <= page_bytes:
            groups[-1][2].append(file.key)
            groups[-1] = (*groups[-1][:3], groups[-1][3] + file.size)
        else:
            groups.append((bucket, kind, [file.key], file.size))
    return [
        Page(
            query_execution_id=query_execution_id,
            number=number,
            kind=kind,
            bucket=bucket,
            keys=tuple(keys),
        )
        for number, (bucket, kind, keys, _) in enumerate(groups)
    ]


def _judge_rejects(profile: Profile, settings: Settings) -> None:
    valid = profile.window_rows - profile.rejected
    share = 100 * profile.rejected / max(1, profile.window_rows)
    too_many = profile.rejected >= settings.reject_rows and share > settings.reject_percent
    if not too_many and (profile.rejected == 0 or valid > 0):
        return
    raise TooManyRejects(
        f"{profile.rejected} of {profile.window_rows} rows are rejected ({share:.1f}%); at most "
        f"{settings.reject_percent:g}% or {settings.reject_rows - 1} rows are tolerated, and one "
        "row must be good. Nothing was loaded. Repair the files and redrive."
    )


def _refuse_missing_rows(
    storage: ResultStore, settings: Settings, profile: Profile, request: PlanRequest
) -> None:
    """An extract without a manifest has written nothing: right if the profile has counted nothing.

    Good rows and rejects alike are lines of the extract.
    """
    expected = profile.good + profile.rejected
    if expected == 0:
        return
    extract = request.queries.extract
    renewals_left = extract.renewal < RENEWALS_PER_REDRIVE * (request.redrive_count + 1)
    if renewals_left and lake_changed(storage, settings, request.window, request.queries):
        raise SourceChanged(
            f"Athena query {extract.query_execution_id} found no row, the profile {expected}: "
            "an object came, went or was overwritten meanwhile."
        )
    raise ResultInvalid(
        f"Athena query {extract.query_execution_id} has no result manifest, expected one of "
        f"{profile.good} rows and {profile.rejected} rejects; redrive to query anew."
    )


def _list_files(storage: ResultStore, manifest: bytes) -> list[tuple[str, Listed]]:
    """The manifest's files with their sizes; the manifest is the truth, a listing only measures."""
    locations = manifest.decode().split()
    files = sorted(split_location(location.strip('"')) for location in locations)
    if not files:
        return []
    bucket = files[0][0]
    prefix = _common_folder([key for _, key in files])
    listed = {item.key: item for item in storage.list(bucket, prefix)}
    missing = [key for _, key in files if key not in listed]
    if missing:
        raise ResultInvalid(f"s3://{bucket}/{missing[0]} is in the manifest but not in the bucket.")
    return [(bucket, listed[key]) for _, key in files]


def _common_folder(keys: list[str]) -> str:
    first, last = min(keys), max(keys)
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    return first[:shared].rpartition("/")[0] + "/"
