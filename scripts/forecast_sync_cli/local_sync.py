"""Syncs a folder of Parquet files into a Postgres database, in a temporary local cloud."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from forecast_sync.adapters.s3 import split_location
from forecast_sync.contracts.result import RunResult
from forecast_sync.tables.neighbors import prefix_of
from localcloud import cloud

from forecast_sync_cli.client import executions, files, run_status
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.client.run_status import Snapshot
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.glue_tables import declare_table
from forecast_sync_cli.local_advice import AGAIN, advise_again
from forecast_sync_cli.local_database import (
    Rejected,
    count_committed,
    list_rejected,
    name_locally,
)
from forecast_sync_cli.table_lint import TableFile
from forecast_sync_cli.units import show_size

WAIT_SCALE = 0.05
PARALLEL_UPLOADS = 4
UPLOAD_SECONDS = 1.0
RUN_NAME = "sync"
MOST_LEFT_OUT = 1000
"""The most left-out files that are named."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C; the message says what the run had committed by then."""


class LeftOut(NamedTuple):
    """A bad file that was left out, by its local name, and why, as a predicate."""

    file: str
    reason: str


class Synced(NamedTuple):
    """How a sync ended."""

    snapshot: run_status.Snapshot
    left_out: list[LeftOut]

    def to_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        left_out = [item._asdict() for item in self.left_out]
        return {**self.snapshot.to_dict(), "left_out": left_out}


@dataclass(frozen=True)
class LocalSync:
    """A folder to sync into a database, by a table file; ``batch_size`` None is the default.

    ``allow_deletes`` is how many rows the run may delete, even beyond ``max_delete_percent``.
    """

    folder: Path
    database_url: str
    table_file: TableFile
    batch_size: int | None = None
    allow_deletes: int | None = None

    def run(
        self,
        on_progress: Callable[[run_status.Snapshot], None],
        on_step: Callable[[str], None] = lambda _: None,
    ) -> Synced:
        """Run a full sync and return how it ended.

        ``on_step`` is called with each step before the run begins, ``on_progress`` with each
        snapshot of the run.
        Raises ``UserError`` if the folder has no Parquet files, and ``Interrupted`` for Ctrl-C.
        """
        found = find_files(self.folder)
        run_id = executions.new_name(RUN_NAME)
        with (
            self._interruptible(run_id),
            cloud.running(
                database_url=self.database_url,
                wait_scale=WAIT_SCALE,
                parameters=stack_parameters(self.table_file),
                layer_files=layer_files(self.table_file),
            ) as local,
        ):
            deployed = Deployment(
                "dev", local.session(), local.endpoint_url, local.state_machine_arn
            )
            # One run loads all files, so the uploads must not start runs themselves.
            deployed.client("events").disable_rule(Name=f"{deployed.name}-uploads")
            declare_table(deployed)
            location = deployed.settings.data_location
            upload(deployed, location, self.folder, found, on_step)
            payload: dict[str, Any] = {"sync_type": "full", "trigger": "cli"}
            if self.batch_size is not None:
                payload["batch_size"] = self.batch_size
            if self.allow_deletes is not None:
                payload["allow_deletes"] = self.allow_deletes
            arn = executions.start(deployed, run_id, payload)
            for snapshot in run_status.follow(deployed, arn):
                on_progress(snapshot)
            name_locally(self.database_url, run_id, location, _as_prefix(self.folder))
            ended = self._speak_locally(snapshot, location)
            return Synced(ended, list(self._list_left_out(deployed, location)))

    def _speak_locally(self, snapshot: Snapshot, location: str) -> Snapshot:
        result = snapshot.result
        if isinstance(result, RunResult) and (why := result.deletes_deferred_reason):
            local = speak_locally(why, location, self.folder)
            result = result.model_copy(update={"deletes_deferred_reason": local})
        error = snapshot.error and speak_locally(snapshot.error, location, self.folder)
        return snapshot.model_copy(update={"error": error, "result": result})

    def _list_left_out(self, deployed: Deployment, location: str) -> Iterator[LeftOut]:
        prefix = location.partition("://")[2].partition("/")[2]
        for file in files.read(deployed, MOST_LEFT_OUT, state="quarantined"):
            name = self.folder / file["key"].removeprefix(prefix)
            yield LeftOut(name.as_posix(), file["reason"])

    def list_rejected(self, run_id: str) -> list[Rejected]:
        """Why rows of a run are rejected; each example is a file of the folder."""
        rejected = list_rejected(self.database_url, run_id)
        names = [f"/{path.relative_to(self.folder).as_posix()}" for path in find_files(self.folder)]
        return [
            item._replace(
                example_file=next(
                    (f"{self.folder}{name}" for name in names if item.example_file.endswith(name)),
                    item.example_file,
                )
            )
            for item in rejected
        ]

    @contextmanager
    def _interruptible(self, run_id: str) -> Iterator[None]:
        """After Ctrl-C, when everything has ended, say what the run has committed."""
        try:
            yield
        except KeyboardInterrupt:
            done = count_committed(self.database_url, run_id)
            changed = done.inserted + done.updated if done else 0
            if done is None or not sum(done):
                said = "no row is committed"
            else:
                said = (
                    f"{sum(done):,} rows are committed ({changed:,} written, {done.unchanged:,} "
                    "unchanged), and stay"
                )
            raise Interrupted(
                f"interrupted: {said}. To continue, {AGAIN}: committed rows aren't written again"
            ) from None


