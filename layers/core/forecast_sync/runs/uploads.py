"""Start sync: a run for each table whose files a batch of messages is about, however many.

Where a stack has one table, the rule in template.yaml has sorted out which objects count, and
messages aren't read. With several, an object belongs to every table that reads its folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from forecast_sync.adapters.stepfunctions import Workflow
from forecast_sync.contracts.events import UploadMessage
from forecast_sync.telemetry.logging import logger
from forecast_sync.text.strict_json import read_object


class Routed(NamedTuple):
    """The ids of the messages that are about each table, and the keys that are about none."""

    message_ids: dict[str, list[str]]
    outside: list[str]


def start_for_uploads(workflow: Workflow, message_ids: Sequence[str]) -> str:
    """Start one incremental run for these queue messages and return its name.

    The name is made of the messages' ids, so a batch that is delivered twice starts one run.
    """
    name = _name("uploads", sorted(message_ids))
    workflow.start(name, {"trigger": "s3"})
    return name


def start_for_tables(
    workflow: Workflow, trigger: str, parts: Mapping[str, Sequence[str]]
) -> list[str]:
    """Start one incremental run of each table, and return the runs' names.

    A name is made of the table's and its ``parts``: the same call starts no second run.
    """
    names = []
    for table, ids in parts.items():
        name = _name("uploads" if trigger == "s3" else trigger, [table, *sorted(ids)])
        workflow.start(name, {"trigger": trigger, "table": table})
        logger.info("started", extra={"run_id": name, "table": table})
        names.append(name)
    return names


def route(messages: Sequence[UploadMessage], prefixes: Mapping[str, str]) -> Routed:
    """Sort messages by table; ``prefixes`` are the tables' folders in the bucket.

    A message that names no object may be about any table.
    """
    ids: dict[str, list[str]] = {}
    outside = []
    for message in messages:
        key = _key_of(message)
        tables = [
            name for name, prefix in prefixes.items() if key is None or key.startswith(prefix)
        ]
        for name in tables:
            ids.setdefault(name, []).append(message.message_id)
        if not tables and key is not None:
            outside.append(key)
    return Routed(ids, outside)


def _key_of(message: UploadMessage) -> str | None:
    """The object that an EventBridge event in a message is about."""
    detail = read_object(message.body).get("detail")
    found = detail.get("object") if isinstance(detail, dict) else None
    key = found.get("key") if isinstance(found, dict) else None
    return key if isinstance(key, str) else None


def _name(kind: str, parts: Sequence[str]) -> str:
    return f"{kind}-{hashlib.sha256(chr(10).join(parts).encode()).hexdigest()[:24]}"
