"""Checks of credentials, of the stack's resources, and of what starts runs."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError, NoCredentialsError, TokenRetrievalError
from forecast_sync.adapters.s3 import split_location

from forecast_sync_cli.client import deployment
from forecast_sync_cli.doctor.runner import Advice, Context, Finding, redeploy
from forecast_sync_cli.errors import UserError

FUNCTIONS = (
    "start_sync", "resolve_branch", "read_watermark", "start_athena_query", "poll_athena_query",
    "plan_pages", "upsert_batches", "verify_load", "delete_rows", "record_status", "notify",
    "status_api", "inspect_database", "report_changes", "clean_history", "check_branch",
)  # fmt: skip


def credentials(_context: Context) -> str:
    """The caller's credentials are valid."""
    session, endpoint_url = deployment.open_session()
    client: Any = session.client("sts", endpoint_url=endpoint_url)
    try:
        identity = client.get_caller_identity()
    except (ClientError, NoCredentialsError, TokenRetrievalError) as error:
        failure = " ".join(f"{type(error).__name__}: {error}".split())
        advice = "Log in (`aws sso login` or `aws configure`), or set AWS_PROFILE."
        if deployment.is_local(endpoint_url):
            advice = "Export everything that `forecast-sync local up` printed."
        raise Finding(failure, advice) from None
    where = endpoint_url or f"AWS, {session.region_name}"
    return f"{identity['Arn']} at {where}"


def state_machine(context: Context) -> str:
    """The state machine exists and is active."""
    try:
        context.deployment  # noqa: B018  # raises if there is none
    except UserError as error:
        found, _, advice = str(error).partition(": ")
        raise Finding(f"{found}.", f"{advice[:1].upper()}{advice[1:]}.") from None
    machine = context.deployment.stepfunctions.describe_state_machine(
        stateMachineArn=context.deployment.state_machine_arn
    )
    if machine["status"] != "ACTIVE":
        raise Finding(f"{machine['name']} is {machine['status']}.", redeploy(context))
    return f"{machine['name']}, active"


def functions(context: Context) -> str:
    """Every function exists and is active."""
    client = context.client("lambda")
    wrong, waking = [], []
    for verb_noun in FUNCTIONS:
        name = context.deployment.function_name(verb_noun)
        try:
            configuration = client.get_function_configuration(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            wrong.append(f"There is no function {name}.")
            continue
        if configuration.get("State") in ("Pending", "Inactive"):
            waking.append(f"{name} is {configuration['State']}.")
        elif configuration.get("State", "Active") != "Active":
            state, reason = configuration["State"], configuration.get("StateReason")
            wrong.append(f"{name} is {state}: {reason}.")
        elif configuration.get("LastUpdateStatus") == "Failed":
            reason = configuration.get("LastUpdateStatusReason")
            wrong.append(f"{name} couldn't be updated: {reason}.")
    if wrong:
        raise Finding(" ".join(wrong), redeploy(context))
    if waking:
        raise Advice(
            " ".join(waking),
            "Lambda is setting up their network, which it takes away from functions in a VPC that "
            "haven't been called for weeks. The next call wakes them, and runs wait for that: "
            "wait a minute, then run doctor again.",
        )
    return f"{len(FUNCTIONS)} functions, active"


def settings(context: Context) -> str:
    """The functions' settings are readable and belong to this environment."""
    settings = context.settings
    if settings.environment != context.environment:
        raise Finding(f"The functions serve {settings.environment}.", "Choose that --environment.")
    return f"goal {settings.freshness_goal_hours:g} h, batches of {settings.batch_size:,} rows"


def lake(context: Context) -> str:
    """The lake's bucket can be listed and sends its events to EventBridge."""
    bucket, prefix = split_location(context.settings.data_location)
    s3 = context.client("s3")
    try:
        s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except s3.exceptions.NoSuchBucket:
        raise Finding(
            f"There is no bucket {bucket}.",
            "Create it again in the stack's region, or deploy with the right ExistingDataBucket.",
        ) from None
    configuration = s3.get_bucket_notification_configuration(Bucket=bucket)
    if "EventBridgeConfiguration" not in configuration:
        raise Finding(
            f"s3://{bucket} doesn't send its events to EventBridge: uploads start no run.",
            "Turn that on; docs/deploy.md says how, under existing buckets.",
        )
    return f"s3://{bucket}, which sends its events to EventBridge"


def files(context: Context) -> str:
    """The table's folder has files."""
    bucket, prefix = split_location(context.settings.data_location)
    listed = context.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1000)
    objects = [item for item in listed.get("Contents", []) if item["Key"].endswith(".parquet")]
    if not objects:
        raise Advice(
            f"s3://{bucket}/{prefix} has no *.parquet object.",
            f"Upload one: aws s3 cp forecast.parquet s3://{bucket}/{prefix}",
        )
    more = " or more" if listed.get("IsTruncated") else ""
    return f"s3://{bucket}/{prefix}, {len(objects)}{more} *.parquet objects"


def uploads(context: Context) -> str:
    """Uploads reach the queue, and the dead-letter queue is empty."""
    name = f"{context.deployment.name}-uploads"
    rule = context.client("events").describe_rule(Name=name)
    if rule["State"] != "ENABLED":
        raise Finding(
            f"The EventBridge rule {name} is {rule['State']}: uploads start no run.",
            f"Enable it: aws events enable-rule --name {name}",
        )
    mappings = context.client("lambda").list_event_source_mappings(
        FunctionName=context.deployment.function_name("start_sync")
    )["EventSourceMappings"]
    if not any(item.get("State") in ("Enabled", "Enabling", "Updating") for item in mappings):
        raise Finding("No enabled event source mapping reads the uploads queue.", redeploy(context))
    waiting = _waiting_messages(context, f"{name}-dlq")
    if waiting:
        raise Finding(
            f"Uploads are in the dead-letter queue {name}-dlq ({waiting}): they started no run.",
            "Read start-sync's log, start a run (`forecast-sync start`), then empty the queue: "
            f"aws sqs purge-queue --queue-url {_queue_url(context, f'{name}-dlq')}",
        )
    return "rule and queue are enabled; the dead-letter queue is empty"


def _waiting_messages(context: Context, queue: str) -> int:
    attributes = context.client("sqs").get_queue_attributes(
        QueueUrl=_queue_url(context, queue), AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def _queue_url(context: Context, queue: str) -> str:
    return str(context.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def schedule(context: Context) -> str:
    """Scheduled runs are enabled."""
    name = context.deployment.name
    schedule = context.client("scheduler").get_schedule(Name=name)
    if schedule["State"] != "ENABLED":
        raise Advice(
            f"The schedule {name} is {schedule['State']}: an upload whose event was lost "
            "waits until somebody starts a run.",
            "Deploy with ScheduleState=ENABLED, unless GitHub's schedule starts the runs.",
        )
    return str(schedule["ScheduleExpression"])


def announcements(context: Context) -> str:
    """Somebody is notified of failures."""
    pages = context.client("sns").list_subscriptions_by_topic(TopicArn=context.settings.topic_arn)
    confirmed = [
        item for item in pages["Subscriptions"] if item["SubscriptionArn"].startswith("arn:")
    ]
    if not confirmed:
        topic = context.settings.topic_arn
        raise Advice(
            "The topic has no confirmed subscription: nobody is notified of failures.",
            f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint YOU",
        )
    return f"{len(confirmed)} subscriptions"
