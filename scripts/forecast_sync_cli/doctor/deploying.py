"""Checks of the deployment itself: its stacks, what Lambda grants it, its secrets and alarms."""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import ClientError
from forecast_sync.adapters.s3 import split_location
from forecast_sync.stack_names import stack_name

from forecast_sync_cli.doctor.runner import Advice, Finding, Patient, redeploy
from forecast_sync_cli.errors import UserError

SOUND = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
ALARMS = (
    "function-errors", "run-duration", "loader-duration", "run-failed", "run-timed-out",
    "run-throttled", "freshness", "rejects", "lost-uploads",
)  # fmt: skip
OTHER_FUNCTIONS = 6
"""Executions that runs need beside their loaders."""
FREE_EXECUTIONS = 100
"""What Lambda leaves unreserved."""

# What CloudFormation says of a resource that it couldn't make, and what to do about it.
REASONS = (
    (
        r"AWS::S3::Bucket.*already (exists|owned)",
        (
            "The bucket's name is taken, and bucket names are the world's: deploy with another "
            "BucketSuffix. If the bucket is yours, it is the lake of a deleted stack: pass it as "
            "ExistingDataBucket."
        ),
    ),
    (
        r"OIDCProvider.*already|[Pp]rovider with url .* already",
        "The account has GitHub's provider already: deploy with its ARN as OidcProviderArn.",
    ),
    (
        r"already exists",
        (
            "Something that isn't the stack's has the name: remove it, or deploy with another "
            "ProjectName."
        ),
    ),
    (
        r"[Uu]nreserved ?[Cc]oncurrent ?[Ee]xecution",
        (
            f"Lambda keeps {FREE_EXECUTIONS} executions of an account unreserved: deploy with "
            "ReservedLoaders=0, or ask for a higher quota."
        ),
    ),
    (
        r"AccessDenied|not authorized|UnauthorizedOperation|403",
        "Give whoever deploys what docs/deployer-policy.json lists.",
    ),
)


def advise(reason: str, otherwise: str) -> str:
    """What to do about a reason of CloudFormation's."""
    return next((advice for pattern, advice in REASONS if re.search(pattern, reason)), otherwise)


def stack(patient: Patient) -> str:
    """No stack that failed is in the way; of one that is gone, why its last try failed."""
    name = stack_name(patient.project, patient.environment)
    client = patient.early_client("cloudformation")
    found = _describe(client, name)
    if found is None:
        return _missing(patient, client, name)
    _judge(client, found, redeploy(patient))
    return f"{name}, {found['StackStatus']}"


def _describe(client: Any, name: str) -> dict[str, Any] | None:
    try:
        stacks: list[dict[str, Any]] = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ValidationError":
            return None
        if "AccessDenied" in code:
            raise Advice(
                f"You may not look at the stack {name}.",
                "Give your own role cloudformation:DescribeStacks.",
            ) from None
        raise
    return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None


def _missing(patient: Patient, client: Any, name: str) -> str:
    try:
        machine = patient.deployment.state_machine_arn
    except UserError as error:
        reason = _last_reason(client, name)
        if not reason:
            found, _, advice = str(error).partition(": ")
            raise Finding(f"There is {found}.", f"{advice[:1].upper()}{advice[1:]}.") from None
        raise Finding(
            f"There is no stack {name}; its last try failed: {reason}", advise(reason, "Repair it.")
        ) from None
    raise Advice(
        f"{machine} belongs to no stack {name}: another stack or another hand has made it.",
        "Deploy under that stack's name (--stack-name), or with another ProjectName.",
    )


def _last_reason(client: Any, name: str) -> str | None:
    """Of the newest stack of that name that a failed first deployment has deleted."""
    pages = client.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
    deleted = [item for page in pages for item in page["StackSummaries"]]
    named = [item for item in deleted if item["StackName"] == name]
    if not named:
        return None
    newest = max(named, key=lambda item: item["CreationTime"])
    return _reason(client, newest["StackId"])


def _reason(client: Any, stack: str) -> str | None:
    """The first resource that failed in the newest attempt, its type and what was said of it.

    Events come newest first; a rollback alone fills pages of them.
    """
    failed = []
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
    for event in (event for page in pages for event in page["StackEvents"]):
        said = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in said:
            failed.append(f"{event['LogicalResourceId']} ({event['ResourceType']}): {said}")
        begins = event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
        if failed and begins and event["ResourceType"] == "AWS::CloudFormation::Stack":
            break
    return failed[-1] if failed else None


def _judge(client: Any, found: dict[str, Any], otherwise: str) -> None:
    name, status = found["StackName"], found["StackStatus"]
    if status in SOUND:
        return
    if status.endswith("_IN_PROGRESS"):
        raise Advice(f"The stack {name} is {status}.", "Wait for its end, then run doctor again.")
    reason = _reason(client, found["StackId"]) or "CloudFormation names no reason"
    delete = f"aws cloudformation delete-stack --stack-name {name}"
    advice = {
        "ROLLBACK_COMPLETE": f"{advise(reason, 'Repair it.')} This stack can't be updated: "
        f"{delete}, then deploy again.",
        "DELETE_FAILED": f"Empty the bucket or remove what is named, then again: {delete}",
        "UPDATE_ROLLBACK_FAILED": f"{advise(reason, 'Repair it.')} Then: aws cloudformation "
        f"continue-update-rollback --stack-name {name}",
    }
    otherwise = advise(reason, otherwise)
    raise Finding(f"The stack {name} is {status}: {reason}", advice.get(status, otherwise))


