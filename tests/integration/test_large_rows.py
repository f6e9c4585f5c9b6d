"""Large rows: shown shortened, with their size, in answers that a function can give; kept whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from forecast_sync import clients, deployed_tables
from forecast_sync.adapters.postgres import Connection, connect, transaction
from forecast_sync.api import routes
from forecast_sync.diagnostics.inspect import KeysQuestion, _list_keys
from forecast_sync.dry_run.changes import describe_batch
from forecast_sync.runs.rejects import RejectQuery, list_rejects
from forecast_sync.tables import load_table
from forecast_sync.target.schema import ensure_schema
from forecast_sync.text.size_limits import ROW_BYTES
from forecast_sync_cli.client import rejects

LIMIT = 6 * 1000 * 1000
TABLE = load_table()
LARGE = 10_000_000
"""Characters: more than an answer may have."""


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A database with the schema, which the API reads too."""
    opened = connect(database_url)
    ensure_schema(opened, TABLE)
    monkeypatch.setenv("ENVIRONMENT", "dev")
    deployed_tables.settings.cache_clear()
    monkeypatch.setattr(clients, "connection_of", lambda _git_ref: opened)
    monkeypatch.setattr(clients, "served_refs", lambda: ["dev"])
    yield opened
    deployed_tables.settings.cache_clear()
    opened.close()


def keep(
    database: Connection, row: str, *, reason: str = "state is NULL", file: str = "s3://l/a"
) -> str:
    content_hash = hashlib.md5(f"{reason}{file}{row}".encode(), usedforsecurity=False).hexdigest()
    with transaction(database) as cursor:
        cursor.execute(
            "INSERT INTO forecast_sync_rejects "
            "(content_hash, run_id, last_run_id, source_file, reason, row_json) "
            "VALUES (%s, 'run-1', 'run-1', %s, %s, %s::json)",
            [content_hash, file, reason, row],
        )
    return content_hash


def ask(path: str, **query: str) -> dict[str, Any]:
    """An answer's document; it always fits what Lambda can give."""
    event = {
        "version": "2.0",
        "rawPath": path,
        "headers": {},
        "queryStringParameters": query,
        "requestContext": {
            "http": {"method": "GET", "path": path},
            "stage": "$default",
            "authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:root"}},
        },
    }
    answer = routes.answer(event, LambdaContext())
    assert len(json.dumps(answer)) < LIMIT
    assert answer["statusCode"] == 200, answer["body"][:500]
    document: dict[str, Any] = json.loads(answer["body"])
    return document


