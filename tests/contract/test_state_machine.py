"""The state machine against the models, the errors and the template."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from devtools.render_state_machine import render
from forecast_sync import errors
from forecast_sync.contracts import deletions, page, query, result, run
from forecast_sync.contracts.base import Model
from forecast_sync.dry_run.report import ReportRequest
from forecast_sync.resolve.run import ResolveRequest
from forecast_sync.telemetry.logging import find_run_id
from localcloud.build import package
from localcloud.errors import LocalCloudError

from tests.contract.stack import FUNCTIONS, ROOT, function_of, machine, states, tasks, template

PAYLOADS: dict[str, type[Model]] = {
    "resolve_branch": ResolveRequest,
    "read_watermark": run.WatermarkRequest,
    "survey_lake": run.SurveyRequest,
    "find_bad_files": run.BadFilesRequest,
    "start_athena_query": query.QueryRequest,
    "poll_athena_query": query.PollRequest,
    "plan_pages": page.PlanRequest,
    "upsert_batches": page.UpsertRequest,
    "verify_load": result.VerifyRequest,
    "delete_rows": deletions.DeletionsRequest,
    "report_changes": ReportRequest,
    "record_status": result.RecordRequest,
    "notify": result.NotifyRequest,
}

OURS = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.ForecastSyncError)
}

FULL = {"Lambda.TooManyRequestsException"}
"""All of an account's concurrency is in use, or all that is reserved for the function."""

NOT_READY = {
    "Lambda.ResourceConflictException",
    "Lambda.ResourceNotReadyException",
    "Lambda.ENINotReadyException",
    "Lambda.ENILimitReachedException",
    "Lambda.EC2ThrottledException",
    "Lambda.EC2UnexpectedException",
    "Lambda.SubnetIPAddressLimitReachedException",
}
"""A function that is being updated or was idle, or its network in the VPC."""

PASSING = {
    "Lambda.ServiceException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
}

FROM_AWS = {
    *FULL,
    *NOT_READY,
    *PASSING,
    "States.ALL",
}

TASKS = [pytest.param(name, state, id=name) for name, state in tasks()]


def caught(state: dict[str, Any], field: str) -> list[str]:
    return [name for clause in state.get(field, []) for name in clause["ErrorEquals"]]


def test_every_task_function_has_a_task_and_a_model() -> None:
    called = {function_of(state) for _, state in tasks()}
    assert called == set(PAYLOADS)
    others = {"start_sync", "status_api", "clean_history", "inspect_database", "check_branch"}
    assert called | others == set(FUNCTIONS)


@pytest.mark.parametrize(("name", "state"), TASKS)
def test_payload_keys_are_the_fields_of_the_model(name: str, state: dict[str, Any]) -> None:
    payload = {key.removesuffix(".$") for key in state["Parameters"]["Payload"]}
    fields = PAYLOADS[function_of(state)].model_fields
    required = {key for key, field in fields.items() if field.is_required()}
    assert required <= payload <= set(fields), name
    assert "redrive_count" not in fields or "redrive_count" in payload, name


@pytest.mark.parametrize(("name", "state"), TASKS)
def test_every_task_has_comment_timeout_and_retry(name: str, state: dict[str, Any]) -> None:
    assert state["Comment"], name
    assert state["TimeoutSeconds"] > 0
    assert state["Retry"]
    for clause in state["Retry"]:
        assert clause["JitterStrategy"] == "FULL"
        assert clause["BackoffRate"] > 1
        assert "States.ALL" not in clause["ErrorEquals"]


