"""The AWS CLI as the GitHub scripts call it.

The scripts run in jobs that assume a role and therefore install nothing: there is only Python and
the runner's AWS CLI. Importing this module makes the parts of ``forecast_sync`` and
``forecast_sync_cli`` importable that need no more than that.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

CHECKOUT = Path(__file__).parents[2]
sys.path[:0] = [str(CHECKOUT / "layers/core"), str(CHECKOUT / "scripts")]

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class AwsRefused(Exception):
    """The AWS CLI ended with an error, whose text is the message."""


class FunctionFailed(AwsRefused):
    """A function raised an error; ``error`` is its class name."""

    def __init__(self, error: str, message: str) -> None:
        super().__init__(f"{error}: {message}")
        self.error = error


def aws(*arguments: str) -> dict[str, Any]:
    """The JSON answer of an AWS CLI command; raises ``AwsRefused``, or its subclass of the code."""
    ended = subprocess.run(
        ["aws", *arguments, "--output", "json"], check=False, capture_output=True, text=True
    )
    if ended.returncode:
        message = " ".join(ended.stderr.split())
        code = re.search(r"An error occurred \((\w+)\)", message)
        raise error_class(code[1])(message) if code else AwsRefused(message)
    answer: dict[str, Any] = json.loads(ended.stdout or "{}", object_hook=_read_times)
    return answer


@cache
def error_class(code: str) -> type[AwsRefused]:
    """The exception for an error code of AWS's."""
    return type(code, (AwsRefused,), {})


class Client:
    """A client of one AWS service with boto3's methods and parameters; the AWS CLI does the work.

    So that what is written for boto3 runs where boto3 isn't installed.
    """

    def __init__(self, service: str) -> None:
        self._service = service

    def __getattr__(self, method: str) -> Callable[..., dict[str, Any]]:
        command = [self._service, method.replace("_", "-"), "--no-paginate", "--cli-input-json"]
        return lambda **parameters: aws(*command, json.dumps(parameters))

    @property
    def exceptions(self) -> Any:
        """The service's errors by their codes."""
        return _Exceptions()


class _Exceptions:
    def __getattr__(self, code: str) -> type[AwsRefused]:
        return error_class(code)


def stepfunctions() -> SFNClient:
    """Step Functions, as far as boto3's client is used."""
    return cast("SFNClient", Client("stepfunctions"))


def invoke(function: str, event: dict[str, Any]) -> dict[str, Any]:
    """Call a function and return its answer; raises ``FunctionFailed`` if the function raises."""
    with tempfile.TemporaryDirectory() as folder:
        request, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        request.write_text(json.dumps(event))
        # Version 1 of the CLI expects text and version 2 base64; both accept the bytes of a file.
        payload = f"fileb://{request}"
        status = aws(
            "lambda", "invoke", "--function-name", function, "--payload", payload, str(answer)
        )
        document: dict[str, Any] = json.loads(answer.read_text() or "{}")
    if "FunctionError" in status:
        raise FunctionFailed(str(document.get("errorType")), str(document.get("errorMessage")))
    return document


def stack_name(environment: str) -> str:
    """``PROJECT-ENVIRONMENT``, from ``PROJECT_NAME``: the stack, and the prefix of its names."""
    from forecast_sync import stack_names

    project = os.environ.get("PROJECT_NAME") or stack_names.DEFAULT_PROJECT
    return stack_names.stack_name(project, environment)


def tables() -> list[str | None]:
    """The tables that ``TABLE`` names, separated by commas; None is the stack's only one."""
    names = (name.strip() for name in os.environ.get("TABLE", "").split(","))
    return [name for name in names if name] or [None]


def machine_arn(environment: str) -> str:
    """The state machine's ARN, from its name and the caller's account."""
    partition, account = aws("sts", "get-caller-identity")["Arn"].split(":")[1:5:3]
    region = os.environ["AWS_REGION"]
    return f"arn:{partition}:states:{region}:{account}:stateMachine:{stack_name(environment)}"


def _read_times(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with times as boto3 has them; version 1 of the CLI prints seconds."""
    for name, value in answer.items():
        if name == "timestamp" or name.endswith("Date"):
            is_seconds = isinstance(value, int | float)
            answer[name] = (
                datetime.fromtimestamp(value, UTC) if is_seconds else datetime.fromisoformat(value)
            )
    return answer
