"""Two stacks with two names in one account and region: each syncs, and neither knows of the other.

The second one has its own database, as a second project has.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from forecast_sync.stack_names import execution_arn_of
from forecast_sync_cli.main import make_app
from localcloud.cloud import TEMPLATE
from localcloud.deploy import deploy
from localcloud.postgres import Postgres
from typer.testing import CliRunner

from tests.lake import make_rows, reference
from tests.waiting import eventually
from tests.workflow.deployed import PARAMETERS, Deployed
from tests.workflow.runner import Runner

PROJECT = "night-shift"
STACK = f"{PROJECT}-dev"
INSIDE_OF_ANOTHER = {"AWS::ApiGatewayV2::Stage", "AWS::Glue::Table"}
"""Their ids are names within an API or a database, which are the stack's own."""


@pytest.fixture(scope="module")
def second(_deployed: Deployed, postgres: Postgres) -> Iterator[Deployed]:
    """The second stack, beside the one that all these tests share."""
    cloud = _deployed.cloud
    database = f"second_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {database}".encode())
    url = postgres.url(database)
    values = {
        **PARAMETERS,
        "ProjectName": PROJECT,
        "BucketSuffix": "of-ours",
        "Environment": "dev",
        "DatabaseUrl": url,
    }
    outputs = deploy(cloud.session(), cloud.endpoint_url, TEMPLATE, values, STACK)
    yield Deployed(
        replace(
            cloud,
            bucket=outputs["DataBucketName"],
            results_bucket=outputs["ResultsBucketName"],
            state_machine_arn=outputs["StateMachineArn"],
            database_urls={"dev": url},
        )
    )
    _deployed.forget(STACK)


def executions(stack: Deployed) -> list[str]:
    listed = stack.client("stepfunctions").list_executions(
        stateMachineArn=stack.cloud.state_machine_arn
    )
    return [item["executionArn"] for item in listed["executions"]]


def test_an_upload_into_the_second_runs_its_machine_and_leaves_the_first_alone(
    deployed: Deployed, second: Deployed
) -> None:
    deployed.upload("first", make_rows(range(5)))
    deployed.succeed()
    before = executions(deployed), deployed.table(), deployed.versions()
    deployed.react_to_uploads(True)
    second.upload("second", make_rows(range(100, 110)))
    arn = eventually(lambda: next(iter(executions(second)), None), 60, "a run of the second")
    ended = second.wait(arn)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    assert second.table() == reference(second.files)
    assert len(second.table()) == 10
    assert (executions(deployed), deployed.table(), deployed.versions()) == before


def test_what_the_first_takes_in_stays_out_of_the_second(
    deployed: Deployed, second: Deployed
) -> None:
    second.succeed(sync_type="full")
    before = executions(second), second.table(), second.versions()
    deployed.upload("first", make_rows(range(20, 30)))
    deployed.succeed()
    assert len(deployed.table()) == 10
    assert (executions(second), second.table(), second.versions()) == before


def physical_names(stack: Deployed, name: str) -> set[tuple[str, str]]:
    """Type and physical id of every resource, those of the nested stacks included."""
    found: set[tuple[str, str]] = set()
    pages = stack.client("cloudformation").get_paginator("list_stack_resources")
    for page in pages.paginate(StackName=name):
        for resource in page["StackResourceSummaries"]:
            kind, identity = resource["ResourceType"], resource["PhysicalResourceId"]
            if kind not in INSIDE_OF_ANOTHER:
                found.add((kind, identity))
            if kind == "AWS::CloudFormation::Stack":
                found |= physical_names(stack, identity)
    return found


def test_the_stacks_share_no_resource(deployed: Deployed, second: Deployed) -> None:
    first, others = physical_names(deployed, deployed.name), physical_names(second, second.name)
    # The second keeps its database's URL too.
    assert len(others) == len(first) + 1 > 60
    assert not first & others


def test_the_default_keeps_the_names_that_it_has_always_had(
    deployed: Deployed, second: Deployed
) -> None:
    databases = {item["Name"] for item in deployed.client("glue").get_databases()["DatabaseList"]}
    assert {"forecast_dev", "forecast_dev_night_shift"} <= databases
    assert deployed.cloud.bucket == "forecast-sync-datalake-dev-35315550"
    assert second.cloud.bucket == "night-shift-datalake-dev-of-ours"
    listed = deployed.client("secretsmanager").list_secrets()["SecretList"]
    secrets = {item["Name"] for item in listed}
    assert {"forecast-sync-dev/neon-api-key", "night-shift-dev/neon-api-key"} <= secrets


@pytest.fixture
def operator(second: Deployed, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name, value in second.cloud.variables.items():
        monkeypatch.setenv(name, value)
    for name in ("ENVIRONMENT", "PROJECT_NAME"):
        monkeypatch.delenv(name, raising=False)
    return CliRunner()


def ask(operator: CliRunner, *arguments: str, code: int = 0) -> Any:
    done = operator.invoke(make_app(), [*arguments, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_an_operator_reaches_the_second_by_its_name(
    operator: CliRunner, second: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    second.upload("again", make_rows(range(200, 205)))
    run = ask(operator, "start", "--sync-type", "full", "--project", PROJECT)
    assert f":execution:{STACK}:" in run["execution_arn"]
    listed = ask(operator, "history", "--project", PROJECT)
    assert run["run_id"] in {item["run_id"] for item in listed}
    assert run["run_id"] not in {item["run_id"] for item in ask(operator, "history")}
    logged = ask(operator, "logs", run["run_id"], "--project", PROJECT)
    assert {line["details"]["function"].removeprefix(f"{STACK}-") for line in logged} >= {
        "resolve-branch",
        "notify",
    }
    monkeypatch.setenv("PROJECT_NAME", PROJECT)
    assert run["run_id"] in {item["run_id"] for item in ask(operator, "status")["runs"]}
    assert ask(operator, "diff")["days"] == []
    assert ask(operator, "plan")["counts"]["inserted"] == 0
    assert ask(operator, "rejects") == []


def test_doctor_finds_the_second_well(operator: CliRunner, second: Deployed) -> None:
    second.upload("again", make_rows(range(200, 205)))
    second.react_to_uploads(True)
    done = operator.invoke(make_app(), ["doctor", "--project", PROJECT, "--json"])
    checks = {item["check"]: item for item in json.loads(done.stdout)["checks"]}
    assert {name for name, item in checks.items() if item["status"] == "finding"} == set(), checks
    assert checks["state machine"]["found"].startswith(STACK)


def test_a_project_that_isn_t_deployed_is_named(operator: CliRunner) -> None:
    done = operator.invoke(make_app(), ["status", "--project", "day-shift"])
    assert "no state machine day-shift-dev" in str(done.exception)


def test_the_scripts_of_github_s_workflows_reach_the_second_too(
    runner: Runner, second: Deployed
) -> None:
    checked = runner.step("check_branch.py", PROJECT_NAME=PROJECT)
    assert checked.returncode == 0, checked.stderr
    done = runner.step("run_sync.py", PROJECT_NAME=PROJECT, SYNC_TYPE="full")
    assert done.returncode == 0, done.stderr
    execution = json.loads((runner.folder / "result.json").read_text())
    machine = second.cloud.state_machine_arn
    assert execution["executionArn"] == execution_arn_of(machine, execution["name"])
