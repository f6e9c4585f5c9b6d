"""Why rows are rejected, as a run that stops at too many of them says it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

from forecast_sync.errors import ForecastSyncError, ResultInvalid
from forecast_sync.plan.reject_sample import name_reasons
from forecast_sync.plan.result_files import ResultFile

REJECTS = ResultFile("b", "p/kind=reject/part=0/x.gz", 9)


class Results:
    """A bucket with one object."""

    def __init__(self, content: bytes | ForecastSyncError) -> None:
        self._content = content

    def stream(self, _bucket: str, _key: str) -> Iterator[bytes]:
        if isinstance(self._content, ForecastSyncError):
            raise self._content
        yield self._content


def reasons_in(content: bytes | ForecastSyncError, *files: ResultFile) -> str:
    storage: Any = Results(content)
    return name_reasons(storage, lambda: files or [REJECTS])


def lines(*pairs: tuple[str, str]) -> bytes:
    return gzip.compress("".join(f"{file}\t{reason}\t{{}}\n" for file, reason in pairs).encode())


def test_the_most_frequent_reasons_come_first_each_with_a_file() -> None:
    found = [("s3://b/1", "x is NULL"), ("s3://b/2", "y is NULL"), ("s3://b/3", "y is NULL")]
    said = "For example: y is NULL in s3://b/2; x is NULL in s3://b/1."
    assert reasons_in(lines(*found)) == said


def test_of_many_reasons_three_are_named() -> None:
    said = reasons_in(lines(*(("s3://b/1", f"reason {number}") for number in range(5))))
    assert said.count("reason ") == 3
    assert said.endswith(", and other reasons.")


def test_only_a_beginning_is_read_and_only_whole_lines_count() -> None:
    many = lines(*(("s3://b/1", f"reason {number:06}") for number in range(200_000)))
    assert reasons_in(many[:100_000]).startswith("For example: reason 000000 in s3://b/1;")


def test_what_cannot_be_read_hides_nothing_else() -> None:
    assert reasons_in(b"no gzip") == ""
    assert reasons_in(ResultInvalid("gone")) == ""
    assert reasons_in(lines(), ResultFile("b", "p/kind=row/x.gz", 9)) == ""
