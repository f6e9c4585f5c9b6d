"""Which table a stack syncs, how the local file differs, and what Glue is told about it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import pytest
from forecast_sync.tables import definition_of, parse_table
from forecast_sync.tables.files import read_table_file
from forecast_sync_cli.client.deployed_table import describe_table, find_table
from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.glue_tables import declare_table, glue_input

PRICE = read_table_file("price")
LOCATION = "s3://lake/price/"


def answering(name: str, text: str) -> Any:
    """A stack's API, which syncs this table file."""
    table = parse_table(text, name)
    document = {
        "name": name,
        "target": table.target.table,
        "definition": definition_of(table),
        "location": LOCATION,
        "file": text,
        "of a later version": 1,
    }

    def ask(path: str, query: Mapping[str, str]) -> dict[str, Any]:
        assert (path, query) == ("/table", {})
        return document

    return ask


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PRICE, None),
        (
            PRICE.replace("a menu item costs less", "each costs less"),
            "nothing that decides a value",
        ),
        (PRICE.replace("/ 100", "/ 10", 1), "the next run is a full one"),
    ],
    ids=["the same", "other words", "other values"],
)
def test_a_local_file_that_differs_is_named_in_one_line(text: str, words: str | None) -> None:
    found = find_table("price", answering("price", text))
    assert found.definition == definition_of(parse_table(text, "price"))
    assert found.label.startswith("price (menu_price), definition ")
    if words is None:
        assert found.difference is None
        return
    assert found.difference is not None
    assert found.difference.startswith("tables/price.toml in this checkout differs from the depl")
    assert words in found.difference


def test_the_deployed_table_is_used_though_this_checkout_lacks_it() -> None:
    found = find_table("sales", answering("sales", PRICE))
    assert (found.name, found.table.target.table, found.difference) == ("sales", "menu_price", None)


def test_a_stack_of_an_earlier_version_has_the_table_of_this_checkout_or_none() -> None:
    assert find_table("price", lambda *_: None).table == parse_table(PRICE, "price")
    with pytest.raises(UserError, match=r"the stack syncs tables/sales\.toml, which isn't in this"):
        find_table("sales", lambda *_: None)
    assert describe_table("sales", lambda *_: None) is None


class Glue:
    """Glue with one database."""

    class exceptions:  # noqa: N801  # as a client has them
        """Its errors."""

        class AlreadyExistsException(Exception):
            """There is a table of this name."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, Any]] = {}

    def create_table(self, DatabaseName: str, TableInput: dict[str, Any]) -> None:  # noqa: N803
        assert DatabaseName == "d"
        if TableInput["Name"] in self.tables:
            raise self.exceptions.AlreadyExistsException
        self.tables[TableInput["Name"]] = deepcopy(TableInput)

    def update_table(self, DatabaseName: str, TableInput: dict[str, Any]) -> None:  # noqa: N803
        assert (DatabaseName, TableInput["Name"]) in {("d", name) for name in self.tables}
        self.tables[TableInput["Name"]] = deepcopy(TableInput)

    def get_table(self, DatabaseName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        assert DatabaseName == "d"
        return {"Table": deepcopy(self.tables[Name])}


@pytest.fixture
def glue() -> Glue:
    return Glue()


def deployed(glue: Glue, text: str = PRICE) -> Deployment:
    settings = SimpleNamespace(
        athena_db_name="d",
        forecast_table_name="price",
        table_file="price",
        data_location=LOCATION,
    )
    table = parse_table(text, "price")
    found = SimpleNamespace(settings=settings, table=table, client=lambda _: glue)
    return cast("Deployment", found)


def columns(glue: Glue) -> dict[str, str]:
    storage = glue.get_table(DatabaseName="d", Name="price")["Table"]["StorageDescriptor"]
    return {item["Name"]: item["Type"] for item in storage["Columns"]}


def test_glue_declares_what_the_file_says_and_follows_it(glue: Glue) -> None:
    assert declare_table(deployed(glue)) == "created"
    assert declare_table(deployed(glue)) == "unchanged"
    other = PRICE.replace('promo = "boolean"', 'promo = "boolean"\ncolour = "string"')
    assert declare_table(deployed(glue, other)) == "updated"
    assert columns(glue)["colour"] == "string"
    assert declare_table(deployed(glue)) == "updated"
    assert "colour" not in columns(glue)


def test_folders_columns_are_partition_keys_that_nobody_has_to_register(glue: Glue) -> None:
    text = PRICE.replace('kind = "string"', 'kind = {type = "string", partition = true}')
    assert declare_table(deployed(glue, text)) == "created"
    keys = glue.tables["price"]["PartitionKeys"]
    assert keys == [{"Name": "kind", "Type": "string"}]
    assert "kind" not in columns(glue)
    assert declare_table(deployed(glue, text)) == "unchanged"


def test_a_column_that_a_crawler_took_for_a_partition_is_compared_too(glue: Glue) -> None:
    storage = cast("dict[str, Any]", foreign()["StorageDescriptor"])
    stored = [item for item in storage["Columns"] if item["Name"] != "kind"]
    table = foreign(Columns=stored)
    table["PartitionKeys"] = [{"Name": "kind", "Type": "string"}]
    glue.create_table(DatabaseName="d", TableInput=table)
    text = PRICE.replace('kind = "string"', 'kind = {type = "string", partition = true}')
    assert declare_table(deployed(glue, text)) == "used as it is"
    table["PartitionKeys"] = [{"Name": "kind", "Type": "int"}]
    glue.update_table(DatabaseName="d", TableInput=table)
    with pytest.raises(UserError, match="kind is int, expected string"):
        declare_table(deployed(glue, text))


def foreign(**changes: Any) -> dict[str, Any]:
    """The table as a crawler describes it: with a partition, more columns and its own notes."""
    table = glue_input(parse_table(PRICE, "price"), "price", LOCATION)
    storage = cast("dict[str, Any]", table["StorageDescriptor"])
    storage["Columns"].append({"Name": "more", "Type": "string"})
    return {
        **table,
        "Parameters": {"CrawlerSchemaSerializerVersion": "1.0", "classification": "parquet"},
        "PartitionKeys": [{"Name": "region", "Type": "string"}],
        "StorageDescriptor": {**storage, **changes},
    }


def test_a_table_of_something_else_is_used_as_it_is(glue: Glue) -> None:
    glue.create_table(DatabaseName="d", TableInput=foreign())
    assert declare_table(deployed(glue)) == "used as it is"
    assert columns(glue)["more"] == "string"


def test_a_table_of_something_else_that_doesn_t_fit_is_left_alone_with_the_reason(
    glue: Glue,
) -> None:
    wrong = [{"Name": "sku", "Type": "int"}]
    glue.create_table(
        DatabaseName="d", TableInput=foreign(Columns=wrong, Location="s3://lake/other/")
    )
    with pytest.raises(
        UserError, match=r"d\.price exists in Glue, was made by something else"
    ) as e:
        declare_table(deployed(glue))
    assert "sku is int, expected string" in str(e.value)
    assert "it is located at s3://lake/other/, expected s3://lake/price/" in str(e.value)
    assert columns(glue) == {"sku": "int"}
