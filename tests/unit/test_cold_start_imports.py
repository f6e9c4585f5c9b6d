"""What each function imports at a cold start, observed in a new process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUNCTIONS = sorted(path.parent.name for path in ROOT.glob("functions/*/handler.py"))
API = "status_api"
"""Its routes, which ask the database, stand in the layer."""


def imported(function: str) -> set[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'layers/core'}:{ROOT / 'functions' / function}",
    }
    program = "import json, sys, handler; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_starts_without_what_it_may_never_touch(function: str) -> None:
    """Clients are created on first use; only functions that use the database import psycopg."""
    modules = imported(function)
    handler = (ROOT / "functions" / function / "handler.py").read_text()
    assert ("psycopg" in modules) == ("clients.connection" in handler or function == API)
    assert not modules & {
        "boto3",
        "botocore.client",
        "duckdb",
        "numpy",
        "pandas",
        "pyarrow",
        "polars",
    }
