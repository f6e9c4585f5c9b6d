"""Many tables in one stack: five uploads to each at once, one that fails for good, and redrives.

The long form, with 20 tables, is a part of ``make chaos``.
"""

from __future__ import annotations

from functools import partial

import pytest
from localcloud.protocol import Athena

from tests.lake import MORNING, Row, make_rows
from tests.waiting import eventually
from tests.workflow.breakages import RAISE
from tests.workflow.deployed import Ended
from tests.workflow.several import Several, running_tables, table_text

FILES = 5
WITHIN_SECONDS = 240
ENDS = {"succeeded", "failed", "superseded"}


def rows_of(table: int, file: int) -> list[Row]:
    """Rows that differ from table to table, some of which replace rows of the other files."""
    first = table + file * 5
    hour = MORNING.replace(hour=MORNING.hour + (file * 3 + table) % FILES)
    return make_rows(range(first, first + 10), y_50=table + file / 10, updated_at=hour)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("count", [6, pytest.param(20, marks=pytest.mark.slow)])
def test_every_row_of_every_table_is_right(athena: Athena, count: int) -> None:
    names = [f"trial_{number:02}" for number in range(count)]
    broken, refusing = names[1], names[2::3]
    with running_tables({name: table_text(name) for name in names}, athena=athena) as stack:
        stack.reset()
        stack.execute(RAISE)
        for name in refusing:
            stack.create_target(name)
            stack.execute(
                f"CREATE TRIGGER refuse BEFORE INSERT ON t_{name} "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        stack.execute(f"CREATE TABLE t_{broken} (id integer)")
        stack.react_to_uploads(True)
        stack.put_all(
            {
                f"{name}/file-{file}.parquet": rows_of(table, file)
                for file in range(FILES)
                for table, name in enumerate(names)
            }
        )
        for name in names:
            if name not in (broken, *refusing):
                eventually(partial(stack.is_right, name), WITHIN_SECONDS, f"the rows of {name}")
        stack.await_end_of_runs(WITHIN_SECONDS)
        assert not any(stack.rows_of(name) for name in refusing)

        stack.execute("DROP FUNCTION refuse CASCADE")
        failed = last_failures(stack)
        assert set(failed) == {broken, *refusing}
        redriven = dict(zip(failed, stack.redrive_all([*failed.values()]), strict=True))
        assert redriven.pop(broken).error == "SchemaMismatch"
        assert {ended.status for ended in redriven.values()} == {"SUCCEEDED"}
        stack.await_end_of_runs(WITHIN_SECONDS)
        for name in names:
            assert {run["status"] for run in stack.runs_of(name)} <= ENDS
            assert stack.is_right(name) or name == broken, name
        assert {run["status"] for run in stack.runs_of(broken)} == {"failed"}


def last_failures(stack: Several) -> dict[str, Ended]:
    """The last run that has failed, by its table; an earlier one may have been overtaken."""
    arns = stack.executions(statusFilter="FAILED")
    ended = [stack.wait(arn) for arn in reversed(arns)]
    return {stack.table_of(run): run for run in ended}
