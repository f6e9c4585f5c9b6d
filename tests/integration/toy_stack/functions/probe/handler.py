"""Answers what a test asks about the execution environment it runs in."""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import Any

import boto3
from toy_layer import GREETING

_invocations = itertools.count(1)


class ProbeFailed(Exception):
    """An error whose name has to arrive in the state machine."""


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    print(json.dumps({"probe": "called"}))
    if "Records" in event:
        key = f"batches/{context.aws_request_id}.json"
        keys = [
            json.loads(record["body"])["detail"]["object"]["key"] for record in event["Records"]
        ]
        boto3.client("s3").put_object(
            Bucket=os.environ["RESULTS_BUCKET"], Key=key, Body=json.dumps(keys)
        )
    if event.get("fail"):
        raise ProbeFailed("asked to")
    time.sleep(event.get("sleep", 0))
    return {
        "greeting": GREETING,
        "pid": os.getpid(),
        "invocations": next(_invocations),
        "remaining_ms": context.get_remaining_time_in_millis(),
        "environment": {
            name: os.environ.get(name) for name in ("ENVIRONMENT", "AWS_REGION", "NEON_API_URL")
        },
    }
