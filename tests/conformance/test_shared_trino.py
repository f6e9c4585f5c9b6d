"""The tests' clouds share a Trino: each has a lake of its own there, for as long as it runs."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from forecast_sync.tables import load_table
from forecast_sync_cli.glue_tables import glue_input
from localcloud import cloud as local
from localcloud.cloud import Cloud
from localcloud.errors import LocalCloudError
from localcloud.protocol import Athena, SharedTrino

from tests.lake import make_row, to_parquet
from tests.localcloud.toy_cloud import TOY, client, query

COUNTED = "SELECT count(*) AS found, max(dc_id) AS dc FROM forecast"


@contextmanager
def running_lake(athena: Athena, dc_id: int) -> Iterator[Cloud]:
    """A cloud whose lake has one row, in a database, table and object of always the same names."""
    with local.running(template=TOY, athena=athena) as cloud:
        location = f"s3://{cloud.bucket}/lake/"
        content = to_parquet([make_row(1, dc_id=dc_id)])
        client(cloud, "s3").put_object(Bucket=cloud.bucket, Key="lake/a.parquet", Body=content)
        glue = client(cloud, "glue")
        glue.create_database(DatabaseInput={"Name": "same"})
        declared = glue_input(load_table(), "forecast", location)
        glue.create_table(DatabaseName="same", TableInput=declared)
        yield cloud


def test_each_cloud_sees_its_own_lake_and_outlives_the_other(athena: Athena) -> None:
    assert isinstance(athena, SharedTrino)
    before = _catalogs(athena)
    with ExitStack() as stack:
        first = stack.enter_context(running_lake(athena, 1))
        with running_lake(athena, 2) as second:
            assert len(_catalogs(athena)) == len(before) + 4
            for cloud, dc_id in ((first, "1"), (second, "2"), (first, "1")):
                assert _select(cloud) == ["1", dc_id]
                assert _unload(cloud) == [dc_id]
        assert _select(first) == ["1", "1"]
        assert _unload(first) == ["1"]
    assert _catalogs(athena) == before


def test_a_cloud_names_the_server_that_it_doesn_t_find(tmp_path: Path) -> None:
    with (
        pytest.raises(LocalCloudError, match="no Trino that can be shared runs there"),
        local.running(template=TOY, athena=SharedTrino(tmp_path)),
    ):
        raise AssertionError("it has started")


def _catalogs(trino: SharedTrino) -> list[list[Any]]:
    from localcloud.athena.trino_client import TrinoClient

    return TrinoClient.read(trino.folder).run("SHOW CATALOGS")


def _select(cloud: Cloud) -> list[str]:
    counted = query(cloud, COUNTED, "same")
    results = client(cloud, "athena").get_query_results(QueryExecutionId=counted)
    _, row = results["ResultSet"]["Rows"]
    return [cell["VarCharValue"] for cell in row["Data"]]


def _unload(cloud: Cloud) -> list[str]:
    """The lines of one; nothing of it stays, so that the next may have the same target."""
    options = "format = 'TEXTFILE', compression = 'GZIP'"
    target = f"s3://{cloud.bucket}/unloaded/"
    query(cloud, f"UNLOAD (SELECT dc_id FROM forecast) TO '{target}' WITH ({options})", "same")
    s3, lines = client(cloud, "s3"), []
    for item in s3.list_objects_v2(Bucket=cloud.bucket, Prefix="unloaded/")["Contents"]:
        content = s3.get_object(Bucket=cloud.bucket, Key=item["Key"])["Body"].read()
        lines += gzip.decompress(content).decode().splitlines()
        s3.delete_object(Bucket=cloud.bucket, Key=item["Key"])
    return lines