def concurrency(patient: Patient) -> str:
    """The account and the loaders' reservation let as many loaders work as a run may start."""
    client = patient.client("lambda")
    limit = client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    wanted = patient.settings.load_concurrency
    name = patient.deployment.function_name("upsert_batches")
    reserved = client.get_function_concurrency(FunctionName=name).get(
        "ReservedConcurrentExecutions"
    )
    if reserved == 0:
        raise Finding(
            f"{name} has a reserved concurrency of 0: no loader can start.",
            f"aws lambda delete-function-concurrency --function-name {name}",
        )
    if reserved is not None and reserved < wanted:
        raise Advice(
            f"{name} has a reserved concurrency of {reserved}, and a run starts up to {wanted} "
            "loaders: the others are throttled and wait.",
            f"Deploy with ReservedLoaders={wanted} or LoadConcurrency={reserved}.",
        )
    if reserved is None and limit - OTHER_FUNCTIONS < wanted:
        raise Advice(
            f"The account runs {limit} functions at once, and a run starts up to {wanted} loaders: "
            "the others are throttled and wait.",
            f"Deploy with LoadConcurrency={max(1, limit - OTHER_FUNCTIONS)}, or ask for a higher "
            "quota: Service Quotas, Lambda, Concurrent executions.",
        )
    return f"{limit} in the account, {reserved or 'none'} reserved for the loaders"


def stored_secret(patient: Patient) -> str:
    """The secret that a run reads is there and isn't being deleted."""
    settings = patient.settings
    arn = settings.database_url_secret_arn or settings.neon_api_key_secret_arn
    if not arn:
        return "none is used"
    client = patient.client("secretsmanager")
    try:
        found = client.describe_secret(SecretId=arn)
    except client.exceptions.ResourceNotFoundException:
        raise Finding(
            f"There is no secret {arn}.",
            "Make it again, and deploy with the new ARN: its last six characters have changed.",
        ) from None
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"]["Code"]:
            raise
        return f"{arn}, which you may not look at; the check of the database reads it"
    if "DeletedDate" in found:
        raise Finding(
            f"The secret {arn} is being deleted.",
            f"aws secretsmanager restore-secret --secret-id {arn}",
        )
    return str(found["Name"])


def lake_key(patient: Patient) -> str:
    """A bucket with a key of its own is one whose key the stack knows."""
    bucket, _ = split_location(patient.settings.data_location)
    client = patient.client("s3")
    try:
        answer = client.get_bucket_encryption(Bucket=bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ServerSideEncryptionConfigurationNotFoundError":
            return "the bucket names none"
        if code == "AccessDenied":
            return "the bucket doesn't say"
        raise
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    keys = [item["KMSMasterKeyID"] for item in defaults if item.get("KMSMasterKeyID")]
    own = [key for key in keys if not key.endswith("alias/aws/s3")]
    if not own:
        return "S3's own"
    name = stack_name(patient.project, patient.environment)
    found = _describe(patient.client("cloudformation"), name) or {}
    known = {
        item["ParameterValue"]
        for item in found.get("Parameters", [])
        if item["ParameterKey"] in ("ExistingDataBucketKeyArn", "KmsKeyArn")
        and item.get("ParameterValue")
    }
    # An alias, too, stands for some key that the stack has been told of.
    same = {key.rpartition("/")[2] for key in known}
    if known and all(":alias/" in key or key.rpartition("/")[2] in same for key in own):
        return f"{own[0]}, which the stack knows"
    raise Finding(
        f"s3://{bucket} encrypts with {own[0]}, which the stack's roles may not decrypt with.",
        "Deploy with ExistingDataBucketKeyArn=ARN of that key; a key of another account must "
        "allow it in its own policy too.",
    )


def alarms(patient: Patient) -> str:
    """Every alarm is there and acts."""
    name = patient.deployment.name
    answer = patient.client("cloudwatch").describe_alarms(
        AlarmNames=[f"{name}-{alarm}" for alarm in ALARMS], AlarmTypes=["MetricAlarm"]
    )
    found = {item["AlarmName"].removeprefix(f"{name}-"): item for item in answer["MetricAlarms"]}
    missing = [alarm for alarm in ALARMS if alarm not in found]
    if missing:
        raise Finding(f"There is no alarm {name}-{{{','.join(missing)}}}.", redeploy(patient))
    silent = [alarm for alarm in ALARMS if not found[alarm].get("ActionsEnabled", True)]
    if silent:
        names = " ".join(f"{name}-{alarm}" for alarm in silent)
        raise Finding(
            f"These alarms tell nobody: {names}.",
            f"aws cloudwatch enable-alarm-actions --alarm-names {names}",
        )
    states = [found[alarm].get("StateValue") for alarm in ALARMS]
    raised, unfed = states.count("ALARM"), states.count("INSUFFICIENT_DATA")
    return f"{len(ALARMS)} alarms, {raised} raised, {unfed} without data, as after a deployment"


def github(patient: Patient) -> str:
    """GitHub's roles, where they are deployed, trust both forms of a repository's name."""
    name = f"{patient.project}-github-{patient.environment}"
    client = patient.client("cloudformation")
    found = _describe(client, name)
    if found is None:
        return f"no stack {name}: no workflow of GitHub's becomes a role here"
    _judge(client, found, "Deploy templates/github.yaml again.")
    parameters = {
        item["ParameterKey"]: item.get("ParameterValue", "") for item in found["Parameters"]
    }
    repository = parameters.get("Repository", "the repository")
    if not parameters.get("RepositoryOwnerId") or not parameters.get("RepositoryId"):
        raise Advice(
            f"The roles of {name} trust {repository} by its name alone, in the form that only "
            "repositories from before 2026-07-15 prove.",
            f"If a job may not assume its role: `gh api repos/{repository} --jq '.owner.id, .id'`, "
            "then deploy templates/github.yaml with both as RepositoryOwnerId and RepositoryId.",
        )
    return f"{name} trusts {repository} by name and ids"
