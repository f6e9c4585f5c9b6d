"""Checks of the stacks, and of what Lambda, KMS, CloudWatch and GitHub grant them."""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import ClientError
from forecast_sync.adapters.s3 import split_location
from forecast_sync.stack_names import stack_name
from forecast_sync.text.sentences import end_sentence

from forecast_sync_cli.doctor.runner import Advice, Context, Finding, redeploy
from forecast_sync_cli.errors import UserError

SOUND = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE")
ALARMS = (
    "function-errors", "run-duration", "loader-duration", "run-failed", "run-timed-out",
    "run-throttled", "freshness", "rejects", "deletes-deferred", "lost-uploads",
)  # fmt: skip
OTHER_FUNCTIONS = 6
"""Concurrent executions that runs need besides their loaders."""
FREE_EXECUTIONS = 100
"""Concurrent executions that Lambda always keeps unreserved."""

# Patterns of the reasons that CloudFormation gives for a failed resource, and what to do.
REASONS = (
    (
        r"AWS::S3::Bucket.*already (exists|owned)",
        (
            "Bucket names are global, and this one is taken: deploy with another BucketSuffix. If "
            "the bucket is yours, it is the lake of a deleted stack: pass it as ExistingDataBucket."
        ),
    ),
    (
        r"OIDCProvider.*already|[Pp]rovider with url .* already",
        "The account already has GitHub's provider: deploy with its ARN as OidcProviderArn.",
    ),
    (
        r"already exists",
        (
            "A resource outside the stack has this name: remove it, or deploy with another "
            "ProjectName."
        ),
    ),
    (
        r"[Uu]nreserved ?[Cc]oncurrent ?[Ee]xecution",
        (
            f"Lambda keeps {FREE_EXECUTIONS} of an account's executions unreserved: deploy with "
            "ReservedLoaders=0, or request a higher quota."
        ),
    ),
    (
        r"AccessDenied|not authorized|UnauthorizedOperation|403",
        "Give the deploying role the permissions in docs/deployer-policy.json.",
    ),
)


def advise(reason: str, otherwise: str) -> str:
    """What to do about a reason that CloudFormation gives."""
    return next((advice for pattern, advice in REASONS if re.search(pattern, reason)), otherwise)


def stack_status(context: Context) -> str:
    """The stack is in a good state; if there is none, why its last deployment failed."""
    name = stack_name(context.project, context.environment)
    client = context.early_client("cloudformation")
    stack = _describe(client, name)
    if stack is None:
        return _missing(context, client, name)
    _judge(client, stack, redeploy(context))
    return f"{name}, {stack['StackStatus']}"


def _describe(client: Any, name: str) -> dict[str, Any] | None:
    try:
        stacks: list[dict[str, Any]] = client.describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ValidationError":
            return None
        if "AccessDenied" in code:
            raise Advice(
                f"You aren't allowed to describe the stack {name}.",
                "Give your own role cloudformation:DescribeStacks.",
            ) from None
        raise
    return stacks[0] if stacks and stacks[0]["StackStatus"] != "DELETE_COMPLETE" else None


def _missing(context: Context, client: Any, name: str) -> str:
    try:
        machine = context.deployment.state_machine_arn
    except UserError as error:
        reason = _last_reason(client, name)
        if not reason:
            found, _, advice = str(error).partition(": ")
            raise Finding(f"There is {found}.", f"{advice[:1].upper()}{advice[1:]}.") from None
        raise Finding(
            f"There is no stack {name}; its last deployment failed: {reason}",
            advise(reason, "Fix the cause."),
        ) from None
    raise Advice(
        f"{machine} doesn't belong to a stack {name}: it was created by another stack, or by hand.",
        "Deploy under that stack's name (--stack-name), or with another ProjectName.",
    )


def _last_reason(client: Any, name: str) -> str | None:
    """Why the newest deleted stack of this name failed."""
    pages = client.get_paginator("list_stacks").paginate(StackStatusFilter=["DELETE_COMPLETE"])
    deleted = [item for page in pages for item in page["StackSummaries"]]
    namesakes = [item for item in deleted if item["StackName"] == name]
    if not namesakes:
        return None
    newest = max(namesakes, key=lambda item: item["CreationTime"])
    return _reason(client, newest["StackId"])


