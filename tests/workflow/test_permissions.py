"""Least privilege: each function may make the calls that it makes, and no others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import pytest
from forecast_sync_ops.deployment import Deployment

from tests.contract.stack import FUNCTIONS
from tests.lake import make_row, make_rows
from tests.waiting import eventually
from tests.workflow.deployed import Deployed
from tests.workflow.test_redrive import BREAKAGES

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
ACTIONS = {"s3:ListObjectsV2": "s3:ListBucket"}
SERVICES = {"stepfunctions": "states"}


class Call(NamedTuple):
    """A call as IAM sees it."""

    function: str
    action: str
    resource: str
    prefix: str


class Permission(NamedTuple):
    """One action on one resource that a function's role allows."""

    function: str
    action: str
    resource: str
    prefix: str

    def covers(self, call: Call) -> bool:
        return (
            self.function == call.function
            and self.action == call.action
            and fnmatchcase(call.resource, self.resource)
            and fnmatchcase(call.prefix, self.prefix)
        )


@pytest.fixture
def calls(deployed: Deployed) -> set[Call]:
    """The calls of everything that functions do, failures included."""
    _walk_every_path(deployed)
    return set(_read_calls(deployed))


def test_each_function_may_make_its_calls_and_no_others(
    deployed: Deployed, calls: set[Call]
) -> None:
    permissions = [item for name in FUNCTIONS for item in _permissions(deployed, name)]
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
        (item.function, item.action) for name in FUNCTIONS for item in _permissions(deployed, name)
    }
    assert ON_BEHALF.keys() <= allowed


def test_only_what_has_no_resource_is_allowed_everywhere(deployed: Deployed) -> None:
    everywhere = {
        item.action
        for name in FUNCTIONS
        for item in _permissions(deployed, name)
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
    _invoke(deployed, "notify", {"check": "freshness"})
    _invoke(deployed, "clean-history", {})


def _fail_and_redrive(deployed: Deployed, breakage: Any) -> None:
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
    eventually(lambda: any(call[:3] == asked for call in _read_calls(deployed)))


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
    assert _invoke(deployed, "inspect-database", {"question": question})["rows"]


def _ask(
    deployed: Deployed, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    cloud = deployed.cloud
    operator = Deployment("dev", cloud.session(), cloud.endpoint_url, cloud.state_machine_arn)
    answer = operator.api.call(method, path, body=body)
    assert answer.ok, answer
    return answer.document


def _invoke(deployed: Deployed, function: str, event: dict[str, Any]) -> dict[str, Any]:
    answer = deployed.client("lambda").invoke(
        FunctionName=f"forecast-sync-dev-{function}", Payload=json.dumps(event)
    )
    payload: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return payload


def _read_calls(deployed: Deployed) -> Iterator[Call]:
    for file in deployed.cloud.calls_dir.iterdir():
        found = re.fullmatch(r"forecast-sync-dev-([a-z-]+)-\d+\.jsonl", file.name)
        assert found is not None
        function = found[1].replace("-", "_")
        for line in file.read_text().splitlines():
            recorded = json.loads(line)
            service = SERVICES.get(recorded["service"], recorded["service"])
            action = f"{service}:{recorded['operation']}"
            parameters = recorded["parameters"]
            for resource in _resources(service, parameters):
                prefix = str(parameters.get("Prefix", ""))
                yield Call(function, ACTIONS.get(action, action), resource, prefix)


def _resources(service: str, parameters: dict[str, Any]) -> list[str]:
    """What a call needs its permission for."""
    if service == "athena":
        return ["arn:aws:athena:us-east-2:000000000000:workgroup/forecast-sync-dev"]
    if service == "s3":
        path = [str(parameters[name]) for name in ("Bucket", "Key") if name in parameters]
        return ["arn:aws:s3:::" + "/".join(path)]
    if service == "secretsmanager":
        return [str(parameters["SecretId"])]
    if service == "glue":
        database, table = parameters["DatabaseName"], parameters["Name"]
        parts = ["catalog", f"database/{database}", f"table/{database}/{table}"]
        return [f"arn:aws:glue:us-east-2:000000000000:{part}" for part in parts]
    return [str(text) for text in parameters.values() if str(text).startswith("arn:")]


def _permissions(deployed: Deployed, function: str) -> Iterator[Permission]:
    for statement in _statements(deployed, function):
        prefix = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", "*")
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield Permission(function, action, resource, prefix)


def _statements(deployed: Deployed, function: str) -> Iterator[dict[str, Any]]:
    """Every Allow of a function's role, as CloudFormation has deployed it."""
    iam = deployed.client("iam")
    name = f"forecast-sync-dev-{function.replace('_', '-')}"
    configuration = deployed.client("lambda").get_function_configuration(FunctionName=name)
    role = configuration["Role"].rpartition("/")[2]
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    for document in documents:
        yield from (item for item in document["Statement"] if item["Effect"] == "Allow")


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
