"""Claims about planning pages and judging rejects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, cast

import pytest
from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.s3 import Listed, Storage
from forecast_sync.config import Settings
from forecast_sync.contracts.page import PlanRequest
from forecast_sync.contracts.query import Queries
from forecast_sync.errors import (
    InputsOutdated,
    ResultInvalid,
    SourceChanged,
    SourceUnstable,
    TooManyRejects,
    VerificationFailed,
)
from forecast_sync.plan.pages import group_into_pages, page_limit, plan_pages
from forecast_sync.plan.result_files import ResultFile
from forecast_sync.survey.lists import version_of
from forecast_sync.tables import load_table
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import STARTED_AT, make_run, make_started, make_survey, make_window

MIB = 1024 * 1024
MANIFEST = "s3://results/athena/q-1-manifest.csv"
LISTED = Listed("forecast/a.parquet", 7, STARTED_AT, "etag")
WINDOW = make_window(make_survey(window_objects=1, window_files=1, other_files=1, source_rows=100))
SETTINGS = Settings(
    environment="dev",
    page_bytes=100,
    reject_rows=10,
    athena_output_location="s3://results/athena/",
    data_location="s3://lake/forecast/",
)


class World:
    """Athena's answers and a bucket in memory."""

    def __init__(self, sizes: dict[str, int], **profile: int) -> None:
        self.profile = {"window_rows": 100, "rejected": 0, "candidates": 100, "good": 90, **profile}
        self.sizes = sizes
        self.listing = sizes
        self.present: Listed | None = LISTED
        self.manifest: str | None = MANIFEST
        self.manifest_is_there = True
        self.written: dict[str, bytes] = {}

    def read_row(self, _query_execution_id: str) -> dict[str, str]:
        return {
            name: str(value)
            for name, value in {**self.profile, "checksum": 5, "warning_0": 0}.items()
        }

    def manifest_location(self, _query_execution_id: str) -> str | None:
        return self.manifest

    def read(self, _bucket: str, key: str) -> bytes:
        return json.dumps(version_of(LISTED)).encode() if "/versions/window/" in key else b""

    def find_listed(self, _bucket: str, _key: str) -> Listed | None:
        return self.present

    def find(self, _bucket: str, _key: str) -> bytes | None:
        if not self.manifest_is_there:
            return None
        return "".join(f"s3://results/{key}\n" for key in self.sizes).encode()

    def write(self, bucket: str, key: str, content: bytes) -> None:
        self.written[f"{bucket}/{key}"] = content

    def list(self, _bucket: str, prefix: str) -> Iterator[Listed]:
        for key, size in self.listing.items():
            if key.startswith(prefix):
                yield Listed(key, size, STARTED_AT)


def make_request(redrive_count: int = 0, made_at: int = 0, renewal: int = 0) -> PlanRequest:
    queries = {
        name: make_started(
            query=name, query_execution_id=f"q-{name}", redrive_count=made_at, renewal=renewal
        )
        for name in ("extract", "profile")
    }
    return PlanRequest(
        run=make_run(), window=WINDOW, queries=Queries(**queries), redrive_count=redrive_count
    )


def plan(world: World, **changes: Any) -> Any:
    athena, storage = cast(Athena, world), cast(Storage, world)
    return plan_pages(athena, storage, load_table(), SETTINGS, make_request(**changes))


def test_pages_are_written_where_the_plan_says() -> None:
    world = World({"p/kind=row/a.gz": 60, "p/kind=row/b.gz": 60, "p/kind=reject/c.gz": 1})
    planned = plan(world)
    pages = json.loads(world.written[f"{planned.pages_bucket}/{planned.pages_key}"])
    assert [(page["number"], page["kind"], page["keys"]) for page in pages] == [
        (0, "reject", ["p/kind=reject/c.gz"]),
        (1, "row", ["p/kind=row/a.gz"]),
        (2, "row", ["p/kind=row/b.gz"]),
    ]
    assert (planned.pages, planned.concurrency) == (3, 3)


def test_an_empty_manifest_is_no_page() -> None:
    world = World({}, window_rows=0, candidates=0, good=0)
    assert plan(world).pages == 0


def without_manifest(how: str, **profile: int) -> World:
    """An extract that names no manifest, or whose manifest isn't there."""
    world = World({}, **profile)
    world.manifest = None if how == "unnamed" else MANIFEST
    world.manifest_is_there = False
    return world


NONE = {"window_rows": 0, "candidates": 0, "good": 0}


@pytest.mark.parametrize("how", ["unnamed", "unwritten"])
def test_without_a_row_no_manifest_is_needed(how: str) -> None:
    world = without_manifest(how, **NONE)
    planned = plan(world)
    assert planned.pages == 0
    assert world.written == {"results/athena/q-extract-pages.json": b"[]"}
    assert (planned.pages_bucket, planned.pages_key) == ("results", "athena/q-extract-pages.json")


