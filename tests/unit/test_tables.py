"""Claims about table files: what is sound, and how a fault is told."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
import sqlglot
from forecast_sync import tables
from forecast_sync.contracts import Window
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.query_text import build_extract, build_profile
from forecast_sync.settings import Settings
from forecast_sync.tables import known_tables, load_table, parse_table
from forecast_sync_ops.problems import UserError
from forecast_sync_ops.table_checks import find_sql_faults, read_checked

from tests.builders import STARTED_AT, make_run

PRICE = resources.files(tables).joinpath("price.toml").read_text("utf-8")
SETTINGS = Settings(environment="dev", athena_db_name="d")


@pytest.mark.parametrize("name", known_tables())
def test_every_table_file_is_sound_and_its_queries_parse(name: str) -> None:
    table = load_table(name)
    assert list(find_sql_faults(table)) == []
    run, window = make_run(), Window(low=STARTED_AT, high=STARTED_AT)
    sqlglot.parse_one(build_profile(table, SETTINGS, run, window), read="athena")
    extract = build_extract(table, SETTINGS, run, window, "s3://r/x/", 4)
    sqlglot.parse_one(extract[extract.index("(") + 1 : extract.rindex(")\nTO")], read="athena")


def faults() -> Iterator[tuple[str, str, str]]:
    yield 'type = "text"', 'type = "varchar"', "column.1.type: String should match"
    yield 'name = "net"', 'nome = "net"', "column.3.name: Field required"
    yield 'date = "valid_on"', 'date = "net"', "source.date: net is no date column of the key"
    yield 'watch = "net"', 'watch = "item"', "report.watch: item is no column of numbers"
    yield 'name = "gross"', 'name = "net"', "column.4.name: net is there twice"
    yield 'source = "store_no"\n', "\n", "column.0.name: restaurant is no column of the source"
    yield 'columns = ["valid_on"]', 'columns = ["day"]', "target.index.0.columns: day is no column"
    yield 'sku = "string"', 'sku = "text"', "source.columns.sku: Input should be"
    yield 'reason = "the price is negative"', "", "reject.0.reason: Field required"


@pytest.mark.parametrize(("sound", "broken", "words"), list(faults()))
def test_a_fault_is_told_with_file_line_and_key(sound: str, broken: str, words: str) -> None:
    text = PRICE.replace(sound, broken, 1)
    with pytest.raises(ConfigurationInvalid) as raised:
        parse_table(text, "tables/price.toml")
    message = str(raised.value)
    assert words in message
    (found,) = [part for part in message.split("; ") if words in part]
    number = int(found.removeprefix("tables/price.toml, line ").partition(",")[0])
    key = words.partition(":")[0].rpartition(".")[2]
    line = text.splitlines()[number - 1]
    assert line.startswith((f"{key} =", "[[")), line


def test_what_isn_t_toml_and_what_isn_t_there_is_told() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"x\.toml isn't TOML: Invalid value"):
        parse_table("[target]\nkey = ", "x.toml")
    with pytest.raises(ConfigurationInvalid, match="known are forecast, price"):
        load_table("nothing")


@pytest.mark.parametrize(
    ("sound", "broken", "words"),
    [
        ('filter = "kind <> ', 'filter = "sort <> ', "source.filter: .* names sort"),
        ('when = "net < 0"', 'when = "net <"', "reject.0.when: .* isn't Athena SQL"),
        ('source = "store_no"', 'source = "shop_no"', "column.0.source: .* names shop_no"),
    ],
)
def test_sql_that_can_t_work_is_told_before_a_deployment(
    tmp_path: Path, sound: str, broken: str, words: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PRICE.replace(sound, broken, 1))
    with pytest.raises(UserError, match=rf"mine\.toml, line \d+, {words}"):
        read_checked(str(path))
