"""Start sync: one run for the uploads that the queue has collected."""

from __future__ import annotations

from forecast_sync import clients
from forecast_sync.contracts.events import StartedRun, UploadMessages
from forecast_sync.runs.uploads import start_for_uploads
from forecast_sync.task import task


@task(UploadMessages)
def handler(messages: UploadMessages) -> StartedRun:
    """Return the name of the run."""
    message_ids = [message.message_id for message in messages.records]
    return StartedRun(run_id=start_for_uploads(clients.workflow(), message_ids))
