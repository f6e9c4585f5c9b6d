"""The requests and answers of the states within Run queries."""

from __future__ import annotations

from typing import Literal

from forecast_sync.contracts.base import Payload
from forecast_sync.contracts.run import Run, Window

QueryName = Literal["extract", "profile"]


class QueryRequest(Payload):
    """What Start Athena query gets.

    ``renewal``, ``attempt`` and ``redrive_count`` make the query's token and result prefix unique.
    """

    run: Run
    window: Window
    query: QueryName
    renewal: int = 0
    attempt: int = 0
    redrive_count: int = 0


class StartedQuery(Payload):
    """A submitted query.

    ``sources`` is the id of the survey whose objects it reads, ``definition`` the hash of the table
    file that it was made of; ``renewal``, ``attempt`` and ``redrive_count`` are those of its
    request.
    """

    query: QueryName
    query_execution_id: str
    sources: str
    renewal: int
    attempt: int
    redrive_count: int
    definition: str | None = None


class PollRequest(Payload):
    """What Poll Athena query gets: the query, how often it was polled, and the redrive count.

    An execution that began before the stack was updated may not send ``run_id``, ``table``,
    ``polls`` or ``window``.
    """

    run_id: str | None = None
    table: str | None = None
    started: StartedQuery
    polls: int | None = None
    redrive_count: int
    window: Window | None = None


class PolledQuery(Payload):
    """Poll Athena query's answer; a failed query raises instead.

    ``wait_seconds`` is how long to wait before the next poll.
    """

    done: bool
    polls: int
    wait_seconds: int


class Queries(Payload):
    """A run's two queries, both finished."""

    extract: StartedQuery
    profile: StartedQuery
