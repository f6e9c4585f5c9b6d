"""Starting: one run for a batch of upload events, whatever their number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol


class Starter(Protocol):
    """What starting a run needs of Step Functions."""

    def start(self, name: str, payload: dict[str, Any]) -> bool:
        """Start an execution; False when one of this name exists."""
        ...


def start_for_uploads(workflow: Starter, message_ids: Sequence[str]) -> str:
    """Start one incremental run for these queue messages and return its name.

    The name comes from the messages, so a batch that is delivered twice starts one run.
    """
    digest = hashlib.sha256("\n".join(sorted(message_ids)).encode()).hexdigest()[:24]
    name = f"uploads-{digest}"
    workflow.start(name, {"trigger": "s3"})
    return name
