"""Poll Athena query: running or done; a failure is raised by its kind."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.query import PolledQuery, PollRequest
from forecast_sync.extract.queries import poll_query
from forecast_sync.task import RemainingMilliseconds, timed_task


@timed_task(PollRequest)
def handler(request: PollRequest, remaining_milliseconds: RemainingMilliseconds) -> PolledQuery:
    """Return whether the query is done and when to poll it again."""
    return poll_query(
        athena=clients.athena(),
        storage=clients.storage(),
        settings=deployed_tables.settings_named(request.table),
        request=request,
        remaining_milliseconds=remaining_milliseconds,
    )
