"""The folders that polars writes, with their columns in the files and without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from localcloud.protocol import Athena

from tests.workflow.deployed import Deployed
from tests.workflow.test_folders import FOLDERS, TABLE_FILE, WHOLE, Row, load_folders
from tests.workflow.test_types import running_table


@pytest.fixture(scope="module")
def sales(athena: Athena) -> Iterator[Deployed]:
    with running_table("sales", TABLE_FILE, athena) as deployed:
        yield deployed


@pytest.mark.parametrize("include_key", [True, False], ids=["in files too", "in folders only"])
def test_a_folder_of_polars(sales: Deployed, tmp_path: Path, include_key: bool) -> None:
    def write(rows: list[Row], folder: Path) -> None:
        frame = pl.from_arrow(pa.Table.from_pylist(rows, schema=WHOLE))
        assert isinstance(frame, pl.DataFrame)
        by = pl.PartitionBy(folder, key=[*FOLDERS], include_key=include_key)
        frame.lazy().sink_parquet(by, mkdir=True)

    sales.reset()
    sales.execute("DROP TABLE IF EXISTS sales")
    load_folders(sales, write, tmp_path)
