"""Least privilege: each function may make the calls that it makes, and no others."""

from __future__ import annotations

from typing import Any

import pytest
from forecast_sync_cli.client.deployment import Deployment

from tests.contract.iam import is_allowed
from tests.contract.stack import FUNCTIONS
from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.breakages import BREAKAGES, Breakage
from tests.workflow.deployed import Deployed
from tests.workflow.permissions import (
    ACCOUNT,
    AWS,
    REGION,
    STACK,
    Call,
    asked_by_s3,
    find_permissions,
    is_permitted,
    read_calls,
    rendered_roles,
)
from tests.workflow.test_bad_files import with_damaged_page

ATHENA = "Athena does it on behalf of who starts a query"
LEAVING = "tests/workflow/test_leaving.py has a table whose rows may leave"
QUEUE = "Lambda's poller does it on behalf of the function"
VPC = "Lambda joins the VPC on behalf of the function"
MACHINE = "Step Functions does it for the state machine"
SCHEDULE = "EventBridge Scheduler does it"
KEY = "S3, SNS or Secrets Manager does it on behalf of who calls"
BY_ATHENA = (
    "glue:GetDatabase",
    "glue:GetTable",
    "glue:GetPartition",
    "glue:GetPartitions",
    "glue:BatchGetPartition",
    "s3:GetBucketLocation",
    "s3:ListBucket",
    "s3:GetObject",
    "s3:PutObject",
    "s3:ListBucketMultipartUploads",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
# What a role is used for without a call of the function's own code.
ON_BEHALF = {
    **{("start_athena_query", action): ATHENA for action in BY_ATHENA},
    **{("find_bad_files", action): ATHENA for action in BY_ATHENA},
    ("find_bad_files", "glue:CreateTable"): "Survey lake has made it, unless somebody dropped it",
    ("find_bad_files", "glue:UpdateTable"): "Survey lake has, unless a deployment comes between",
    ("inspect_database", "glue:CreateTable"): "Survey lake has made it, unless somebody dropped it",
    ("inspect_database", "glue:UpdateTable"): "Survey lake has, unless a deployment comes between",
    **{
        ("delete_rows", action): LEAVING
        for action in ("s3:GetObject", "s3:ListBucket", "secretsmanager:GetSecretValue")
    },
    ("clean_history", "glue:DeletePartition"): "of lists that have expired",
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
# Of any role that may do it, with every option of the stack.
WITH_OPTIONS = {
    "ec2:CreateNetworkInterface": VPC,
    "ec2:DeleteNetworkInterface": VPC,
    "ec2:AssignPrivateIpAddresses": VPC,
    "ec2:UnassignPrivateIpAddresses": VPC,
    "ec2:DescribeNetworkInterfaces": VPC,
    "ec2:DescribeSubnets": VPC,
    "kms:Decrypt": KEY,
    "kms:GenerateDataKey": KEY,
}
# Of roles that no function has.
SERVICES = {
    "StateMachineRole": {
        "lambda:InvokeFunction": MACHINE,
        "s3:GetObject": "the Map reads its list of pages",
        "states:StartExecution": "the Map starts its children",
        "states:DescribeExecution": "the Map follows its children",
        "states:StopExecution": "a Map that fails or is stopped stops its children",
        "states:RedriveExecution": "a redrive redrives the Map's failed children",
        "logs:CreateLogDelivery": "vended logs",
        "logs:GetLogDelivery": "vended logs",
        "logs:UpdateLogDelivery": "vended logs",
        "logs:DeleteLogDelivery": "vended logs",
        "logs:ListLogDeliveries": "vended logs",
        "logs:PutResourcePolicy": "vended logs",
        "logs:DescribeResourcePolicies": "vended logs",
        "logs:DescribeLogGroups": "vended logs",
        "xray:PutTraceSegments": "traces",
        "xray:PutTelemetryRecords": "traces",
        "xray:GetSamplingRules": "traces",
        "xray:GetSamplingTargets": "traces",
        "kms:Decrypt": KEY,
        "kms:GenerateDataKey": KEY,
    },
    "SyncScheduleRole": {"states:StartExecution": SCHEDULE},
    "FreshnessScheduleRole": {"lambda:InvokeFunction": SCHEDULE},
    "CleanHistoryScheduleRole": {"lambda:InvokeFunction": SCHEDULE},
}
KEY_ARN = f"arn:aws:kms:{AWS}:key/ours"
LAKE_KEY_ARN = f"arn:aws:kms:{AWS}:key/of-the-lake"


@pytest.fixture
def calls(deployed: Deployed) -> set[Call]:
    """The calls of everything that functions do, failures included."""
    _walk_every_path(deployed)
    return set(read_calls(deployed))


def test_each_function_may_make_its_calls_and_no_others(
    deployed: Deployed, calls: set[Call]
) -> None:
    permissions = [item for name in FUNCTIONS for item in find_permissions(deployed, name)]
    missing = [call for call in calls if not is_permitted(deployed, call)]
    unused = [
        item
        for item in permissions
        if item.action not in BASICS
        and (item.function, item.action) not in ON_BEHALF
        and not any(item.covers(call) for call in calls)
    ]
    assert not missing, "templates/roles.yaml doesn't allow"
    assert not unused, "templates/roles.yaml allows what no function calls"
    _check_every_option(deployed, calls)
    _check_keys(deployed, calls)


def _check_every_option(deployed: Deployed, calls: set[Call]) -> None:
    """With VPC, keys and all: every action of every role is called, or listed with a reason."""
    template = rendered_roles(
        deployed,
        SubnetIds="subnet-1",
        KmsKeyArn=KEY_ARN,
        ExistingDataBucket=deployed.cloud.bucket,
        ExistingDataBucketKeyArn=LAKE_KEY_ARN,
    )
    called = {(call.role, call.action) for call in calls}
    for (function, action), reason in ON_BEHALF.items():
        called.add((Call(function, action, "").role, action))
        assert reason
    for role in template.of_type("AWS::IAM::Role"):
        known = {*SERVICES[role]} if role in SERVICES else {*BASICS, *WITH_OPTIONS}
        allowed = {
            action
            for statement in template.statements(role)
            if statement["Effect"] == "Allow"
            for action in _listed(statement["Action"])
        }
        assert allowed - known == {action for who, action in called if who == role}, role
        if role in SERVICES:
            assert allowed == known, role


def _check_keys(deployed: Deployed, calls: set[Call]) -> None:
    """The permissions on the keys that a call needs, as the called service requests them."""
    template = rendered_roles(
        deployed,
        KmsKeyArn=KEY_ARN,
        ExistingDataBucket=deployed.cloud.bucket,
        ExistingDataBucketKeyArn=LAKE_KEY_ARN,
    )
    needed = {item for call in {*calls, *athena_calls(deployed)} for item in key_calls(call)}
    assert {call.resource for call in needed} == {KEY_ARN, LAKE_KEY_ARN}
    denied = [
        call for call in needed if not is_allowed(template.statements(call.role), call.request)
    ]
    assert not denied, "templates/roles.yaml doesn't allow"
    elsewhere = [
        call._replace(context=(("kms:ViaService", f"ec2.{REGION}.amazonaws.com"),))
        for call in needed
    ]
    assert not [
        call for call in elsewhere if is_allowed(template.statements(call.role), call.request)
    ]


def key_calls(call: Call) -> set[Call]:
    """The requests to KMS when everything that can have a key has one."""
    service, operation = call.action.split(":")
    via = (("kms:ViaService", f"{service}.{REGION}.amazonaws.com"),)
    is_lake = call.resource.startswith("arn:aws:s3:::forecast-sync-datalake-")
    key = LAKE_KEY_ARN if is_lake else KEY_ARN
    actions = {
        "s3:GetObject": ["kms:Decrypt"],
        # A part of an upload is decrypted when the upload ends.
        "s3:PutObject": ["kms:GenerateDataKey", "kms:Decrypt"],
        "secretsmanager:GetSecretValue": ["kms:Decrypt"],
        "sns:Publish": ["kms:GenerateDataKey", "kms:Decrypt"],
    }.get(f"{service}:{operation}", [])
    return {Call(call.function, action, key, via) for action in actions}


def athena_calls(deployed: Deployed) -> set[Call]:
    """What Athena asks S3 and Glue, as who started the query."""
    lake, results = (
        f"arn:aws:s3:::{name}" for name in (deployed.cloud.bucket, deployed.cloud.results_bucket)
    )
    account = ("aws:ResourceAccount", ACCOUNT)
    plain = [
        ("s3:GetBucketLocation", lake),
        ("s3:GetObject", f"{lake}/forecast/a/b.parquet"),
        ("s3:GetBucketLocation", results),
        ("s3:ListBucketMultipartUploads", results),
        ("s3:GetObject", f"{results}/athena/run/x"),
        ("s3:PutObject", f"{results}/athena/run/x"),
        ("s3:AbortMultipartUpload", f"{results}/athena/run/x"),
        ("s3:ListMultipartUploadParts", f"{results}/athena/run/x"),
        ("glue:GetDatabase", f"arn:aws:glue:{AWS}:database/default"),
        ("glue:GetDatabase", f"arn:aws:glue:{AWS}:database/forecast_dev"),
        ("glue:GetTable", f"arn:aws:glue:{AWS}:table/forecast_dev/forecast_survey"),
        ("glue:GetPartition", f"arn:aws:glue:{AWS}:table/forecast_dev/forecast_survey"),
        ("glue:GetPartitions", f"arn:aws:glue:{AWS}:table/forecast_dev/forecast_survey"),
        ("glue:BatchGetPartition", f"arn:aws:glue:{AWS}:table/forecast_dev/forecast_survey"),
    ]
    made = {Call("start_athena_query", action, arn, (account,)) for action, arn in plain}
    listings = {
        Call("start_athena_query", "s3:ListBucket", arn, (account, ("s3:prefix", prefix)))
        for arn, prefix in ((lake, "forecast/2026/"), (results, "athena/run/"))
    }
    return {*made, *listings, *(item for call in made for item in asked_by_s3(call))}


def test_what_is_done_on_behalf_is_allowed(deployed: Deployed) -> None:
    allowed = {
        (item.function, item.action)
        for name in FUNCTIONS
        for item in find_permissions(deployed, name)
    }
    assert ON_BEHALF.keys() <= allowed
    assert not [call for call in athena_calls(deployed) if not is_permitted(deployed, call)]


def test_other_prefixes_and_other_accounts_are_refused(deployed: Deployed) -> None:
    """What a name could mean elsewhere, and what a listing could show."""
    for call in athena_calls(deployed):
        if call.action.startswith("s3:"):
            foreign = dict(call.context) | {"aws:ResourceAccount": "999999999999"}
            assert not is_permitted(deployed, call._replace(context=tuple(foreign.items())))
        if call.action == "s3:ListBucket":
            other = dict(call.context) | {"s3:prefix": "payroll/"}
            assert not is_permitted(deployed, call._replace(context=tuple(other.items())))


def test_an_existing_bucket_may_be_anothers_and_is_read_only(deployed: Deployed) -> None:
    template = rendered_roles(deployed, ExistingDataBucket=deployed.cloud.bucket)
    role = template.statements("StartAthenaQueryRole")
    lake = f"arn:aws:s3:::{deployed.cloud.bucket}"
    foreign = (("aws:ResourceAccount", "999999999999"),)
    read = Call("start_athena_query", "s3:GetObject", f"{lake}/forecast/a.parquet", foreign)
    assert is_allowed(role, read.request)
    assert not is_allowed(role, read._replace(action="s3:PutObject").request)
    assert not is_allowed(role, read._replace(resource=f"{lake}/payroll/a").request)


def test_code_in_a_vpc_does_nothing_to_the_network(deployed: Deployed) -> None:
    template = rendered_roles(deployed, SubnetIds="subnet-1")
    interface = f"arn:aws:ec2:{AWS}:network-interface/*"
    by_lambda = Call("upsert_batches", "ec2:CreateNetworkInterface", interface)
    by_code = by_lambda._replace(
        context=(
            ("lambda:SourceFunctionArn", f"arn:aws:lambda:{AWS}:function:{STACK}-upsert-batches"),
        )
    )
    role = template.statements("UpsertBatchesRole")
    assert is_allowed(role, by_lambda.request)
    assert not is_allowed(role, by_code.request)


def test_only_what_has_no_resource_is_allowed_everywhere(deployed: Deployed) -> None:
    everywhere = {
        item.action
        for name in FUNCTIONS
        for item in find_permissions(deployed, name)
        if item.resource == "*"
    }
    assert everywhere == {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _walk_every_path(deployed: Deployed) -> None:
    """An upload's run, a failed page, a failed verification, a dead holder, a rerun, no branch."""
    deployed.react_to_uploads(True)
    deployed.upload("first", make_rows(range(20)))
    eventually(lambda: deployed.query("SELECT 1 FROM pg_tables WHERE tablename = 'forecast_data'"))
    eventually(lambda: deployed.query("SELECT 1 FROM forecast_data"))
    deployed.react_to_uploads(False)
    deployed.upload("reject", [make_row(30, state=None), make_row(31)])
    for breakage in BREAKAGES:
        if breakage.state in ("Find bad files", "Load pages", "Verify load"):
            _fail_and_redrive(deployed, breakage)
    _find_a_bad_file(deployed)
    _change_the_survey_table(deployed)
    _lose_a_manifest(deployed)
    _take_over_and_rerun(deployed)
    _operate(deployed)
    _look(deployed)
    _fail_without_a_branch(deployed)
    deployed.invoke("notify", {"check": "freshness"})
    deployed.invoke("clean-history", {})


def _find_a_bad_file(deployed: Deployed) -> None:
    """One with a damaged page behind a good footer."""
    deployed.upload("damaged", with_damaged_page())
    assert deployed.succeed().output["quarantined"] == 1


def _change_the_survey_table(deployed: Deployed) -> None:
    """As an older table file has declared it; the next run declares it anew."""
    glue, where = deployed.client("glue"), {"DatabaseName": "forecast_dev"}
    declared = glue.get_table(**where, Name="forecast_survey")["Table"]
    kept = {name: declared[name] for name in ("Name", "TableType", "PartitionKeys")}
    storage = {**declared["StorageDescriptor"], "Columns": [{"Name": "y_50", "Type": "double"}]}
    glue.update_table(**where, TableInput={**kept, "StorageDescriptor": storage})
    deployed.succeed()
    restored = glue.get_table(**where, Name="forecast_survey")["Table"]["StorageDescriptor"]
    assert restored["Columns"] == declared["StorageDescriptor"]["Columns"]


def _fail_and_redrive(deployed: Deployed, breakage: Breakage) -> None:
    breakage.breaks(deployed)
    ended = deployed.run(sync_type="full")
    assert ended.status == "FAILED"
    eventually(lambda: (deployed.status(ended.name) or {}).get("status") == "failed")
    assert _ask(deployed, "GET", f"/syncs/{ended.name}")["error"]
    breakage.repairs(deployed)
    assert deployed.redrive(ended).status == "SUCCEEDED"


def _lose_a_manifest(deployed: Deployed) -> None:
    """Without a manifest of a query that had rows, the lake is listed: it may have changed."""
    deployed.athena_faults({"match": "UNLOAD", "manifest": "unwritten"})
    ended = deployed.run(sync_type="full")
    assert (ended.status, ended.error) == ("FAILED", "ResultInvalid")
    deployed.athena_faults()
    eventually(lambda: (deployed.status(ended.name) or {}).get("status") == "failed")


def _fail_without_a_branch(deployed: Deployed) -> None:
    """There is no database that could say what was published."""
    assert deployed.run(git_ref="nope").status == "FAILED"
    allowed_call = ("record_status", "states:ListExecutions", deployed.cloud.state_machine_arn)
    eventually(lambda: any(call[:3] == allowed_call for call in read_calls(deployed)))


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
    with deployed.held_query():
        run_id = _ask(deployed, "POST", "/syncs", {"sync_type": "full"})["run_id"]
        # The loader's; a real engine writes its results through the same API.
        read = f"GET /{deployed.cloud.results_bucket}/athena/{run_id}/extract-"
        deployed.request_faults({"match": read, "hold": True, "after_bytes": 0})
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
    for more in ({}, {"now": True}):
        lake = {"question": {"about": "lake", **more}}
        assert deployed.invoke("inspect-database", lake)["survey_id"]
    assert deployed.invoke("check-branch", {"git_ref": "dev"}) == {"server": "Postgres 18"}


def _ask(
    deployed: Deployed, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    cloud = deployed.cloud
    operator = Deployment("dev", cloud.session(), cloud.endpoint_url, cloud.state_machine_arn)
    answer = operator.api.call(method, path, body=body)
    assert answer.ok, answer
    return answer.document
