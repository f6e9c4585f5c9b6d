"""Checks of the account: credentials, the stack's parts, and what starts a run."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError, NoCredentialsError, TokenRetrievalError
from forecast_sync.adapters.s3 import split_location

from forecast_sync_cli.client import deployment
from forecast_sync_cli.doctor.runner import Advice, Finding, Patient, redeploy
from forecast_sync_cli.errors import UserError

FUNCTIONS = (
    "start_sync", "resolve_branch", "read_watermark", "start_athena_query", "poll_athena_query",
    "plan_pages", "upsert_batches", "verify_load", "record_status", "notify", "status_api",
    "inspect_database", "report_changes", "clean_history", "check_branch",
)  # fmt: skip


def credentials(_patient: Patient) -> str:
    """Who asks."""
    session, endpoint_url = deployment.open_session()
    client: Any = session.client("sts", endpoint_url=endpoint_url)
    try:
        identity = client.get_caller_identity()
    except (ClientError, NoCredentialsError, TokenRetrievalError) as error:
        found = " ".join(f"{type(error).__name__}: {error}".split())
        advice = "Log in (`aws sso login` or `aws configure`), or set AWS_PROFILE."
        if deployment.is_local(endpoint_url):
            advice = "Export everything that `forecast-sync local up` printed."
        raise Finding(found, advice) from None
    where = endpoint_url or f"AWS, {session.region_name}"
    return f"{identity['Arn']} at {where}"


def state_machine(patient: Patient) -> str:
    """The machine is there and takes executions."""
    try:
        patient.deployment  # noqa: B018  # looks for it
    except UserError as error:
        found, _, advice = str(error).partition(": ")
        raise Finding(f"{found}.", f"{advice[:1].upper()}{advice[1:]}.") from None
    machine = patient.deployment.stepfunctions.describe_state_machine(
        stateMachineArn=patient.deployment.state_machine_arn
    )
    if machine["status"] != "ACTIVE":
        raise Finding(f"{machine['name']} is {machine['status']}.", redeploy(patient))
    return f"{machine['name']}, active"


def functions(patient: Patient) -> str:
    """Every function is there and active."""
    client = patient.client("lambda")
    wrong, waking = [], []
    for verb_noun in FUNCTIONS:
        name = patient.deployment.function_name(verb_noun)
        try:
            found = client.get_function_configuration(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            wrong.append(f"There is no function {name}.")
            continue
        if found.get("State") in ("Pending", "Inactive"):
            waking.append(f"{name} is {found['State']}.")
        elif found.get("State", "Active") != "Active":
            wrong.append(f"{name} is {found['State']}: {found.get('StateReason')}.")
        elif found.get("LastUpdateStatus") == "Failed":
            reason = found.get("LastUpdateStatusReason")
            wrong.append(f"{name} couldn't be updated: {reason}.")
    if wrong:
        raise Finding(" ".join(wrong), redeploy(patient))
    if waking:
        raise Advice(
            " ".join(waking),
            "Lambda gives them their network, or takes it from functions in a VPC that sleep for "
            "weeks: wait a minute and run doctor again. The next call wakes them, and runs wait.",
        )
    return f"{len(FUNCTIONS)} functions, active"


def settings(patient: Patient) -> str:
    """The functions' settings can be read, and are this environment's."""
    found = patient.settings
    if found.environment != patient.environment:
        raise Finding(f"The functions serve {found.environment}.", "Choose its --environment.")
    return f"goal {found.freshness_goal_hours:g} h, batches of {found.batch_size:,} rows"


def lake(patient: Patient) -> str:
    """The lake's bucket can be listed and tells EventBridge what arrives."""
    bucket, prefix = split_location(patient.settings.data_location)
    s3 = patient.client("s3")
    try:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1000)
    except s3.exceptions.NoSuchBucket:
        raise Finding(
            f"There is no bucket {bucket}.",
            "Make it again in the stack's region, or deploy with the right ExistingDataBucket.",
        ) from None
    configuration = s3.get_bucket_notification_configuration(Bucket=bucket)
    if "EventBridgeConfiguration" not in configuration:
        raise Finding(
            f"s3://{bucket} doesn't send its events to EventBridge: uploads start no run.",
            "Let it, as docs/deploy.md says of a bucket that exists already.",
        )
    objects = [item for item in listed.get("Contents", []) if item["Key"].endswith(".parquet")]
    if not objects:
        raise Advice(
            f"s3://{bucket}/{prefix} has no *.parquet object.",
            f"Upload one: aws s3 cp forecast.parquet s3://{bucket}/{prefix}",
        )
    more = " or more" if listed.get("IsTruncated") else ""
    return f"s3://{bucket}/{prefix}, {len(objects)}{more} Parquet objects"


def uploads(patient: Patient) -> str:
    """Uploads reach the queue, and nothing has ended in the dead-letter queue."""
    name = f"{patient.deployment.name}-uploads"
    rule = patient.client("events").describe_rule(Name=name)
    if rule["State"] != "ENABLED":
        raise Finding(
            f"The EventBridge rule {name} is {rule['State']}: uploads start no run.",
            f"Switch it on: aws events enable-rule --name {name}",
        )
    mappings = patient.client("lambda").list_event_source_mappings(
        FunctionName=patient.deployment.function_name("start_sync")
    )["EventSourceMappings"]
    if not any(item.get("State") in ("Enabled", "Enabling", "Updating") for item in mappings):
        raise Finding("Nothing reads the queue of uploads.", redeploy(patient))
    waiting = _waiting_messages(patient, f"{name}-dlq")
    if waiting:
        raise Finding(
            f"Uploads ended in the queue {name}-dlq ({waiting}): no run could be started for them.",
            "Read start-sync's log, start a run (`forecast-sync start`), then empty the queue: "
            f"aws sqs purge-queue --queue-url {_queue_url(patient, f'{name}-dlq')}",
        )
    return "rule, queue and reader are on; the dead-letter queue is empty"


def _waiting_messages(patient: Patient, queue: str) -> int:
    attributes = patient.client("sqs").get_queue_attributes(
        QueueUrl=_queue_url(patient, queue), AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def _queue_url(patient: Patient, queue: str) -> str:
    return str(patient.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def schedule(patient: Patient) -> str:
    """The regular run is on."""
    name = patient.deployment.name
    found = patient.client("scheduler").get_schedule(Name=name)
    if found["State"] != "ENABLED":
        raise Advice(
            f"The schedule {name} is {found['State']}: what no event announces waits for a run.",
            "Deploy with ScheduleState=ENABLED, unless GitHub's schedule starts the runs.",
        )
    return f"{found['ScheduleExpression']}"


def announcements(patient: Patient) -> str:
    """Somebody hears of failures."""
    pages = patient.client("sns").list_subscriptions_by_topic(TopicArn=patient.settings.topic_arn)
    confirmed = [
        item for item in pages["Subscriptions"] if item["SubscriptionArn"].startswith("arn:")
    ]
    if not confirmed:
        topic = patient.settings.topic_arn
        raise Advice(
            "Nobody has subscribed to the topic: failures are told to nobody.",
            f"aws sns subscribe --topic-arn {topic} --protocol email --notification-endpoint YOU",
        )
    return f"{len(confirmed)} subscriptions"
