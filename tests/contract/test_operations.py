"""What people operate with: documents, workflows and metrics against what they are about."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from devtools import check_cloudwatch_queries
from forecast_sync import errors
from forecast_sync.contracts.base import parse_payload
from forecast_sync.diagnostics.inspect import BranchRequest
from forecast_sync.errors import InvalidInput
from forecast_sync.survey.lists import RESULT_DAYS
from forecast_sync.telemetry import metrics

from tests.contract.iam import Request, is_allowed, permissions
from tests.contract.rendering import ACCOUNT, REGION, render
from tests.contract.stack import FUNCTIONS, ROOT, load_template, template
from tests.filter_patterns import matches

WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))


def observability() -> dict[str, Any]:
    resources: dict[str, Any] = load_template("templates/observability.yaml")["Resources"]
    return resources


def sections(document: str) -> dict[str, str]:
    """The text under each heading of the third level."""
    parts = re.split(r"^### (.+)$", (ROOT / document).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def alarm_names() -> list[str]:
    alarms = [item for item in observability().values() if item["Type"] == "AWS::CloudWatch::Alarm"]
    return [str(item["Properties"]["AlarmName"]["Sub"]) for item in alarms]


def error_names() -> list[str]:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    return [kind.__name__ for kind in kinds if not kind.__subclasses__()]


@pytest.mark.parametrize("name", error_names())
def test_every_error_has_its_section_in_the_runbook(name: str) -> None:
    assert len(sections("docs/runbook.md")[name].split()) >= 10


def as_heading(alarm: str) -> str:
    """The runbook speaks of alarms by the default project's names."""
    return alarm.replace("${ProjectName}", "forecast-sync").replace("${Environment}", "ENV")


@pytest.mark.parametrize("name", alarm_names())
def test_every_alarm_has_its_section_in_the_runbook(name: str) -> None:
    assert len(sections("docs/runbook.md")[as_heading(name)].split()) >= 10


def test_the_runbook_has_no_section_about_what_is_gone() -> None:
    known = {*error_names(), *map(as_heading, alarm_names())}
    text = (ROOT / "docs/runbook.md").read_text()
    before_maintenance = text[: text.index("\n# Maintenance")]
    assert set(re.findall(r"^### (.+)$", before_maintenance, flags=re.MULTILINE)) == known


ENDED_BY_THEMSELVES = {"RunFailedAlarm", "RunTimedOutAlarm"}
"""They count failures of the last minutes, so their end isn't a recovery."""


def test_every_alarm_notifies_the_topic_and_is_on_the_dashboard() -> None:
    body = observability()["Dashboard"]["Properties"]["DashboardBody"]["Sub"][0]
    for name, alarm in observability().items():
        if alarm["Type"] != "AWS::CloudWatch::Alarm":
            continue
        properties = alarm["Properties"]
        assert properties["AlarmActions"] == [{"Ref": "Topic"}]
        ok_actions = None if name in ENDED_BY_THEMSELVES else [{"Ref": "Topic"}]
        assert properties.get("OKActions") == ok_actions, name
        assert f"alarm:{properties['AlarmName']['Sub']}" in body


def test_alarms_and_dashboard_use_metrics_that_are_measured() -> None:
    text = (ROOT / "templates/observability.yaml").read_text()
    measured = set(re.findall(r'"([A-Z]\w+)":', inspect.getsource(metrics)))
    alarmed = {
        item["Properties"]["MetricName"]
        for item in observability().values()
        if item.get("Properties", {}).get("Namespace") == metrics.NAMESPACE
    }
    assert alarmed <= measured
    assert all(f'"{name}"' in text for name in measured - alarmed)


def counts(line: dict[str, Any]) -> bool:
    """Whether the filter of the function-errors alarm counts a line of the log group."""
    pattern = observability()["FunctionErrors"]["Properties"]["FilterPattern"]["Sub"]
    deployed = pattern.replace("${ProjectName}-${Environment}", "forecast-sync-dev")
    assert "${" not in deployed
    return matches(deployed, json.dumps(line))


