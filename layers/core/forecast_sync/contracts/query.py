"""Run queries: what its states get and answer."""

from __future__ import annotations

from typing import Literal

from forecast_sync.contracts.base import Model
from forecast_sync.contracts.run import Run, Window

QueryName = Literal["extract", "profile"]


class QueryRequest(Model):
    """What Start Athena query gets; the last three make its token and prefix unique."""

    run: Run
    window: Window
    query: QueryName
    renewal: int = 0
    attempt: int = 0
    redrive_count: int = 0


class StartedQuery(Model):
    """A submitted query and the circumstances in which it was made.

    ``sources`` is the fingerprint of the objects that it could read.
    """

    query: QueryName
    query_execution_id: str
    sources: str
    renewal: int
    attempt: int
    redrive_count: int


class PollRequest(Model):
    """What Poll Athena query gets: the query, how often it was polled, and the redrive count.

    An execution that began before an update of the stack knows neither ``run_id`` nor ``polls``.
    """

    run_id: str | None = None
    started: StartedQuery
    polls: int | None = None
    redrive_count: int


class PolledQuery(Model):
    """Poll's answer; failures are raised, not answered. ``wait_seconds`` is when to ask again."""

    done: bool
    polls: int
    wait_seconds: int


class Queries(Model):
    """Both queries of a run, finished."""

    extract: StartedQuery
    profile: StartedQuery
