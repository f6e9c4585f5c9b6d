"""What a dry run reports about a batch, in a real Postgres."""

from __future__ import annotations

from forecast_sync.adapters.postgres import Connection, Cursor, statement, transaction
from forecast_sync.config import Settings
from forecast_sync.contracts.page import Page
from forecast_sync.contracts.run import Run
from forecast_sync.dry_run.changes import BatchChanges, Change, Example, Group, describe_batch
from forecast_sync.lease.window import open_window
from forecast_sync.load.loader import load_page
from forecast_sync.tables import Table, load_table
from forecast_sync.tables.model import Report

from tests.builders import Files, Row, make_row, make_run, make_upsert, to_line

TABLE = load_table()
SETTINGS = Settings(environment="dev", data_location="s3://lake/forecast/")
Kept = dict[tuple[int, int], BatchChanges]


def load(
    connection: Connection, run: Run, rows: list[Row], kind: str = "row", table: Table = TABLE
) -> Kept:
    """Load one page; what was kept, by page and first row."""
    files, kept = Files(), {}
    files.add("a.gz", [to_line(row) for row in rows])
    page = {"kind": kind, "query": f"q-{run.run_id}-{kind}"}

    def keep(cursor: Cursor, page: Page, first_row: int) -> None:
        kept[page.number, first_row] = describe_batch(cursor, table, page.kind)

    request = make_upsert(run, ["a.gz"], **page)  # type: ignore[arg-type]
    load_page(
        connection,
        files.stream,
        load_table(),
        request,
        lambda: 900_000,
        keep if run.dry_run else None,
    )
    return kept


def test_each_batch_reports_its_groups_and_its_largest_changes(connection: Connection) -> None:
    first, dry = make_run(), make_run("dry", dry_run=True, batch_size=2)
    open_window(connection, SETTINGS, load_table(), first, lambda _arn: True)
    assert load(connection, first, [make_row(1), make_row(2), make_row(3)]) == {}
    connection.execute("UPDATE forecast_sync_status SET status = 'succeeded'")
    open_window(connection, SETTINGS, load_table(), dry, lambda _arn: True)
    before = connection.execute("SELECT id, xmin::text FROM forecast_data").fetchall()
    changed = [make_row(1, y_50="-99.00"), make_row(2, y_50="3.00"), make_row(9, state="TX")]
    kept = load(connection, dry, changed)
    assert kept == {
        (0, 1): BatchChanges(
            groups=(Group(by=("2026-01-01", "OH"), updated=2),),
            largest=(
                Change(key=("1", "7", "2026-01-01"), before="1.50", after="-99.00"),
                Change(key=("2", "7", "2026-01-01"), before="2.50", after="3.00"),
            ),
        ),
        (0, 3): BatchChanges(groups=(Group(by=("2026-01-01", "TX"), inserted=1),)),
    }
    assert connection.execute("SELECT id, xmin::text FROM forecast_data").fetchall() == before


def test_rejects_are_grouped_even_where_postgres_can_t_read_them(connection: Connection) -> None:
    dry = make_run("dry", dry_run=True)
    open_window(connection, SETTINGS, load_table(), dry, lambda _arn: True)
    rows: list[Row] = [
        ("s3://l/a", "state is NULL", '{"business_date": "2026-01-01", "state": null}'),
        ("s3://l/a", "state has a NUL byte", '{"business_date": "2026-01-01", "state": "\\u0000"}'),
        ("s3://l/b", "state is NULL", '{"business_date": "2026-01-01", "state": null}'),
    ]
    (changes,) = load(connection, dry, rows, kind="reject").values()
    assert changes.reasons == {"state is NULL": 2, "state has a NUL byte": 1}
    assert sorted(changes.groups, key=lambda group: group.rejected) == [
        Group(by=(None, None), rejected=1),
        Group(by=("2026-01-01", None), rejected=2),
    ]
    assert connection.execute("SELECT count(*) FROM forecast_sync_rejects").fetchone() == (0,)


def test_of_each_reason_the_first_rows_are_examples(connection: Connection) -> None:
    dry = make_run("dry", dry_run=True)
    open_window(connection, SETTINGS, load_table(), dry, lambda _arn: True)
    day = '"business_date": "2026-01-01"'
    rows: list[Row] = [
        *[(f"s3://l/{n}", "state is NULL", f'{{{day}, "state": null}}') for n in range(5)],
        ("s3://l/a", "state has a NUL byte", f'{{{day}, "state": "\\u0000{"x" * 300}"}}'),
        ("s3://l/b", "dma_id is too long", f'{{{day}, "dma_id": "{"x" * 70_000}"}}'),
    ]
    (changes,) = load(connection, dry, rows, kind="reject").values()
    nulls = changes.examples["state is NULL"]
    assert [example.source_file for example in nulls] == ["s3://l/0", "s3://l/1", "s3://l/2"]
    assert nulls[0].row == {"business_date": "2026-01-01", "state": None}
    [nul] = changes.examples["state has a NUL byte"]
    assert (nul.row["state"] or "")[:2] == "\0x"
    assert len(nul.row["state"] or "") <= 200
    assert changes.examples["dma_id is too long"] == (Example(source_file="s3://l/b"),)


def test_a_table_file_need_not_say_by_what_to_count(connection: Connection) -> None:
    plain = TABLE.model_copy(update={"report": Report()})
    dry = make_run("dry", dry_run=True)
    open_window(connection, SETTINGS, TABLE, dry, lambda _arn: True)
    kept = load(connection, dry, [make_row(1), make_row(2)], table=plain)
    assert kept == {(0, 1): BatchChanges(groups=(Group(by=(), inserted=2),))}
    with transaction(connection) as cursor:
        cursor.execute(statement("load/create_reject_stage.sql"))
        cursor.execute("INSERT INTO forecast_sync_stage VALUES ('f', 'is bad', '{}')")
        found = describe_batch(cursor, plain, "reject")
    assert (found.groups, found.reasons) == ((Group(by=(), rejected=1),), {"is bad": 1})
