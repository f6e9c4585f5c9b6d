"""Answers a test's questions about its execution environment."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import boto3
from toy_layer import GREETING

_invocations = itertools.count(1)


class ProbeFailed(Exception):
    """An error whose name has to arrive in the state machine."""


def _attempt(path: str, text: str | None) -> str:
    """What comes of reading a file, listing a folder or writing a text."""
    file = Path(path)
    try:
        if text is not None:
            file.write_text(text)
            return "written"
        if file.is_dir():
            return "listed " + " ".join(entry.name for entry in file.iterdir())
        return "read " + file.read_text(errors="replace")
    except OSError as error:
        return type(error).__name__


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
    if "attack" in event:
        return {path: _attempt(path, event.get("write")) for path in event["attack"]}
    return {
        "greeting": GREETING,
        "pid": os.getpid(),
        "invocations": next(_invocations),
        "remaining_ms": context.get_remaining_time_in_millis(),
        "environment": {
            name: os.environ.get(name) for name in ("ENVIRONMENT", "AWS_REGION", "NEON_API_URL")
        },
    }
