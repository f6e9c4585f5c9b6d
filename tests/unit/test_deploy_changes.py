"""What deploying another table file would change, before it is deployed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from forecast_sync.tables import definition_of, parse_table
from forecast_sync.tables.files import read_table_file
from forecast_sync_cli.client.deploy_changes import FULL_RUN, NO_RUN, find_changes
from forecast_sync_cli.client.deployment import Deployment, FunctionFailed
from forecast_sync_cli.table_lint import TableFile

PRICE = read_table_file("price")
NOTE = '\n[[column]]\nname = "note"\ntype = "text"\nsource = "kind"\n'


def described(**changes: Any) -> dict[str, Any]:
    """The target as the database has it, of the deployed file."""
    types = {
        "restaurant": "integer",
        "item": "text",
        "valid_on": "date",
        "net": "numeric(8,2)",
        "gross": "numeric(8,2)",
        "promotion": "boolean",
        "exported_at": "timestamp without time zone",
        "synced_at": "timestamp without time zone",
    }
    required = ("restaurant", "item", "valid_on", "net", "promotion")
    columns = {
        name: {
            "name": name,
            "type": kind,
            "not_null": name in required,
            "has_default": False,
            "generated": False,
            "loose_collation": None,
        }
        for name, kind in types.items()
    }
    target = {
        "server_encoding": "UTF8",
        "client_encoding": "UTF8",
        "is_ours": True,
        "is_unlogged": False,
        "columns": columns,
        "unique": [["restaurant", "item", "valid_on"]],
    }
    return {**target, **changes}


def deployed(answer: dict[str, Any] | Exception) -> Deployment:
    table = parse_table(PRICE, "price")

    def inspect(_: str | None, question: dict[str, Any]) -> dict[str, Any]:
        assert question == {"about": "database"}
        if isinstance(answer, Exception):
            raise answer
        return answer

    in_use = SimpleNamespace(table=table, definition=definition_of(table))
    found = SimpleNamespace(table=table, table_in_use=in_use, inspect=inspect)
    return cast("Deployment", found)


def changes_to(text: str, answer: dict[str, Any] | Exception | None = None) -> Any:
    local = TableFile("price", text, parse_table(text, "price"))
    return find_changes(deployed(answer or {"described": described()}), local, None)


def test_the_same_file_changes_nothing() -> None:
    found = changes_to(PRICE)
    assert (found.changes, found.adds, found.refusals) == ([NO_RUN], [], [])


def test_a_new_column_is_added_by_the_next_run_which_is_full() -> None:
    found = changes_to(PRICE + NOTE)
    assert found.changes == ["note (text) is a new column of menu_price", FULL_RUN]
    assert found.adds == ["note text"]
    assert found.refusals == []


def test_who_isn_t_the_owner_is_told_the_statement() -> None:
    found = changes_to(PRICE + NOTE, {"described": described(is_ours=False)})
    assert found.adds == []
    (refusal,) = found.refusals
    assert refusal["remedy"] == 'ALTER TABLE "menu_price" ADD COLUMN "note" text'


def test_another_type_is_refused_with_the_statement() -> None:
    found = changes_to(PRICE.replace('type = "numeric(8,2)"', 'type = "double"', 1))
    assert found.changes[0] == "net: its type is double, was numeric(8,2)"
    (refusal,) = found.refusals
    assert refusal["remedy"] == (
        'ALTER TABLE "menu_price" ALTER COLUMN "net" TYPE double precision'
        ' USING "net"::double precision'
    )


def test_what_files_must_have_and_what_isn_t_written_any_more() -> None:
    text = PRICE.replace('tax_rate = "double"', 'tax_rate = {type = "double", optional = true}')
    text = text.replace('promo = "boolean"', 'promo = "boolean"\ncolour = "string"')
    text = text.replace('[[column]]\nname = "exported_at"\ntype = "timestamp"\n\n', "")
    found = changes_to(text)
    assert found.changes == [
        "files may have tax_rate as double, which was double",
        "files must have colour (string)",
        "exported_at stays in menu_price as it is, and runs no longer write it",
        FULL_RUN,
    ]


def test_rules_and_indexes() -> None:
    text = PRICE.replace('when = "net < 0"', 'when = "net <= 0"')
    text = text.replace("idx_menu_price_promotion", "idx_menu_price_promo")
    lines = changes_to(text).changes
    assert "the reject rules have changed: 2, were 2" in lines
    assert any("the index idx_menu_price_promo isn't created" in line for line in lines)


@pytest.mark.parametrize(
    "answer",
    [FunctionFailed("inspect", "DatabaseUnavailable", "asleep"), {"differences": []}],
    ids=["no database", "an older version"],
)
def test_without_the_database_the_rest_is_still_said(answer: Any) -> None:
    found = changes_to(PRICE + NOTE, answer)
    assert found.changes[-1] == FULL_RUN
    assert found.unknown
