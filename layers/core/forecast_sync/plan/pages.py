"""Plan pages: the extract's files become pages, which loaders take one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.s3 import Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.page import Page, Plan, PlanRequest
from forecast_sync.contracts.redrive import raise_if_stale, refuse_other_definitions
from forecast_sync.errors import (
    QueryFailed,
    ResultInvalid,
    TooManyRejects,
    VerificationFailed,
)
from forecast_sync.plan.deletion_steps import plan_steps
from forecast_sync.plan.profile import read_profile
from forecast_sync.plan.reject_limit import refuse_too_many_rejects
from forecast_sync.plan.reject_sample import name_reasons
from forecast_sync.plan.result_files import ResultFile, list_result_files
from forecast_sync.survey.proof import refuse_changed_lake, require_survey
from forecast_sync.tables import Table, definition_of
from forecast_sync.telemetry.metrics import measure_rejects

SMALLEST_SHARE = 1024 * 1024
MOST_KEYS = 400
"""A page's keys travel in a state, which holds 256 KiB; Athena's take about 200 bytes each."""

CONNECTIONS_PER_WORKER = 25
"""One worker per 25 ``max_connections``: Neon and RDS scale that limit with the server's memory.
Neon's smallest compute gets 4 workers, one of a whole CPU 16, and loaders never use more than 4 in
100 connections, whatever else uses the database."""


def plan_pages(
    athena: Athena, storage: Storage, table: Table, settings: Settings, request: PlanRequest
) -> Plan:
    """Write the pages file of a run, and return where it is and what the load must add up to.

    Raises ``TooManyRejects`` above the reject limit, ``ResultInvalid`` for results or a pages file
    that can't be read, ``VerificationFailed`` when the window's footers have another number of rows
    (all, like a query's failure, as ``InputsOutdated`` when the results predate the present
    redrive), ``InputsOutdated`` for results of another definition, ``SourceChanged`` or
    ``SourceUnstable`` when a listed object is another one now, or gone, whether or not the queries
    agree, and ``Superseded`` for a run of a version that surveyed no lake.
    """
    survey, renewal = require_survey(request.run, request.window), request.queries.extract.renewal
    refuse_changed_lake(storage, settings, survey, renewal, request.redrive_count)
    try:
        return _plan(athena, storage, table, settings, request)
    except (QueryFailed, ResultInvalid, TooManyRejects, VerificationFailed) as error:
        queries = request.queries
        made_at = min(queries.extract.redrive_count, queries.profile.redrive_count)
        raise_if_stale(error, made_at=made_at, redrive_count=request.redrive_count)
        raise


def _plan(
    athena: Athena, storage: Storage, table: Table, settings: Settings, request: PlanRequest
) -> Plan:
    definition, queries = definition_of(table), request.queries
    refuse_other_definitions(definition, queries.extract.definition, queries.profile.definition)
    if request.pages_lost:
        raise ResultInvalid(
            "Step Functions can't read the pages file of query "
            f"{queries.extract.query_execution_id}: it was deleted, or the state machine's role "
            "may not read the results bucket. Repair that, then redrive to query again."
        )
    profile = read_profile(athena, table, queries.profile.query_execution_id)
    _refuse_lost_rows(request, profile)
    measure_rejects(request.run, profile)
    query_execution_id = queries.extract.query_execution_id
    manifest = athena.manifest_location(query_execution_id)

    def list_files() -> list[ResultFile]:
        return list_result_files(storage, profile, query_execution_id, manifest)

    refuse_too_many_rejects(profile, settings, lambda: name_reasons(storage, list_files))
    listed = list_files()
    files = [file for file in listed if file.kind in ("row", "reject")]
    workers = share_workers(settings, request.window.connections)
    limit = page_limit(sum(file.size for file in files), settings.page_bytes, workers)
    pages = group_into_pages(query_execution_id, files, limit, definition)
    bucket, key = split_location(manifest or settings.athena_output_location)
    pages_key = f"{key.rpartition('/')[0]}/{query_execution_id}-pages.json".lstrip("/")
    body = json.dumps([page.model_dump(mode="json") for page in pages])
    storage.write(bucket, pages_key, body.encode())
    steps = plan_steps(table, request, profile, listed)
    deletions_key = f"{pages_key.removesuffix('-pages.json')}-deletions.json" if steps else None
    if deletions_key:
        body = json.dumps([step.model_dump(mode="json") for step in steps])
        storage.write(bucket, deletions_key, body.encode())
    return Plan(
        pages=len(pages),
        concurrency=max(1, min(len(pages), workers)),
        pages_bucket=bucket,
        pages_key=pages_key,
        profile=profile,
        definition=definition,
        deletes=bool(steps),
        deletions_key=deletions_key,
    )


def _refuse_lost_rows(request: PlanRequest, profile: Profile) -> None:
    """Raise ``VerificationFailed`` unless Athena read as many rows as the window's footers say.

    With dates, a run doesn't read the window's objects whole.
    """
    survey, run = request.window.survey, request.run
    if survey is None or profile.source_rows is None or run.date_from or run.date_to:
        return
    if profile.source_rows != survey.source_rows:
        raise VerificationFailed(
            f"Athena read {profile.source_rows:,} rows of the {survey.window_objects:,} objects to "
            f"take in, and their footers say {survey.source_rows:,}. Nothing was loaded. Count the "
            'rows of each with Athena: SELECT "$path", count(*) FROM the survey table WHERE run = '
            f"'{survey.survey_id}' AND part = 'window' GROUP BY 1. Replace the file that differs, "
            "then redrive."
        )


def count_workers(limit: int, connections: int) -> int:
    """How many pages to load at once: as the server's ``connections`` allow, at most ``limit``."""
    if connections == 0:
        return limit
    return max(1, min(limit, connections // CONNECTIONS_PER_WORKER))


def share_workers(settings: Settings, connections: int) -> int:
    """How many pages a run of this table may load at once.

    Each table of a stack has an equal share of what the database and the function's reserved
    concurrency allow, and at least one, whether or not others use theirs: a first load doesn't give
    back what it has, and an upload of another table mustn't wait for it.
    """
    limit = settings.load_concurrency
    if settings.reserved_loaders:
        limit = min(limit, settings.reserved_loaders)
    return max(1, count_workers(limit, connections) // len(settings.table_names))


def page_limit(total: int, page_bytes: int, concurrency: int) -> int:
    """How many compressed bytes a page may have: an equal share of ``total`` for each worker.

    At most ``page_bytes``, and otherwise at least ``SMALLEST_SHARE``: tiny pages cost more in
    executions than they save.
    """
    share = -(-total // concurrency)
    return min(page_bytes, max(share, SMALLEST_SHARE))


@dataclass
class _Group:
    """Files that become one page."""

    files: list[ResultFile] = field(default_factory=list)
    size: int = 0

    def has_room_for(self, file: ResultFile, page_bytes: int) -> bool:
        """Whether the file is of the same bucket and kind as the group's, and fits."""
        first = self.files[0]
        is_alike = (first.bucket, first.kind) == (file.bucket, file.kind)
        return is_alike and len(self.files) < MOST_KEYS and self.size + file.size <= page_bytes

    def add(self, file: ResultFile) -> None:
        self.files.append(file)
        self.size += file.size

    def to_page(self, query_execution_id: str, number: int, definition: str | None) -> Page:
        """The page of this number."""
        return Page(
            query_execution_id=query_execution_id,
            number=number,
            kind="reject" if self.files[0].kind == "reject" else "row",
            bucket=self.files[0].bucket,
            keys=tuple(file.key for file in self.files),
            definition=definition,
        )


def group_into_pages(
    query_execution_id: str,
    files: Iterable[ResultFile],
    page_bytes: int,
    definition: str | None = None,
) -> list[Page]:
    """The files, in their order, as pages of one kind and at most ``page_bytes`` compressed bytes.

    A larger file is a page of its own.
    """
    groups: list[_Group] = []
    for file in files:
        if not groups or not groups[-1].has_room_for(file, page_bytes):
            groups.append(_Group())
        groups[-1].add(file)
    return [
        group.to_page(query_execution_id, number, definition) for number, group in enumerate(groups)
    ]
