"""The server's process."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"
COLLECTING_LESS = """
import duckdb
from localcloud.server import collect_less

duckdb.connect().execute("SELECT 1")
collect_less()
print("ends")
"""


def test_fewer_garbage_collections_leave_no_reports_at_exit() -> None:
    """DuckDB reports what the interpreter doesn't collect at its end as leaked, in 150 lines."""
    ended = subprocess.run(
        [sys.executable, "-c", COLLECTING_LESS],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("ends\n", "")