def failure(name: str, function: str) -> dict[str, Any]:
    """The line of ``logs.log_failure``."""
    return {
        "level": "ERROR",
        "message": f"{name}: so it is",
        "service": "forecast-sync-dev",
        "function": f"forecast-sync-dev-{function.replace('_', '-')}",
        "run_id": None,
        "error": name,
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_errors_of_every_function_count_except_those_of_operators_requests(function: str) -> None:
    for_operators = {"inspect_database", "check_branch"}
    assert counts(failure("DatabaseUnavailable", function)) == (function not in for_operators)


def test_waiting_for_the_lease_is_no_error() -> None:
    assert not counts(failure("LeaseHeld", "read_watermark"))
    assert counts(failure("SchemaMismatch", "read_watermark"))


@pytest.mark.parametrize(
    ("status", "error_type", "is_counted"),
    [
        ("success", None, False),
        ("timeout", None, True),
        ("error", "Runtime.ExitError", True),
        ("error", "Runtime.OutOfMemory", True),
        ("error", "Runtime.ImportModuleError", True),
        ("error", "Sandbox.Timedout", True),
        # What the handler has raised: its own line is counted, whatever Lambda reports.
        ("error", None, False),
        ("error", "Runtime.Unknown", False),
        ("error", "Function.Unknown", False),
    ],
)
def test_a_call_that_wrote_no_line_counts_by_lambda_s_report(
    status: str, error_type: str | None, is_counted: bool
) -> None:
    record = {"requestId": "r", "status": status, "metrics": {"durationMs": 1.5}}
    if error_type:
        record["errorType"] = error_type
    assert counts({"time": "t", "type": "platform.report", "record": record}) is is_counted
    assert not counts({"time": "t", "type": "platform.runtimeDone", "record": record})


def test_the_alarm_adds_up_what_the_filter_counts() -> None:
    alarm = observability()["FunctionErrorsAlarm"]["Properties"]
    [counted] = observability()["FunctionErrors"]["Properties"]["MetricTransformations"]
    assert (alarm["Namespace"], alarm["MetricName"]) == (
        counted["MetricNamespace"],
        counted["MetricName"],
    )
    assert (counted["MetricValue"], alarm["Statistic"]) == ("1", "Sum")


def test_no_metric_of_an_alarm_is_two_stacks_at_once() -> None:
    own = ("${ProjectName}-${Environment}", "StateMachineArn", "DeadLetterQueue")
    for name, alarm in observability().items():
        if alarm["Type"] == "AWS::CloudWatch::Alarm":
            properties = alarm["Properties"]
            metric = json.dumps([properties["Namespace"], properties.get("Dimensions")])
            assert any(word in metric for word in own), name


def test_the_templates_queries_are_parsed() -> None:
    paths = [ROOT / "template.yaml", *sorted(ROOT.glob("templates/*.yaml"))]
    assert check_cloudwatch_queries.main([str(path) for path in paths]) == 0


def test_every_parameter_is_described_and_used() -> None:
    text = (ROOT / "template.yaml").read_text()
    for name, parameter in template()["Parameters"].items():
        assert parameter["Description"], name
        assert f"!Ref {name}" in text or f"${{{name}}}" in text, name


def test_a_redrive_is_never_cleaned_away() -> None:
    redrive_days = 14
    assert template()["Parameters"]["HistoryDays"]["MinValue"] > redrive_days
    rules = template()["Resources"]["ResultsBucket"]["Properties"]["LifecycleConfiguration"]
    assert [rule["ExpirationInDays"] for rule in rules["Rules"]] == [redrive_days + 1]
    assert redrive_days + 1 == RESULT_DAYS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_is_pinned_and_may_do_nothing_by_default(path: Path) -> None:
    text = path.read_text()
    assert yaml.safe_load(text)["permissions"] == {}
    for action in re.findall(r"uses: (.+)", text):
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_pastes_nothing_into_a_shell_and_calls_what_exists(path: Path) -> None:
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        for step in job["steps"]:
            command = str(step.get("run", ""))
            assert "${{" not in command
            assert "secrets." not in str(step)
            for script in re.findall(r"scripts/\S+\.py", command):
                assert (ROOT / script).is_file()


def privileged_jobs() -> list[tuple[str, str, dict[str, Any]]]:
    """Every job that becomes a role: the event's names, the job's name, the job."""
    jobs = []
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        events = " ".join(workflow[True])  # YAML 1.1 reads the key `on` as true.
        for name, job in workflow["jobs"].items():
            if "id-token" in job["permissions"]:
                jobs.append((events, f"{path.stem}/{name}", job))
    return jobs


@pytest.mark.parametrize(
    "job", [job for events, _, job in privileged_jobs() if "push" not in events.split()]
)
def test_what_others_can_start_runs_the_code_of_the_default_branch(job: dict[str, Any]) -> None:
    [checkout] = [step for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"


def test_only_this_repository_s_pull_requests_can_assume_their_role() -> None:
    [job] = [job for events, _, job in privileged_jobs() if "pull_request" in events.split()]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
    assert job["environment"] == "pull-request"
    trusted = trusted_subjects()
    subject = "repo:o/n:environment:pull-request"
    assert [name for name, subjects in trusted.items() if subject in subjects] == ["PreviewRole"]
    assert trusted["PreviewRole"] == [subject]
    assert "PreviewRole" not in trusted_subjects("production")


def test_a_pull_request_s_role_sees_only_runs_with_the_name_that_its_job_gives() -> None:
    role = load_template("templates/github.yaml")["Resources"]["PreviewRole"]
    [policy] = role["Properties"]["Policies"]
    allowed = {
        tuple(listed(statement["Action"])): statement["Resource"]["Sub"].rsplit(":", 2)[1:]
        for statement in policy["PolicyDocument"]["Statement"]
    }
    assert allowed == {
        ("states:StartExecution",): ["stateMachine", "${ProjectName}-${Environment}"],
        ("states:DescribeExecution", "states:GetExecutionHistory"): [
            "${ProjectName}-${Environment}",
            "preview-*",
        ],
        ("lambda:InvokeFunction",): ["function", "${ProjectName}-${Environment}-resolve-branch"],
    }
    [job] = [job for events, _, job in privileged_jobs() if "pull_request" in events.split()]
    [fill] = [step for step in job["steps"] if "sync_preview.py" in step.get("run", "")]
    assert fill["env"]["TRIGGER"] == "preview"


def test_nothing_is_deployed_before_it_is_approved_and_no_sync_waits_for_an_approval() -> None:
    roles = load_template("templates/github.yaml")["Resources"]
    trusted = trusted_subjects()
    may_deploy = [name for name in trusted if "ExecuteChangeSet" in str(roles[name])]
    assert may_deploy == ["DeployRole"]
    assert trusted["DeployRole"] == ["repo:o/n:environment:dev"]
    jobs = {name: job["environment"] for _, name, job in privileged_jobs()}
    assert jobs["forecast-sync/sync"].endswith("-sync")
    assert "repo:o/n:environment:dev-sync" in trusted["SyncRole"]


def trusted_subjects(environment: str = "dev") -> dict[str, list[str]]:
    """Of each role that GitHub can become, the subjects that it may come as."""
    rendered = render("templates/github.yaml", Repository="o/n", Environment=environment)
    conditions = {
        role: rendered.trust(role)[0].get("Condition", {}).get("StringEquals", {})
        for role in rendered.of_type("AWS::IAM::Role")
    }
    subject = "token.actions.githubusercontent.com:sub"
    return {role: keys[subject] for role, keys in conditions.items() if subject in keys}


def test_no_branch_that_anybody_may_push_leads_to_rows() -> None:
    """Roles of environments that wait for no reviewer: pull requests and ``dev-sync``."""
    rendered = render("templates/github.yaml", Repository="o/n", Environment="dev")
    open_to_all = {"repo:o/n:environment:pull-request", "repo:o/n:environment:dev-sync"}
    roles = [name for name, subjects in trusted_subjects().items() if open_to_all & {*subjects}]
    assert roles == ["SyncRole", "PreviewRole"]
    harmless = {"resolve-branch", "check-branch"}
    for role in roles:
        for _, action, resource in permissions(rendered.statements(role)):
            service, name = action.split(":")
            assert service in {"states", "lambda"}
            if service == "lambda":
                assert name == "InvokeFunction"
                assert resource.removeprefix(f"{FUNCTION}:forecast-sync-dev-") in harmless
        for function in ("inspect-database", "report-changes", "status-api", "upsert-batches"):
            arn = f"{FUNCTION}:forecast-sync-dev-{function}"
            request = Request("lambda:InvokeFunction", arn)
            assert not is_allowed(rendered.statements(role), request)


FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function"


def test_a_check_of_a_branch_takes_no_question_of_its_tables() -> None:
    keys = {"about": "keys", "day": "2026-01-01", "limit": 50_000}
    with pytest.raises(InvalidInput):
        parse_payload(BranchRequest, {"git_ref": "dev", "question": keys})


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_every_file_that_the_documents_name_exists() -> None:
    for document in ("docs/deploy.md", "docs/runbook.md"):
        text = (ROOT / document).read_text()
        for name in re.findall(r"`?((?:templates|layers|scripts|docs)/[\w./-]+\w)`?", text):
            assert (ROOT / name).exists(), f"{document} names {name}"


def test_every_parameter_that_the_documents_name_exists() -> None:
    text = (ROOT / "docs/deploy.md").read_text() + (ROOT / "docs/runbook.md").read_text()
    known = {
        *template()["Parameters"],
        *load_template("templates/github.yaml")["Parameters"],
    }
    assert set(re.findall(r"\b([A-Z][a-z]\w+)=", text)) <= known
