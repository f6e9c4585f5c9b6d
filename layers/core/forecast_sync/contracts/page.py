"""The requests and answers of Plan pages and Upsert batches, and the page that they share."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, Field

from forecast_sync.contracts.base import Payload
from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.query import Queries
from forecast_sync.contracts.run import Run, Window

PageKind = Literal["row", "reject"]


class Page(Payload):
    """One item of the Map: result files that one worker loads, in the order of ``keys``.

    ``definition`` is that of the table file that the lines were made of.
    """

    query_execution_id: str
    number: int
    kind: PageKind
    bucket: str
    keys: tuple[str, ...]
    definition: str | None = None


class PlanRequest(Payload):
    """What Plan pages gets; ``pages_lost`` means that its pages file can't be read."""

    run: Run
    window: Window
    queries: Queries
    redrive_count: int
    pages_lost: bool = False


class Plan(Payload):
    """Where the pages file is, how many pages may load at once, and what they must add up to.

    ``deletes`` is whether rows may have to leave the target; ``deletions_key`` is then the key of
    the file, beside the pages file, with the steps in which *Delete rows* finds them.
    """

    pages: int
    concurrency: int
    pages_bucket: str
    pages_key: str
    profile: Profile
    definition: str | None = None
    deletes: bool = False
    deletions_key: str | None = None


class ChildExecution(Payload):
    """A child execution in Step Functions' context object; ``RedriveTime`` is a redriven one's."""

    started_at: AwareDatetime = Field(alias="StartTime")
    redriven_at: AwareDatetime | None = Field(default=None, alias="RedriveTime")


class UpsertRequest(Payload):
    """What Upsert batches gets: one page of a run, and how often its child was redriven.

    ``map_redrive_count`` is the redrive count of the run's execution when it entered the Map. An
    execution that began under an older version sends ``started_at`` instead of ``execution``, or
    neither.
    """

    run: Run
    page: Page
    redrive_count: int = 0
    map_redrive_count: int | None = None
    execution: ChildExecution | None = None
    started_at: AwareDatetime | None = None

    @property
    def began_at(self) -> datetime | None:
        """When the child execution was started or last redriven."""
        if self.execution is None:
            return self.started_at
        return self.execution.redriven_at or self.execution.started_at

    @property
    def run_redrive_count(self) -> int | None:
        """The redrive count of the run's execution, or less for a child that has just started.

        Each redrive of a child is one of the run; but a redrive may start a child with the input
        from before it.
        """
        if self.map_redrive_count is None:
            return None
        return self.map_redrive_count + self.redrive_count

    def redrives_since_map(self, lease_count: int | None) -> int:
        """How often the run was redriven since the Map made its pages.

        ``lease_count`` is the redrive count under which the run has its lease, None in a row of an
        older version. It shows a redrive that the child execution, which it has started, doesn't
        know.
        """
        if lease_count is None or self.map_redrive_count is None:
            return self.redrive_count
        return lease_count - self.map_redrive_count


class UpsertProgress(Payload):
    """Upsert batches' answer: not done means that its time ran out before the page ended."""

    done: bool
