"""Which of the stack's tables the page is about, and addresses that stay with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from forecast_sync_cli.dashboard.failures import UnknownTable

NAME_CHARACTERS = 255


@dataclass(frozen=True)
class Scope:
    """One of the stack's tables, or all of them if none is selected."""

    tables: tuple[str, ...]
    chosen: str | None = None

    def __post_init__(self) -> None:
        """Raise ``UnknownTable`` for a table that the stack doesn't sync."""
        if self.chosen is not None and self.chosen not in self.tables:
            raise UnknownTable(self.chosen, self.tables)

    @property
    def has_several(self) -> bool:
        """Whether there is anything to choose."""
        return len(self.tables) > 1

    @property
    def is_all(self) -> bool:
        """Whether the page is about several tables."""
        return self.has_several and self.chosen is None

    @property
    def table(self) -> str | None:
        """The selected table, if there are several; None for all of them, or the only one."""
        return self.chosen if self.has_several else None

    @property
    def query(self) -> dict[str, str]:
        """The same as a parameter of the status API, which older deployments don't know."""
        return {} if self.table is None else {"table": self.table}


def requested_table(request: Request) -> str | None:
    """The table in the page's address, which may be any text; None if there is none."""
    return request.query_params.get("table", "").strip()[:NAME_CHARACTERS] or None


def for_templates(request: Request) -> dict[str, Any]:
    """What every template gets: the chosen table, and addresses that keep it."""
    chosen = requested_table(request)

    def here(path: str = "/", **query: str | None) -> str:
        """An address of this dashboard; without a table of its own it keeps the chosen one."""
        given = {name: value for name, value in {"table": chosen, **query}.items() if value}
        return f"{path}?{urlencode(given)}" if given else path

    return {"chosen": chosen, "here": here}