@pytest.mark.parametrize("how", ["unnamed", "unwritten"])
@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"good": 90}, "90 rows and 0 rejects"),
        ({"good": 1, "rejected": 3}, "1 rows and 3 rejects"),
        ({"candidates": 0, "good": 0, "rejected": 3}, "0 rows and 3 rejects"),
    ],
)
def test_with_rows_or_rejects_a_missing_manifest_is_invalid(
    how: str, profile: dict[str, int], said: str
) -> None:
    world = without_manifest(how, **profile)
    with pytest.raises(ResultInvalid, match=f"q-extract has no result manifest.*{said}"):
        plan(world)
    assert world.written == {}
    with pytest.raises(InputsOutdated):
        plan(world, redrive_count=1, made_at=0)


@pytest.mark.parametrize(
    "present",
    [
        None,
        LISTED._replace(etag="another"),
        LISTED._replace(size=8),
        LISTED._replace(modified=STARTED_AT + timedelta(seconds=1)),
    ],
    ids=["gone", "other content", "other size", "the same content again"],
)
def test_a_listed_object_that_is_gone_or_another_has_the_window_decided_again(
    present: Listed | None,
) -> None:
    """Whether or not the queries agree: both may have read a lake without it."""
    world = World({"p/kind=row/a.gz": 60})
    world.present = present
    with pytest.raises(SourceChanged, match="window is decided again"):
        plan(world, renewal=1)
    with pytest.raises(SourceUnstable, match="in each of 3 attempts"):
        plan(world, renewal=2)
    with pytest.raises(SourceChanged):
        plan(world, renewal=2, redrive_count=1)
    assert world.written == {}
    world.present = LISTED
    assert plan(world).pages == 1


def test_rows_that_the_footers_have_and_athena_did_not_read_fail_the_run() -> None:
    world = World({"p/kind=row/a.gz": 60}, source_rows=99)
    with pytest.raises(VerificationFailed, match=r"read 99 rows of the 1 objects .* say 100"):
        plan(world)
    assert world.written == {}
    with pytest.raises(InputsOutdated):
        plan(world, redrive_count=1, made_at=0)
    assert plan(World({"p/kind=row/a.gz": 60}, source_rows=100)).pages == 1


def test_a_file_of_the_manifest_that_is_gone_is_named() -> None:
    world = World({"p/kind=row/a.gz": 60})
    world.listing = {}
    with pytest.raises(ResultInvalid, match=r"p/kind=row/a\.gz"):
        plan(world)


@pytest.mark.parametrize(
    ("rejected", "window_rows", "refused"),
    [
        (9, 100, False),
        (10, 1000, False),
        (10, 999, True),
        (1, 1, True),
        (0, 0, False),
        (3, 3, True),
    ],
)
def test_the_threshold_needs_share_and_number_or_not_one_good_row(
    rejected: int, window_rows: int, refused: bool
) -> None:
    world = World({}, rejected=rejected, window_rows=window_rows)
    if refused:
        with pytest.raises(TooManyRejects, match=f"{rejected} of {window_rows}") as raised:
            plan(world)
        assert "For example" not in str(raised.value), "nothing can be read, and the refusal stays"
        assert world.written == {}
    else:
        plan(world)


def test_a_redriven_judgement_asks_for_new_results() -> None:
    world = World({}, rejected=3, window_rows=3)
    with pytest.raises(InputsOutdated):
        plan(world, redrive_count=1, made_at=0)
    with pytest.raises(TooManyRejects):
        plan(world, redrive_count=1, made_at=1)


@given(st.lists(st.tuples(st.sampled_from(["row", "reject"]), st.integers(0, 300)), max_size=50))
def test_every_file_is_in_one_page_of_its_kind_and_size(files: list[tuple[str, int]]) -> None:
    listed = [
        ResultFile("b", f"p/kind={kind}/{number:03}", size)
        for number, (kind, size) in enumerate(files)
    ]
    sizes = {file.key: file.size for file in listed}
    pages = group_into_pages("q", listed, 100)
    assert [key for page in pages for key in page.keys] == list(sizes)
    for page in pages:
        assert all(f"kind={page.kind}/" in key for key in page.keys)
        assert len(page.keys) == 1 or sum(sizes[key] for key in page.keys) <= 100


@pytest.mark.parametrize(
    ("total", "limit"),
    [(0, MIB), (3 * MIB, MIB), (20 * MIB, 5 * MIB), (1000 * MIB, 16 * MIB)],
)
def test_pages_are_small_enough_for_all_workers_and_never_tiny(total: int, limit: int) -> None:
    assert page_limit(total, page_bytes=16 * MIB, concurrency=4) == limit


def test_a_smaller_page_is_the_operator_s_setting() -> None:
    assert page_limit(20 * MIB, page_bytes=100, concurrency=4) == 100
