"""The directory that a local cloud lives in: who may use it, and what runs in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from forecast_sync_ops.local.postgres import stop_leftover
from forecast_sync_ops.problems import UserError

LOCK_TIMEOUT_SECONDS = 150.0
STOP_TIMEOUT_SECONDS = 60.0
_MARKER = ".forecast-sync-local"
_FOLDERS = ("logs", "tmp", "aws", "s3", "faults")


def is_state_dir(path: Path) -> bool:
    """Whether a local cloud has been there."""
    return (path / _MARKER).exists()


def prepare(path: Path) -> None:
    """Make the directory. Raises ``UserError`` when somebody else's files are in it."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        # In this order: the marker is the first file that another `up` makes meanwhile.
        if any(path.iterdir()) and not is_state_dir(path):
            raise UserError(
                f"{path} holds files that aren't a local cloud's: name a new --state-dir"
            )
        (path / _MARKER).touch()
        for folder in _FOLDERS:
            (path / folder).mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{path} can't be used as --state-dir: {error.strerror}") from None


def empty(path: Path) -> None:
    """Forget what an earlier local cloud has left, but not the lock that its successor holds."""
    for folder in (*_FOLDERS, "postgres", "postgres.new"):
        shutil.rmtree(path / folder, ignore_errors=True)
    for file in ("postgres.password", "port", "cloud.json", "keys.json"):
        (path / file).unlink(missing_ok=True)
    prepare(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One ``up`` or ``down`` at a time; the next waits. Raises ``UserError`` after a long wait."""
    with (path / "lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_TIMEOUT_SECONDS
        while not _try_lock(lock.fileno()):
            if time.monotonic() > deadline:
                raise UserError(
                    f"another command is busy with {path} for {LOCK_TIMEOUT_SECONDS:.0f} s: end it"
                )
            time.sleep(0.1)
        yield


def server_runs(path: Path) -> bool:
    """Whether a server process holds the directory; true to the moment, whatever any file says."""
    if not (path / "server.lock").exists():
        return False
    with (path / "server.lock").open() as lock:
        return not _try_lock(lock.fileno())


def stop_server(path: Path, pid: int | None) -> None:
    """End the server and everything that it started; returns when no process is left."""
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    process = _process(pid)
    if process is not None and server_runs(path):
        process.terminate()
    while server_runs(path):
        if time.monotonic() > deadline:
            if process is None:
                raise UserError(
                    f"a local cloud that isn't recorded in {path}/cloud.json holds {path}: end it"
                )
            process.kill()
        time.sleep(0.05)
    stop_leftover(path / "postgres")
    _kill_workers(path)


def _kill_workers(path: Path) -> None:
    """A killed server leaves its functions behind for a moment; they carry its directory."""
    left = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("STATE_DIR") == str(
                path / "aws"
            ):
                process.kill()
                left.append(process)
        except (psutil.Error, OSError):
            continue
    psutil.wait_procs(left, timeout=STOP_TIMEOUT_SECONDS)


def _process(pid: int | None) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid else None
    except psutil.NoSuchProcess:
        return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