def stack_parameters(*table_files: TableFile) -> dict[str, str]:
    """What makes a stack sync these tables, each from its own folder of the lake's bucket."""
    names = [table_file.name for table_file in table_files]
    if len(names) > 1:
        return {"Tables": ",".join(names)}
    return {"Tables": names[0], "DataPrefix": prefix_of(names[0], table_files[0].table)}


def layer_files(*table_files: TableFile) -> dict[str, str]:
    """The layer in which the functions find these table files."""
    return {f"{table_file.name}.toml": table_file.text for table_file in table_files}


def find_files(folder: Path) -> list[Path]:
    """Every ``*.parquet`` file below ``folder`` that Athena would read.

    Names that begin with ``_`` or ``.`` are hidden there. Raises ``UserError`` if there is no
    file, or one that can't be read.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} isn't a directory: expected a folder with *.parquet files")
    files = sorted(
        path
        for path in folder.rglob("*.parquet")
        if path.is_file()
        and not any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts)
    )
    if not files:
        raise UserError(f"{folder} has no *.parquet file at any depth")
    for path in files:
        if not os.access(path, os.R_OK):
            raise UserError(f"{path} can't be read: `chmod u+r` it, or move it out of {folder}")
    return files


def upload(
    deployment: Deployment,
    location: str,
    folder: Path,
    files: list[Path],
    on_step: Callable[[str], None] = lambda _: None,
) -> None:
    """Upload the files to the lake, keeping their folders below ``folder``.

    ``location`` is the lake's, ``s3://BUCKET/FOLDER/``. ``on_step`` is called with the progress, at
    most once a second.
    """
    s3 = deployment.client("s3")
    if not location.startswith("s3://"):
        raise ValueError(f"{location} isn't a location, expected s3://BUCKET/FOLDER/")
    bucket, prefix = split_location(location)

    def put(path: Path) -> None:
        with path.open("rb") as body:
            key = f"{prefix}{path.relative_to(folder).as_posix()}"
            s3.put_object(Bucket=bucket, Key=key, Body=body)

    total = sum(path.stat().st_size for path in files)
    done, said_at = 0, -UPLOAD_SECONDS
    with ThreadPoolExecutor(PARALLEL_UPLOADS) as pool:
        for number, (path, _) in enumerate(zip(files, pool.map(put, files), strict=True), start=1):
            done += path.stat().st_size
            if time.monotonic() - said_at >= UPLOAD_SECONDS:
                said_at = time.monotonic()
                on_step(
                    f"uploading: {number:,} of {len(files):,} files, "
                    f"{show_size(done)} of {show_size(total)}"
                )


def _as_prefix(folder: Path) -> str:
    return f"{folder.as_posix().rstrip('/')}/"


def speak_locally(message: str, location: str, folder: Path) -> str:
    """A run's message without the cloud that is gone: with local files, and what to do here."""
    return advise_again(message.replace(location, _as_prefix(folder)))
