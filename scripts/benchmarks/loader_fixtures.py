"""What the loader needs: a run that holds the lease, and files in place of S3."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from forecast_sync.adapters.postgres import Connection
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run
from forecast_sync.lease.window import open_window
from forecast_sync.tables import load_table

BLOCK_BYTES = 64 * 1024


def open_run(connection: Connection, batch_size: int, *, checksum: bool) -> Run:
    """A run that holds the database's lease; it takes over from the run before it."""
    name = f"bench-{uuid.uuid4().hex}"
    run = Run(
        run_id=name,
        execution_arn=f"arn:aws:states:us-east-2:000000000000:execution:bench:{name}",
        started_at=datetime.now(UTC),
        trigger="bench",
        sync_type="full",
        batch_size=batch_size,
        verify_checksum=checksum,
        git_ref="dev",
        environment="dev",
        neon_branch="dev",
    )
    settings = Settings(environment="dev", data_location="s3://bench/forecast/")
    open_window(connection, settings, load_table(), run, lambda _arn: False)
    return run


def stream_file(_bucket: str, key: str) -> Iterator[bytes]:
    """Read a file in blocks, as S3 objects are read."""
    with Path(key).open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block
