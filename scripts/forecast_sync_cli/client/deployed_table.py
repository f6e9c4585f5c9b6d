"""The table that a deployment syncs, as deployed, and how the file in this checkout differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from forecast_sync.api.schemas import DeployedTable
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.tables import Table, definition_of, known_tables, load_table, parse_table

from forecast_sync_cli.client.api import parse
from forecast_sync_cli.errors import UserError

AskStatus = Callable[[str, Mapping[str, str]], dict[str, Any] | None]


@dataclass(frozen=True)
class TableInUse:
    """A table by the name of its file; ``difference`` is one line, None if there is none.

    ``location`` is where its objects are, empty if the stack doesn't say.
    """

    name: str
    table: Table
    definition: str
    difference: str | None = None
    location: str = ""

    def to_dict(self) -> dict[str, str | None]:
        """As ``--json`` prints it."""
        return {
            "name": self.name,
            "target": self.table.target.table,
            "definition": self.definition,
            "difference": self.difference,
        }

    @property
    def label(self) -> str:
        """Its name and its definition, as commands show them."""
        return f"{self.name} ({self.table.target.table}), definition {self.definition}"


def find_table(name: str, ask_status: AskStatus, *, is_one_of_several: bool = False) -> TableInUse:
    """The deployed table, or that of this checkout if the stack can't say which one it has.

    ``ask_status`` sends a GET to the stack's API. Raises ``UserError`` if there is neither.
    """
    document = ask_status("/table", {"table": name} if is_one_of_several else {})
    if document is None:  # A stack of an earlier version.
        if name not in known_tables():
            raise UserError(
                f"the stack syncs tables/{name}.toml, which isn't in this checkout: add it, or "
                "deploy the current template.yaml, whose status API returns the file"
            )
        table = load_table(name)
        return TableInUse(name, table, definition_of(table))
    answer = parse(DeployedTable, document)
    table = parse_table(answer.file, f"tables/{name}.toml as deployed")
    difference = _difference(name, table, answer.definition)
    return TableInUse(name, table, answer.definition, difference, answer.location)


def describe_table(
    name: str, ask_status: AskStatus, *, is_one_of_several: bool = False
) -> dict[str, str | None] | None:
    """The deployed table as ``--json`` prints it; None if it can't be found out."""
    try:
        return find_table(name, ask_status, is_one_of_several=is_one_of_several).to_dict()
    except (UserError, ConfigurationInvalid):
        return None


def _difference(name: str, deployed: Table, definition: str) -> str | None:
    if name not in known_tables():
        return None
    local = load_table(name)
    if local == deployed:
        return None
    begins = f"tables/{name}.toml in this checkout differs from the deployed one"
    here = definition_of(local)
    if here == definition:
        return f"{begins}, but in nothing that decides a value: the next deployment takes it over"
    return (
        f"{begins} (definition {here}): deploy it (`make build`, `sam deploy`; a local cloud: "
        "`forecast-sync local down`, then `up` with the same --state-dir), and the next run is a "
        "full one"
    )
