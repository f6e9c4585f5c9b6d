"""Least privilege: each function may make the calls that it makes, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from forecast_sync_ops.deployment import Deployment

from tests.contract.stack import FUNCTIONS
from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.breakages import BREAKAGES, Breakage
from tests.workflow.deployed import Deployed
from tests.workflow.permissions import Call, find_permissions, read_calls

ATHENA = "Athena does it on behalf of who starts a query"
QUEUE = "Lambda's poller does it on behalf of the function"
# What a role is used for without a call of the function's own code.
ON_BEHALF = {
    ("start_athena_query", "glue:GetDatabase"): ATHENA,
    ("start_athena_query", "glue:GetTable"): ATHENA,
    ("start_athena_query", "s3:GetBucketLocation"): ATHENA,
    ("start_athena_query", "s3:ListBucket"): ATHENA,
    ("start_athena_query", "s3:GetObject"): ATHENA,
    ("start_athena_query", "s3:PutObject"): ATHENA,
    ("start_athena_query", "s3:ListBucketMultipartUploads"): ATHENA,
    ("start_athena_query", "s3:AbortMultipartUpload"): ATHENA,
    ("start_athena_query", "s3:ListMultipartUploadParts"): ATHENA,
    ("start_sync", "sqs:ReceiveMessage"): QUEUE,
    ("start_sync", "sqs:DeleteMessage"): QUEUE,
    ("start_sync", "sqs:GetQueueAttributes"): QUEUE,
}
# Everywhere: Lambda writes the logs, and the tracer its segments.
BASICS = {
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
}


@pytest.fixture
def calls(deployed: Deployed) -> set[Call]:
    """The calls of everything that functions do, failures included."""
    _walk_every_path(deployed)
    return set(read_calls(deployed))


def test_each_function_may_make_its_calls_and_no_others(
    deployed: Deployed, calls: set[Call]
) -> None:
    permissions = [item for name in FUNCTIONS for item in find_permissions(deployed, name)]
    missing = [call for call in calls if not any(item.covers(call) for item in permissions)]
    unused = [
        item
        for item in permissions
        if item.action not in BASICS
        and (item.function, item.action) not in ON_BEHALF
        and not any(item.covers(call) for call in calls)
    ]
    assert not missing, "templates/roles.yaml doesn't allow"
    assert not unused, "templates/roles.yaml allows what nobody calls"


def test_what_is_done_on_behalf_is_allowed(deployed: Deployed) -> None:
    allowed = {
        (item.function, item.action)
        for name in FUNCTIONS
        for item in find_permissions(deployed, name)
    }
    assert ON_BEHALF.keys() <= allowed


def test_only_what_has_no_resource_is_allowed_everywhere(deployed: Deployed) -> None:
    everywhere = {
        item.action
        for name in FUNCTIONS
        for item in find_permissions(deployed, name)
        if item.resource == "*"
    }
    assert everywhere == {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def _walk_every_path(deployed: Deployed) -> None:
    """An upload's run, a failed page, a failed verification, a dead holder, a rerun, no branch."""
    deployed.react_to_uploads(True)
    deployed.upload("first", make_rows(range(20)))
    eventually(lambda: deployed.query("SELECT 1 FROM pg_tables WHERE tablename = 'forecast_data'"))
    eventually(lambda: deployed.query("SELECT 1 FROM forecast_data"))
    deployed.react_to_uploads(False)
    deployed.upload("reject", [make_row(30, state=None), make_row(31)])
    for breakage in BREAKAGES:
        if breakage.state in ("Load pages", "Verify load"):
            _fail_and_redrive(deployed, breakage)
    _take_over_and_rerun(deployed)
    _operate(deployed)
    _look(deployed)
    _fail_without_a_branch(deployed)
    deployed.invoke("notify", {"check": "freshness"})
    deployed.invoke("clean-history", {})


def _fail_and_redrive(deployed: Deployed, breakage: Breakage) -> None:
    breakage.breaks(deployed)
    ended = deployed.run(sync_type="full")
    assert ended.status == "FAILED"
    eventually(lambda: (deployed.status(ended.name) or {}).get("status") == "failed")
    assert _ask(deployed, "GET", f"/syncs/{ended.name}")["error"]
    breakage.repairs(deployed)
    assert deployed.redrive(ended).status == "SUCCEEDED"


def _fail_without_a_branch(deployed: Deployed) -> None:
    """There is no database that could say what was announced."""
    assert deployed.run(git_ref="nope").status == "FAILED"
    asked = ("record_status", "states:ListExecutions", deployed.cloud.state_machine_arn)
    eventually(lambda: any(call[:3] == asked for call in read_calls(deployed)))


def _take_over_and_rerun(deployed: Deployed) -> None:
    """A run finds the row of one that is gone, and is asked for a rerun while it works."""
    gone = deployed.cloud.state_machine_arn.replace(":stateMachine:", ":execution:") + ":gone"
    deployed.execute(
        "INSERT INTO forecast_sync_status (sync_type, last_sync_timestamp, status, run_id, "
        f"execution_arn, dry_run) VALUES ('full', 'epoch', 'running', 'gone', '{gone}', false);"
        "CREATE FUNCTION ask() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
        "UPDATE forecast_sync_status SET rerun_requested = true WHERE status = 'running'; "
        "RETURN NEW; END$$;"
        "CREATE TRIGGER ask AFTER INSERT ON forecast_sync_batch "
        "FOR EACH ROW WHEN (NEW.run_id NOT LIKE '%-rerun') EXECUTE FUNCTION ask()"
    )
    ended = deployed.succeed(sync_type="full")
    rerun = deployed.status
    eventually(lambda: (rerun(f"{ended.name}-rerun") or {}).get("status") == "succeeded")


def _operate(deployed: Deployed) -> None:
    """Everything that the API does."""
    for path in ("/status", "/syncs", "/rejects", "/openapi.json"):
        _ask(deployed, "GET", path)
    deployed.execute("DROP TRIGGER ask ON forecast_sync_batch")
    deployed.request_faults({"match": "kind=row", "hold": True, "after_bytes": 0})
    run_id = _ask(deployed, "POST", "/syncs", {"sync_type": "full"})["run_id"]
    eventually(lambda: _ask(deployed, "GET", f"/syncs/{run_id}")["pages_begun"])
    _ask(deployed, "POST", f"/syncs/{run_id}/stop")
    deployed.request_faults()
    _ask(deployed, "POST", f"/syncs/{run_id}/redrive")
    eventually(lambda: _ask(deployed, "GET", f"/syncs/{run_id}")["status"] == "succeeded")


def _look(deployed: Deployed) -> None:
    """A dry run with its report, and a probe that reads one of its result files."""
    ended = deployed.succeed(sync_type="full", dry_run=True)
    bucket, prefix = deployed.cloud.results_bucket, f"athena/{ended.name}/"
    listed = deployed.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    key = next(item["Key"] for item in listed if "kind=row" in item["Key"])
    question = {"about": "probe", "bucket": bucket, "keys": [key]}
    assert deployed.invoke("inspect-database", {"question": question})["rows"]


def _ask(
    deployed: Deployed, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    cloud = deployed.cloud
    operator = Deployment("dev", cloud.session(), cloud.endpoint_url, cloud.state_machine_arn)
    answer = operator.api.call(method, path, body=body)
    assert answer.ok, answer
    return answer.document
