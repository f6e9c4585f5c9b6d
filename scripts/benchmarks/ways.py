"""The ways to load a workload into the table; each is a function of a URL and files.

Each function imports what it needs itself, so that no way's memory includes another's packages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.data import COLUMNS, Files

BLOCK_BYTES = 1024 * 1024
KEY = "restaurant_id, inventory_item_id, business_date"
ASSIGNMENTS = ", ".join(
    f"{name} = excluded.{name}" for name in ("dma_id", "dc_id", "state", "y_05", "y_50", "y_95")
)
UPSERT = f"ON CONFLICT ({KEY}) DO UPDATE SET {ASSIGNMENTS}, updated_at = CURRENT_TIMESTAMP"
WHOLE_PAGE = 10_000_000
LAMBDA_MILLISECONDS = 900_000

Load = Callable[[], object]


@dataclass(frozen=True)
class Task:
    """The database, the workload's files, and a folder for the way's own use."""

    url: str
    files: Files
    folder: Path


@dataclass(frozen=True)
class Way:
    """``prepare`` imports and connects; it returns the load, which is timed.

    ``only`` lists the workloads that the way supports; ``share`` is the share of rows it loads.
    """

    label: str
    prepare: Callable[[Task], Load]
    only: tuple[str, ...] = ()
    share: float = 1.0


def copy_text(task: Task, *, in_order: bool) -> Load:
    """Plain COPY of prepared text: the time that Postgres itself needs."""
    import psycopg

    connection = psycopg.connect(task.url, autocommit=True)
    path = task.files.sorted if in_order else task.files.unsorted
    return partial(_copy, connection.cursor(), "forecast_data", path)


def load_pages(task: Task, *, batch_size: int, checksum: bool, workers: int = 1) -> Load:
    """Our loader alone, from page files to the table, with the upsert function's imports.

    With several ``workers``, each loads its own page, as the Map's Lambdas do.
    """
    from forecast_sync import clients
    from forecast_sync.adapters.postgres import connect
    from forecast_sync.contracts.page import Page, UpsertRequest
    from forecast_sync.load.loader import load_page
    from forecast_sync.tables import definition_of, load_table

    from benchmarks.loader_fixtures import open_run, stream_file

    clients.storage()
    connections = [connect(task.url) for _ in range(workers)]
    run = open_run(connections[0], batch_size, checksum=checksum)
    keys = [str(path) for path in task.files.pages]

    def load(number: int) -> object:
        shares = tuple(keys[number::workers])
        page = Page(
            query_execution_id=run.run_id,
            number=number,
            kind="row",
            bucket="-",
            keys=shares,
            definition=definition_of(load_table()),
        )
        request = UpsertRequest(run=run, page=page)
        return load_page(
            connections[number],
            stream_file,
            load_table(),
            request,
            lambda: LAMBDA_MILLISECONDS,
            None,
        )

    def load_all() -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(load, range(workers)))

    return load_all


def run_workflow(task: Task) -> Load:
    """The whole workflow in its own local cloud."""
    from benchmarks.workflow import prepare_workflow

    return prepare_workflow(task.url, task.files)


def merge_with_dlt(task: Task, *, strategy: str) -> Load:
    """Run dlt's merge from Arrow through CSV files, its fastest path into Postgres."""
    import dlt
    import pyarrow.parquet

    pipeline = dlt.pipeline(
        "bench",
        destination=dlt.destinations.postgres(task.url),
        dataset_name="public",
        pipelines_dir=str(task.folder),
    )

    def load() -> None:
        rows = pyarrow.parquet.read_table(task.files.parquet, columns=COLUMNS.split(", "))
        resource = dlt.resource(
            rows,
            name="forecast_data",
            primary_key=KEY.split(", "),
            write_disposition={"disposition": "merge", "strategy": strategy},
        )
        pipeline.run(resource, loader_file_format="csv").raise_on_failed_jobs()

    return load