class ByApi:
    """A deployment whose status API is called without a gateway."""

    selected_table = None

    def ask_status(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        return ask(path, **query)


def test_a_reject_larger_than_an_answer_is_shown_with_its_size_and_exported_exactly(
    database: Connection,
) -> None:
    row = {"restaurant_id": "50", "state": "é" * (LARGE // 2), "dma_id": None}
    text = json.dumps(row, ensure_ascii=False)
    content_hash = keep(database, text)
    keep(database, '{"restaurant_id": "51"}')
    listed = {item["content_hash"]: item for item in ask("/rejects")["rejects"]}
    shown = listed.pop(content_hash)
    assert (shown["row_bytes"], shown["shortened"]) == (len(text.encode()), True)
    assert shown["row_json"] == {
        "restaurant_id": "50",
        "state": "é" * 200 + "… (5,000,000 characters)",
        "dma_id": None,
    }
    [other] = listed.values()
    assert (other["row_json"], other["shortened"]) == ({"restaurant_id": "51"}, False)
    read = rejects.whole(ByApi(), rejects.read(ByApi(), None), None)  # type: ignore[arg-type]
    assert {item["content_hash"]: item["row_json"] for item in read}[content_hash] == row
    with transaction(database) as cursor:
        kept = cursor.execute("SELECT max(octet_length(row_json::text)) FROM forecast_sync_rejects")
        assert kept.fetchone() == (len(text.encode()),)


@pytest.mark.parametrize("filler", ["x", '\\"', "\\u0000", "\\\\u0000", "😀", "\\u001b"])
def test_every_page_of_large_rejects_fits_an_answer(database: Connection, filler: str) -> None:
    """Whatever the rows hold: quotes, NUL, characters that are escaped twice on their way."""
    size = ROW_BYTES // len(filler.encode())
    rows = [f'{{"id": "{number}", "state": "{filler * size}"}}' for number in range(600)]
    hashes = {keep(database, row, file="é" * 1000) for row in rows}
    seen: set[str] = set()
    after: dict[str, str] = {}
    while True:
        page = ask("/rejects", limit="1000", **after)
        assert page["rejects"]
        assert all(item["row_bytes"] > ROW_BYTES for item in page["rejects"])
        seen |= {item["content_hash"] for item in page["rejects"]}
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == hashes
    one = next(iter(hashes))
    assert json.loads(ask(f"/rejects/{one}")["part"])["state"]


def test_thousands_of_reasons_are_a_hundred_and_the_rest(database: Connection) -> None:
    for number in range(150):
        keep(
            database,
            f'{{"id": "{number}"}}',
            reason=f"{number:04} " + "😀" * 5_000,
            file="é" * 1000,
        )
    reasons = ask("/rejects", limit="1000")["reasons"]
    assert len(reasons) == 101
    assert (reasons[-1]["reason"], reasons[-1]["rows"]) == ("other reasons", 50)
    assert sum(group["rows"] for group in reasons) == 150


def test_pages_of_runs_with_long_errors_fit_an_answer(database: Connection) -> None:
    with transaction(database) as cursor:
        cursor.execute(
            "INSERT INTO forecast_sync_status (source, status, sync_type, last_sync_timestamp, "
            "run_id, error_message) SELECT 's3://l/', 'failed', 'full', now(), 'run-' || n, "
            "'SourceInvalid: ' || repeat(chr(128512), 20000) FROM generate_series(1, 1000) AS n"
        )
    seen = 0
    after: dict[str, str] = {}
    while True:
        page = ask("/syncs", limit="1000", **after)
        seen += len(page["syncs"])
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert seen == 1000
    assert len(ask("/status")["branches"][0]["error"]) <= 500


def test_a_dry_run_groups_rejects_by_shortened_values(database: Connection) -> None:
    with transaction(database) as cursor:
        cursor.execute(
            "CREATE TEMP TABLE forecast_sync_stage "
            "(source_file text, reason text, row_json json) ON COMMIT DROP"
        )
        row = json.dumps(dict.fromkeys(TABLE.report.by, "x" * LARGE))
        cursor.execute("INSERT INTO forecast_sync_stage VALUES ('a', 'b', %s)", [row])
        changes = describe_batch(cursor, TABLE, "reject")
    [group] = changes.groups
    assert {*group.by} == {"x" * 200 + "… (10,000,000 characters)"}


def test_keys_of_a_date_come_in_pages_that_fit(
    database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = [["😀" * 500, str(number)] for number in range(2_000)]
    monkeypatch.setattr(
        "forecast_sync.diagnostics.inspect.list_target",
        lambda _connection, _table, _day, limit, offset: large[offset : offset + limit],
    )
    seen: list[list[str]] = []
    offset: int | None = 0
    while offset is not None:
        question = KeysQuestion.model_validate(
            {"about": "keys", "day": "2026-01-01", "limit": 1_500, "offset": offset}
        )
        answer = _list_keys(database, TABLE, question)
        assert len(json.dumps(answer)) < LIMIT
        seen += answer["rows"]
        offset = answer["next"]
    assert seen == large


def test_a_large_reject_in_a_page_of_small_ones_costs_only_its_own_part(
    database: Connection,
) -> None:
    for number in range(50):
        keep(database, f'{{"id": "{number}"}}')
    keep(database, json.dumps({"id": "x" * 5_000_000}))
    page = list_rejects(database, [TABLE], RejectQuery(limit=1000))
    assert len(page.rejects) == 51
    assert page.next is None


def test_a_page_ends_before_it_has_read_too_much(
    database: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading large rows takes a while, and the gateway waits for 30 s; so does counting."""
    size = 1_000_000
    monkeypatch.setattr("forecast_sync.runs.rejects.MAX_READ_BYTES", 5 * size)
    with transaction(database) as cursor:
        cursor.execute(
            "INSERT INTO forecast_sync_rejects "
            "(content_hash, run_id, last_run_id, source_file, reason, row_json) "
            "SELECT md5(n::text), 'run-1', 'run-1', 'a', 'b', "
            "json_build_object('id', n, 'state', repeat('x', %s)) FROM generate_series(1, 12) AS n",
            [size],
        )
    page = ask("/rejects", limit="1000")
    assert 0 < len(page["rejects"]) < 12
    assert page["reasons"][0]["undated"] == 12
    assert len(list(rejects.read(ByApi(), None))) == 12  # type: ignore[arg-type]


@pytest.mark.parametrize("filler", ["x", "é", "😀", '\\"', "\\u0000"])
def test_a_row_comes_in_parts_that_fit_and_are_all_of_it(database: Connection, filler: str) -> None:
    row = f'{{"a": "{filler * (3_000_000 // len(filler))}"}}'
    path = f"/rejects/{keep(database, row)}"
    parts: list[str] = []
    offset: int | None = 0
    while offset is not None:
        answer = ask(path, offset=str(offset))
        parts.append(answer["part"])
        offset = answer["next"]
    assert "".join(parts) == row
