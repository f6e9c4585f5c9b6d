"""An UNLOAD of no rows may leave a manifest or none; one of rows must."""

from __future__ import annotations

import pytest

from tests.lake import make_row, make_rows, reference
from tests.workflow.deployed import Deployed

EXTRACT = {"match": "UNLOAD"}


@pytest.mark.parametrize("manifest", ["written", "unwritten", "unnamed"])
def test_a_run_without_a_new_row_succeeds_whatever_the_query_leaves(
    deployed: Deployed, manifest: str
) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.succeed()
    deployed.delete("few")
    deployed.athena_faults({**EXTRACT, "manifest": manifest})
    ended = deployed.succeed()
    assert "Load pages" not in ended.entered
    assert "Verify load" in ended.entered
    assert (ended.counts["window_rows"], ended.counts["good"]) == (0, 0)
    assert len(deployed.table()) == 10


@pytest.mark.parametrize("manifest", ["unwritten", "unnamed"])
@pytest.mark.parametrize("rows", ["good", "rejects"])
def test_a_query_with_rows_and_no_manifest_loads_nothing_and_a_redrive_queries_again(
    deployed: Deployed, manifest: str, rows: str
) -> None:
    deployed.upload("few", make_rows(range(10)))
    deployed.succeed()
    more = [make_row(11), make_row(12, state="OHIO" if rows == "rejects" else "OH")]
    deployed.upload("more", more)
    deployed.athena_faults({**EXTRACT, "manifest": manifest})
    ended = deployed.run()
    assert (ended.status, ended.error) == ("FAILED", "ResultInvalid")
    assert "has no result manifest" in ended.cause
    assert len(deployed.table()) == 10
    assert deployed.redrive(ended).status == "SUCCEEDED"
    assert deployed.table() == reference(deployed.files)