@pytest.mark.parametrize(
    ("kind", "least_hours"),
    [(FULL, 3), (NOT_READY, 0.1), (PASSING, 0.005)],
    ids=["full", "not ready", "passing"],
)
@pytest.mark.parametrize(("name", "state"), TASKS)
def test_every_call_of_a_function_rides_out_lambdas_own_faults(
    name: str, state: dict[str, Any], kind: set[str], least_hours: float
) -> None:
    """With full jitter a wait is half as long on average; every call waits as the loader does."""
    clauses = [clause for clause in state["Retry"] if kind & set(clause["ErrorEquals"])]
    assert [set(clause["ErrorEquals"]) for clause in clauses] == [kind], name
    [clause] = clauses
    waits = [
        min(
            clause["IntervalSeconds"] * clause["BackoffRate"] ** attempt,
            clause.get("MaxDelaySeconds", 1e9),
        )
        for attempt in range(clause["MaxAttempts"])
    ]
    assert sum(waits) / 2 >= least_hours * 3600
    loader = next(state for name, state in tasks() if name == "Upsert batches")
    assert clause in loader["Retry"]


def test_whatever_else_calls_a_function_waits_for_hours_too() -> None:
    """Uploads stay in their queue for as long as a state waits; an event is kept for six hours.

    Lambda tries a throttled event for six hours where nothing says otherwise.
    """
    resources = template()["Resources"]
    queue = resources["UploadQueue"]["Properties"]
    hours = queue["VisibilityTimeout"] * queue["RedrivePolicy"]["maxReceiveCount"] / 3600
    assert hours >= 6
    for name, resource in resources.items():
        assert "EventInvokeConfig" not in resource.get("Properties", {}), name


@pytest.mark.parametrize(("name", "state"), TASKS)
def test_a_functions_log_lines_name_the_run(name: str, state: dict[str, Any]) -> None:
    payload: dict[str, Any] = {}
    for key, value in state["Parameters"]["Payload"].items():
        field = key.removesuffix(".$")
        if isinstance(value, dict):
            payload[field] = {inner.removesuffix(".$"): "run-1" for inner in value}
        else:
            payload[field] = {"run_id": "run-1"} if field in ("run", "result") else "run-1"
    assert find_run_id(payload) == "run-1", name


@pytest.mark.parametrize(("name", "state"), TASKS)
def test_a_task_waits_longer_than_its_function_may_run(name: str, state: dict[str, Any]) -> None:
    logical = state["Parameters"]["FunctionName"][2:-1].removesuffix("Arn")
    properties = template()["Resources"][logical]["Properties"]
    limit = properties.get("Timeout", template()["Globals"]["Function"]["Timeout"])
    assert state["TimeoutSeconds"] >= limit, name


@pytest.mark.parametrize(("name", "state"), TASKS)
def test_only_transient_errors_are_retried_and_only_route_errors_caught(
    name: str, state: dict[str, Any]
) -> None:
    for error in caught(state, "Retry"):
        assert error in FROM_AWS or issubclass(OURS[error], errors.TransientError), (name, error)
    for error in caught(state, "Catch"):
        best_effort = name == "Notify" and error == "States.ALL"
        by_a_file = name == "Plan pages" and error == "VerificationFailed"
        is_route = error in OURS and issubclass(OURS[error], errors.RouteError)
        assert best_effort or by_a_file or is_route, (name, error)


def test_a_map_catches_only_route_errors() -> None:
    for name, state in states():
        if state["Type"] == "Map":
            for error in caught(state, "Catch"):
                is_route = error in OURS and issubclass(OURS[error], errors.RouteError)
                assert is_route or error == "States.ItemReaderFailed", (name, error)


def test_every_transient_error_is_retried_and_every_route_error_caught_somewhere() -> None:
    retried = {error for _, state in tasks() for error in caught(state, "Retry")}
    routed = {error for _, state in states() for error in caught(state, "Catch")}
    for name, kind in OURS.items():
        if kind.__subclasses__():
            continue
        if issubclass(kind, errors.TransientError):
            assert name in retried
        if issubclass(kind, errors.RouteError):
            assert name in routed


def test_no_state_fails_by_itself() -> None:
    """A redrive would re-run the Fail state and not the state whose error led there."""
    assert [name for name, state in states() if state["Type"] == "Fail"] == []


def test_every_substitution_is_given_and_used() -> None:
    text = (ROOT / "statemachine/sync.asl.yaml").read_text()
    given = template()["Resources"]["StateMachine"]["Properties"]["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", text)) == set(given)
    for name, value in given.items():
        assert value == {"GetAtt": f"{name.removesuffix('Arn')}.Arn"}


