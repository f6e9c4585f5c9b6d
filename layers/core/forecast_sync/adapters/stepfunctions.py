"""Step Functions: starts, describes, redrives and stops executions of the state machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from forecast_sync.errors import MAP_FAILED, LeaseHeld, message_of
from forecast_sync.stack_names import execution_arn_of
from forecast_sync.text.size_limits import MESSAGE_CHARACTERS, shorten

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef


NEWEST_EVENTS = 1000
ALIVE = frozenset({"RUNNING", "PENDING_REDRIVE"})


class Execution(NamedTuple):
    """An execution as Step Functions describes it now; times are ISO 8601."""

    status: str
    redrive_count: int
    started_at: str
    input: str
    error: str
    cause: str
    stopped_at: str | None = None
    redrivable: bool = False
    why_not_redrivable: str = ""
    output: str = ""
    redriven_at: str | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it is running, or about to be redriven."""
        return self.status in ALIVE

    @property
    def began_at(self) -> str:
        """When it was started, or redriven last."""
        return self.redriven_at or self.started_at

    @property
    def ended_badly(self) -> bool:
        """Whether it failed, timed out or was aborted."""
        return self.status in ("FAILED", "TIMED_OUT", "ABORTED")


WITHOUT_CAUSE = {
    "ABORTED": "Somebody stopped it and gave no cause; what it had committed stays.",
    "TIMED_OUT": "It took longer than the state machine allows; what it had committed stays.",
}


class Workflow:
    """A deployment's state machine."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, name: str, payload: Mapping[str, Any]) -> bool:
        """Start an execution; False when the name has been used before."""
        try:
            self._client.start_execution(
                stateMachineArn=self._arn, name=name, input=json.dumps(payload, sort_keys=True)
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True

    def describe(self, execution_arn: str) -> Execution | None:
        """The execution as it is now; None when there is no such execution."""
        try:
            described = self._client.describe_execution(executionArn=execution_arn)
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        return Execution(
            status=described["status"],
            redrive_count=described.get("redriveCount", 0),
            started_at=described["startDate"].isoformat(),
            input=described.get("input", "{}"),
            error=described.get("error", ""),
            cause=described.get("cause", ""),
            stopped_at=described["stopDate"].isoformat() if "stopDate" in described else None,
            redrivable=described.get("redriveStatus") == "REDRIVABLE",
            why_not_redrivable=described.get("redriveStatusReason", ""),
            output=described.get("output", ""),
            redriven_at=(
                described["redriveDate"].isoformat() if "redriveDate" in described else None
            ),
        )

    def arn_of(self, name: str) -> str:
        """The ARN of the execution of this name, whether there is one or not."""
        return execution_arn_of(self._arn, name)

    def redrive(self, execution_arn: str) -> bool:
        """Redrive an execution; False when Step Functions refuses."""
        try:
            self._client.redrive_execution(executionArn=execution_arn)
        except self._client.exceptions.ExecutionNotRedrivable:
            return False
        return True

    def stop(self, execution_arn: str, cause: str) -> None:
        """Stop a running execution; it can be redriven."""
        self._client.stop_execution(executionArn=execution_arn, error="StoppedByHand", cause=cause)

    def newest_events(self, execution_arn: str) -> Sequence[HistoryEventTypeDef]:
        """The last events, newest first; they are few, because each page is a child execution."""
        return self._client.get_execution_history(
            executionArn=execution_arn, reverseOrder=True, maxResults=NEWEST_EVENTS
        )["events"]

    def count_pages(self, execution_arn: str) -> Mapping[str, int]:
        """The items of the newest Map Run by status; empty before there is one."""
        map_runs = self._client.list_map_runs(executionArn=execution_arn)["mapRuns"]
        if not map_runs:
            return {}
        newest = max(map_runs, key=lambda run: run["startDate"])
        counts = self._client.describe_map_run(mapRunArn=newest["mapRunArn"])["itemCounts"]
        return {name: count for name, count in counts.items() if isinstance(count, int)}

    def newest_succeeded(self, limit: int) -> Iterator[Execution]:
        """The executions that succeeded last, newest first, each described on demand."""
        listed = self._client.list_executions(
            stateMachineArn=self._arn, statusFilter="SUCCEEDED", maxResults=limit
        )["executions"]
        for item in listed:
            if execution := self.describe(item["executionArn"]):
                yield execution

    def newest_ended(self, limit: int) -> Iterator[tuple[str, Execution]]:
        """ARN and description of the newest executions that have ended, last to end first."""
        listed = self._client.list_executions(stateMachineArn=self._arn, maxResults=limit)
        ended = [
            (item["stopDate"], item["executionArn"])
            for item in listed["executions"]
            if item["status"] not in ALIVE and item.get("stopDate")
        ]
        for _, arn in sorted(ended, reverse=True):
            if (execution := self.describe(arn)) and not execution.is_alive:
                yield arn, execution

    def failure_of(self, execution_arn: str, execution: Execution) -> str:
        """Why an execution ended badly, in one line; for a failed Map, its first failed child."""
        failed = execution
        if execution.error == MAP_FAILED:
            failed = self._failed_child(execution_arn) or execution
        if not failed.error:
            cause = failed.cause or WITHOUT_CAUSE.get(failed.status, "")
            message = f"The execution is {failed.status}. {cause}".strip()
        else:
            message = f"{failed.error}: {message_of(failed.cause)}"
        # A person may have written the cause; Postgres stores neither NUL nor lone surrogates.
        storable = message.replace("\0", "\\0").encode(errors="backslashreplace").decode()
        return shorten(storable, MESSAGE_CHARACTERS)

    def _failed_child(self, execution_arn: str) -> Execution | None:
        map_runs = self._client.list_map_runs(executionArn=execution_arn)["mapRuns"]
        for map_run in map_runs:
            failed = self._client.list_executions(
                mapRunArn=map_run["mapRunArn"], statusFilter="FAILED", maxResults=1
            )["executions"]
            if failed:
                return self.describe(failed[0]["executionArn"])
        return None

    def is_alive(self, execution_arn: str) -> bool:
        """Whether the execution is running; False when its state machine no longer exists.

        Raises ``LeaseHeld`` when it can't be determined, as for an execution in another account.
        """
        # Imported here: GitHub's jobs read this module without botocore.
        from botocore.exceptions import ClientError

        from forecast_sync.adapters.aws_errors import error_code

        if _account_of(execution_arn) != _account_of(self._arn):
            raise LeaseHeld(_undetermined(execution_arn, "it belongs to another account"))
        try:
            execution = self.describe(execution_arn)
        except ClientError as error:
            code = error_code(error)
            if code in ("InvalidArn", "ValidationException"):
                return False
            raise LeaseHeld(_undetermined(execution_arn, code)) from None
        return execution is not None and execution.is_alive


def current_state(events: Sequence[HistoryEventTypeDef]) -> str | None:
    """The state that was entered last; ``events`` are newest first."""
    return next(
        (e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e),
        None,
    )


def _account_of(arn: str) -> str:
    return arn.split(":")[4]


def _undetermined(execution_arn: str, reason: str) -> str:
    run_id = execution_arn.rpartition(":")[2]
    return (
        f"{execution_arn} holds this database's lease, and whether it is still running can't be "
        f"determined ({reason}). If it has ended: UPDATE forecast_sync_status "
        f"SET status = 'failed', rerun_requested = false WHERE run_id = '{run_id}'"
    )
