"""Step Functions: starts executions and tells how one is doing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class Execution(NamedTuple):
    """An execution as it is at this moment."""

    status: str
    redrive_count: int
    started_at: str
    input: str
    error: str
    cause: str


class Workflow:
    """The state machine of this deployment."""

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._arn = state_machine_arn

    def start(self, name: str, payload: Mapping[str, Any]) -> bool:
        """Start an execution; False when one of this name was started before."""
        try:
            self._client.start_execution(
                stateMachineArn=self._arn, name=name, input=json.dumps(payload, sort_keys=True)
            )
        except self._client.exceptions.ExecutionAlreadyExists:
            return False
        return True

    def describe(self, execution_arn: str) -> Execution | None:
        """The execution's present state; None when there is no such execution."""
        try:
            found = self._client.describe_execution(executionArn=execution_arn)
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
        return Execution(
            status=found["status"],
            redrive_count=found.get("redriveCount", 0),
            started_at=found["startDate"].isoformat(),
            input=found.get("input", "{}"),
            error=found.get("error", ""),
            cause=found.get("cause", ""),
        )

    def is_alive(self, execution_arn: str) -> bool:
        """Whether the execution is running; one of a machine that is gone is not."""
        try:
            execution = self.describe(execution_arn)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("InvalidArn", "ValidationException"):
                return False
            raise
        return execution is not None and execution.status in ("RUNNING", "PENDING_REDRIVE")
