"""The installed command, run as a person runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import psutil

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
    """What a command prints with ``--json``."""
    return json.loads(forecast_sync(*arguments, "--json", code=code, **variables).stdout)


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
