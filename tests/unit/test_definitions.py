"""Claims about a table's definition: what changes it, what doesn't, and who refuses another one."""

from __future__ import annotations

import pytest
from forecast_sync.contracts.redrive import refuse_other_definitions
from forecast_sync.errors import InputsOutdated
from forecast_sync.tables import definition, definition_of, load_table, parse_table

from tests.builders import DEFINITION, FORECAST_FILE, exchanged

RULE = '\n[[reject]]\nwhen = "state = \'XX\'"\nreason = "unknown state"\n'
OTHER_RULE = '\n[[reject]]\nwhen = "dc_id = 0"\nreason = "no center"\n'


def define(*replacements: tuple[str, str], more: str = "") -> str:
    """The definition of the forecast's file after these replacements."""
    text = FORECAST_FILE
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return definition_of(parse_table(text + more, "changed.toml"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('table = "forecast_data"', 'table = "forecast_copy"'),
        ('written_at = "updated_at"', 'written_at = "synced_at"'),
        ('newest = "updated_at"', 'newest = "coalesce(updated_at, updated_at)"'),
        ('date = "business_date"', 'date = "business_date"\nfilter = "dc_id > 0"'),
        ('y_95 = "double"', 'y_95 = "decimal(10,2)"'),
        ('name = "y_05"', 'name = "y_05"\nsource = "y_05 / 2"'),
        ('name = "y_05"\ntype = "numeric(10,2)"', 'name = "y_05"\ntype = "numeric(10,3)"'),
        ('name = "dma_id"\ntype = "varchar(50)"', 'name = "dma_id"\ntype = "text"'),
        ('name = "dma_id"\n', 'name = "dma_id"\nrequired = true\n'),
        ("path = '\"$path\"'", "path = 'lower(\"$path\")'"),
        ('dma_id = "string"', 'dma_id = {type = "string", optional = true}'),
        ('dma_id = "string"', 'dma_id = {type = "string", partition = true}'),
    ],
)
def test_whatever_decides_values_changes_the_definition(old: str, new: str) -> None:
    assert define((old, new)) != DEFINITION


def test_another_key_is_another_definition() -> None:
    required = ('name = "dc_id"\n', 'name = "dc_id"\nrequired = true\n')
    wider = ('key = ["restaurant_id", ', 'key = ["dc_id", "restaurant_id", ')
    assert define(required, wider) != define(required)


def test_columns_that_exchange_their_sources_or_their_order_are_another_definition() -> None:
    assert definition_of(exchanged()) != DEFINITION
    assert definition_of(exchanged("dc_id", "restaurant_id")) != DEFINITION
    y_05, y_95 = (
        f'[[column]]\nname = "{name}"\ntype = "numeric(10,2)"\n' for name in ("y_05", "y_95")
    )
    assert define((y_05, "@"), (y_95, y_05), ("@", y_95)) != DEFINITION


def test_an_index_that_limits_texts_decides_what_is_a_reject() -> None:
    """Without it a row that was rejected is good, so the lake has to be read again."""
    text = ('name = "dma_id"\ntype = "varchar(50)"', 'name = "dma_id"\ntype = "text"')
    index = '\n[[target.index]]\nname = "idx_forecast_dma"\ncolumns = ["dma_id"]\n'
    where = 'where = "dma_id IS NOT NULL"\n'
    without = define(text, (index + where, ""))
    assert define(text) != without
    assert define(text) == define(text, (where, "")), "a condition limits no text"
    assert define(text) == define(text, (index, index.replace("idx_forecast_dma", "another")))
    wider = index.replace('["dma_id"]', '["dma_id", "state"]')
    assert define(text, (index, wider)) not in (without, define(text))


def test_a_reject_rule_changes_it_and_its_wording_and_place_do_not() -> None:
    ruled = define(more=RULE + OTHER_RULE)
    assert ruled != DEFINITION
    assert ruled == define(more=OTHER_RULE + RULE.replace("unknown state", "no such state"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\npath = '\"$path\"'", ""),
        ('[[target.index]]\nname = "idx_forecast_state"\ncolumns = ["state"]\n', ""),
        ('that = "y_05 <= y_50 AND y_50 <= y_95"', 'that = "y_50 > 0"'),
        ('by = ["business_date", "state"]\nwatch = "y_50"', "by = []"),
        ('"restaurant_id", "inventory_item_id"', '"inventory_item_id", "restaurant_id"'),
        ('restaurant_id = "int"', 'restaurant_id = "bigint"'),
        ('dma_id = "string"', 'dma_id = {type = "string"}'),
        ('dc_id = "int"', 'dc_id = "smallint"'),
        ("required = true", "required = true # by the planners"),
        ('type = "varchar(50)"', 'type = "varchar(50)"\nrequired = false'),
    ],
    ids=[
        "default",
        "index",
        "expectation",
        "report",
        "key",
        "read wide",
        "as a table",
        "wide too",
        "comment",
        "explicit",
    ],
)
def test_what_decides_no_value_leaves_the_definition_as_it_is(old: str, new: str) -> None:
    assert define((old, new)) == DEFINITION


def test_definitions_outlive_releases() -> None:
    """Pinned: another value here means a full run of every database that this release meets.

    If lines, keys or rejects really are others now, raise LINE_FORMAT and say so in the changelog.
    """
    assert definition.LINE_FORMAT == 1
    pinned = {"forecast": definition_of(load_table()), "price": definition_of(load_table("price"))}
    assert pinned == {
        "forecast": "d14f3f3e725c8fd0",  # pragma: allowlist secret
        "price": "8f196a3324104c55",  # pragma: allowlist secret
    }


def test_the_line_format_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definition, "LINE_FORMAT", 2)
    assert definition_of(load_table()) != DEFINITION


@pytest.mark.parametrize("made_of", [("other",), ("present", "other"), (None,)])
def test_inputs_of_another_definition_are_outdated(made_of: tuple[str | None, ...]) -> None:
    refuse_other_definitions("present", "present", "present")
    with pytest.raises(InputsOutdated, match=r"another table file \(definition (other|unknown)\)"):
        refuse_other_definitions("present", *made_of)
