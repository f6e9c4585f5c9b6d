"""A deployment as its operator reaches it: in AWS, or in a local cloud."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
)
from forecast_sync.adapters.endpoints import read_endpoint
from forecast_sync.adapters.loopback import is_loopback
from forecast_sync.config import Settings
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.stack_names import DEFAULT_PROJECT, execution_arn_of, stack_name
from forecast_sync.tables import Table
from forecast_sync.tables.faults import find_near

from forecast_sync_cli.client.api import ApiClient, find_url
from forecast_sync_cli.client.deployed_table import TableInUse, describe_table, find_table
from forecast_sync_cli.errors import UserError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_stepfunctions import SFNClient

FUNCTION_SECONDS, ANSWER_SECONDS = 310, 60
PATIENCE_SECONDS, PAUSE_SECONDS = 120.0, 5.0
PASSING_CODES = frozenset(
    {
        "TooManyRequestsException",
        "ResourceConflictException",
        "ResourceNotReadyException",
        "ENINotReadyException",
        "ENILimitReachedException",
        "EC2ThrottledException",
        "EC2UnexpectedException",
        "SubnetIPAddressLimitReachedException",
    }
)
"""Transient errors, which the state machine retries too."""

DEFAULT_REGION = "us-east-2"
TABLE_SUFFIX = ".toml"


@dataclass(frozen=True)
class Deployment:
    """One environment's stack; ``endpoint_url`` is None in AWS itself.

    ``selected_table`` is the deployed table that the user has named, if any.
    """

    environment: str
    session: boto3.Session
    endpoint_url: str | None
    state_machine_arn: str
    selected_table: str | None = None

    @property
    def name(self) -> str:
        """``PROJECT-ENVIRONMENT``: the state machine's name, and the prefix of all other names."""
        return self.state_machine_arn.rpartition(":")[2]

    @property
    def label(self) -> str:
        """Its environment, or its whole name if the project isn't the default one."""
        is_default = self.name == stack_name(DEFAULT_PROJECT, self.environment)
        return self.environment if is_default else self.name

    @property
    def stepfunctions(self) -> SFNClient:
        """The Step Functions client."""
        client: SFNClient = self.client("stepfunctions")
        return client

    def client(self, service: str) -> Any:
        """A boto3 client of this deployment's account and region."""
        return _client(self.session, service, self.endpoint_url)

    @cached_property
    def settings(self) -> Settings:
        """What the deployed functions are configured with; secrets are only references in it.

        In a stack with several tables, these are the settings of the selected one; before one is
        selected, they are what all tables share.
        """
        shared = self.stack_settings
        if not shared.has_several_tables or self.selected_table is None:
            return shared
        bucket = shared.data_location.removeprefix("s3://").partition("/")[0]
        prefix = self.table_in_use.location.removeprefix(f"s3://{bucket}/")
        return shared.for_table(self.selected_table, prefix)

    @cached_property
    def stack_settings(self) -> Settings:
        """The functions' settings, which every table shares."""
        configuration = self.client("lambda").get_function_configuration(
            FunctionName=self.function_name("read_watermark")
        )
        return Settings.from_environment(configuration["Environment"]["Variables"])

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables that the stack syncs."""
        return self.stack_settings.table_names

    @property
    def has_several_tables(self) -> bool:
        """Whether requests to the stack have to say which table they are about."""
        return len(self.tables) > 1

    @property
    def table_name(self) -> str:
        """The selected table, or the only one; raises ``UserError`` with the list if several."""
        if self.selected_table is not None:
            return self.selected_table
        if self.has_several_tables:
            raise UserError(
                f"the stack {self.name} syncs several tables: name one with --table, of "
                f"{', '.join(self.tables)}"
            )
        return self.tables[0]

    @property
    def table_choice(self) -> dict[str, str]:
        """What a request or an execution input says about its table: nothing if there is only one.

        Raises ``UserError`` with the list of several.
        """
        return {"table": self.table_name} if self.has_several_tables else {}

    @property
    def table_option(self) -> str:
        """How a suggested command names the table: `` --table NAME``, or "" if there is only one.

        Raises ``UserError`` with the list of several.
        """
        return self.option_of(self.table_name)

    def option_of(self, table: str | None) -> str:
        """The same for a table by its name; also "" if the name isn't known."""
        return f" --table {table}" if table and self.has_several_tables else ""

    def start_command(self, table: str | None) -> str:
        """The suggested command that starts a run of a table."""
        return f"forecast-sync start{self.option_of(table)}"

    def one_table(self) -> Deployment:
        """The same for the selected table, or the only one.

        Raises ``UserError`` with the list of several.
        """
        return self.of_table(self.table_name)

    def each_table(self) -> list[Deployment]:
        """The same for the selected table only, or else for each one."""
        return [self.of_table(self.selected_table)] if self.selected_table else self.all_tables()

    def all_tables(self) -> list[Deployment]:
        """The same for each of its tables."""
        return [self.of_table(name) for name in self.tables]

    def run_label(self, run_id: str, table: str | None) -> str:
        """A run as messages name it: with its table, if there are several."""
        return f"{run_id} of {table}" if table and self.has_several_tables else run_id

    def select_table(self, given: str) -> Deployment:
        """The same for one of its tables, given by its name or by the path of its file.

        Raises ``UserError`` for a table that isn't deployed.
        """
        name = Path(given).stem if given.endswith(TABLE_SUFFIX) else given
        if name not in self.tables:
            # The path of an existing file isn't a typo.
            is_typo = not Path(given).is_file()
            near = find_near(name, self.tables) if is_typo else None
            guess = f"Did you mean {near}? " if near else ""
            raise UserError(
                f"--table {given}: the stack {self.name} doesn't sync this table. {guess}Deployed: "
                f"{', '.join(self.tables)}. To deploy another one, see docs/deploy.md, *Several "
                "tables*"
            )
        return self.of_table(name)

    def renewed(self) -> Deployment:
        """The same without what it remembers, to see what has been deployed since."""
        return replace(self)

    def of_table(self, name: str) -> Deployment:
        """The same for one of its tables."""
        other = replace(self, selected_table=name)
        # What all tables share is requested once.
        for key in ("stack_settings", "api"):
            if key in vars(self):
                vars(other)[key] = vars(self)[key]
        return other

    @cached_property
    def table(self) -> Table:
        """The table that the deployment syncs, as it was deployed."""
        return self.table_in_use.table

    @cached_property
    def table_in_use(self) -> TableInUse:
        """The same with its name and its definition, and how the local file differs."""
        name = self.table_name
        return find_table(name, self.ask_status, is_one_of_several=self.has_several_tables)

    def describe_table(self) -> dict[str, str | None] | None:
        """The table as ``--json`` prints it; None if it can't be found out."""
        name = self.table_name
        return describe_table(name, self.ask_status, is_one_of_several=self.has_several_tables)

    def execution_arn(self, run: str) -> str:
        """The execution ARN of a run, given by its name or by the ARN itself."""
        return run if run.startswith("arn:") else execution_arn_of(self.state_machine_arn, run)

    def function_name(self, verb_noun: str) -> str:
        """A function's full name: ``plan_pages`` is ``forecast-sync-dev-plan-pages``."""
        return f"{self.name}-{verb_noun.replace('_', '-')}"

    def invoke(self, verb_noun: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Call a function and return its answer; raises ``FunctionFailed`` if the function raises.

        Retries for two minutes while Lambda throttles or wakes a function in a VPC.
        """
        name = self.function_name(verb_noun)
        answer = _invoke_patiently(self.client("lambda"), name, json.dumps(payload))
        decoded: dict[str, Any] = json.loads(answer["Payload"].read() or b"{}")
        if "FunctionError" in answer:
            error, message = decoded.get("errorType", "error"), decoded.get("errorMessage", "")
            raise FunctionFailed(name, error, message)
        return decoded

    def inspect(self, git_ref: str | None, question: Mapping[str, Any]) -> dict[str, Any]:
        """What the database of a git ref's branch answers a question about the table.

        Raises ``FunctionFailed``.
        """
        payload = {"git_ref": git_ref, "question": question, **self.table_choice}
        return self.invoke("inspect_database", payload)

    @cached_property
    def api(self) -> ApiClient:
        """The status API of this deployment."""
        url = find_url(self.client("apigatewayv2"), self.name, self.endpoint_url)
        return ApiClient(self.session, url, self.session.region_name or DEFAULT_REGION)

    def ask_status(self, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
        """Send a GET to the status API; None for 404. Raises ``UserError`` for any other error."""
        answer = self.api.call("GET", path, query)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        if not answer.ok:
            raise UserError(f"the status API answered {answer.status}: {answer.reason}")
        return answer.document


class FunctionFailed(UserError):
    """A function of the deployment raised an error; ``error`` is its class name."""

    def __init__(self, function: str, error: str, message: str) -> None:
        super().__init__(f"{function} failed with {error}: {message}")
        self.error = error
        self.message = message


def _invoke_patiently(client: LambdaClient, name: str, payload: str) -> Mapping[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return client.invoke(FunctionName=name, Payload=payload)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code not in PASSING_CODES:
                raise
            if time.monotonic() > deadline:
                raise UserError(
                    f"{name} can't be called: Lambda has answered {code} for "
                    f"{PATIENCE_SECONDS:.0f} s. Try again later, or check the account's concurrency"
                ) from None
        time.sleep(PAUSE_SECONDS)


def find(environment: str, project: str = DEFAULT_PROJECT, table: str | None = None) -> Deployment:
    """The project's deployment in the account or local cloud that the AWS variables point to.

    ``table`` selects one of its tables, by its name or the path of its file. Raises ``UserError``
    if there is no such deployment or table.
    """
    session, endpoint_url = open_session()
    where = endpoint_url or f"AWS region {session.region_name}"
    client: SFNClient = _client(session, "stepfunctions", endpoint_url)
    name = stack_name(project, environment)
    for page in client.get_paginator("list_state_machines").paginate():
        for machine in page["stateMachines"]:
            if machine["name"] == name:
                arn = machine["stateMachineArn"]
                deployed = Deployment(environment, session, endpoint_url, arn)
                return deployed if table is None else deployed.select_table(table)
    raise UserError(
        f"no state machine {name} at {where}: deploy the stack there, choose another "
        "--environment or --project, or set AWS_ENDPOINT_URL to a local cloud's endpoint_url"
    )


def open_session() -> tuple[boto3.Session, str | None]:
    """A session and the endpoint (None for AWS itself), from the AWS variables.

    Raises ``UserError`` if credentials would reach the endpoint in plain text.
    """
    try:
        given = os.environ.get("AWS_ENDPOINT_URL")
        endpoint_url = read_endpoint(given, "AWS_ENDPOINT_URL") if given else None
    except ConfigurationInvalid as error:
        raise UserError(str(error)) from None
    # botocore reads only AWS_DEFAULT_REGION; other tools read AWS_REGION first.
    region = os.environ.get("AWS_REGION") or boto3.Session().region_name or DEFAULT_REGION
    if is_local(endpoint_url):
        return _local_session(region), endpoint_url
    return boto3.Session(region_name=region), endpoint_url


def is_local(endpoint_url: str | None) -> bool:
    """Whether an endpoint is on this machine."""
    return endpoint_url is not None and is_loopback(urlsplit(endpoint_url).hostname or "")


def why_unreachable(error: BotoCoreError) -> str:
    """Why AWS can't be asked; a local cloud that is gone is named with the way back."""
    endpoint_url = os.environ.get("AWS_ENDPOINT_URL", "")
    is_gone = isinstance(error, (EndpointConnectionError, ConnectionClosedError))
    if is_gone and is_local(endpoint_url):
        return (
            f"the local cloud at {endpoint_url} can't be reached: `forecast-sync local up` starts "
            "one, and prints the variables to export"
        )
    return f"AWS can't be reached: {error}"


def _local_session(region: str) -> boto3.Session:
    """A session with the user's variables or profile, but never with an instance's role.

    Without credentials it signs with made-up ones, so that the local cloud's refusal is what the
    user reads: it says which keys are needed.
    """
    core = botocore.session.get_session()
    core.get_component("credential_provider").remove("iam-role")
    session = boto3.Session(botocore_session=core, region_name=region)
    if session.get_credentials() is None:
        return boto3.Session("none", "none", region_name=region)
    return session


_MAKING = threading.Lock()
"""A session makes one client at a time; the dashboard asks from several threads."""


@lru_cache(maxsize=64)
def _client(session: boto3.Session, service: str, endpoint_url: str | None) -> Any:
    """A client, made once: making one takes longer than most calls, and each opens a connection."""
    # A function may take as long as its own timeout.
    patience = FUNCTION_SECONDS if service == "lambda" else ANSWER_SECONDS
    retries = {"mode": "standard", "max_attempts": 3}
    config = Config(connect_timeout=5, read_timeout=patience, retries=retries)  # type: ignore[arg-type]
    with _MAKING:
        return session.client(
            service,  # type: ignore[call-overload]
            endpoint_url=endpoint_url,
            config=config,
        )
