"""Syncs a folder of Parquet files into a Postgres database, in a temporary local cloud."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
from forecast_sync.adapters.postgres import connect
from forecast_sync.errors import ForecastSyncError
from localcloud import cloud

from forecast_sync_cli.client import executions, run_status
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

WAIT_SCALE = 0.05
PARALLEL_UPLOADS = 4
RUN_NAME = "sync"


def sync_folder(
    folder: Path,
    database_url: str,
    *,
    batch_size: int | None,
    on_start: Callable[[int], None],
    on_progress: Callable[[run_status.Snapshot], None],
) -> run_status.Snapshot:
    """Run a full sync of ``folder`` into ``database_url`` and return the run's last snapshot.

    ``on_start`` is called with the number of files before the local cloud starts, ``on_progress``
    with each snapshot of the run. Raises ``UserError`` if the folder has no Parquet files or the
    database can't be used.
    """
    files = find_files(folder)
    check_database(database_url)
    on_start(len(files))
    with cloud.running(database_url=database_url, wait_scale=WAIT_SCALE) as local:
        deployment = Deployment("dev", local.session(), local.endpoint_url, local.state_machine_arn)
        # One run loads all files, so the uploads must not start runs themselves.
        deployment.client("events").disable_rule(Name=f"{deployment.name}-uploads")
        upload(deployment, local.bucket, folder, files)
        payload: dict[str, Any] = {"sync_type": "full", "trigger": "cli"}
        if batch_size is not None:
            payload["batch_size"] = batch_size
        arn = executions.start(deployment, executions.new_name(RUN_NAME), payload)
        for snapshot in run_status.follow(deployment, arn):
            on_progress(snapshot)
        return snapshot


def find_files(folder: Path) -> list[Path]:
    """Every ``*.parquet`` file below ``folder``; raises ``UserError`` if there is none."""
    if not folder.is_dir():
        raise UserError(f"{folder} isn't a directory: expected a folder with *.parquet files")
    files = sorted(path for path in folder.rglob("*.parquet") if path.is_file())
    if not files:
        raise UserError(f"{folder} has no *.parquet file at any depth")
    return files


def check_database(database_url: str) -> None:
    """Fail at once where a run would fail after its retries; raises ``UserError``."""
    try:
        connect(database_url).close()
    except (ForecastSyncError, psycopg.Error) as error:
        raise UserError(f"--database-url can't be used: {error}") from None


def upload(deployment: Deployment, bucket: str, folder: Path, files: list[Path]) -> None:
    """Upload the files under ``forecast/``, keeping their folders below ``folder``."""
    s3 = deployment.client("s3")

    def put(path: Path) -> None:
        with path.open("rb") as body:
            key = f"forecast/{path.relative_to(folder).as_posix()}"
            s3.put_object(Bucket=bucket, Key=key, Body=body)

    with ThreadPoolExecutor(PARALLEL_UPLOADS) as pool:
        list(pool.map(put, files))
