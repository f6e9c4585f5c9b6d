"""How a failed execution is recorded and published, even if its branch is unknown."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from forecast_sync.adapters.neon import NeonClient
from forecast_sync.adapters.postgres import Connection
from forecast_sync.adapters.sns import Topic
from forecast_sync.adapters.stepfunctions import Execution, Workflow
from forecast_sync.contracts.events import EndedExecution
from forecast_sync.errors import BranchNotFound, ForecastSyncError, NeonUnavailable
from forecast_sync.lease.rerun import rerun_name
from forecast_sync.record.failure import FailureRecorder

from tests.unit.test_messages import SETTINGS

ENDED = EndedExecution.model_validate(
    {"executionArn": "arn:aws:states:us-east-2:000000000000:execution:m:r", "name": "r"}
)


class Inbox(Topic):
    """A topic that keeps the subjects of what was published."""

    def __init__(self) -> None:
        self.subjects: list[str] = []

    def publish(self, subject: str, text: str, chat: str) -> None:  # noqa: ARG002
        self.subjects.append(subject)


class Broken(Workflow):
    """Step Functions with one failed execution, and Neon that answers with an error."""

    def __init__(self, error: ForecastSyncError, payload: object) -> None:
        self.error, self.payload, self.inbox = error, payload, Inbox()

    def describe(self, execution_arn: str) -> Execution:  # noqa: ARG002
        return Execution(
            status="FAILED",
            redrive_count=0,
            started_at="2026-12-01T06:00:00+00:00",
            input=json.dumps(self.payload),
            error="QueryFailed",
            cause="",
        )

    def failure_of(self, execution_arn: str, execution: Execution) -> str:  # noqa: ARG002
        return f"{execution.error}: it failed"

    def newest_ended(self, limit: int) -> Iterator[tuple[str, Execution]]:  # noqa: ARG002
        return iter([])

    def start(self, name: str, payload: object) -> bool:  # noqa: ARG002
        raise AssertionError(name)


class BrokenNeon(NeonClient):
    """Neon's API, which answers with an error."""

    def __init__(self, error: ForecastSyncError) -> None:
        self.error = error

    def find_branch(self, name: str) -> str:  # noqa: ARG002
        raise self.error


def recorder(broken: Broken) -> FailureRecorder:
    def connect(_branch: str | None, _run_id: str) -> Connection:
        raise AssertionError("there is no database to connect to")

    return FailureRecorder(
        workflow=broken,
        topic=broken.inbox,
        settings=SETTINGS,
        find_neon=lambda _run_id: BrokenNeon(broken.error),
        connect=connect,
        settings_named=lambda _table: SETTINGS,
    )


def test_while_neon_is_out_of_reach_the_event_is_delivered_again_and_published_once() -> None:
    broken = Broken(NeonUnavailable("429"), {"git_ref": "dev"})
    warm = recorder(broken)
    for _delivery in range(2):
        with pytest.raises(NeonUnavailable):
            warm.record(ENDED)
    assert broken.inbox.subjects == ["Forecast sync failed: unknown branch (dev)"]


@pytest.mark.parametrize("payload", [{"git_ref": "dev"}, "main", {"unknown": 1}])
def test_a_run_that_never_had_a_branch_is_published_and_done_with(payload: object) -> None:
    broken = Broken(BranchNotFound("none"), payload)
    assert not recorder(broken).record(ENDED).recorded
    assert len(broken.inbox.subjects) == 1


def test_each_end_of_a_redriven_run_has_its_own_rerun() -> None:
    assert rerun_name("r") == "r-rerun"
    assert rerun_name("r", 2) == "r-rerun-2"
    assert rerun_name("r" * 80, 2) != rerun_name("r" * 80)
    assert len(rerun_name("r" * 80, 999)) <= 80


@pytest.mark.parametrize(
    "payload", ["[" * 100_000, "1" * 5_000, "", '{"git_ref": "a\\u0000"}', '{"trigger": "\\ud800"}']
)
def test_a_run_whose_input_cannot_be_read_is_published_and_done_with(payload: str) -> None:
    """Lambda's own runtime stumbles over some before any of this project's code is reached."""

    class Strange(Broken):
        def describe(self, execution_arn: str) -> Execution:
            return super().describe(execution_arn)._replace(input=payload)

    broken = Strange(BranchNotFound("none"), None)
    assert not recorder(broken).record(ENDED).recorded
    assert len(broken.inbox.subjects) == 1
