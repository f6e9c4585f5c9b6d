"""Doctor, logs and status: what is wrong with a deployment, what it logged, how fresh it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.builders import DEFINITION
from tests.e2e.cli import as_json, error_of, forecast_sync, in_terminal
from tests.lake import make_rows
from tests.workflow.deployed import Deployed


def test_doctor_finds_nothing_wrong_in_a_sound_deployment(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    events = deployed.client("events")
    events.enable_rule(Name="forecast-sync-dev-uploads")
    first = as_json("doctor", **at)
    events.disable_rule(Name="forecast-sync-dev-uploads")
    assert (first["healthy"], first["findings"]) == (True, 0)
    statuses = {item["check"]: item["status"] for item in first["checks"]}
    assert {name for name, status in statuses.items() if status != "ok"} == {
        "files",
        "announcements",
    }
    assert "will be created by the first run" in str(first)
    (ran,) = (item["found"] for item in first["checks"] if item["check"] == "queries")
    assert ran == (
        "extract and profile: over no rows no manifest; the lake has no row to run them over"
    )


def test_doctor_says_what_is_wrong_and_what_to_do(deployed: Deployed, at: dict[str, Any]) -> None:
    deployed.upload("a", make_rows(range(5)))
    as_json("start", **at)
    deployed.execute("ALTER TABLE forecast_data ALTER y_05 TYPE numeric(12, 3)")
    answer = as_json("doctor", code=1, **at)
    checks = {item["check"]: item for item in answer["checks"]}
    assert {name for name, item in checks.items() if item["status"] == "finding"} == {
        "uploads",
        "database",
    }
    assert checks["copy"]["status"] == "skipped"
    assert checks["modified time"]["found"].endswith("is S3's LastModified")
    assert checks["queries"]["found"].endswith(
        "forecast/a.parquet 1 good and 0 rejected, as the profile counts"
    )
    assert "y_05 is numeric(12,3), expected numeric(10,2)" in checks["database"]["found"]
    assert "enable-rule" in checks["uploads"]["advice"]
    words = forecast_sync("doctor", code=1, **at).stdout
    assert "WRONG" in words
    assert "2 findings" in words


def alarm_parameters(cloudwatch: Any) -> list[str]:
    """The settings that create an alarm; its description has more."""
    return list(cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members)


def test_doctor_names_what_was_done_to_a_deployment(deployed: Deployed, at: dict[str, Any]) -> None:
    """An alarm, the loaders' concurrency, the secret and the lake's key, each changed by hand."""
    name, alarm = "forecast-sync-dev-upsert-batches", "forecast-sync-dev-run-throttled"
    cloudwatch, functions = deployed.client("cloudwatch"), deployed.client("lambda")
    secrets, s3 = deployed.client("secretsmanager"), deployed.client("s3")
    [described] = cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    [secret] = secrets.list_secrets()["SecretList"]
    own = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "1b2c3d4e-5f60-7182-93a4-b5c6d7e8f901"}
    sound = s3.get_bucket_encryption(Bucket=deployed.cloud.bucket)[
        "ServerSideEncryptionConfiguration"
    ]
    cloudwatch.delete_alarms(AlarmNames=[alarm])
    functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    secrets.delete_secret(SecretId=secret["ARN"])
    rules = [{"ApplyServerSideEncryptionByDefault": own}]
    s3.put_bucket_encryption(
        Bucket=deployed.cloud.bucket, ServerSideEncryptionConfiguration={"Rules": rules}
    )
    try:
        checks = {item["check"]: item for item in as_json("doctor", code=1, **at)["checks"]}
    finally:
        keys = set(alarm_parameters(cloudwatch)) & set(described)
        cloudwatch.put_metric_alarm(**{key: described[key] for key in keys})
        functions.delete_function_concurrency(FunctionName=name)
        secrets.restore_secret(SecretId=secret["ARN"])
        s3.put_bucket_encryption(
            Bucket=deployed.cloud.bucket, ServerSideEncryptionConfiguration=sound
        )
    assert "{run-throttled}" in checks["alarms"]["found"]
    assert "reserved concurrency of 0" in checks["concurrency"]["found"]
    assert "restore-secret" in checks["secret"]["advice"]
    assert "ExistingDataBucketKeyArn" in checks["lake key"]["advice"]


def test_doctor_reports_a_missing_branch_and_a_missing_stack(at: dict[str, Any]) -> None:
    answer = as_json("doctor", "--git-ref", "preview/pr-99", code=1, **at)
    database = next(item for item in answer["checks"] if item["check"] == "database")
    assert "BranchNotFound" in database["found"]
    assert "Create the branch" in database["advice"]
    nowhere = as_json("doctor", "--environment", "production", code=1, **at)
    assert [item["status"] for item in nowhere["checks"]][:3] == ["ok", "finding", "skipped"]


def test_logs_follow_a_run_to_its_end_and_name_functions(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(10)))
    run = as_json("start", "--no-wait", **at)["run_id"]
    lines = [
        json.loads(line)
        for line in forecast_sync("logs", "--follow", run, "--json", **at).stdout.splitlines()
    ]
    assert lines == as_json("logs", run, **at)
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    functions = [line["details"]["function"] for line in lines]
    assert functions[0] == "forecast-sync-dev-resolve-branch"
    assert functions[-1] == "forecast-sync-dev-notify"
    assert "record-status" in forecast_sync("logs", run, **at).stdout


def test_status_judges_against_a_goal_and_colors_are_for_terminals(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    assert as_json("status", "--check", code=1, **at)["state"] == "never"
    deployed.upload("a", make_rows(range(10)))
    as_json("start", **at)
    assert as_json("status", "--check", **at)["state"] == "fresh"
    stale = as_json("status", "--check", "--goal-hours", "0", code=1, **at)
    assert stale["state"] == "stale"
    assert "the goal is 0 h" in stale["why"]
    goal = deployed.client("lambda").get_function_configuration(
        FunctionName="forecast-sync-dev-status-api"
    )["Environment"]["Variables"]["FRESHNESS_GOAL_HOURS"]
    assert as_json("status", **at)["goal_seconds"] == float(goal) * 3600
    assert "\x1b[" in forecast_sync("status", FORCE_COLOR="1", **at).stdout
    assert "\x1b[" not in forecast_sync("status", **at).stdout
    assert "\x1b[3" not in forecast_sync("status", FORCE_COLOR="1", NO_COLOR="1", **at).stdout


def test_status_shows_a_run_s_definition_and_why_it_has_read_the_whole_lake(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(10)))
    first = as_json("start", **at)["run_id"]
    deployed.execute("TRUNCATE forecast_data")
    second = as_json("start", **at)["run_id"]
    runs = {run["run_id"]: run for run in as_json("status", **at)["runs"]}
    for run in (first, second):
        shown = as_json("status", run, **at)
        assert shown["definition"] == runs[run]["definition"] == DEFINITION
        assert shown["window_reason"] == runs[run]["window_reason"]
    assert runs[first]["window_reason"] is None
    why = runs[second]["window_reason"]
    assert "was truncated" in why
    assert f"{second} read the whole lake: {why}" in forecast_sync("status", **at).stdout
    words = forecast_sync("status", second, **at).stdout
    assert f"definition {DEFINITION}" in words
    assert f"the whole lake was read: {why}" in words


@pytest.mark.parametrize("command", ["history", "status", "plan"])
def test_tables_fit_a_narrow_terminal_and_lose_nothing(
    deployed: Deployed, at: dict[str, Any], command: str
) -> None:
    deployed.upload("a", make_rows(range(10)))
    run = as_json("plan", **at)["run_id"]
    arguments = (command, run) if command == "plan" else (command,)
    lines = in_terminal(*arguments, columns=64, **at)
    tabular = [line for line in lines if "  " in line.strip()]
    assert tabular
    assert max(map(len, tabular)) <= 64
    assert not any("…" in line for line in lines)


def test_the_shell_can_complete_commands() -> None:
    answer = forecast_sync(
        _FORECAST_SYNC_COMPLETE="complete_bash", COMP_WORDS="forecast-sync pl", COMP_CWORD="1"
    ).stdout
    assert "plan" in answer.split()


def test_status_is_the_api_s_verdict_a_backfill_makes_nothing_fresh(
    deployed: Deployed, at: dict[str, Any]
) -> None:
    deployed.upload("a", make_rows(range(10)))
    dates = ("--date-from", "2026-12-01", "--date-to", "2026-12-03")
    run = as_json("start", *dates, **at)["run_id"]
    answer = as_json("status", **at)
    assert (answer["state"], answer["last_success"], answer["watermark"]) == ("never", run, None)
    assert [item["status"] for item in answer["runs"]] == ["succeeded"]


def test_status_says_why_a_branch_is_unreachable(at: dict[str, Any]) -> None:
    answer = as_json("status", "--git-ref", "preview/pr-99", code=1, **at)
    assert (answer["state"], answer["runs"], answer["age_seconds"]) == ("unreachable", [], None)
    assert "BranchNotFound" in answer["why"]
    words = forecast_sync("status", "--git-ref", "preview/pr-99", code=1, **at).stdout
    assert "preview/pr-99: unreachable: its database can't be reached: BranchNotFound" in words
    assert "Expected main, dev, feature/NAME" in error_of("status", "--git-ref", "x", **at)
