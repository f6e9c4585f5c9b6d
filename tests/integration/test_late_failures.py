"""Failures that are recorded late: Lambda delivers an event again that couldn't be handled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.stepfunctions import Execution, Workflow
from forecast_sync.contracts.events import EndedExecution
from forecast_sync.errors import DatabaseUnavailable
from forecast_sync.record.failure import FailureRecorder

from tests.builders import make_run
from tests.integration.loads import SETTINGS, begin
from tests.unit.test_record_failure import Inbox

DOWN = "DatabaseUnavailable"
FAILED = "Forecast sync failed: dev (dev)"


@dataclass
class Scene(Workflow):
    """Executions that failed, and a database that can be closed."""

    connection: Connection
    ended: dict[str, Execution] = field(default_factory=dict)
    inbox: Inbox = field(default_factory=Inbox)
    is_closed: bool = True

    def fail(self, name: str, error: str = DOWN) -> EndedExecution:
        """The event of an execution that has just ended; each ends a second after the last."""
        arn = f"arn:aws:states:us-east-2:000000000000:execution:m:{name}"
        self.ended[arn] = Execution(
            status="FAILED",
            redrive_count=0,
            started_at="2026-12-01T06:00:00+00:00",
            input="{}",
            error=error,
            cause="",
            stopped_at=f"2026-12-01T06:01:{len(self.ended):02}+00:00",
        )
        return EndedExecution.model_validate({"executionArn": arn, "name": name})

    def describe(self, execution_arn: str) -> Execution:
        return self.ended[execution_arn]

    def failure_of(self, execution_arn: str, execution: Execution) -> str:
        return f"{execution.error}: {execution_arn}"

    def newest_ended(self, limit: int) -> Iterator[tuple[str, Execution]]:
        yield from list(reversed(self.ended.items()))[:limit]

    def connect(self, _branch: str | None, _run_id: str) -> Connection:
        if self.is_closed:
            raise DatabaseUnavailable("no answer")
        return self.connection

    def container(self) -> FailureRecorder:
        """A new one, which has published nothing yet."""
        return FailureRecorder(
            workflow=self,
            topic=self.inbox,
            settings=SETTINGS,
            find_neon=lambda _run_id: None,
            connect=self.connect,
            settings_named=lambda _table: SETTINGS,
        )

    def published_state(self) -> str | None:
        row = self.connection.execute("SELECT state FROM forecast_sync_announced").fetchone()
        return row[0] if row else None

    def recorded(self) -> list[str]:
        rows = self.connection.execute(
            "SELECT run_id FROM forecast_sync_status WHERE status = 'failed' ORDER BY id"
        )
        return [run_id for (run_id,) in rows]


@pytest.fixture
def scene(connection: Connection) -> Scene:
    return Scene(connection)


@pytest.mark.parametrize("error", [DOWN, "QueryFailed"])
def test_a_failure_that_was_published_before_it_could_be_recorded_isn_t_published_again(
    scene: Scene, error: str
) -> None:
    event, container = scene.fail("first", error), scene.container()
    with pytest.raises(DatabaseUnavailable):
        container.record(event)
    scene.is_closed = False
    for _delivery in range(2):
        assert container.record(event).recorded
    assert (scene.inbox.subjects, scene.published_state()) == ([FAILED], f"failed: {error}")
    assert scene.recorded() == ["first"]


@pytest.mark.parametrize("is_first_recorded_first", [True, False])
def test_an_outage_s_later_failures_aren_t_published_when_it_is_over(
    scene: Scene, *, is_first_recorded_first: bool
) -> None:
    """Nor by a container that knows nothing of it."""
    container = scene.container()
    events = [scene.fail("first"), scene.fail("second"), scene.fail("third")]
    for event in events:
        with pytest.raises(DatabaseUnavailable):
            container.record(event)
    scene.is_closed = False
    if is_first_recorded_first:
        container.record(events[0])
    for event in events[1:]:
        scene.container().record(event)
    container.record(events[0])
    assert (scene.inbox.subjects, scene.published_state()) == ([FAILED], f"failed: {DOWN}")
    assert sorted(scene.recorded()) == ["first", "second", "third"]


def test_a_failure_from_before_a_success_doesn_t_make_the_branch_a_failed_one(scene: Scene) -> None:
    event = scene.fail("first")
    with pytest.raises(DatabaseUnavailable):
        scene.container().record(event)
    scene.is_closed = False
    begin(scene.connection, make_run("later"))
    scene.connection.execute(
        "UPDATE forecast_sync_status SET status = 'succeeded', finished_at = '2026-12-01 06:02Z'"
    )
    scene.container().record(event)
    assert (scene.inbox.subjects, scene.published_state()) == ([FAILED], None)
    assert scene.recorded() == ["first"]
    scene.container().record(scene.fail("after", "QueryFailed"))
    assert scene.inbox.subjects == [FAILED], "it has ended before the success, too"


def test_each_other_failure_is_published_whatever_the_run_before_has_failed_of(
    scene: Scene,
) -> None:
    """The event of the one before may have been lost."""
    scene.is_closed = False
    scene.fail("lost", "QueryFailed")
    scene.container().record(scene.fail("second", "QueryFailed"))
    assert (scene.inbox.subjects, scene.published_state()) == ([FAILED], "failed: QueryFailed")
