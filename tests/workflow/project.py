"""A deployed copy of the project, in which tests deploy other table files."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecast_sync.tables import definition_of, parse_table
from localcloud import cloud

from tests.builders import FORECAST_FILE, exchange
from tests.contract.stack import ROOT
from tests.lake import KEY, VALUES, Table
from tests.workflow.deployed import Deployed, Ended

COPIED = ("template.yaml", "templates", "statemachine", "functions", "layers")
EXCHANGED = exchange(FORECAST_FILE, "y_05", "y_95")


@dataclass
class Project(Deployed):
    """A deployed copy of the project, whose table file can be replaced."""

    layer: Path = ROOT
    table_file: str = FORECAST_FILE
    """What is deployed to all functions."""

    def deploy(self, table_file: str, *functions: str) -> str:
        """Let all functions, or only those named, hold this table file; its definition."""
        definition = definition_of(parse_table(table_file, "deployed.toml"))
        name = f"table_{definition}"
        (self.layer / f"forecast_sync/tables/{name}.toml").write_text(table_file)
        if not functions:
            self.table_file = table_file
        self.configure(*functions, TABLE_FILE=name)
        return definition

    def wait(self, arn: str, seconds: float = 400) -> Ended:
        """The execution when it has ended; after a deployment its functions start cold."""
        return super().wait(arn, seconds)


@contextmanager
def copied_project(root: Path, **options: Any) -> Iterator[Project]:
    """The project, copied to ``root`` and deployed from there."""
    root.mkdir(exist_ok=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, root / name)
    parameters = {"BatchingWindowSeconds": "1", "PageBytes": "1"}
    with cloud.running(
        template=root / "template.yaml", parameters=parameters, **options
    ) as running:
        yield Project(running, layer=root / "layers/core")


def exchanged(table: Table, first: str, second: str) -> Table:
    """The reference of a table file in which two columns have each other's source."""
    names = (*KEY, *VALUES)
    at, to = names.index(first), names.index(second)
    rows: Table = {}
    for key, values in table.items():
        row = [*key, *values]
        row[at], row[to] = row[to], row[at]
        rows[tuple(row[: len(KEY)])] = tuple(row[len(KEY) :])
    return rows
