"""What each function and the command line import when they start, observed in a new process."""

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
    return imported_by("import handler", environment)


def imported_by(program: str, environment: dict[str, str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; import json, sys; print(json.dumps([*sys.modules]))"],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
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


def test_the_command_line_starts_without_what_few_commands_need() -> None:
    """Each of these takes a tenth of a second or more, and every command would wait for it."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'layers/core'}:{ROOT / 'scripts'}"}
    modules = imported_by("from forecast_sync_cli import main; main.make_app()", environment)
    assert "forecast_sync_cli.commands.tables" in modules
    assert not modules & {
        "aws_lambda_powertools.event_handler.openapi",
        "duckdb",
        "ministack",
        "polars",
        "pyarrow",
        "sqlglot",
    }
