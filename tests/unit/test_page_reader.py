"""Claims about reading result files as one stream of lines."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterator
from unittest import mock

import pytest
from forecast_sync.contracts.page import Page
from forecast_sync.errors import ResultInvalid
from forecast_sync.load import page_reader
from forecast_sync.load.page_reader import PageReader
from hypothesis import given
from hypothesis import strategies as st

LINES = st.lists(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b"") + b"\n"), max_size=30
)


def reader_of(files: list[bytes], chunk: int = 7) -> PageReader:
    keys = tuple(str(number) for number in range(len(files)))
    page = Page(query_execution_id="q", number=0, kind="row", bucket="b", keys=keys)

    def stream(_bucket: str, key: str) -> Iterator[bytes]:
        content = files[int(key)]
        for start in range(0, len(content), chunk):
            yield content[start : start + chunk]

    return PageReader(stream, page)


@given(st.lists(LINES, max_size=4), st.integers(1, 9), st.integers(1, 50))
def test_batches_are_the_lines_in_order_and_at_most_as_many(
    files: list[list[bytes]], size: int, chunk: int
) -> None:
    reader = reader_of([gzip.compress(b"".join(lines)) for lines in files], chunk)
    batches = []
    while reader.has_more():
        batches.append(b"".join(reader.take(size)))
    everything = [line for lines in files for line in lines]
    assert b"".join(batches) == b"".join(everything)
    assert all(batch.count(b"\n") == size for batch in batches[:-1])
    assert reader.position == len(everything)


@given(LINES, st.integers(0, 30))
def test_skipping_goes_on_after_what_was_loaded(lines: list[bytes], skipped: int) -> None:
    reader = reader_of([gzip.compress(b"".join(lines))])
    if skipped > len(lines):
        with pytest.raises(ResultInvalid, match=f"has {len(lines)} lines, but {skipped}"):
            reader.skip_to(skipped)
    else:
        reader.skip_to(skipped)
        assert b"".join(reader.take(1000)) == b"".join(lines[skipped:])


@given(LINES, st.integers(0, 9), st.integers(1, 300), st.integers(1, 50))
def test_lines_are_the_same_however_little_is_inflated_at_a_time(
    lines: list[bytes], level: int, inflated: int, chunk: int
) -> None:
    with mock.patch.object(page_reader, "INFLATED_BYTES", inflated):
        reader = reader_of([gzip.compress(b"".join(lines), level)], chunk)
        assert b"".join(reader.take(1000)) == b"".join(lines)


def test_several_gzip_members_in_one_file_are_one_text() -> None:
    reader = reader_of([gzip.compress(b"a\nb") + gzip.compress(b"c\n")])
    assert b"".join(reader.take(9)) == b"a\nbc\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(b"a\n" * 50)[:-9], "truncated"),
        (b"not gzip", "isn't gzip"),
        (gzip.compress(b"a\nb"), "whole line"),
    ],
    ids=["truncated", "no gzip", "half a line"],
)
def test_a_damaged_file_is_named(content: bytes, reason: str) -> None:
    reader = reader_of([content])
    with pytest.raises(ResultInvalid, match=f"s3://b/0.*{reason}"):
        b"".join(reader.take(1000))


def test_memory_does_not_grow_with_a_file_that_inflates_a_thousandfold() -> None:
    reader = reader_of([gzip.compress((b"x" * 99 + b"\n") * 200_000)], chunk=1 << 20)
    assert max(len(block) for block in reader.take(200_000)) < 3 * 1024 * 1024


def test_a_line_without_end_is_refused_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_reader, "LONGEST_LINE_BYTES", 8 * 1024 * 1024)
    reader = reader_of([gzip.compress(b"x" * 100_000_000, compresslevel=1)], chunk=1 << 16)
    tracemalloc.start()
    with pytest.raises(ResultInvalid, match="has a line of more than 8,388,608 bytes"):
        list(reader.take(1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000_000
