"""Start sync: one run for a batch of upload events, however many they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from forecast_sync.adapters.stepfunctions import Workflow


def start_for_uploads(workflow: Workflow, message_ids: Sequence[str]) -> str:
    """Start one incremental run for these queue messages and return its name.

    The name is made of the messages' ids, so a batch that is delivered twice starts one run.
    """
    digest = hashlib.sha256("\n".join(sorted(message_ids)).encode()).hexdigest()[:24]
    name = f"uploads-{digest}"
    workflow.start(name, {"trigger": "s3"})
    return name
