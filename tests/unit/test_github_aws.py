"""The GitHub scripts' client: boto3's methods, parameters, times and errors from the AWS CLI."""

from __future__ import annotations

import importlib
import json
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest
from forecast_sync.adapters.stepfunctions import Workflow

from tests.contract.stack import ROOT

MACHINE = "arn:aws:states:us-east-2:123456789012:stateMachine:forecast-sync-dev"
ARN = "arn:aws:states:us-east-2:123456789012:execution:forecast-sync-dev:github-7-1"
STARTED = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts/github"))
    return importlib.import_module("aws")


def install_cli(monkeypatch: pytest.MonkeyPatch, folder: Path, ends: str) -> Path:
    """An AWS CLI that writes its arguments to a file, one a line; the file."""
    program, log = folder / "aws", folder / "arguments"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\n{ends}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return log


@pytest.mark.parametrize("started", [STARTED.timestamp(), "2026-11-23T06:00:00+00:00"])
def test_an_execution_is_described_by_either_version_of_the_cli(
    aws: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, started: object
) -> None:
    document = json.dumps({"status": "RUNNING", "startDate": started})
    log = install_cli(monkeypatch, tmp_path, f"echo '{document}'")
    execution = Workflow(aws.stepfunctions(), MACHINE).describe(ARN)
    assert execution is not None
    assert execution.started_at == STARTED.isoformat()
    command, parameters = log.read_text().split("--cli-input-json\n")
    assert command.split() == ["stepfunctions", "describe-execution", "--no-paginate"]
    assert json.loads(parameters.splitlines()[0]) == {"executionArn": ARN}


@pytest.mark.parametrize(
    ("code", "is_started"), [("ExecutionAlreadyExists", False), ("AccessDenied", None)]
)
def test_an_error_code_is_the_exception_that_boto3_has(
    aws: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    code: str,
    is_started: bool | None,
) -> None:
    message = f"An error occurred ({code}) when calling the StartExecution operation: no"
    install_cli(monkeypatch, tmp_path, f"echo '{message}' >&2\nexit 254")
    workflow = Workflow(aws.stepfunctions(), MACHINE)
    if is_started is None:
        with pytest.raises(aws.AwsRefused, match="AccessDenied"):
            workflow.start("github-7-1", {})
    else:
        assert workflow.start("github-7-1", {}) is is_started
