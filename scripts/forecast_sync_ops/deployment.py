"""A deployment as its operator reaches it: AWS, or a local cloud through ``AWS_ENDPOINT_URL``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from forecast_sync_ops.api_client import ApiClient, find_url
from forecast_sync_ops.problems import UserError

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

DEFAULT_REGION = "us-east-2"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Deployment:
    """One environment's stack; ``endpoint_url`` None means AWS itself."""

    environment: str
    session: boto3.Session
    endpoint_url: str | None
    state_machine_arn: str

    @property
    def stepfunctions(self) -> SFNClient:
        """The Step Functions client."""
        client: SFNClient = self.client("stepfunctions")
        return client

    def client(self, service: str) -> Any:
        """A boto3 client of this deployment's account and region."""
        return _client(self.session, service, self.endpoint_url)

    def execution_arn(self, run: str) -> str:
        """The execution ARN of a run, given by its name or by the ARN itself."""
        if run.startswith("arn:"):
            return run
        return f"{self.state_machine_arn.replace(':stateMachine:', ':execution:', 1)}:{run}"

    @cached_property
    def api(self) -> ApiClient:
        """The status API of this deployment."""
        url = find_url(self.client("apigatewayv2"), self.environment, self.endpoint_url)
        return ApiClient(self.session, url, self.session.region_name or DEFAULT_REGION)

    def ask_status(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """The status API's answer to a GET; None for 404. Raises ``UserError`` when it fails."""
        answer = self.api.call("GET", path, query)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not answer.ok:
            raise UserError(f"the status API answered {answer.status}: {answer.reason}")
        return answer.document


def find(environment: str) -> Deployment:
    """The deployment that the AWS variables of the environment point to.

    Raises ``UserError`` when it isn't there. A loopback endpoint needs no credentials.
    """
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL") or None
    session = boto3.Session()
    region = session.region_name or DEFAULT_REGION
    if endpoint_url and urlsplit(endpoint_url).hostname in LOOPBACK:
        session = boto3.Session("test", "test", region_name=region)
    else:
        session = boto3.Session(region_name=region)
    where = endpoint_url or f"AWS region {region}"
    client: SFNClient = _client(session, "stepfunctions", endpoint_url)
    name = f"forecast-sync-{environment}"
    for page in client.get_paginator("list_state_machines").paginate():
        for machine in page["stateMachines"]:
            if machine["name"] == name:
                arn = machine["stateMachineArn"]
                return Deployment(environment, session, endpoint_url, arn)
    raise UserError(
        f"no state machine {name} at {where}: deploy the stack there, choose another "
        "--environment, or set AWS_ENDPOINT_URL to a local cloud's endpoint_url"
    )


def _client(session: boto3.Session, service: str, endpoint_url: str | None) -> Any:
    config = Config(connect_timeout=5, retries={"mode": "standard", "max_attempts": 3})
    return session.client(
        service,  # type: ignore[call-overload]
        endpoint_url=endpoint_url,
        config=config,
    )