def _reason(client: Any, stack: str) -> str | None:
    """The first resource that failed in the newest deployment: its name, type and reason.

    Events come newest first, and a rollback alone fills pages of them.
    """
    failed = []
    pages = client.get_paginator("describe_stack_events").paginate(StackName=stack)
    for event in (event for page in pages for event in page["StackEvents"]):
        reason = event.get("ResourceStatusReason", "")
        if event["ResourceStatus"].endswith("_FAILED") and "cancelled" not in reason:
            failed.append(f"{event['LogicalResourceId']} ({event['ResourceType']}): {reason}")
        begins = event["ResourceStatus"] in ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
        if failed and begins and event["ResourceType"] == "AWS::CloudFormation::Stack":
            break
    return failed[-1] if failed else None


def _judge(client: Any, found: dict[str, Any], otherwise: str) -> None:
    name, status = found["StackName"], found["StackStatus"]
    if status in SOUND:
        return
    if status.endswith("_IN_PROGRESS"):
        raise Advice(
            f"The stack {name} is {status}.", "Wait until that has ended, then run doctor again."
        )
    reason = _reason(client, found["StackId"]) or "CloudFormation gives no reason"
    delete = f"aws cloudformation delete-stack --stack-name {name}"
    fix = end_sentence(advise(reason, "Fix the cause."))
    advice = {
        "ROLLBACK_COMPLETE": f"{fix} This stack can't be updated: {delete}, then deploy again.",
        "DELETE_FAILED": f"Empty the bucket or remove the resource that is named, then: {delete}",
        "UPDATE_ROLLBACK_FAILED": f"{fix} Then: aws cloudformation continue-update-rollback "
        f"--stack-name {name}",
    }
    otherwise = advise(reason, otherwise)
    raise Finding(f"The stack {name} is {status}: {reason}", advice.get(status, otherwise))


def concurrency(context: Context) -> str:
    """Account and reserved concurrency allow as many loaders as a run may start."""
    client = context.client("lambda")
    limit = client.get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    loaders = context.settings.load_concurrency
    name = context.deployment.function_name("upsert_batches")
    reserved = client.get_function_concurrency(FunctionName=name).get(
        "ReservedConcurrentExecutions"
    )
    if reserved == 0:
        raise Finding(
            f"{name} has a reserved concurrency of 0: no loader can start.",
            f"aws lambda delete-function-concurrency --function-name {name}",
        )
    if reserved is not None and reserved < loaders:
        raise Advice(
            f"{name} has a reserved concurrency of {reserved}, and a run starts up to {loaders} "
            "loaders: the others are throttled and wait.",
            f"Deploy with ReservedLoaders={loaders} or LoadConcurrency={reserved}.",
        )
    if reserved is None and limit - OTHER_FUNCTIONS < loaders:
        raise Advice(
            f"The account runs {limit} functions at once, and a run starts up to {loaders} "
            "loaders: the others are throttled and wait.",
            f"Deploy with LoadConcurrency={max(1, limit - OTHER_FUNCTIONS)}, or request a higher "
            "quota: Service Quotas, Lambda, Concurrent executions.",
        )
    return f"{limit} in the account, {reserved or 'none'} reserved for the loaders"


def stored_secret(context: Context) -> str:
    """The secret that runs read exists and isn't scheduled for deletion."""
    settings = context.settings
    arn = settings.database_url_secret_arn or settings.neon_api_key_secret_arn
    if not arn:
        return "none is used"
    client = context.client("secretsmanager")
    try:
        secret = client.describe_secret(SecretId=arn)
    except client.exceptions.ResourceNotFoundException:
        raise Finding(
            f"There is no secret {arn}.",
            "Create it again and deploy with the new ARN, whose last six characters differ.",
        ) from None
    except ClientError as error:
        if "AccessDenied" not in error.response["Error"]["Code"]:
            raise
        return f"{arn}, which you aren't allowed to describe; the check `database` uses it"
    if "DeletedDate" in secret:
        raise Finding(
            f"The secret {arn} is scheduled for deletion.",
            f"aws secretsmanager restore-secret --secret-id {arn}",
        )
    return str(secret["Name"])


