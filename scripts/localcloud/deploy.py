"""Deploys the stack in the local cloud through its CloudFormation, as in AWS."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from localcloud.build import ARTIFACTS_BUCKET, Package, package
from localcloud.errors import LocalCloudError

if TYPE_CHECKING:
    from boto3.session import Session

STACK_NAME = "forecast-sync-dev"
TIMEOUT_SECONDS = 120.0
OTHER_STATE = ". This stack was deployed from an older template: begin with another --state-dir."
"""ministack can't update IAM roles."""


def deploy(
    session: Session,
    endpoint_url: str,
    template_path: Path,
    parameters: Mapping[str, str],
    stack_name: str = STACK_NAME,
    more_layers: Sequence[Path] = (),
) -> dict[str, str]:
    """Create the stack, or update it to the template; returns its outputs by name.

    Functions look into ``more_layers`` before the template's. Passes only those of ``parameters``
    that the template declares.
    Raises ``LocalCloudError`` with the first reason that CloudFormation gives.
    """
    artifacts_url = f"{endpoint_url}/{ARTIFACTS_BUCKET}"
    built = package(template_path, artifacts_url, more_layers)
    template_key = _upload(session, endpoint_url, built)
    cloudformation: Any = session.client("cloudformation", endpoint_url=endpoint_url)
    request = {
        "StackName": stack_name,
        "TemplateURL": f"{artifacts_url}/{template_key}",
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in parameters.items()
            if name in built.template.get("Parameters", {})
        ],
    }
    try:
        if _status(cloudformation, stack_name) is None:
            cloudformation.create_stack(**request, OnFailure="DO_NOTHING")
        else:
            cloudformation.update_stack(**request)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise LocalCloudError(
                f"CloudFormation refused {template_path}: {error.response['Error']['Message']}"
            ) from None
    return _outputs(cloudformation, template_path, stack_name)


def _upload(session: Session, endpoint_url: str, built: Package) -> str:
    s3: Any = session.client("s3", endpoint_url=endpoint_url)
    template_key = built.add(json.dumps(built.template).encode(), ".template.json")
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(
            Bucket=ARTIFACTS_BUCKET,
            CreateBucketConfiguration={"LocationConstraint": session.region_name},
        )
    for key, content in built.artifacts.items():
        s3.put_object(Bucket=ARTIFACTS_BUCKET, Key=key, Body=content)
    return template_key


def _status(cloudformation: Any, stack_name: str) -> str | None:
    try:
        stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            return None
        raise
    return str(stack["StackStatus"])


def _outputs(cloudformation: Any, template_path: Path, stack_name: str) -> dict[str, str]:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (status := _status(cloudformation, stack_name)) and status.endswith("_IN_PROGRESS"):
        if time.monotonic() > deadline:
            raise LocalCloudError(
                f"the stack {stack_name} is still {status} after {TIMEOUT_SECONDS:.0f} s"
            )
        time.sleep(0.1)
    if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        advice = OTHER_STATE if status and status.startswith("UPDATE") else ""
        reason = _first_reason(cloudformation, stack_name)
        raise LocalCloudError(f"{template_path} ended as {status}: {reason}{advice}")
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}


def _first_reason(cloudformation: Any, stack_name: str) -> str:
    events = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    if not failed:
        return "CloudFormation gave no reason"
    event = min(failed, key=lambda event: event["Timestamp"])
    return f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
