"""Any name that a table file may give a column works, even one that a statement uses itself."""

from __future__ import annotations

import random
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from forecast_sync import sql
from forecast_sync.adapters.postgres import Connection, Cursor, connect
from forecast_sync.config import Settings
from forecast_sync.contracts.page import Page
from forecast_sync.contracts.run import Window
from forecast_sync.diagnostics.checksums import list_target, sum_target
from forecast_sync.dry_run.changes import BatchChanges, describe_batch
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.extract.athena_sql import Dates, build_extract, build_profile
from forecast_sync.load.loader import load_page
from forecast_sync.survey.lists import partition_keys
from forecast_sync.tables import Table, definition_of, parse_table
from forecast_sync.target.differences import find_differences
from forecast_sync.target.schema import ensure_schema
from localcloud.athena.embedded import fetch, open_database
from localcloud.athena.trino_dialect import parse, transpile
from localcloud.athena.unload import parse_unload

from tests.builders import STARTED_AT, Files, make_run, make_upsert, make_window
from tests.integration.loads import LONG, begin

SETTINGS = Settings(
    environment="dev",
    athena_db_name="d",
    forecast_table_name="lake",
    athena_output_location="s3://results/",
)
PLACES = ("extract", "load", "dry_run", "diagnostics")
SLICES = 4
"""So many tables share the words, half of which are in the key of one."""
TABLE_NAMES = ("source", "target", "merged", "compared", "stage")
HEAD = """
[target]
table = "{table}"
key = {key}
written_at = "written_at"

[source]
date = "{date}"
newest = '"{newest}"'

[report]
by = {by}
watch = "{watch}"

[[expect]]
that = '"{watch}" < 5'
message = "small"

[source.columns]
"""


def words() -> list[str]:
    """What the statements over a table's columns call something themselves, and may be a column."""
    folder = Path(str(resources.files(sql)))
    texts = [file.read_text() for place in PLACES for file in (folder / place).glob("*.sql")]
    text = re.sub("--.*", "", "\n".join(texts))
    named = re.findall(r"\bAS (\w+)|\b(\w+) AS \(", text)
    names = {name.lower() for pair in named for name in pair if name}
    return sorted(
        filter(is_allowed, names | {"warning_0", "run", "part", "action", "select", "old", "new"})
    )


def is_allowed(name: str) -> bool:
    try:
        write(["plain_key", "plain_day", name], "plain", 1)
    except ConfigurationInvalid as refused:
        assert re.search(f"{name} is (a|filled|there)", str(refused))  # noqa: PT017
        return False
    return True


def write(names: list[str], table: str, keys: int) -> Table:
    """A table of whole numbers, whose first columns are the key and whose next is its date."""
    day, last, key = names[keys], names[-1], names[: keys + 1]
    text = HEAD.format(table=table, key=key, date=day, newest=last, by=[names[0], last], watch=last)
    text += "".join(f'{name} = "{"date" if name == day else "int"}"\n' for name in names)
    for name in names:
        kind, required = "date" if name == day else "bigint", str(name in key).lower()
        text += f'[[column]]\nname = "{name}"\ntype = "{kind}"\nrequired = {required}\n'
    return parse_table(text, "words.toml")


def extracted(table: Table, rows: list[dict[str, Any]], window: Window) -> list[str]:
    """The lines that the embedded engine makes of these rows; the profile agrees with them."""
    with open_database() as engine:
        columns = ", ".join(
            f'"{name}" {"date" if kind == "date" else "bigint"}'
            for name, kind in table.source.columns.items()
        )
        keys = partition_keys(table)
        engine.execute(
            f'CREATE SCHEMA d; CREATE TABLE d.lake_survey ({columns}, "$path" varchar,'
            f' "$file_modified_time" timestamptz, "{keys.run}" varchar, "{keys.part}" varchar)'
        )
        for row in rows:
            values = [*row.values(), "s3://lake/a", STARTED_AT, "run-1.0.0", "window"]
            marks = ", ".join("?" * len(values))
            engine.execute(f"INSERT INTO d.lake_survey VALUES ({marks})", values)
        unload = parse_unload(build_extract(table, SETTINGS, Dates(), window, "s3://r/x/", 4))
        assert unload is not None
        here = Path()
        lines = fetch(engine, transpile(parse(unload.query)), here).rows
        profile = build_profile(table, SETTINGS, Dates(), window)
        (counts,) = fetch(engine, transpile(parse(profile)), here).rows
    assert counts[:5] == (len(rows), len(rows), 0, len(rows), len(lines))
    return [line for line, *_ in lines]


@pytest.mark.parametrize("slice_number", range(SLICES))
def test_a_column_may_have_any_name_that_isn_t_refused(
    database_url: str, slice_number: int
) -> None:
    names = words()
    assert {"source", "target", "hash", "place", "found", "kind", "part", "ranked", "run"} <= {
        *names
    }
    random.Random(0).shuffle(names)
    names = names[slice_number::SLICES]
    table = write(names, TABLE_NAMES[slice_number % len(TABLE_NAMES)], len(names) // 2)
    rows = [
        {name: n + place for place, name in enumerate(names)} | {table.source.date: "2026-12-01"}
        for n in range(5)
    ]
    window = make_window(low=STARTED_AT if slice_number % 2 else None)
    lines = extracted(table, rows, window)
    assert len(lines) == 5

    with connect(database_url) as connection:
        check_loads(connection, table, lines)


def check_loads(connection: Connection, table: Table, lines: list[str]) -> None:
    """Each statement over these five rows does what it does over other columns."""
    ensure_schema(connection, table)
    assert find_differences(connection, table) == []
    run = make_run()
    begin(connection, run, table=table)

    def load(query: str, lines: list[str], *, dry: bool = False) -> list[BatchChanges]:
        files, changes = Files(), []
        files.add("a", [f"{line}\n".encode() for line in lines])

        def save(cursor: Cursor, page: Page, _first: int) -> None:
            changes.append(describe_batch(cursor, table, page.kind))

        asked = run.model_copy(update={"dry_run": True}) if dry else run
        request = make_upsert(asked, ["a"], query=query, definition=definition_of(table))
        done = load_page(
            connection, files.stream, table, request, lambda: LONG, save if dry else None
        )
        assert done.done
        return changes

    load("first", lines[:3])
    changed = [line.rpartition("\t")[0] + "\t-1" for line in lines[:2]]
    (told,) = load("dry", [*changed, *lines[2:]], dry=True)
    assert len(told.largest) == 2
    load("second", [*changed, *lines[2:]])
    counted = connection.execute(
        "SELECT inserted, updated, unchanged FROM forecast_sync_batch"
        " WHERE query_execution_id = 'second'"
    ).fetchall()
    assert counted == [(2, 2, 1)]
    ((day, sums),) = sum_target(connection, table, Dates()).items()
    assert (day, sums.rows) == ("2026-12-01", 5)
    assert (
        len(list_target(connection, table, STARTED_AT.date().replace(month=12, day=1), 9, 0)) == 5
    )