def lake_key(context: Context) -> str:
    """The stack knows the KMS key that the lake's bucket is encrypted with, if any."""
    bucket, _ = split_location(context.settings.data_location)
    client = context.client("s3")
    try:
        answer = client.get_bucket_encryption(Bucket=bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ServerSideEncryptionConfigurationNotFoundError":
            return "the bucket has no default key"
        if code == "AccessDenied":
            return "you aren't allowed to read the bucket's encryption"
        raise
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    keys = [item["KMSMasterKeyID"] for item in defaults if item.get("KMSMasterKeyID")]
    own = [key for key in keys if not key.endswith("alias/aws/s3")]
    if not own:
        return "S3's own"
    name = stack_name(context.project, context.environment)
    stack = _describe(context.client("cloudformation"), name) or {}
    known = {
        item["ParameterValue"]
        for item in stack.get("Parameters", [])
        if item["ParameterKey"] in ("ExistingDataBucketKeyArn", "KmsKeyArn")
        and item.get("ParameterValue")
    }
    # An alias stands for a key; it is taken to be the one that the stack was given.
    same = {key.rpartition("/")[2] for key in known}
    if known and all(":alias/" in key or key.rpartition("/")[2] in same for key in own):
        return f"{own[0]}, which the stack knows"
    raise Finding(
        f"s3://{bucket} encrypts with {own[0]}, which the stack's roles may not decrypt with.",
        "Deploy with ExistingDataBucketKeyArn=ARN of that key; a key of another account must "
        "allow it in its own policy too.",
    )


def alarms(context: Context) -> str:
    """Every alarm exists, with its actions enabled."""
    name = context.deployment.name
    answer = context.client("cloudwatch").describe_alarms(
        AlarmNames=[f"{name}-{alarm}" for alarm in ALARMS], AlarmTypes=["MetricAlarm"]
    )
    by_name = {item["AlarmName"].removeprefix(f"{name}-"): item for item in answer["MetricAlarms"]}
    missing = [alarm for alarm in ALARMS if alarm not in by_name]
    if missing:
        raise Finding(f"There is no alarm {name}-{{{','.join(missing)}}}.", redeploy(context))
    silent = [alarm for alarm in ALARMS if not by_name[alarm].get("ActionsEnabled", True)]
    if silent:
        names = " ".join(f"{name}-{alarm}" for alarm in silent)
        raise Finding(
            f"The actions of these alarms are disabled: {names}.",
            f"aws cloudwatch enable-alarm-actions --alarm-names {names}",
        )
    states = [by_name[alarm].get("StateValue") for alarm in ALARMS]
    raised, unfed = states.count("ALARM"), states.count("INSUFFICIENT_DATA")
    return f"{len(ALARMS)} alarms, {raised} in ALARM, {unfed} without data, as after a deployment"


def github(context: Context) -> str:
    """If GitHub's roles are deployed, they trust both forms of the repository's name."""
    name = f"{context.project}-github-{context.environment}"
    client = context.client("cloudformation")
    stack = _describe(client, name)
    if stack is None:
        return f"there is no stack {name}: no GitHub workflow can assume a role here"
    _judge(client, stack, "Deploy templates/github.yaml again.")
    parameters = {
        item["ParameterKey"]: item.get("ParameterValue", "") for item in stack["Parameters"]
    }
    repository = parameters.get("Repository", "the repository")
    if not parameters.get("RepositoryOwnerId") or not parameters.get("RepositoryId"):
        raise Advice(
            f"The roles of {name} trust {repository} only by its name, a form that only "
            "repositories created before 2026-07-15 use.",
            f"If a job can't assume its role: `gh api repos/{repository} --jq '.owner.id, .id'`, "
            "then deploy templates/github.yaml with both as RepositoryOwnerId and RepositoryId.",
        )
    return f"{name} trusts {repository} by name and ids"
