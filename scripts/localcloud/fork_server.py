"""Starts functions as forks of a process with imported packages: the server's side of it."""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from localcloud import private_files
from localcloud.forking_worker import ENVIRONMENT_BYTES, GO, PADDING

PROGRAM = Path(__file__).with_name("forking_worker.py")
START_TIMEOUT_SECONDS = 120.0
FORK_TIMEOUT_SECONDS = 20.0
STOP_TIMEOUT_SECONDS = 5.0
_PR_SET_CHILD_SUBREAPER = 36
_Popen = subprocess.Popen
"""The original: ``function_processes`` replaces it."""


@dataclass(frozen=True, slots=True)
class Fork:
    """What a forked process becomes.

    ``command`` is what it runs instead if the imported packages aren't what it would import itself.
    ``descriptors`` are this process's, by what they are in the other one.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    directory: str
    user: int | None
    descriptors: Mapping[int, int]


@dataclass(slots=True)
class ForkServer:
    """The process that forks; it ends when this one does."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    log: Path

    @classmethod
    def start(
        cls, command: Sequence[str], descriptor: int, environment: Mapping[str, str], log: Path
    ) -> ForkServer:
        """Start ``command``, which finds its socket as ``descriptor``."""
        # The forks' parents end at once; then this process is what they are the children of.
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        padded = {**environment, PADDING: "-" * ENVIRONMENT_BYTES}
        with theirs, private_files.open_log(log) as output:
            os.dup2(theirs.fileno(), descriptor, inheritable=True)
            try:
                process = _Popen(
                    command,
                    env=padded,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=[descriptor],
                )
            finally:
                os.close(descriptor)
        return cls(process, control, log)

    def await_ready(self) -> str | None:
        """Wait until it can fork; returns why it can't, if so."""
        self.control.settimeout(START_TIMEOUT_SECONDS)
        try:
            if self.control.recv(16) == b"ready":
                self.control.settimeout(None)
                return None
        except OSError:
            self.process.kill()
        self.process.wait()
        last = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
        return last or "it printed nothing"

    def fork(self, wanted: Fork, output: IO[bytes]) -> ForkedProcess:
        """Start a process that writes to the other end of ``output``; raises ``OSError``."""
        request = {
            "command": list(wanted.command),
            "environment": dict(wanted.environment),
            "directory": wanted.directory,
            "user": wanted.user,
            "descriptors": list(wanted.descriptors),
        }
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                socket.send_fds(self.control, [b"f"], [theirs.fileno()])
            ours.settimeout(FORK_TIMEOUT_SECONDS)
            text = json.dumps(request).encode() + b"\n"
            sent = socket.send_fds(ours, [text], list(wanted.descriptors.values()))
            ours.sendall(text[sent:])
            with ours.makefile("rb") as answers:
                answer = answers.readline()
            if not answer.endswith(b"\n"):
                raise ChildProcessError(f"no function was forked: read {self.log}")
            process = ForkedProcess(int(answer), output)
            # Without this it ends: two processes of one environment would take each other's events.
            ours.sendall(GO)
        return process

    def stop(self) -> None:
        """End it; the functions aren't its children."""
        self.control.close()
        try:
            self.process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(slots=True)
class ForkedProcess:
    """A child of this process that it hasn't started itself, with what it needs of ``Popen``."""

    pid: int
    stdout: IO[bytes]
    returncode: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        with self._lock:
            if self.returncode is None:
                try:
                    pid, status = os.waitpid(self.pid, os.WNOHANG)
                except ChildProcessError:
                    pid, status = self.pid, 0
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises ``subprocess.TimeoutExpired``."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            with suppress(ProcessLookupError):
                self._await_end(deadline)
            if self.poll() is None and deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def _await_end(self, deadline: float | None) -> None:
        descriptor = os.pidfd_open(self.pid)
        try:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            select.select([descriptor], [], [], left)
        finally:
            os.close(descriptor)

    def send_signal(self, number: int) -> None:
        """Signal it, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)
