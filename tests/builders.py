"""Plain values for tests: a run, a page, and lines as Athena would send them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from forecast_sync.contracts.page import Page, PageKind, UpsertRequest
from forecast_sync.contracts.query import StartedQuery
from forecast_sync.contracts.run import Run, Window
from forecast_sync.contracts.survey import Survey
from forecast_sync.tables import Table, definition_of, load_table, parse_table
from forecast_sync.tables.files import read_table_file

STARTED_AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

DEFINITION = definition_of(load_table())
FORECAST_FILE = read_table_file("forecast")

Row = tuple[Any, ...]


def make_run(run_id: str = "run-1", **changes: Any) -> Run:
    """A plain incremental run of the dev environment."""
    values: dict[str, Any] = {
        "run_id": run_id,
        "execution_arn": f"arn:aws:states:us-east-2:000000000000:execution:sync:{run_id}",
        "started_at": STARTED_AT,
        "trigger": "manual",
        "sync_type": "incremental",
        "batch_size": 10,
        "git_ref": "dev",
        "environment": "dev",
        "neon_branch": "dev",
        "neon_branch_id": "br-dev-1",
    }
    return Run(**{**values, **changes})


def make_survey(**changes: Any) -> Survey:
    """The survey of an empty lake, with empty lists."""
    values: dict[str, Any] = {
        "survey_id": "run-1.0.0",
        "location": "s3://results/athena/run-1/survey-0-0/",
        "began_at": STARTED_AT,
        "listed": True,
        "done": True,
    }
    return Survey(**{**values, **changes})


def make_window(survey: Survey | None = None, **changes: Any) -> Window:
    """The window of a full run after its survey."""
    values: dict[str, Any] = {"high": STARTED_AT, "survey": survey or make_survey()}
    return Window(**{**values, **changes})


def make_started(**changes: Any) -> StartedQuery:
    """A submitted extract."""
    values: dict[str, Any] = {
        "query": "extract",
        "query_execution_id": "q-1",
        "sources": "run-1.0.0",
        "renewal": 0,
        "attempt": 0,
        "redrive_count": 0,
        "definition": DEFINITION,
    }
    return StartedQuery(**{**values, **changes})


def make_row(number: int, **changes: Any) -> Row:
    """A good row in the order of the table file's columns; the number makes its key."""
    values = {
        "restaurant_id": number,
        "inventory_item_id": 7,
        "business_date": "2026-01-01",
        "dma_id": f"dma-{number % 5}",
        "dc_id": 3,
        "state": "OH",
        "y_05": "1.05",
        "y_50": f"{number}.50",
        "y_95": None,
    }
    return tuple({**values, **changes}.values())


def to_line(row: Sequence[Any]) -> bytes:
    """A row as a COPY-text line."""
    return ("\t".join(_field(value) for value in row) + "\n").encode()


def _field(value: object) -> str:
    if value is None:
        return "\\N"
    text = str(value).replace("\\", "\\\\")
    return text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


class Files:
    """Result files in memory; ``stream`` yields their gzip bytes."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def add(self, key: str, lines: Sequence[bytes]) -> None:
        self.content[key] = gzip.compress(b"".join(lines), compresslevel=1)

    def stream(self, _bucket: str, key: str) -> Iterator[bytes]:
        content = self.content[key]
        for start in range(0, len(content), 100):
            yield content[start : start + 100]


def make_upsert(
    run: Run,
    keys: Sequence[str],
    *,
    kind: PageKind = "row",
    number: int = 0,
    query: str = "q-1",
    definition: str | None = DEFINITION,
    **counts: Any,
) -> UpsertRequest:
    """A request for one page of these files; without ``counts`` it is one of an older version."""
    page = Page(
        query_execution_id=query,
        number=number,
        kind=kind,
        bucket="results",
        keys=tuple(keys),
        definition=definition,
    )
    return UpsertRequest(run=run, page=page, **counts)


def exchanged(first: str = "y_05", second: str = "y_95") -> Table:
    """The forecast's table file with two columns' sources exchanged."""
    return parse_table(exchange(FORECAST_FILE, first, second), "exchanged.toml")


def exchange(text: str, first: str, second: str) -> str:
    """A table file in which two columns get each other's source."""
    for name, source in ((first, second), (second, first)):
        text = text.replace(f'name = "{name}"', f'name = "{name}"\nsource = "{source}"')
    return text
