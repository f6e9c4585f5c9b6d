"""The invariant: whatever a lake's history, incremental runs leave what one full run leaves."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.lake import MORNING, Row, make_row, make_rows, reference, to_parquet
from tests.workflow.deployed import Deployed

TIMES: list[datetime | None] = [
    None,
    MORNING,
    MORNING,
    MORNING + timedelta(milliseconds=1),
    MORNING - timedelta(days=400),
    MORNING + timedelta(days=3650),
]
NAMES = ["a", "b", "deep/c", "region=west/d"]

rows = st.builds(
    lambda number, value, updated, valid: make_row(
        number, y_50=value, updated_at=updated, **({} if valid else {"state": None})
    ),
    st.integers(0, 7),
    st.floats(0, 1000),
    st.sampled_from(TIMES),
    st.sampled_from([True, True, True, False]),
)
# A window without one good row would be over the threshold.
good = rows.filter(lambda row: row["state"] is not None)
files = st.tuples(good, st.lists(rows, max_size=5)).map(lambda parts: [parts[0], *parts[1]])
begin = st.tuples(st.just("begin"), st.sampled_from(NAMES), files)
steps = st.one_of(
    st.tuples(st.just("upload"), st.sampled_from(NAMES), files),
    st.tuples(st.just("again"), st.integers(0, 9), st.none()),
    st.tuples(st.just("rewrite"), st.integers(0, 9), st.none()),
    st.tuples(st.just("archive"), st.sampled_from(NAMES), files),
    begin,
    st.tuples(st.just("complete"), st.none(), st.none()),
    st.tuples(st.just("delete"), st.integers(0, 9), st.none()),
    st.tuples(st.just("compact"), st.integers(0, 9), st.integers(0, 9)),
    st.tuples(st.just("branch"), st.none(), st.none()),
    st.tuples(st.just("run"), st.none(), st.none()),
    st.tuples(st.just("run"), st.none(), st.none()),
)


class Lake:
    """Uploads whole, in parts, and of old data again; deletions, compactions and branches."""

    def __init__(self, deployed: Deployed) -> None:
        self.deployed = deployed
        self.past: list[tuple[str, list[Row]]] = []
        self.begun: list[tuple[str, str, list[Row]]] = []
        self.branches = ["dev"]
        self.s3, self.bucket = deployed.client("s3"), deployed.cloud.bucket

    def upload(self, name: str, content: list[Row]) -> None:
        self.past.append((name, content))
        self.deployed.upload(name, content)

    def again(self, number: int, _: None) -> None:
        """An old file comes once more, with a new modified time."""
        if self.past:
            name, content = self.past[number % len(self.past)]
            self.deployed.upload(f"again-{number}-{name}", content)

    def rewrite(self, number: int, _: None) -> None:
        """A file is overwritten with the same content: only its time is another one."""
        if names := self._names():
            name = names[number % len(names)]
            self.deployed.upload(name, self._content(name))

    def archive(self, name: str, content: list[Row]) -> None:
        """A file comes in a storage class that the engine skips."""
        self.s3.put_object(
            Bucket=self.bucket,
            Key=f"forecast/archived/{name}.parquet",
            Body=to_parquet(content),
            StorageClass="GLACIER",
        )

    def begin(self, name: str, content: list[Row]) -> None:
        key = f"forecast/{name}.parquet"
        upload = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)
        self.begun.append((key, upload["UploadId"], content))

    def complete(self, *_: None) -> None:
        """An upload in parts becomes visible, with the time at which it began."""
        if not self.begun:
            return
        key, upload, rows_ = self.begun.pop()
        content = to_parquet(rows_)
        where: dict[str, Any] = {"Bucket": self.bucket, "Key": key, "UploadId": upload}
        part = self.s3.upload_part(**where, PartNumber=1, Body=content)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self.s3.complete_multipart_upload(**where, MultipartUpload=parts)
        self.deployed.remember(key, content)

    def delete(self, number: int, _: None) -> None:
        """One of the files is deleted."""
        if names := self._names():
            self.deployed.delete(names[number % len(names)])

    def compact(self, one: int, other: int) -> None:
        """Two files become a third one."""
        names = self._names()
        if len(names) < 2:
            return
        merged = {names[one % len(names)], names[other % len(names)]}
        content = [
            row
            for name in sorted(merged)
            for row in pq.read_table(io.BytesIO(self._content(name))).to_pylist()
        ]
        self.deployed.upload(f"compacted-{one}-{other}", content)
        for name in merged - {f"compacted-{one}-{other}"}:
            self.deployed.delete(name)

    def _names(self) -> list[str]:
        prefix = f"s3://{self.bucket}/forecast/"
        return sorted(
            path.removeprefix(prefix).removesuffix(".parquet") for path in self.deployed.files
        )

    def _content(self, name: str) -> bytes:
        return self.deployed.files[f"s3://{self.bucket}/forecast/{name}.parquet"][1]

    def branch(self, *_: None) -> None:
        """A branch is made, with the rows and the file ledger that its parent has then."""
        name = f"preview/pr-{100 + len(self.branches)}"
        self.deployed.make_branch(name, "dev")
        self.branches.append(name)

    def run(self, *_: None) -> None:
        self.deployed.succeed()


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_a_key_that_leaves_the_lake_s_newest_file_gets_its_older_row(
    deployed: Deployed, how: str
) -> None:
    later = MORNING + timedelta(hours=1)
    deployed.upload("older", make_rows(range(2), y_50=1.0))
    deployed.upload("newer", make_rows(range(2), y_50=2.0, updated_at=later))
    deployed.succeed()
    if how == "replaced":
        deployed.upload("newer", make_rows(range(1), y_50=2.0, updated_at=later))
    else:
        deployed.delete("newer")
    ended = deployed.succeed()
    assert ended.changed == ((0, 1, 1) if how == "replaced" else (0, 2, 0))
    assert deployed.table() == reference(deployed.files)
    assert deployed.succeed(sync_type="full").changed == (0, 0, 2)


@settings(
    max_examples=5,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(steps, min_size=4, max_size=10))
def test_an_incremental_history_gives_what_one_full_run_gives(
    deployed: Deployed, history: list[tuple[str, Any, Any]]
) -> None:
    deployed.reset()
    lake = Lake(deployed)
    for step, *arguments in history:
        getattr(lake, step)(*arguments)
    while lake.begun:
        lake.complete()
    full = deployed.succeed(sync_type="full", git_ref="preview/pr-7")
    expected = reference(deployed.files)
    assert deployed.table("preview/pr-7") == expected
    assert full.counts["good"] == len(expected)
    for branch in lake.branches:
        deployed.succeed(git_ref=branch)
        # A key whose files were all overwritten since stays in the table.
        table = deployed.table(branch)
        assert {key: table[key] for key in expected} == expected, branch
    newest = [pq.read_table(io.BytesIO(content)) for _, content in deployed.files.values()]
    assert full.counts["window_rows"] == sum(table.num_rows for table in newest)
