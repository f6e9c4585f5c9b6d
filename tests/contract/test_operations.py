"""What people operate with: documents, workflows and metrics against what they are about."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from forecast_sync import errors, measuring

from tests.contract.stack import FUNCTIONS, ROOT, load_template, template

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


def test_every_alarm_tells_the_topic_and_stands_on_the_dashboard() -> None:
    body = observability()["Dashboard"]["Properties"]["DashboardBody"]["Sub"][0]
    for name, alarm in observability().items():
        if alarm["Type"] != "AWS::CloudWatch::Alarm":
            continue
        properties = alarm["Properties"]
        assert properties["AlarmActions"] == [{"Ref": "Topic"}]
        told = None if name in ENDED_BY_THEMSELVES else [{"Ref": "Topic"}]
        assert properties.get("OKActions") == told, name
        assert f"alarm:{properties['AlarmName']['Sub']}" in body


def test_alarms_and_dashboard_use_metrics_that_are_measured() -> None:
    text = (ROOT / "templates/observability.yaml").read_text()
    measured = set(re.findall(r'"([A-Z]\w+)":', inspect.getsource(measuring)))
    alarmed = {
        item["Properties"]["MetricName"]
        for item in observability().values()
        if item.get("Properties", {}).get("Namespace") == measuring.NAMESPACE
    }
    assert alarmed <= measured
    assert all(f'"{name}"' in text for name in measured - alarmed)


def test_errors_of_functions_count_except_of_the_one_that_waits_and_the_one_that_answers() -> None:
    [query] = observability()["FunctionErrorsAlarm"]["Properties"]["Metrics"]
    counted = re.findall(
        r"FunctionName = '\$\{ProjectName\}-\$\{Environment\}-([a-z-]+)'",
        query["Expression"]["Sub"],
    )
    expected = {name.replace("_", "-") for name in FUNCTIONS}
    expected -= {"read-watermark", "inspect-database"}
    assert set(counted) == expected


def test_every_parameter_is_described_and_used() -> None:
    text = (ROOT / "template.yaml").read_text()
    for name, parameter in template()["Parameters"].items():
        assert parameter["Description"], name
        assert f"!Ref {name}" in text or f"${{{name}}}" in text, name


def test_every_parameter_that_is_secret_is_not_echoed() -> None:
    parameters = template()["Parameters"]
    assert [name for name, item in parameters.items() if item.get("NoEcho")] == [
        "NeonApiKey",
        "DatabaseUrl",
    ]


def test_a_redrive_is_never_cleaned_away() -> None:
    redrive_days = 14
    assert template()["Parameters"]["HistoryDays"]["MinValue"] > redrive_days
    rules = template()["Resources"]["ResultsBucket"]["Properties"]["LifecycleConfiguration"]
    assert [rule["ExpirationInDays"] for rule in rules["Rules"]] == [redrive_days + 1]


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
    found = []
    for path in WORKFLOWS:
        workflow = yaml.safe_load(path.read_text())
        events = " ".join(workflow[True])  # YAML 1.1 reads the key `on` as true.
        for name, job in workflow["jobs"].items():
            if "id-token" in job["permissions"]:
                found.append((events, f"{path.stem}/{name}", job))
    return found


@pytest.mark.parametrize(
    "job", [job for events, _, job in privileged_jobs() if "push" not in events.split()]
)
def test_what_others_can_start_runs_the_code_of_the_default_branch(job: dict[str, Any]) -> None:
    [checkout] = [step for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
    assert checkout["with"]["ref"] == "${{ github.event.repository.default_branch }}"


def test_only_this_repository_s_pull_requests_become_a_role_and_it_is_their_own() -> None:
    [job] = [job for events, _, job in privileged_jobs() if "pull_request" in events.split()]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
    assert job["environment"] == "pull-request"
    roles = load_template("templates/github.yaml")["Resources"]
    trusted = {
        name: _trusted(role["Properties"]["AssumeRolePolicyDocument"])
        for name, role in roles.items()
        if role["Type"] == "AWS::IAM::Role"
    }
    assert [name for name, subjects in trusted.items() if "pull-request" in subjects] == [
        "PreviewRole"
    ]
    assert trusted["PreviewRole"] == "repo:${Repository}:environment:pull-request"
    assert roles["PreviewRole"]["Condition"] == "HasPreviews"


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
    may_deploy = [name for name, role in roles.items() if "ExecuteChangeSet" in str(role)]
    assert may_deploy == ["DeployRole"]
    trusted = _trusted(roles["DeployRole"]["Properties"]["AssumeRolePolicyDocument"])
    assert trusted == "repo:${Repository}:environment:${Environment}"
    jobs = {name: job["environment"] for _, name, job in privileged_jobs()}
    assert jobs["forecast-sync/sync"].endswith("-sync")
    syncs = _trusted(roles["SyncRole"]["Properties"]["AssumeRolePolicyDocument"])
    assert "repo:${Repository}:environment:${Environment}-sync" in syncs.split()


def _trusted(policy: dict[str, Any]) -> str:
    """The subjects that GitHub may come as; empty for a service's role."""
    condition = policy["Statement"][0].get("Condition", {}).get("StringEquals", {})
    subjects = condition.get("token.actions.githubusercontent.com:sub", [])
    return " ".join(
        item["Sub"] for item in (subjects if isinstance(subjects, list) else [subjects])
    )


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
