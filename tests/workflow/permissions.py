"""What functions call and what their roles allow, both as IAM sees it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from tests.workflow.deployed import Deployed

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


def read_calls(deployed: Deployed) -> Iterator[Call]:
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


def find_permissions(deployed: Deployed, function: str) -> Iterator[Permission]:
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
