"""A deployment's rejects: read through the status API, exported to files, replayed by a run."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from forecast_sync.tables import Table

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError

PAGE_ROWS = 1000
FIELDS = ("rejected_at", "run_id", "resolved_run_id", "source_file", "reason")
FORMATS = (".jsonl", ".csv")

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Starts of cells that a spreadsheet may run as a formula, full-width signs included."""

GUARD = "'"
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def ask(deployment: Deployment, **query: str | int | bool | None) -> dict[str, Any]:
    """One page: ``rejects``, ``next`` (where the next page starts) and ``reasons``.

    Includes all tables, unless one of several is selected.
    """
    texts = {name: _text(value) for name, value in query.items() if value not in (None, False)}
    if deployment.selected_table is not None:
        texts |= deployment.table_choice
    answer = deployment.ask_status("/rejects", texts)
    if answer is None:
        raise UserError(
            "the deployment's status API has no /rejects: deploy the current template.yaml"
        )
    return answer


def count_by_reason(deployment: Deployment, **query: str | bool | None) -> list[dict[str, Any]]:
    """The totals by reason; with several tables, for each table, which they name."""
    tables = deployment.each_table()
    return [
        {**group, "table": each.table_name if len(tables) > 1 else None}
        for each in tables
        for group in ask(each, **query, limit=1)["reasons"]
    ]


def read(deployment: Deployment, limit: int | None, **query: Any) -> Iterator[dict[str, Any]]:
    """Rejects, newest first, page by page; ``limit`` None means all."""
    after, left = None, limit
    while left is None or left > 0:
        rows = PAGE_ROWS if left is None else min(left, PAGE_ROWS)
        page = ask(deployment, **query, limit=rows, after=after)
        yield from page["rejects"]
        after, left = page["next"], None if left is None else left - rows
        if after is None:
            return


def whole(
    deployment: Deployment, rejects: Iterator[dict[str, Any]], git_ref: str | None
) -> Iterator[dict[str, Any]]:
    """The same rejects with whole rows: rows that the list shortens are fetched."""
    for reject in rejects:
        if reject.get("shortened"):
            row = _fetch_row(deployment, reject["content_hash"], git_ref)
            yield {**reject, "row_json": row, "shortened": False}
        else:
            yield reject


def _fetch_row(deployment: Deployment, content_hash: str, git_ref: str | None) -> Any:
    parts: list[str] = []
    offset: int | None = 0
    while offset is not None:
        query = {"offset": str(offset)} | ({"git_ref": git_ref} if git_ref else {})
        answer = deployment.ask_status(f"/rejects/{content_hash}", query)
        if answer is None:
            raise UserError(f"the reject {content_hash} no longer exists: export again")
        parts.append(answer["part"])
        offset = answer["next"]
    return json.loads("".join(parts))


def export(rejects: Iterator[dict[str, Any]], table: Table, path: Path) -> int:
    """Write a table's rejects to a .jsonl or .csv file, all or none; returns how many.

    JSON Lines keep values exactly; CSV has a column for each, with an apostrophe before values
    that a spreadsheet would run (see ``guarded``).
    """
    if path.suffix not in FORMATS:
        raise UserError(f"{path} ends in {path.suffix!r}: expected {' or '.join(FORMATS)}")
    unfinished = path.with_name(f"{path.name}.part")
    count = 0
    try:
        with unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            write = _csv_writer(file, table) if path.suffix == ".csv" else _jsonl_writer(file)
            for reject in rejects:
                write(reject)
                count += 1
        unfinished.replace(path)
    except OSError as error:
        raise UserError(f"{path} can't be written: {error.strerror}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return count


def replay_input(reasons: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The execution input of a run over the rejects' business dates."""
    payload: dict[str, Any] = {"sync_type": "full", "trigger": "replay"}
    if not any(group["undated"] for group in reasons):
        payload["date_from"] = min(group["first_date"] for group in reasons)
        payload["date_to"] = max(group["last_date"] for group in reasons)
    return payload


def guarded(cell: str | None) -> str | None:
    """The cell, with an apostrophe before it if a spreadsheet would run it as a formula.

    Numbers, negative ones included, stay numbers. Cells that start with an apostrophe get another
    one, so removing one apostrophe from each cell that has any restores the values.
    """
    if not cell or not cell.startswith((*FORMULA, GUARD)) or NUMBER.fullmatch(cell):
        return cell
    return GUARD + cell


def _jsonl_writer(file: TextIO) -> Callable[[dict[str, Any]], object]:
    def write(reject: dict[str, Any]) -> None:
        line = {name: reject[name] for name in FIELDS} | {"row": reject["row_json"]}
        file.write(json.dumps(line) + "\n")

    return write


def _csv_writer(file: TextIO, table: Table) -> Callable[[dict[str, Any]], object]:
    columns = dict.fromkeys((*FIELDS, *table.names, table.source.newest_name))
    writer = csv.DictWriter(file, list(columns))
    writer.writerow({name: guarded(name) for name in columns})

    def write(reject: dict[str, Any]) -> None:
        try:
            cells = {name: reject[name] for name in FIELDS} | reject["row_json"]
            writer.writerow({name: guarded(cell) for name, cell in cells.items()})
        except ValueError:
            unknown = sorted(reject["row_json"].keys() - columns)
            raise UserError(
                f"a reject of {reject['source_file']} has {', '.join(unknown)}, which the table "
                "file doesn't: export to .jsonl, which keeps rows as they are"
            ) from None

    return write


def _text(value: str | int | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
