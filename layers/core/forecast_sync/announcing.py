"""Announcing: what people are told about a run, in words."""

from __future__ import annotations

from typing import Protocol

from forecast_sync.contracts import RunResult


class Publisher(Protocol):
    """What announcing needs of SNS."""

    def publish(self, subject: str, message: str) -> None:
        """Publish a message."""
        ...


def announce(topic: Publisher, result: RunResult) -> None:
    """Tell the topic how a run ended, to which branch, and how many rows it was about."""
    subject = f"Forecast sync {result.status}: {result.neon_branch}"
    counts = result.counts
    what = (
        f"Run {result.run_id} ({result.sync_type}) of {result.git_ref} to the Neon branch "
        f"{result.neon_branch}: {result.status}."
    )
    if result.error_message:
        then = f"{result.error_message}\nRemove the cause, then redrive the execution."
    else:
        then = (
            f"{counts.inserted} rows inserted, {counts.updated} updated, "
            f"{counts.unchanged} unchanged, {counts.rejected} rejected."
        )
    topic.publish(subject, f"{what}\n{then}")
