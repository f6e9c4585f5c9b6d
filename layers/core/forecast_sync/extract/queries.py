"""Submits the two Athena queries of a run, each only once, and polls them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from forecast_sync.adapters.athena import Athena, Cost
from forecast_sync.adapters.s3 import Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.query import PolledQuery, PollRequest, QueryRequest, StartedQuery
from forecast_sync.contracts.redrive import (
    raise_if_stale,
    refuse_endless_renewal,
    refuse_other_definitions,
)
from forecast_sync.errors import BadFilesSuspected, FullRunNeeded, QueryFailed, QueryRetryable
from forecast_sync.extract.athena_sql import build_extract, build_profile
from forecast_sync.survey.proof import refuse_changed_lake, require_survey
from forecast_sync.tables import Table, definition_of
from forecast_sync.telemetry.metrics import measure_query
from forecast_sync.text.sentences import end_sentence

SUBMISSIONS_PER_REDRIVE = 3
SCANS = 2
"""How often a run reads each listed object: once in each of its queries."""
TERABYTE = 10**12

LONGEST_WAIT = 60
WAIT_GROWTH = 4 / 3
RESERVE_MILLISECONDS = 30_000

PART_BYTES = 256 * 1024
MOST_PARTS = 61

PREFIX_DIGITS = 12


def start_query(
    athena: Athena, table: Table, settings: Settings, request: QueryRequest
) -> StartedQuery:
    """Submit one of the run's two queries, at most once for the same request and text.

    An update of the stack may have brought another table file. The text is part of the token,
    because Athena refuses another text under the same token, and of the prefix, because a query
    that was submitted before may be writing to its own. Raises ``InputsOutdated`` when the window
    was decided for another definition, ``FullRunNeeded`` when a run that reads the whole lake by
    itself would read more than it may, ``ConfigurationInvalid`` when the inputs are outdated again
    and again, and ``Superseded`` for a run of a version that surveyed no lake.
    """
    definition = definition_of(table)
    refuse_endless_renewal(request.renewal, request.redrive_count)
    refuse_other_definitions(definition, request.window.definition or definition)
    survey = require_survey(request.run, request.window)
    _refuse_costs(settings, request, survey.size)
    if request.query == "extract":
        parts = count_parts(survey.window_bytes)

        def build(prefix: str) -> str:
            return build_extract(table, settings, request.run, request.window, prefix, parts)

        text = build(result_prefix(settings, request, build("")))
    else:
        text = build_profile(table, settings, request.run, request.window)
    identity = (
        f"{request.run.execution_arn} {request.query} {request.renewal} {request.attempt} "
        f"{request.redrive_count} {text}"
    )
    token = hashlib.sha256(identity.encode()).hexdigest()
    return StartedQuery(
        query=request.query,
        query_execution_id=athena.start(text, token),
        sources=survey.survey_id,
        renewal=request.renewal,
        attempt=request.attempt,
        redrive_count=request.redrive_count,
        definition=definition,
    )


def _refuse_costs(settings: Settings, request: QueryRequest, listed_bytes: int) -> None:
    """Refuse to read the whole lake unasked when it is large; runs with dates are a person's."""
    reason, scanned = request.window.reason, listed_bytes * SCANS
    if reason and request.run.moves_watermark and scanned > settings.max_scan_bytes:
        usd = scanned / TERABYTE * settings.athena_usd_per_terabyte
        raise FullRunNeeded(
            f"{reason} So the whole lake has to be read: up to {scanned:,} bytes ({usd:,.2f} "
            f"dollars), more than MaxScanBytes allows ({settings.max_scan_bytes:,}). "
            "Start the full run by hand: forecast-sync start --sync-type full"
        )


def poll_query(
    athena: Athena,
    storage: Storage,
    settings: Settings,
    request: PollRequest,
    remaining_milliseconds: Callable[[], int],
    sleep: Callable[[float], None] = time.sleep,
) -> PolledQuery:
    """Whether the query is done, and how many seconds to wait before the next poll.

    Each poll that goes through the state machine takes nine of the 25,000 events that an execution
    may have. So once the waits have grown to a minute, one call polls for as long as the function
    may run.

    Raises ``InputsOutdated`` when the query failed before this redrive. Raises ``QueryRetryable``
    when the failure may pass and submissions are left. Raises ``QueryFailed`` when the query was
    cancelled. Raises ``SourceChanged`` or ``SourceUnstable`` when it failed and an object that it
    was to read is another one now, or gone. Raises ``BadFilesSuspected`` when it failed otherwise.
    """
    polls = request.polls or 0
    while True:
        cost = _poll_once(athena, storage, settings, request)
        polls += 1
        wait = wait_after(polls)
        longest = LONGEST_WAIT * 1000 + RESERVE_MILLISECONDS
        is_last = request.polls is None or wait < LONGEST_WAIT or remaining_milliseconds() < longest
        if cost is not None:
            measure_query(cost.bytes_scanned, cost.milliseconds, request.run_id, request.table)
        if cost is not None or is_last:
            return PolledQuery(done=cost is not None, polls=polls, wait_seconds=wait)
        sleep(wait)


def wait_after(polls: int) -> int:
    """How many seconds to wait after the given number of polls: 1, 1, 1, 2, 3, 4, 5, 7 ... 60."""
    return min(LONGEST_WAIT, int(WAIT_GROWTH ** min(polls, LONGEST_WAIT)))


def _poll_once(
    athena: Athena, storage: Storage, settings: Settings, request: PollRequest
) -> Cost | None:
    started = request.started
    try:
        return athena.poll(started.query_execution_id)
    except (QueryRetryable, QueryFailed) as error:
        raise_if_stale(
            f"Query {started.query_execution_id} failed before the redrive.",
            made_at=started.redrive_count,
            redrive_count=request.redrive_count,
        )
        allowed = SUBMISSIONS_PER_REDRIVE * (request.redrive_count + 1)
        message = str(error)
        if isinstance(error, QueryRetryable):
            if started.attempt + 1 < allowed:
                raise
            message = f"{end_sentence(message)} It was submitted {started.attempt + 1} times."
        elif error.ended_by in (None, "cancellation"):
            raise
        survey = request.window and request.window.survey
        if not survey:
            raise QueryFailed(message) from error
        # Athena doesn't say by a code of its own that an object was gone.
        refuse_changed_lake(storage, settings, survey, started.renewal, request.redrive_count)
        raise BadFilesSuspected(message) from error


def count_parts(window_bytes: int) -> int:
    """How many partitions, by key, the extract is written to.

    A partition is about the size of a batch, whose rows are then neighbours in the target's
    indexes: that makes a load a fifth faster. A small load gets few, because each is a file to
    fetch. The most is below Athena's limit of 100, and prime, so that keys with a common factor
    spread over all of them.
    """
    return max(1, min(window_bytes // PART_BYTES, MOST_PARTS))


def result_prefix(settings: Settings, request: QueryRequest, text: str) -> str:
    """Where this attempt of the query ``text`` writes: never where another one may have written."""
    attempt = f"{request.query}-{request.renewal}-{request.attempt}-{request.redrive_count}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:PREFIX_DIGITS]
    return f"{settings.athena_output_location}{request.run.run_id}/{attempt}-{digest}/"
