"""A deployed copy of the project, in which tests and fault rounds deploy other table files."""

from __future__ import annotations

import compileall
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forecast_sync.tables import definition_of, parse_table
from localcloud import cloud

from tests.builders import FORECAST_FILE, exchange
from tests.lake import VALUES, Table
from tests.workflow.deployed import PARAMETERS, Deployed, Ended

COPIED = ("template.yaml", "templates", "statemachine", "functions", "layers", "tables")
EXCHANGED = exchange(FORECAST_FILE, "y_05", "y_95")
"""The forecast's table file, but two columns of the target have each other's source."""


@dataclass
class Project(Deployed):
    """A deployed project whose functions get other table files, or new environments.

    ``tables`` is the folder of the table files in its copy of the project, where it adds others.
    """

    tables: Path | None = None
    table_file: str = FORECAST_FILE

    def definition_of(self, table_file: str) -> str:
        """The definition of a table file."""
        return definition_of(parse_table(table_file, "deployed.toml"))

    def deploy(self, table_file: str, *functions: str) -> str:
        """Let all functions, or only those named, hold this table file; its definition."""
        assert self.tables is not None, "only a copy of the project can get other table files"
        definition = self.definition_of(table_file)
        name = f"table_{definition}"
        (self.tables / f"{name}.toml").write_text(table_file)
        for function, variables in self.settings().items():
            is_named = not functions or function in functions
            if is_named and variables.get("TABLE_FILE", name) != name:
                self.restore(function, {**variables, "TABLE_FILE": name})
        if not functions:
            self.table_file = table_file
        return definition

    def deploy_again(self, functions: Iterable[str]) -> None:
        """Give these functions new environments with the same table file."""
        settings = self.settings()
        for function in functions:
            self.restore(function, settings[function])

    def functions(self) -> list[str]:
        """The names of all functions, without the stack's."""
        return sorted(self.settings())

    def wait(self, arn: str, seconds: float = 400) -> Ended:
        """The execution when it has ended; after a deployment its functions start cold."""
        return super().wait(arn, seconds)


def copy_project(folder: Path) -> Path:
    """Copy what is deployed into ``folder``; the copy's template."""
    for name in COPIED:
        source = cloud.CHECKOUT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder / cloud.TEMPLATE.name


@contextmanager
def copied_project(
    folder: Path,
    parameters: dict[str, str] | None = None,
    constants: Mapping[str, str] | None = None,
    **options: Any,
) -> Iterator[Project]:
    """Deploy a copy of the project, made in ``folder``, for the length of a block.

    Its layer is compiled, because its functions start cold after each deployment, and can't write
    there. ``constants`` are assigned in modules of it, by ``package/module.NAME``; ``options`` are
    those of ``cloud.running``.
    """
    template = copy_project(folder)
    for place, value in (constants or {}).items():
        module, _, name = place.rpartition(".")
        file = folder / f"layers/core/forecast_sync/{module}.py"
        changed, found = re.subn(f"(?m)^{name} = .*$", f"{name} = {value}", file.read_text())
        assert found == 1, place
        file.write_text(changed)
    compileall.compile_dir(folder / "layers/core", quiet=1)
    with cloud.running(
        template=template,
        parameters={**PARAMETERS, **(parameters or {})},
        **options,
    ) as running:
        project = Project(running, tables=folder / "tables")
        project.postpone_schedules()
        yield project


def exchanged(table: Table) -> Table:
    """The reference of the table file ``EXCHANGED``."""
    return {key: exchange_values(values) for key, values in table.items()}


def exchange_values(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row's values as the table file ``EXCHANGED`` has them."""
    row = dict(zip(VALUES, values, strict=True))
    return tuple({**row, "y_05": row["y_95"], "y_95": row["y_05"]}.values())
