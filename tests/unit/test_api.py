"""The API's refusals: each is problem details, with its status, and without a trace or a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from forecast_sync import clients, deployed_tables
from forecast_sync.adapters.stepfunctions import Execution
from forecast_sync.api import routes
from forecast_sync.errors import (
    BranchNotFound,
    DatabaseRefused,
    DatabaseUnavailable,
    ForecastSyncError,
)
from forecast_sync.runs import queries

SECRET = "postgresql://owner:canary@db.example/forecasts"  # pragma: allowlist secret


class Machine:
    """A state machine in memory: executions by name."""

    def __init__(self, **executions: Execution) -> None:
        self.executions = executions
        self.acted: list[tuple[str, str]] = []

    def arn_of(self, name: str) -> str:
        return f"arn:aws:states:us-east-2:000000000000:execution:forecast-sync-dev:{name}"

    def describe(self, arn: str) -> Execution | None:
        return self.executions.get(arn.rpartition(":")[2])

    def start(self, name: str, payload: Mapping[str, Any]) -> bool:
        if name in self.executions:
            return False
        self.executions[name] = execution("RUNNING", input=json.dumps(payload))
        return True

    def failure_of(self, _arn: str, execution: Execution) -> str:
        return f"{execution.error}: {execution.cause}"

    def redrive(self, arn: str) -> bool:
        self.acted.append(("redrive", arn.rpartition(":")[2]))
        return True

    def stop(self, arn: str, cause: str) -> None:
        assert cause == "Stopped through the API."
        self.acted.append(("stop", arn.rpartition(":")[2]))


def execution(status: str, **changes: Any) -> Execution:
    values: dict[str, Any] = {
        "status": status,
        "redrive_count": 0,
        "started_at": "2026-11-24T10:00:00+00:00",
        "input": "{}",
        "error": "",
        "cause": "",
    }
    return Execution(**{**values, **changes})


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine(
        going=execution("RUNNING"),
        broken=execution("FAILED", redrivable=True),
        superseded=execution("FAILED", error="Superseded", redrivable=True),
        expired=execution("FAILED", why_not_redrivable="Execution is older than 14 days"),
        done=execution("SUCCEEDED"),
    )
    monkeypatch.setenv("ENVIRONMENT", "dev")
    deployed_tables.settings.cache_clear()
    monkeypatch.setattr(clients, "workflow", lambda: made)
    monkeypatch.setattr(clients, "neon", lambda *_: None)

    def connection_of(_git_ref: str | None) -> NoReturn:
        raise DatabaseUnavailable("No connection to Postgres.")

    monkeypatch.setattr(clients, "connection_of", connection_of)
    yield made
    deployed_tables.settings.cache_clear()


def ask(
    method: str,
    path: str,
    body: object = None,
    *,
    signed: bool = True,
    query: Mapping[str, str] | None = None,
    **headers: str,
) -> tuple[int, dict[str, Any], Mapping[str, str]]:
    """Status, document and headers of an answer, as the gateway would get them."""
    named = {"content-type": "application/json"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    caller = {"iam": {"userArn": "arn:aws:iam::000000000000:root"}} if signed else {}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "headers": named,
        "queryStringParameters": dict(query or {}),
        "body": body if isinstance(body, str) or body is None else json.dumps(body),
        "isBase64Encoded": False,
        "requestContext": {
            "http": {"method": method, "path": path},
            "stage": "$default",
            "authorizer": caller,
        },
    }
    answer = routes.answer(event, LambdaContext())
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nowhere", None, 404),
        ("GET", "/syncs/no-such-run", None, 404),
        ("POST", "/syncs/no-such-run/stop", None, 404),
        ("DELETE", "/syncs", None, 405),
        ("GET", "/syncs/done/redrive", None, 405),
        ("QUERY", "/status", None, 405),
        ("POST", "/syncs/done/redrive", None, 409),
        ("POST", "/syncs/expired/redrive", None, 409),
        ("POST", "/syncs/going/redrive", None, 409),
        ("POST", "/syncs/done/stop", None, 409),
        ("POST", "/syncs", "{", 400),
        ("POST", "/syncs", None, 422),
        ("POST", "/syncs", {"speed": "fast"}, 422),
        ("POST", "/syncs", {"batch_size": 0}, 422),
        ("POST", "/syncs", {"date_from": "2026-02-01", "date_to": "2026-01-01"}, 422),
        ("POST", "/syncs", {"git_ref": "main"}, 422),
        ("POST", "/syncs", {"git_ref": "nope"}, 422),
        ("GET", "/syncs/a%20name", None, 422),
    ],
)
def test_a_refusal_is_problem_details(method: str, path: str, body: object, status: int) -> None:
    answered, problem, headers = ask(method, path, body)
    assert (answered, problem["status"]) == (status, status)
    assert headers["Content-Type"] == "application/problem+json"
    assert {"type", "title", "detail", "instance"} <= set(problem)


@pytest.mark.usefixtures("machine")
def test_without_an_identity_it_is_401() -> None:
    status, problem, headers = ask("GET", "/status", signed=False)
    assert (status, problem["title"]) == (401, "Unauthorized")
    assert headers["WWW-Authenticate"] == "AWS4-HMAC-SHA256"


@pytest.mark.usefixtures("machine")
def test_a_wrong_parameter_is_named() -> None:
    status, problem, _ = ask("GET", "/syncs", query={"limit": "0"})
    assert status == 422
    assert problem["errors"][0]["where"] == "query.limit"


@pytest.mark.usefixtures("machine")
def test_an_unknown_parameter_is_refused_by_name() -> None:
    status, problem, _ = ask("GET", "/syncs", query={"state": "failed"})
    assert (status, problem["errors"][0]["where"]) == (422, "query.state")
    assert "known here: git_ref, status" in problem["errors"][0]["detail"]


@pytest.mark.usefixtures("machine")
def test_only_json_is_read() -> None:
    assert ask("POST", "/syncs", "<run/>", content_type="text/xml")[0] == 415


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (BranchNotFound("no such branch"), 404, "docs/runbook.md#branchnotfound"),
        (DatabaseUnavailable("server starting"), 503, "docs/runbook.md#databaseunavailable"),
        (
            DatabaseRefused("no login", while_connecting=True),
            503,
            "docs/runbook.md#databaserefused",
        ),
        (DatabaseRefused("no permission"), 500, "docs/runbook.md#databaserefused"),
    ],
)
@pytest.mark.usefixtures("machine")
def test_a_forecast_sync_error_keeps_its_message(
    monkeypatch: pytest.MonkeyPatch, error: ForecastSyncError, status: int, kind: str
) -> None:
    _break_connections(monkeypatch, error)
    answered, problem, headers = ask("GET", "/syncs")
    assert (answered, problem["type"], problem["detail"]) == (status, kind, str(error))
    assert ("Retry-After" in headers) == (status == 503)


def test_a_branch_that_is_missing_is_answered_with_those_that_are_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Neon:
        def find_branch(self, name: str) -> NoReturn:
            raise BranchNotFound(f"no branch {name}")

        def names_under(self, prefix: str) -> list[str]:
            return [f"{prefix}7", f"{prefix}8"]

    known = set(machine.executions)
    monkeypatch.setattr(clients, "neon", lambda *_: Neon())
    status, problem, _ = ask("POST", "/syncs", {"git_ref": "preview/pr-99"})
    assert status == 404
    assert problem["detail"] == (
        "no branch preview/pr-99. Found are: dev, preview/pr-7, preview/pr-8."
    )
    assert set(machine.executions) == known


@pytest.mark.usefixtures("machine")
def test_a_foreign_error_shows_only_its_class(monkeypatch: pytest.MonkeyPatch) -> None:
    _break_connections(monkeypatch, RuntimeError(SECRET))
    status, problem, _ = ask("GET", "/syncs")
    assert status == 500
    assert "RuntimeError" in problem["detail"]
    assert "canary" not in json.dumps(problem)
    assert "Traceback" not in json.dumps(problem)


def _break_connections(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(_: object) -> NoReturn:
        raise error

    monkeypatch.setattr(clients, "connection_of", refuse)


def test_a_key_starts_one_run_however_often_it_comes(machine: Machine) -> None:
    known = set(machine.executions)
    first = ask("POST", "/syncs", {"sync_type": "full"}, idempotency_key="monday")
    again = ask("POST", "/syncs", {"sync_type": "full"}, idempotency_key="monday")
    assert first[0] == again[0] == 202
    assert first[1] == again[1]
    assert first[2]["Location"] == f"/syncs/{first[1]['run_id']}"
    assert set(machine.executions) - known == {first[1]["run_id"]}
    started = machine.executions[first[1]["run_id"]]
    assert json.loads(started.input) == {"sync_type": "full", "trigger": "api"}
    other = ask("POST", "/syncs", {"sync_type": "incremental"}, idempotency_key="monday")
    assert other[0] == 409
    assert "with another request" in other[1]["detail"]
    machine.executions[first[1]["run_id"]] = started._replace(status="SUCCEEDED")
    assert ask("POST", "/syncs", {"sync_type": "full"}, idempotency_key="monday")[0] == 202


def test_a_failed_run_is_redriven_and_a_running_one_stopped(machine: Machine) -> None:
    assert ask("POST", "/syncs/broken/redrive")[0] == 202
    assert ask("POST", "/syncs/going/stop")[0] == 202
    assert machine.acted == [("redrive", "broken"), ("stop", "going")]


def test_a_redrive_that_could_only_fail_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, problem, _ = ask("POST", "/syncs/superseded/redrive")
    assert (status, problem["detail"]) == (
        409,
        "superseded can't be redriven: a later run has taken its place; start a new run.",
    )
    monkeypatch.setattr(clients, "connection_of", lambda _: None)
    monkeypatch.setattr(queries, "find_later_run", lambda *_: "later")
    status, problem, _ = ask("POST", "/syncs/broken/redrive")
    assert (status, problem["detail"]) == (
        409,
        "broken can't be redriven: later has written or succeeded since; start a new run.",
    )
    assert machine.acted == []
