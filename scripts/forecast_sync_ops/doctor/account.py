"""Checks of the account: credentials, the stack's parts, and what starts a run."""

from __future__ import annotations

from typing import Any

from forecast_sync.adapters.s3 import split_location

from forecast_sync_ops import deployment
from forecast_sync_ops.doctor.examination import Advice, Finding, Patient

REDEPLOY = "Deploy template.yaml again: `sam build && sam deploy`."
FUNCTIONS = (
    "start_sync", "resolve_branch", "read_watermark", "start_athena_query", "poll_athena_query",
    "plan_pages", "upsert_batches", "verify_load", "record_status", "notify", "status_api",
    "inspect_database", "report_changes", "clean_history",
)  # fmt: skip


def credentials(_patient: Patient) -> str:
    """Who asks."""
    session, endpoint_url = deployment.open_session()
    client: Any = session.client("sts", endpoint_url=endpoint_url)
    identity = client.get_caller_identity()
    where = endpoint_url or f"AWS, {session.region_name}"
    return f"{identity['Arn']} at {where}"


def state_machine(patient: Patient) -> str:
    """The machine is there and takes executions."""
    found = patient.deployment.stepfunctions.describe_state_machine(
        stateMachineArn=patient.deployment.state_machine_arn
    )
    if found["status"] != "ACTIVE":
        raise Finding(f"{found['name']} is {found['status']}.", REDEPLOY)
    return f"{found['name']}, active"


def functions(patient: Patient) -> str:
    """Every function is there, active, and configured alike."""
    client, runtimes = patient.client("lambda"), set()
    for verb_noun in FUNCTIONS:
        name = patient.deployment.function_name(verb_noun)
        try:
            found = client.get_function_configuration(FunctionName=name)
        except client.exceptions.ResourceNotFoundException:
            raise Finding(f"There is no function {name}.", REDEPLOY) from None
        if found.get("State", "Active") != "Active":
            raise Finding(f"{name} is {found['State']}: {found.get('StateReason')}.", REDEPLOY)
        runtimes.add(found.get("Runtime"))
    settings = patient.settings
    if settings.environment != patient.environment:
        raise Finding(f"The functions serve {settings.environment}.", "Choose its --environment.")
    return f"{len(FUNCTIONS)} functions, active"


def lake(patient: Patient) -> str:
    """The lake's bucket can be listed and tells EventBridge what arrives."""
    bucket, prefix = split_location(patient.settings.data_location)
    s3 = patient.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1000)
    configuration = s3.get_bucket_notification_configuration(Bucket=bucket)
    if "EventBridgeConfiguration" not in configuration:
        raise Finding(
            f"s3://{bucket} doesn't send its events to EventBridge: uploads start no run.", REDEPLOY
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
    name = f"forecast-sync-{patient.environment}-uploads"
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
        raise Finding("Nothing reads the queue of uploads.", REDEPLOY)
    waiting = _waiting_messages(patient, f"{name}-dlq")
    if waiting:
        raise Finding(
            f"{waiting} uploads ended in the queue {name}-dlq: starting a run failed five times.",
            "Read start-sync's log, start a run (`forecast-sync start`), then purge the queue.",
        )
    return "rule, queue and reader are on; the dead-letter queue is empty"


def _waiting_messages(patient: Patient, queue: str) -> int:
    sqs = patient.client("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    attributes = sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessages"])


def schedule(patient: Patient) -> str:
    """The regular run is on."""
    name = f"forecast-sync-{patient.environment}"
    found = patient.client("scheduler").get_schedule(Name=name)
    if found["State"] != "ENABLED":
        raise Finding(
            f"The schedule {name} is {found['State']}: what no event announces is never synced.",
            REDEPLOY,
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
