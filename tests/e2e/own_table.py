"""The README's session with a table of one's own, run word for word in a folder with a lake."""

from __future__ import annotations

import re
import shlex
import subprocess
from contextlib import chdir
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
from localcloud import cloud

from tests.contract.stack import ROOT
from tests.e2e.cli import COMMAND, clean_environment, forecast_sync

DATABASE = "postgresql://app@localhost/shop"
FILES = ("part-0", "region=eu/part-1")
UPDATED = datetime.fromisoformat("2026-02-01T06:00:00.123456")


def sales(number: int, *, corrected: bool = False) -> dict[str, Any]:
    """A row whose key the number makes; a correction is newer and sells one more."""
    return {
        "store": number % 7,
        "item": f"SKU {number} ü",
        "day": date(2026, 1, 1) + timedelta(days=number % 30),
        "quantile": 0.05 * (number % 20),
        "units": number * 3 + corrected,
        "price": Decimal(number) / 4,
        "updated_at": UPDATED + timedelta(hours=corrected),
    }


FIRST = [sales(number) for number in range(800)]
SECOND = [sales(number, corrected=True) for number in range(100)]
SECOND += [sales(number) for number in range(800, 900)]


def read_session() -> list[tuple[str, list[str]]]:
    """The commands of the README's second session, each with the lines that it shows."""
    text = (ROOT / "README.md").read_text()
    [block] = [
        block for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL) if "init" in block
    ]
    session: list[tuple[str, list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            session.append((line[2:], []))
        else:
            session[-1][1].append(line)
    return session


def walk(folder: Path, database_url: str) -> None:
    """Run the session in ``folder``, which has the lake, and compare what it shows and loads."""
    (folder / "tables").mkdir()
    with mock.patch.object(cloud, "DEFAULT_STATE_DIR", folder / "cloud"):
        try:
            for command, shown in read_session():
                said = _run(folder, command.replace(DATABASE, database_url))
                missing = [line for line in map(_masked, shown) if line not in _masked(said)]
                assert missing == [], f"$ {command}\n{said}"
        finally:
            cloud.down()
    with psycopg.connect(database_url) as connection:
        read = connection.execute(
            "SELECT store, item, day, quantile, units, price, updated_at FROM sales ORDER BY units"
        ).fetchall()
    assert read == [tuple(row.values()) for row in expected()]


def expected() -> list[dict[str, Any]]:
    """The newest row of each key, as Postgres holds it, in the order of their units."""
    newest = {row["item"]: row for row in (*FIRST, *SECOND)}
    newest |= {row["item"]: row for row in SECOND}
    rows = [
        {
            **row,
            "quantile": Decimal(f"{row['quantile']:.2f}"),
            "updated_at": row["updated_at"].replace(microsecond=123_000),
        }
        for row in newest.values()
    ]
    return sorted(rows, key=lambda row: int(row["units"]))


def _run(folder: Path, command: str) -> str:
    program, *arguments = shlex.split(command)
    assert program == "forecast-sync"
    if ">" in arguments:
        # Only a real file tells the command its name.
        line = command.replace(program, str(COMMAND), 1)
        subprocess.run(
            ["bash", "-c", line], cwd=folder, env=clean_environment(), check=True, timeout=100
        )
        return ""
    with chdir(folder):
        return forecast_sync(*arguments).stdout


def _masked(text: str) -> str:
    """Text without what differs from run to run, or from machine to machine."""
    text = re.sub(r"\b[0-9a-f]{16}\b", "DEFINITION", text)
    text = re.sub(r"\S+-sync-\w+ in [\d.]+ s", "RUN in TIME", text)
    text = re.sub(r"is up in \S+", "is up in FOLDER", text)
    return re.sub(r" +", " ", text)
