"""Claims about table files: what is valid, and how mistakes are reported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Literal

import pytest
import sqlglot
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Window
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync.extract.athena_sql import build_extract, build_profile
from forecast_sync.tables import known_tables, load_table, parse_table, read_table
from forecast_sync.tables.expressions import Expression, find_fault
from forecast_sync.tables.files import find_folders, read_table_file
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.table_lint import find_sql_mistakes, read_checked
from hypothesis import example, given
from hypothesis import strategies as st

from tests.builders import FORECAST_FILE, STARTED_AT, make_run

PRICE = read_table_file("price")
SETTINGS = Settings(environment="dev", athena_db_name="d")


@pytest.mark.parametrize("name", known_tables())
def test_every_table_file_is_sound_and_its_queries_parse(name: str) -> None:
    table = load_table(name)
    assert list(find_sql_mistakes(table)) == []
    run, window = make_run(), Window(low=STARTED_AT, high=STARTED_AT)
    sqlglot.parse_one(build_profile(table, SETTINGS, run, window), read="athena")
    extract = build_extract(table, SETTINGS, run, window, "s3://r/x/", 4)
    sqlglot.parse_one(extract[extract.index("(") + 1 : extract.rindex(")\nTO")], read="athena")


def faults() -> Iterator[tuple[str, str, str]]:
    yield (
        'name = "net"',
        'nome = "net"',
        "column.3.nome: no such key: expected one of name, type, required, source. Did you mean",
    )
    yield (
        'type = "numeric(8,2)"',
        'type = "decimal(8,2)"',
        "column.3.type: decimal(8,2) isn't a target type. Did you mean numeric(8,2)?",
    )
    yield (
        'type = "integer"',
        'type = "integr"',
        "column.0.type: integr isn't a target type. Did you mean integer?",
    )
    yield (
        'date = "valid_on"',
        'date = "valid_no"',
        "source.date: valid_no isn't a date column of the key. Did you mean valid_on?",
    )
    yield (
        "required = true",
        'required = "maybe"',
        'column.0.required: found "maybe", expected true or false',
    )
    yield (
        "required = true",
        'required = "yes"',
        'column.0.required: found "yes", expected true or false',
    )
    yield 'watch = "net"', "watch = 5", "report.watch: found 5, expected text in quotes"
    yield (
        'by = ["valid_on", "promotion"]',
        'by = "valid_on"',
        'report.by: found "valid_on", expected a list, like ["valid_on"]',
    )
    yield (
        'date = "valid_on"\n',
        'date = "valid_on"\nprefix = "/prices"\n',
        "source.prefix: '/prices' isn't a folder of a bucket",
    )
    yield (
        'type = "text"',
        'type = "varchar"',
        "column.1.type: varchar isn't a target type. Did you mean",
    )
    yield 'name = "net"', 'nome = "net"', "column.3.name: name is missing: Its name in Postgres"
    yield 'date = "valid_on"', 'date = "net"', "source.date: net isn't a date column of the key"
    yield 'watch = "net"', 'watch = "item"', "report.watch: item isn't a column of numbers"
    yield 'name = "gross"', 'name = "net"', "column.4.name: net is defined twice"
    yield 'source = "store_no"\n', "\n", "column.0.name: restaurant isn't a column of the source"
    yield (
        'columns = ["valid_on"]',
        'columns = ["day"]',
        "target.index.0.columns: day isn't a column",
    )
    yield (
        'sku = "string"',
        'sku = "text"',
        "source.columns.sku: text isn't a source type. Did you mean string?",
    )
    yield (
        'sku = "string"',
        'sku = {type = "strin", optional = true}',
        "source.columns.sku.type: strin isn't a source type. Did you mean string?",
    )
    yield (
        'sku = "string"',
        'sku = {type = "string", option = true}',
        "source.columns.sku.option: no such key: expected one of type, optional, partition. Did",
    )
    yield (
        'sku = "string"',
        "sku = {optional = true}",
        "source.columns.sku.type: type is missing: Its type, like any other column's.",
    )
    yield 'sku = "string"', "sku = 3", "source.columns.sku: found 3, expected text in quotes"
    yield (
        'sku = "string"',
        'sku = {type = "double", partition = true}',
        "source.columns.sku: a folder's value is no double, expected tinyint, smallint, int",
    )
    yield (
        'sku = "string"',
        'sku = {type = "string", partition = true, optional = true}',
        "source.columns.sku: files don't have a folder's column anyway",
    )
    yield (
        'type = "text"',
        'type = "double precision"',
        "column.1.type: double precision isn't a target type. Did you mean double?",
    )
    yield (
        'reason = "the price is negative"',
        "",
        "reject.0.reason: reason is missing: The reason that is kept",
    )
    for name in ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"):
        renamed, words = f'name = "{name}"', f"{name} is a system column of every Postgres table"
        yield 'name = "promotion"', f"{renamed}", f"column.5.name: {words}"
    for name in ("source_path", "source_modified", "source_newest", "line", "reject_reason"):
        words = f"{name} is a column of the sync's own queries"
        yield 'name = "promotion"', f'name = "{name}"', f"column.5.name: {words}"
    words = "net__exact is a column of the sync's own queries"
    yield 'name = "gross"', 'name = "net__exact"', f"column.4.name: {words}"
    words = "'Net' has capital letters"
    yield 'name = "gross"', 'name = "Net"', f"column.4.name: {words}"
    yield 'kind = "string"', 'Kind = "string"', "source.columns.Kind: 'Kind' has capital"
    long = "n" * 64
    words = f"'{long}' has 64 bytes, and Postgres keeps 63"
    yield 'name = "gross"', f'name = "{long}"', f"column.4.name: {words}"
    yield 'table = "menu_price"', f'table = "{long}"', f"target.table: {words}"
    words = f"'{'ü' * 40}' has 80 bytes"
    yield 'name = "gross"', f'name = "{"ü" * 40}"', f"column.4.name: {words}"
    yield 'name = "gross"', 'name = "a b"', "column.4.name: 'a b' has other characters"
    key = 'key = ["restaurant", "item", "valid_on"]'
    yield key, key.replace('"item"', '"restaurant"'), "target.key: restaurant is defined twice"
    for name in ("id", "created_at", "ctid"):
        words = f"target.written_at: {name} is filled by Postgres itself"
        yield 'written_at = "synced_at"', f'written_at = "{name}"', words
    for name in ("forecast_sync_status", "pg_class"):
        words = f"target.table: {name} begins like the sync's own tables or Postgres' own"
        yield 'table = "menu_price"', f'table = "{name}"', words
    for name in ("idx_menu_price_valid_on", "menu_price", "menu_price_pkey", "menu_price_id_seq"):
        words = f"target.index.1.name: {name} is the name of another part of this table"
        yield 'name = "idx_menu_price_promotion"', f'name = "{name}"', words


@pytest.mark.parametrize(("sound", "broken", "words"), list(faults()))
def test_a_mistake_is_reported_with_file_line_and_key(sound: str, broken: str, words: str) -> None:
    text = PRICE.replace(sound, broken, 1)
    with pytest.raises(ConfigurationInvalid) as raised:
        parse_table(text, "tables/price.toml")
    message = str(raised.value)
    assert words in message
    (found,) = [part for part in message.split("; ") if words in part]
    number = int(found.removeprefix("tables/price.toml, line ").partition(",")[0])
    key = words.partition(":")[0].rpartition(".")[2]
    line = text.splitlines()[number - 1]
    # A key of a table in one line is somewhere in it, or missing.
    assert line.startswith((f"{key} =", "[[")) or "{" in line, line


def test_invalid_toml_and_a_missing_file_are_reported() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"x\.toml isn't TOML: Invalid value"):
        parse_table("[target]\nkey = ", "x.toml")
    with pytest.raises(ConfigurationInvalid, match="the tables are forecast, price"):
        load_table("nothing")


@pytest.mark.parametrize(
    ("sound", "broken", "words"),
    [
        ('filter = "kind <> ', 'filter = "sort <> ', "source.filter: .* names sort"),
        ('when = "net < 0"', 'when = "net <"', "reject.0.when: .* isn't Athena SQL"),
        ('source = "store_no"', 'source = "shop_no"', "column.0.source: .* names shop_no"),
    ],
)
def test_invalid_sql_is_reported_before_a_deployment(
    tmp_path: Path, sound: str, broken: str, words: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PRICE.replace(sound, broken, 1))
    with pytest.raises(UserError, match=rf"mine\.toml, line \d+, {words}"):
        read_checked(str(path))


ESCAPES = {
    "a second statement": "true; DROP TABLE forecast_data",
    "a line comment": "promotion -- and nothing after it",
    "a block comment": "promotion /* and nothing after it",
    "a parenthesis too many": "promotion) OR (true",
    "a parenthesis too few": "(promotion",
    "brackets that cross": "element_at(ARRAY[1, 2), 1]",
    "an open string": "kind = 'x",
    "an open name": 'kind = "x',
    "a second value": "promotion, net",
    "a subquery": "net = (SELECT max(net) FROM secrets)",
    "a subquery in mixed case": "EXISTS (sElEcT 1)",
    "a list of rows": "net IN (VALUES 1, 2)",
    "a whole table": "net IN (TABLE secrets)",
    "an escape string": r"item = E'\' OR true; --'",
    "a dollar quote": "item = $$x$$",
    "a backquote": "item = `x`",
    "a backslash": r"item = \'x'",
    "a NUL": "promotion\0",
}
PLACES = [
    ("target.index.1.where", 'where = "promotion"'),
    (
        "source.newest",
        PRICE.splitlines()[PRICE[: PRICE.index("\nnewest = ")].count("\n") + 1],
    ),
    ("source.filter", "filter = \"kind <> 'test'\""),
    ("column.0.source", 'source = "store_no"'),
    ("reject.0.when", 'when = "net < 0"'),
    ("expect.0.that", 'that = "net < 1000"'),
    ("source.path", 'date = "valid_on"'),
    ("source.modified", 'date = "valid_on"'),
]


@pytest.mark.parametrize("text", ESCAPES.values(), ids=ESCAPES)
@pytest.mark.parametrize(("key", "line"), PLACES, ids=[key for key, _ in PLACES])
def test_an_expression_is_one_expression_or_the_file_is_refused(
    text: str, key: str, line: str
) -> None:
    assert PRICE.count(line) == 1
    name = key.rpartition(".")[2]
    added = f"{line}\n" if name in ("path", "modified") else ""
    broken = PRICE.replace(line, f"{added}{name} = {json.dumps(text)}")
    with pytest.raises(ConfigurationInvalid, match=rf"{key}: .* isn't one expression: ") as refused:
        parse_table(broken, "mine.toml")
    assert "\0" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("trim(BOTH ' ' FROM sku) || ';--(' || '/*'", "athena"),
        ("CAST(exported_at AS timestamp with time zone)", "athena"),
        ("element_at(ARRAY[1, 2], 1) + extract(year FROM valid_from)", "athena"),
        (r"regexp_like(sku, '^\d+$')", "athena"),
        ("\"$path\" LIKE 's3://a/%' AND \"select\" = 'it''s'", "athena"),
        ("kind IN ('a', 'b') AND price_cents - -1 > 0\n\tOR promo", "athena"),
        ("item ~ '^[a-z]+$' AND net IS DISTINCT FROM 1.5", "postgres"),
    ],
)
def test_what_only_looks_like_an_escape_is_an_expression(
    text: str, dialect: Literal["athena", "postgres"]
) -> None:
    assert find_fault(Expression(("source", "filter"), text, dialect, "source")) is None


@example("b';'")
@given(st.text(alphabet="ab1 '\"()[],;-/*$\\e\n", max_size=20))
def test_nothing_after_an_expression_is_swallowed_or_set_free(text: str) -> None:
    """Whatever passes, the parser that reads the statement sees its own next token after it."""
    expression = Expression(("target", "index", 0, "where"), text, "postgres", "target")
    if find_fault(expression) is not None:
        return
    try:
        tokens = sqlglot.tokenize(f"WHERE ({text}) SENTINEL", read="postgres")
    except sqlglot.errors.TokenError:
        return  # Such as b';': no server takes it either.
    depth = [
        {"(": 1, ")": -1}.get(t.text, 0) if t.token_type.name.endswith("PAREN") else 0
        for t in tokens
    ]
    assert tokens[-1].text == "SENTINEL"
    assert tokens[-2].text == ")"
    open_at = list(accumulate(depth))
    assert open_at[-1] == 0
    assert all(open_at[1:-2]), "the parenthesis around the expression was closed inside of it"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ('where = "promotion >"', "isn't Postgres SQL"),
        ('where = "promoted"', "names promoted, which doesn't exist"),
        ('where = "promotion AS x"', "isn't Postgres SQL: expected a value without an alias"),
        ("where = \"synced_at > '2026-01-01' AND id > 5\"", ""),
    ],
)
def test_an_index_s_condition_is_read_as_postgres_would(
    tmp_path: Path, broken: str, words: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PRICE.replace('where = "promotion"', broken, 1))
    if not words:
        assert read_checked(str(path)).table.target.index[1].where
        return
    with pytest.raises(UserError, match=rf"line \d+, target\.index\.1\.where: .*{words}"):
        read_checked(str(path))


@pytest.mark.parametrize("variable", ["LAYER_PATH", "LAMBDA_TASK_ROOT"])
def test_a_function_reads_table_files_from_its_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """In the local cloud of several folders, and the first one counts; in Lambda of ``/opt``."""
    own, others = tmp_path / "own", tmp_path / "others"
    for folder in (own, others):
        folder.mkdir()
        (folder / "sales.toml").write_text(folder.name)
    (others / "stock.toml").write_text("stock")
    monkeypatch.setenv(variable, f"{own}:{others}")
    if variable == "LAMBDA_TASK_ROOT":
        assert find_folders() == [Path("/opt")]
        return
    assert known_tables() == ["sales", "stock"]
    assert (read_table_file("sales"), read_table_file("stock")) == ("own", "stock")
    with pytest.raises(ConfigurationInvalid, match="the tables are sales, stock"):
        read_table_file("../sales")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('newest = "updated_at"', 'newest = "updated_at"\ndeleted = "is_gone"', "is_gone isn't a"),
        ('newest = "updated_at"', 'newest = "updated_at"\ndeleted = "y_50"', "y_50 is double, exp"),
        (
            'table = "forecast_data"',
            'table = "forecast_data"\nmissing = "drop"',
            "found \"drop\", expected 'keep' or 'delete'",
        ),
        ('table = "forecast_data"', 'table = "forecast_data"\nmax_delete_percent = 101', "100"),
        (
            'table = "forecast_data"',
            'table = "forecast_data"\nmax_delete_percent = "5"',
            'found "5", expected a valid number',
        ),
    ],
)
def test_what_lets_rows_leave_is_checked(old: str, new: str, message: str) -> None:
    faults = read_table(FORECAST_FILE.replace(old, new, 1), "wrong.toml")
    assert isinstance(faults, list)
    (fault,) = faults
    assert message in fault


def test_a_table_file_says_when_rows_leave() -> None:
    text = FORECAST_FILE.replace(
        'newest = "updated_at"', 'newest = "updated_at"\ndeleted = "y_50<0"'
    )
    table = parse_table(
        text.replace('table = "fore', 'missing = "delete"\ntable = "fore'), "t.toml"
    )
    assert table.leaves == (
        "a row leaves forecast_data when its newest row has y_50<0 or no file of the lake has its "
        "key; at most 5% of the table a day, unless you allow more"
    )
    assert load_table().leaves is None
