"""The command line as a person runs it: in the test's process, or in a separate one."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from unittest import mock

import psutil
from forecast_sync_cli import main as command_line
from forecast_sync_cli.schemas import SHAPES
from pydantic import TypeAdapter

COMMAND = Path(sys.executable).parent / "forecast-sync"
MARK = f"e2e-{uuid.uuid4()}"
"""In the environment of every process that a command of these tests starts."""


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    stdout: str
    stderr: str


def clean_environment(**variables: str) -> dict[str, str]:
    """Without the AWS and database settings of the person who runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "FORECAST_SYNC_TEST": MARK, **variables}


def forecast_sync(*arguments: str | Path, code: int = 0, **variables: str) -> Done:
    """Run a command to its end in this process, up to its exit code.

    It must end with this exit code, and never with a traceback.
    """
    out, err = io.StringIO(), io.StringIO()
    returned = _call(list(map(str, arguments)), variables, out, err)
    return _checked(out.getvalue(), err.getvalue(), returned, code)


def as_installed(*arguments: str | Path, code: int = 0, **variables: str) -> Done:
    """Run an installed command to its end, in a separate process."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        env=clean_environment(**variables),
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )
    return _checked(done.stdout, done.stderr, done.returncode, code)


def _call(arguments: list[str], variables: dict[str, str], out: TextIO, err: TextIO) -> int:
    """What the process would end with."""
    with (
        # Lest help calls it a part of pytest.
        mock.patch.object(sys.modules["__main__"], "__package__", None),
        mock.patch.object(sys, "argv", ["forecast-sync", *arguments]),
        mock.patch.dict(os.environ, clean_environment(**variables), clear=True),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            command_line.main()
        except SystemExit as ended:
            return int(ended.code or 0)
    raise AssertionError("the command line returned: expected it to exit")


def _checked(out: str, err: str, returned: int, code: int) -> Done:
    assert returned == code, f"{returned}\n{out}\n{err}"
    assert "Traceback" not in out + err
    return Done(out, err)


def as_json(*arguments: str | Path, code: int = 0, **variables: str) -> Any:
    """What a command prints with ``--json``, which must have the documented shape."""
    document = json.loads(forecast_sync(*arguments, "--json", code=code, **variables).stdout)
    TypeAdapter(shape_of(*map(str, arguments), failed=code == 1)).validate_python(document)
    return document


def shape_of(*arguments: str, failed: bool) -> Any:
    """The documented shape of a command's document; for a failed plan, its run's."""
    command = next(
        name
        for name in (" ".join(arguments[:2]), arguments[0])
        if name in SHAPES and not name.endswith(" RUN")
    )
    if command == "plan --table" and not arguments[2].endswith(".toml"):
        command = "plan"
    if command == "plan" and failed:
        return SHAPES["start"]
    of_run = command == "status" and len(arguments) > 1 and not arguments[1].startswith("-")
    return SHAPES["status RUN" if of_run else command]


def in_terminal(*arguments: str, columns: int, **variables: str) -> list[str]:
    """The lines that a command shows in a terminal of this width."""
    with terminal() as (stream, shown):
        returned = _call(
            list(arguments),
            {"COLUMNS": str(columns), "TERM": "xterm", **variables},
            stream,
            io.StringIO(),
        )
    assert returned == 0
    return re.sub(r"\x1b\[[\d;?]*\w", "", shown.decode()).splitlines()


@contextmanager
def terminal() -> Iterator[tuple[TextIO, bytearray]]:
    """A terminal to write to, and what it has been sent, complete after the block."""
    master, slave = pty.openpty()
    shown = bytearray()

    def read() -> None:
        # The other end of a closed terminal can't be read: EIO, or nothing.
        with suppress(OSError):
            while block := os.read(master, 4096):
                shown.extend(block)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with os.fdopen(slave, "w") as stream:
            yield stream, shown
    finally:
        reader.join()
        os.close(master)


def error_of(*arguments: str | Path, code: int = 1, **variables: str) -> str:
    """The one line that a failing command ends with."""
    lines = forecast_sync(*arguments, code=code, **variables).stderr.strip().splitlines()
    assert [line.startswith("error: ") for line in lines][-1:] == [True], lines
    return lines[-1]


def our_processes() -> set[int]:
    """What commands of these tests have started and not ended."""
    pids = set()
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("FORECAST_SYNC_TEST") == MARK:
            pids.add(process.pid)
    return pids
