"""What functions call and what their roles allow, both as IAM sees it, conditions included."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.contract.iam import Request, Statement, is_allowed, matches, permissions
from tests.contract.rendering import Rendered, render
from tests.workflow.deployed import PREFIX, Deployed

ACTIONS = {"s3:ListObjectsV2": "s3:ListBucket", "s3:HeadObject": "s3:GetObject"}
SERVICES = {"stepfunctions": "states"}
ACCOUNT, REGION = "000000000000", "us-east-2"
AWS = f"{REGION}:{ACCOUNT}"
STACK = "forecast-sync-dev"


class Call(NamedTuple):
    """A call as IAM sees it; ``context`` are the condition keys that it sends."""

    function: str
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()

    @property
    def request(self) -> Request:
        return Request(self.action, self.resource, dict(self.context))

    @property
    def role(self) -> str:
        """Its role in templates/roles.yaml."""
        return "".join(part.title() for part in self.function.split("_")) + "Role"


class Permission(NamedTuple):
    """One action on one resource that a role allows, and the statement that does."""

    function: str
    action: str
    resource: str
    statement: Statement

    def covers(self, call: Call) -> bool:
        one = {**self.statement, "Action": self.action, "Resource": self.resource}
        return self.function == call.function and matches(one, call.request)


def read_calls(deployed: Deployed) -> Iterator[Call]:
    """The calls that functions made, and the further permissions that S3 checks for them."""
    for file in deployed.cloud.calls_dir.iterdir():
        match = re.fullmatch(r"forecast-sync-dev-([a-z-]+)-\d+\.jsonl", file.name)
        assert match is not None
        function = match[1].replace("-", "_")
        for line in file.read_text().splitlines():
            recorded = json.loads(line)
            service = SERVICES.get(recorded["service"], recorded["service"])
            action = f"{service}:{recorded['operation']}"
            parameters = recorded["parameters"]
            for resource in _resources(service, parameters):
                context = _context(match[1], service, parameters)
                call = Call(function, ACTIONS.get(action, action), resource, context)
                yield call
                yield from asked_by_s3(call)


def asked_by_s3(call: Call) -> Iterator[Call]:
    """May the caller learn that the object is missing? A question about the bucket, no prefix."""
    if call.action == "s3:GetObject":
        bucket = call.resource.partition("/")[0]
        yield call._replace(action="s3:ListBucket", resource=bucket)


def _context(name: str, service: str, parameters: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The condition keys that IAM gets: ``s3:prefix`` of a listing alone, and if it has one."""
    context = {
        "aws:SecureTransport": "true",
        "aws:ResourceAccount": ACCOUNT,
        "lambda:SourceFunctionArn": f"arn:aws:lambda:{AWS}:function:{STACK}-{name}",
    }
    if service == "s3" and "Prefix" in parameters:
        context["s3:prefix"] = str(parameters["Prefix"])
    return tuple(sorted(context.items()))


def _resources(service: str, parameters: dict[str, Any]) -> list[str]:
    """What a call needs its permission for."""
    if service == "athena":
        return [f"arn:aws:athena:{AWS}:workgroup/{STACK}"]
    if service == "s3":
        path = [str(parameters[name]) for name in ("Bucket", "Key") if name in parameters]
        return ["arn:aws:s3:::" + "/".join(path)]
    if service == "secretsmanager":
        return [str(parameters["SecretId"])]
    if service == "glue":
        database = parameters["DatabaseName"]
        # What declares a table names it in a part of the request that isn't recorded.
        table = parameters.get("Name") or parameters.get("TableName", "forecast_survey")
        parts = ["catalog", f"database/{database}", f"table/{database}/{table}"]
        return [f"arn:aws:glue:{AWS}:{part}" for part in parts]
    return [str(text) for text in parameters.values() if str(text).startswith("arn:")]


def find_permissions(deployed: Deployed, function: str) -> Iterator[Permission]:
    """Everything that a function's role allows."""
    for statement, action, resource in permissions(find_statements(deployed, function)):
        yield Permission(function, action, resource, statement)


def is_permitted(deployed: Deployed, call: Call) -> bool:
    """Whether a function's role, as deployed, allows a call; a Deny wins."""
    return is_allowed(find_statements(deployed, call.function), call.request)


def find_statements(deployed: Deployed, function: str) -> list[Statement]:
    """Every statement of a function's role, as CloudFormation has deployed it."""
    if function not in deployed.statements:
        deployed.statements[function] = _read_statements(deployed, function)
    return deployed.statements[function]


def _read_statements(deployed: Deployed, function: str) -> list[Statement]:
    iam = deployed.client("iam")
    name = f"{STACK}-{function.replace('_', '-')}"
    configuration = deployed.client("lambda").get_function_configuration(FunctionName=name)
    role = configuration["Role"].rpartition("/")[2]
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        arn = attached["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        answer = iam.get_policy_version(PolicyArn=arn, VersionId=version)
        documents.append(answer["PolicyVersion"]["Document"])
    return [statement for document in documents for statement in document["Statement"]]


def rendered_roles(deployed: Deployed, **parameters: str) -> Rendered:
    """templates/roles.yaml as it would be deployed here with other parameters."""
    given: dict[str, Any] = {
        "ProjectName": "forecast-sync",
        "Environment": "dev",
        "DataBucket": deployed.cloud.bucket,
        "DataPrefix": PREFIX,
        "ResultsBucket": deployed.cloud.results_bucket,
        "Secrets": [f"arn:aws:secretsmanager:{AWS}:secret:{STACK}/*"],
        "Topic": f"arn:aws:sns:{AWS}:{STACK}",
        "UploadQueueArn": f"arn:aws:sqs:{AWS}:{STACK}-uploads",
        "SubnetIds": "",
        "KmsKeyArn": "",
    }
    return render("templates/roles.yaml", ACCOUNT, **{**given, **parameters})
