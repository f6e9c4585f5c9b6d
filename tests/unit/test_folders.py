"""What folders' names say, and whether a file that has the column too agrees."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from forecast_sync.survey.folders import (
    NULL,
    find_disagreements,
    partition_values,
    read_folders,
)
from forecast_sync.survey.parquet_footer import read_footer
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("string", "eu", "eu"),
        ("string", "a%2Fb%25+c", "a/b%+c"),
        ("string", "%C3%BC", "\u00fc"),
        ("string", "a=b", "a=b"),
        ("string", "", None),
        ("string", NULL, None),
        ("int", "07", 7),
        ("tinyint", "-3", -3),
        ("bigint", str(2**63 - 1), 2**63 - 1),
        ("bigint", NULL, None),
        ("date", "2026-02-28", date(2026, 2, 28)),
        ("date", "", None),
        ("boolean", "True", True),
        ("boolean", "false", False),
    ],
)
def test_a_value_is_of_the_column_s_type(kind: str, text: str, value: object) -> None:
    found = read_folders(f"lake/region=no/X={text}/part.parquet", "lake/", {"x": kind})
    assert found["x"].value == value
    assert type(found["x"].value) is type(value)


@pytest.mark.parametrize(
    ("kind", "folders"),
    [
        ("int", "x=1.0"),
        ("int", "x=\u0661"),
        ("bigint", f"x={2**63}"),
        ("date", "x=2026-02-30"),
        ("date", "x=20260228"),
        ("boolean", "x=1"),
        ("string", "x=%FF"),
        ("string", "x=%5CN"),
        ("string", "x=a/x=a"),
        ("string", "y=a"),
        ("string", "x"),
    ],
)
def test_a_folder_that_says_no_value_has_a_reason(kind: str, folders: str) -> None:
    with pytest.raises(ValueError, match=r"^(has|lacks) "):
        read_folders(f"lake/{folders}/part.parquet", "lake/", {"x": kind})


def test_folders_above_the_lake_and_the_file_s_own_name_say_nothing() -> None:
    with pytest.raises(ValueError, match=r"lacks the folder x= \(string\)"):
        read_folders("x=a/lake/x=b.parquet", "x=a/lake/", {"x": "string"})


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1))
def test_any_text_comes_back_as_it_was_escaped(text: str) -> None:
    from urllib.parse import quote

    if text in (NULL, "\\N"):
        return
    for escaped in (quote(text, safe=""), quote(text, safe=" +=")):
        key = f"x={escaped}/part.parquet"
        assert partition_values(key, "", {"x": "string"}) == (text,)


def disagreement(kind: str, folder: str, array: Any, **options: Any) -> list[str]:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"x": array}), buffer, **options)
    footer = read_footer(buffer.getvalue(), ["x"])
    values = read_folders(f"x={folder}/part.parquet", "", {"x": kind})
    return find_disagreements(footer, values)


@pytest.mark.parametrize(
    ("kind", "folder", "array"),
    [
        ("string", "eu", pa.array(["eu", "eu"])),
        ("string", "7", pa.array([7, 7])),
        ("int", "07", pa.array([7], pa.int8())),
        ("int", "7", pa.array(["7"])),
        ("date", "2026-01-31", pa.array([date(2026, 1, 31)] * 3)),
        ("date", "2026-01-31", pa.array(["2026-01-31"])),
        ("boolean", "true", pa.array([True])),
        ("string", NULL, pa.array([None, None], pa.string())),
        ("int", NULL, pa.array([None], pa.null())),
    ],
    ids=str,
)
def test_a_file_with_its_folder_s_value_agrees(kind: str, folder: str, array: Any) -> None:
    assert disagreement(kind, folder, array) == []
    assert disagreement(kind, folder, array, row_group_size=1) == []


@pytest.mark.parametrize(
    ("kind", "folder", "array", "words"),
    [
        (
            "string",
            "eu",
            pa.array(["eu", "us"]),
            "but is in the folder x=eu: move it to its value's folder",
        ),
        ("string", "eu", pa.array(["eu", None]), "with the value NULL"),
        ("string", NULL, pa.array(["eu", None]), "with the value eu"),
        ("string", "", pa.array([""]), f"with the value , but is in the folder x={NULL}"),
        ("int", "7", pa.array([8]), "with the value 8"),
        ("int", "7", pa.array(["07"]), "with the value 07"),
        ("date", "2026-01-31", pa.array([date(2026, 2, 1)]), "with the value 2026-02-01"),
        ("boolean", "true", pa.array([False]), "with the value false"),
        ("string", "1.5", pa.array([1.5]), "with the value "),
    ],
    ids=str,
)
def test_a_file_with_another_value_disagrees(
    kind: str, folder: str, array: Any, words: str
) -> None:
    for options in ({}, {"row_group_size": 1}):
        (fault,) = disagreement(kind, folder, array, **options)
        assert fault.startswith("has the column x too, ")
        assert words in fault


def test_without_statistics_nobody_knows() -> None:
    (fault,) = disagreement("string", "eu", pa.array(["eu"]), write_statistics=False)
    assert "its statistics don't say" in fault
