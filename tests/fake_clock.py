# the private functions of one pinned version of ministack
"""Runs the real state machine in this process, with functions made up by a test and a fake clock.

Each thread has its own clock: the two queries of a run wait side by side. Nothing sleeps, so
a day of waiting takes milliseconds.
"""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from localcloud.step_functions import limits
from localcloud.step_functions.context import execution_context
from localcloud.step_functions.scope import claim, reopen
from localcloud.step_functions.walk import run_to_end
from ministack.services import stepfunctions as sfn

from tests.contract.stack import machine

Function = Callable[[dict[str, Any]], Any]
CALL_SECONDS = 0.2
"""From the entry of a Task to its exit, when the function itself takes no time."""


class Clock(threading.local):
    """Seconds since the thread began."""

    now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class LambdaFailed(Exception):
    """What Lambda, or a function, answers a call with: an error's name."""


class FakeCloud:
    """The real definition over functions by their folder's name."""

    def __init__(self, functions: dict[str, Function], monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Clock()
        self.functions = functions
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.ridden_out = False
        monkeypatch.setattr(sfn, "_scaled_sleep", self.clock.sleep)
        monkeypatch.setattr(sfn, "_find_matching_retrier", limits.find_matching_retrier)
        monkeypatch.setattr(sfn, "_error_matches", limits.error_matches)
        monkeypatch.setattr(random, "uniform", lambda low, high: (low + high) / 2)
        monkeypatch.setattr(sfn, "_invoke_resource_with_timeout", self._invoke)

    def start(self, definition: dict[str, Any] | None = None, **payload: Any) -> dict[str, Any]:
        """An execution of the definition, run to its end."""
        name = uuid.uuid4().hex
        prefix = "arn:aws:states:us-east-2:000000000000"
        now, text = sfn.now_iso(), json.dumps(payload)
        started = {"input": text, "roleArn": "arn:aws:iam::000000000000:role/r"}
        execution = {
            "executionArn": f"{prefix}:execution:fake:{name}",
            "stateMachineArn": f"{prefix}:stateMachine:fake",
            "name": name,
            "status": "RUNNING",
            "startDate": now,
            "stopDate": None,
            "input": text,
            "output": None,
            "sync": True,
            "_definition": definition or machine(),
            "_frame": {"state": (definition or machine())["StartAt"], "input": text},
            "events": [{"id": 1, "type": "ExecutionStarted", "timestamp": now,
                        "executionStartedEventDetails": started}],
        }  # fmt: skip
        return self._run(execution)

    def redrive(self, execution: dict[str, Any]) -> dict[str, Any]:
        """Go on where an execution failed, to its end."""
        reopen(execution)
        return self._run(execution)

    def _run(self, execution: dict[str, Any]) -> dict[str, Any]:
        definition = execution["_definition"]
        ctx = execution_context(execution, "fake", "JSONPath")
        run_to_end(claim(execution), definition, ctx)
        return execution

    def _invoke(self, _resource: str, call: dict[str, Any], timeout: float) -> dict[str, Any]:
        function = call["FunctionName"][2:-1].removesuffix("FunctionArn")
        folder = "".join(f"_{c.lower()}" if c.isupper() else c for c in function).lstrip("_")
        self.calls.append((folder, call["Payload"]))
        began = self.clock.now
        self.clock.sleep(CALL_SECONDS)
        try:
            answer = self.functions[folder](call["Payload"])
        except LambdaFailed as error:
            raise sfn._ExecutionError(str(error), "made up by a test") from None
        except Exception as error:
            raise sfn._ExecutionError(type(error).__name__, str(error)) from error
        if self.clock.now - began > timeout:
            raise sfn._ExecutionError("States.Timeout", "the fake clock says so")
        return {"StatusCode": 200, "Payload": json.loads(json.dumps(answer))}


def count_events(execution: dict[str, Any]) -> int:
    """The events of AWS's history, which has a TaskStarted too that ministack leaves out."""
    kinds = Counter(event["type"] for event in execution["events"])
    return sum(kinds.values()) + kinds["TaskScheduled"]