RENDERING = ROOT / "statemachine/sync.asl.json"


def test_the_rendering_is_up_to_date() -> None:
    source = (ROOT / "statemachine/sync.asl.yaml").read_text()
    assert RENDERING.read_text() == render(source), "run `make render`"
    assert json.loads(RENDERING.read_text()) == machine()


def test_the_rendering_is_what_is_deployed() -> None:
    properties = template()["Resources"]["StateMachine"]["Properties"]
    assert ROOT / properties["DefinitionUri"] == RENDERING


TOY_TEMPLATE = """
Resources:
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties: {DefinitionUri: machine.asl.json}
"""
TOY_SOURCE = "StartAt: Both\nStates: {Both: {Type: Pass, Result: [&one {n: 1}, *one], End: true}}\n"


def test_the_local_cloud_deploys_the_rendering(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(TOY_TEMPLATE)
    (tmp_path / "machine.asl.yaml").write_text(TOY_SOURCE)
    rendering = tmp_path / "machine.asl.json"
    rendering.write_text(render(TOY_SOURCE))
    [deployed] = package(tmp_path / "template.yaml", "http://artifacts").artifacts.values()
    assert json.loads(deployed) == json.loads(rendering.read_text())
    assert json.loads(deployed)["States"]["Both"]["Result"] == [{"n": 1}, {"n": 1}]


def test_the_local_cloud_refuses_a_rendering_that_is_out_of_date(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(TOY_TEMPLATE)
    (tmp_path / "machine.asl.json").write_text(render(TOY_SOURCE))
    (tmp_path / "machine.asl.yaml").write_text(TOY_SOURCE.replace("n: 1", "n: 2"))
    with pytest.raises(LocalCloudError, match=r"machine\.asl\.json differs .* run `make render`"):
        package(tmp_path / "template.yaml", "http://artifacts")


VALIDATOR = ROOT / ".tools/node/states-language.mjs"
with_node = pytest.mark.skipif(
    not (shutil.which("node") and VALIDATOR.is_file()) and not os.environ.get("CI"),
    reason="AWS's validator isn't installed: apt-get install npm, then make check-templates",
)


def validate(*paths: Path) -> subprocess.CompletedProcess[str]:
    """AWS's own validator, as `make check-templates` runs it."""
    command = ["node", str(VALIDATOR), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@with_node
def test_aws_s_validator_accepts_the_source_and_its_rendering() -> None:
    ended = validate(ROOT / "statemachine/sync.asl.yaml", RENDERING)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def _leave_the_map(definition: dict[str, Any]) -> None:
    inner = definition["States"]["Load pages"]["ItemProcessor"]["States"]
    inner["Page done?"]["Default"] = "Verify load"


def _misspell_the_backoff(definition: dict[str, Any]) -> None:
    definition["States"]["Notify"]["Retry"][0]["BackOffRate"] = 2


def _go_nowhere(definition: dict[str, Any]) -> None:
    definition["States"]["Record status"]["Next"] = "Notified"


@with_node
@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (_leave_the_map, 'The value of "Default" property must be the name of an existing state.'),
        (_misspell_the_backoff, "Field is not supported."),
        (_go_nowhere, 'The value of "Next" property must be the name of an existing state.'),
    ],
)
def test_aws_s_validator_refuses_a_broken_machine(
    damage: Callable[[dict[str, Any]], None], finding: str, tmp_path: Path
) -> None:
    definition = json.loads(RENDERING.read_text())
    damage(definition)
    path = tmp_path / "broken.asl.json"
    path.write_text(json.dumps(definition))
    ended = validate(path)
    assert ended.returncode == 1
    assert finding in ended.stderr


def test_the_error_tree_in_the_docstring_is_the_error_tree() -> None:
    assert errors.__doc__ is not None
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__)) | {"ForecastSyncError"}
    assert drawn == set(OURS)
