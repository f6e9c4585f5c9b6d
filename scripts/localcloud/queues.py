# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Gives SQS event sources their batching window, which ministack ignores."""

from __future__ import annotations

import time
from typing import Any

from ministack.services import lambda_svc, sqs


def install() -> None:
    """Make ministack's poller wait for the window and pass on up to ``BatchSize`` messages.

    The window opens with the first message, as in AWS. Standard queues only.
    """
    opened: dict[str, float] = {}

    def receive(queue_url: str, batch_size: int) -> list[dict[str, Any]]:
        queue = sqs._queues[queue_url]
        window = _window(queue["attributes"]["QueueArn"])
        with sqs._queues_lock:
            sqs._expire_retained(queue)
            sqs._dlq_sweep(queue)
            now = time.time()
            waiting = sum(1 for message in queue["messages"] if message.get("visible_at", 0) <= now)
            if not waiting:
                opened.pop(queue_url, None)
                return []
            if waiting < batch_size and now - opened.setdefault(queue_url, now) < window:
                return []
            opened.pop(queue_url, None)
            timeout = int(queue["attributes"].get("VisibilityTimeout", "30"))
            messages: list[dict[str, Any]] = sqs._collect_msgs(queue, batch_size, timeout)
            return messages

    sqs._receive_messages_for_esm = receive


def _window(queue_arn: str) -> float:
    mappings = lambda_svc._esms._data.values()
    windows = [
        m.get("MaximumBatchingWindowInSeconds", 0)
        for m in mappings
        if m.get("EventSourceArn") == queue_arn
    ]
    return float(max(windows, default=0))