def execute_many(task: Task) -> Load:
    """Run psycopg's executemany with ON CONFLICT: the first thing people write."""
    import psycopg
    import pyarrow.parquet

    connection = psycopg.connect(task.url)
    values = ", ".join(["%s"] * len(COLUMNS.split(", ")))

    def load() -> None:
        table = pyarrow.parquet.read_table(task.files.parquet, columns=COLUMNS.split(", "))
        for batch in table.to_batches(max_chunksize=10_000):
            rows = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
            connection.cursor().executemany(
                f"INSERT INTO forecast_data ({COLUMNS}) VALUES ({values}) {UPSERT}", rows
            )
            connection.commit()

    return load


def copy_and_conflict(task: Task) -> Load:
    """COPY into a stage and INSERT ... ON CONFLICT from it: the usual recipe."""
    import psycopg

    connection = psycopg.connect(task.url)

    def load() -> None:
        cursor = connection.cursor()
        cursor.execute(
            f"CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT {COLUMNS} FROM forecast_data "
            "WITH NO DATA"
        )
        _copy(cursor, "stage", task.files.unsorted)
        cursor.execute(
            f"INSERT INTO forecast_data ({COLUMNS}) SELECT {COLUMNS} FROM stage {UPSERT}"
        )
        connection.commit()

    return load


def upsert_with_awswrangler(task: Task) -> Load:
    """Run awswrangler's to_sql, on a tenth of the rows."""
    from urllib.parse import urlsplit

    import awswrangler
    import pandas as pd
    import pg8000
    import pyarrow.parquet

    url = urlsplit(task.url)
    connection = pg8000.connect(
        user=str(url.username), password=url.password, host=str(url.hostname),
        port=int(url.port or 0), database=url.path[1:],
    )  # fmt: skip

    integers = {pyarrow.int32(): pd.Int32Dtype()}

    def load() -> None:
        rows = pyarrow.parquet.read_table(task.files.tenth, columns=COLUMNS.split(", "))
        awswrangler.postgresql.to_sql(
            rows.to_pandas(types_mapper=integers.get), connection, table="forecast_data",
            schema="public", mode="upsert", upsert_conflict_columns=KEY.split(", "),
            use_column_names=True, chunksize=1000,
        )  # fmt: skip

    return load


def _copy(cursor: object, table: str, path: Path) -> None:
    from psycopg import Cursor, sql

    assert isinstance(cursor, Cursor)  # noqa: S101  # imported late, so not a type up there
    statement = sql.SQL(f"COPY {table} ({COLUMNS}) FROM STDIN")
    with cursor.copy(statement) as copy:
        for block in _blocks(path):
            copy.write(block)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            yield block


def _loader(batch_size: int, *, checksum: bool = False, workers: int = 1) -> Callable[[Task], Load]:
    return partial(load_pages, batch_size=batch_size, checksum=checksum, workers=workers)


WAYS: dict[str, Way] = {
    "floor": Way("COPY, sorted: the floor", partial(copy_text, in_order=True), ("first", "window")),
    "copy": Way("COPY, as the files come", partial(copy_text, in_order=False), ("first", "window")),
    "loader-10k": Way("our loader, batches of 10,000", _loader(10_000)),
    "loader-100k": Way("our loader, batches of 100,000", _loader(100_000)),
    "loader-page": Way("our loader, the whole page", _loader(WHOLE_PAGE)),
    "loader-2-pages": Way("... of 10,000, two pages at once", _loader(10_000, workers=2)),
    "loader-10k-verified": Way("... of 10,000, verified", _loader(10_000, checksum=True)),
    "loader-page-verified": Way("... the whole page, verified", _loader(WHOLE_PAGE, checksum=True)),
    "workflow": Way("our whole workflow, verified", run_workflow),
    "dlt-upsert": Way("dlt merge, upsert", partial(merge_with_dlt, strategy="upsert")),
    "dlt-delete": Way(
        "dlt merge, delete-insert", partial(merge_with_dlt, strategy="delete-insert")
    ),
    "conflict": Way("COPY to a stage, ON CONFLICT", copy_and_conflict),
    "executemany": Way("psycopg executemany, ON CONFLICT", execute_many),
    "awswrangler": Way("awswrangler, a tenth of the rows", upsert_with_awswrangler, share=0.1),
}
