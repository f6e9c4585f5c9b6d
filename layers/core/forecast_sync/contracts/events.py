"""The events that start functions outside of a run; keys that nothing reads are ignored."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from forecast_sync.contracts.base import Model


class Event(Model):
    """An event of an AWS service, of which only these fields are read."""

    model_config = ConfigDict(extra="ignore")


class UploadMessage(Event):
    """A message of the upload queue. Its body says no more than which tables it is about."""

    message_id: str = Field(alias="messageId")
    body: str = ""


class UploadMessages(Event):
    """A batch of messages of the upload queue."""

    records: tuple[UploadMessage, ...] = Field(alias="Records")


class StartedRun(Model):
    """The run that a batch of uploads has started."""

    run_id: str


class StartedRuns(Model):
    """The runs that a batch of uploads has started, and how many files belong to no table."""

    run_ids: tuple[str, ...]
    outside: int = 0


class RegularStart(Event):
    """The schedule's request to run each of several tables; ``call_id`` is Lambda's own."""

    trigger: Literal["schedule"]
    call_id: str


class EndedExecution(Event):
    """The execution of a status-change event."""

    execution_arn: str = Field(alias="executionArn")
    name: str


class StatusChange(Event):
    """EventBridge's "Step Functions Execution Status Change" of an execution that ended badly."""

    detail: EndedExecution


class RecordedFailure(Model):
    """Whether a failed execution was recorded in its branch's database."""

    recorded: bool


class CleaningRequest(Event):
    """Whose branch's history to clean; None, as in the schedule's event, is the environment's."""

    git_ref: str | None = None


class FreshnessCheck(Event):
    """The schedule's request to check whether the environment's branch is stale."""

    check: Literal["freshness"]
