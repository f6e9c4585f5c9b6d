"""A stack's names begin with its project wherever an operator sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
import typer
from forecast_sync.config import Settings
from forecast_sync.notify import messages
from forecast_sync_cli.client import deployment
from forecast_sync_cli.main import make_app

from tests.builders import make_run
from tests.contract.stack import template
from tests.unit.test_messages import ALL, RESULT, make_stale

ARN = "arn:aws:states:eu-west-1:111122223333:stateMachine"


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path.strip(), group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, f"{path} {name}")


def options() -> dict[str, dict[str, Any]]:
    named = commands(typer.main.get_command(make_app()))
    return {path: {str(item.name): item for item in command.params} for path, command in named}


def test_every_command_that_asks_for_the_environment_asks_for_the_project() -> None:
    addressed = {path for path, params in options().items() if "environment" in params}
    assert len(addressed) >= 15
    assert addressed == {path for path, params in options().items() if "project" in params}


def test_the_project_has_the_template_s_default_and_a_variable() -> None:
    projects = [params["project"] for params in options().values() if "project" in params]
    default = template()["Parameters"]["ProjectName"]["Default"]
    assert {(item.default, item.envvar) for item in projects} == {(default, "PROJECT_NAME")}


@pytest.mark.parametrize("environment", ["dev", "production"])
def test_a_deployment_s_names_come_from_its_machine(environment: str) -> None:
    other = deployment.Deployment(environment, boto3.Session(), None, f"{ARN}:other-{environment}")
    assert other.name == f"other-{environment}"
    assert other.function_name("start_sync") == f"other-{environment}-start-sync"
    assert other.label == f"other-{environment}"
    default = replace(other, state_machine_arn=f"{ARN}:forecast-sync-{environment}")
    assert default.label == environment


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({"AWS_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "ap-south-1"}, "eu-west-1"),
        ({}, "us-east-2"),
    ],
)
def test_the_region_is_the_operator_s(
    variables: dict[str, str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    session, _ = deployment.open_session()
    assert session.region_name == region


def settings(name: str) -> Settings:
    environment = "production" if name.endswith("production") else "dev"
    return Settings(environment=environment, state_machine_arn=f"{ARN}:{name}")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "project"),
    [("other-dev", "other"), ("a-dev-production", "a-dev"), ("forecast-sync-dev", "forecast-sync")],
)
def test_the_project_is_read_from_the_machine_s_name(name: str, project: str) -> None:
    assert settings(name).project_name == project


def test_a_message_of_a_second_stack_says_which_and_how_to_address_it() -> None:
    second = settings("other-production")
    sent = [
        messages.failed(make_run(environment="production"), "InvalidInput: x", second),
        messages.failed(make_run(environment="production"), "The run is ABORTED.", second),
        messages.rejected(RESULT, second),
        messages.stale(make_stale(), second),
    ]
    for message in sent:
        assert message.title.endswith("(other-production)")
        thread = json.loads(message.to_chat())["metadata"]["threadId"]
        assert thread.startswith("other-production-")
        text = message.to_text()
        assert "--environment production --project other" in text
        assert text.count("forecast-sync ") == text.count("--project other")


def test_a_message_of_the_default_stack_is_short() -> None:
    assert not [message for message in ALL if "--project" in message.to_text()]
