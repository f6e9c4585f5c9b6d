"""An operator's call of a function retries Lambda's own transient errors."""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from forecast_sync_cli.client import deployment
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

from tests.contract.test_state_machine import FULL, NOT_READY


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> tuple[Deployment, Stubber]:
    session = boto3.Session("test", "test", region_name="us-east-2")
    client = session.client("lambda")
    arn = "arn:aws:states:us-east-2:000000000000:stateMachine:forecast-sync-dev"
    monkeypatch.setattr(deployment, "_client", lambda *_: client)
    monkeypatch.setattr(deployment, "PAUSE_SECONDS", 0)
    return Deployment("dev", session, None, arn), Stubber(client)


def refuse(stubber: Stubber, code: str, times: int = 1) -> None:
    for _ in range(times):
        stubber.add_client_error("invoke", code)


@pytest.mark.parametrize("code", sorted(deployment.PASSING_CODES))
def test_what_passes_is_waited_out(stubbed: tuple[Deployment, Stubber], code: str) -> None:
    deployed, stubber = stubbed
    refuse(stubber, code, 3)
    answer: Any = {"StatusCode": 200, "Payload": io.BytesIO(json.dumps({"rows": 1}).encode())}
    stubber.add_response("invoke", answer)
    with stubber:
        assert deployed.invoke("inspect_database", {}) == {"rows": 1}


def test_a_lasting_error_is_one_line(
    stubbed: tuple[Deployment, Stubber], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed, stubber = stubbed
    monkeypatch.setattr(deployment, "PATIENCE_SECONDS", -1)
    refuse(stubber, "ResourceConflictException")
    with stubber, pytest.raises(UserError, match=r"inspect-database.*ResourceConflictException"):
        deployed.invoke("inspect_database", {})


def test_a_refusal_is_raised_at_once(stubbed: tuple[Deployment, Stubber]) -> None:
    deployed, stubber = stubbed
    refuse(stubber, "AccessDeniedException")
    with stubber, pytest.raises(ClientError, match="AccessDenied"):
        deployed.invoke("inspect_database", {})


def test_the_state_machine_waits_for_the_same() -> None:
    assert {f"Lambda.{code}" for code in deployment.PASSING_CODES} == FULL | NOT_READY
