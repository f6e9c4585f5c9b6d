"""The installed command, run as a person runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from forecast_sync_cli.schemas import SHAPES
from pydantic import TypeAdapter

COMMAND = Path(sys.executable).parent / "forecast-sync"
MARK = f"e2e-{uuid.uuid4()}"
"""In the environment of every process that a command of these tests starts."""


def clean_environment(**variables: str) -> dict[str, str]:
    """Without AWS and database settings of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "FORECAST_SYNC_TEST": MARK, **variables}


def forecast_sync(
    *arguments: str | Path, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; it must end with this exit code, and never with a traceback."""
    done = subprocess.run(
        [COMMAND, *map(str, arguments)],
        env=clean_environment(**variables),
        text=True,
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stdout + done.stderr
    return done


def as_json(*arguments: str | Path, code: int = 0, **variables: str) -> Any:
    """What a command prints with ``--json``, which must have the documented shape."""
    document = json.loads(forecast_sync(*arguments, "--json", code=code, **variables).stdout)
    TypeAdapter(shape_of(*map(str, arguments), failed=code == 1)).validate_python(document)
    return document


def shape_of(*arguments: str, failed: bool) -> Any:
    """The documented shape of a command's document; a plan that failed tells its run."""
    command = next(
        name
        for name in (" ".join(arguments[:2]), arguments[0])
        if name in SHAPES and not name.endswith(" RUN")
    )
    if command == "plan" and failed:
        return SHAPES["start"]
    of_run = command == "status" and len(arguments) > 1 and not arguments[1].startswith("-")
    return SHAPES["status RUN" if of_run else command]


def in_terminal(*arguments: str, columns: int, **variables: str) -> list[str]:
    """The lines that a command shows in a terminal of this width."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        [COMMAND, *arguments],
        env=clean_environment(COLUMNS=str(columns), TERM="xterm", **variables),
        stdin=slave,
        stdout=slave,
        stderr=subprocess.DEVNULL,
    ):
        os.close(slave)
        shown = b""
        # The other end of a closed terminal can't be read: EIO, or nothing.
        with suppress(OSError):
            while block := os.read(master, 4096):
                shown += block
        os.close(master)
    return re.sub(r"\x1b\[[\d;?]*\w", "", shown.decode()).splitlines()


def error_of(*arguments: str | Path, code: int = 1, **variables: str) -> str:
    """The one line that a failing command ends with."""
    lines = forecast_sync(*arguments, code=code, **variables).stderr.strip().splitlines()
    assert [line.startswith("error: ") for line in lines][-1:] == [True], lines
    return lines[-1]


def our_processes() -> set[int]:
    """What commands of these tests have started and not ended."""
    found = set()
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("FORECAST_SYNC_TEST") == MARK:
            found.add(process.pid)
    return found
