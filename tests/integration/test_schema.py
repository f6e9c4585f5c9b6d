"""The tables that the first run creates, in a real Postgres."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from forecast_sync.adapters.postgres import Connection, connect
from forecast_sync.errors import ConfigurationInvalid, SchemaMismatch
from forecast_sync.tables import load_table
from forecast_sync.target.differences import find_differences
from forecast_sync.target.schema import ensure_schema

FORECAST_DATA = """
CREATE TABLE forecast_data (
    id SERIAL PRIMARY KEY,
    restaurant_id INTEGER NOT NULL,
    inventory_item_id INTEGER NOT NULL,
    business_date DATE NOT NULL,
    dma_id VARCHAR(50),
    dc_id INTEGER,
    state VARCHAR(2) NOT NULL,
    y_05 DECIMAL(10, 2),
    y_50 DECIMAL(10, 2) NOT NULL,
    y_95 DECIMAL(10, 2),
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
    UNIQUE (restaurant_id, inventory_item_id, business_date)
);
CREATE INDEX idx_forecast_business_date ON forecast_data (business_date);
CREATE INDEX idx_forecast_state ON forecast_data (state);
CREATE INDEX idx_forecast_state_date ON forecast_data (state, business_date);
CREATE INDEX idx_forecast_dma ON forecast_data (dma_id) WHERE dma_id IS NOT NULL;
CREATE INDEX idx_forecast_dc ON forecast_data (dc_id) WHERE dc_id IS NOT NULL;
CREATE INDEX idx_forecast_composite ON forecast_data (restaurant_id, business_date, state);
"""
"""What downstream applications read."""

COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = 'forecast_data'::regclass AND attnum > 0 ORDER BY attnum
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'forecast_data' ORDER BY 1"


DEPLOY_GUIDE = Path(__file__).parents[2] / "docs/deploy.md"


def described(connection: psycopg.Connection[Any]) -> list[Any]:
    return [connection.execute(query).fetchall() for query in (COLUMNS, INDEXES)]


def test_the_table_file_makes_forecast_data_exactly(connection: Connection) -> None:
    made = described(connection)
    connection.execute("DROP TABLE forecast_data")
    connection.execute(FORECAST_DATA.encode())
    assert described(connection) == made
    ensure_schema(connection, load_table())
    assert described(connection) == made


def test_another_table_needs_its_file_only(database_url: str) -> None:
    with connect(database_url) as opened:
        ensure_schema(opened, load_table("price"))
        ensure_schema(opened, load_table("price"))
        assert find_differences(opened, load_table("price")) == []
        cursor = opened.execute("SELECT to_regclass('forecast_data'), to_regclass('menu_price')")
        assert cursor.fetchone() == (None, "menu_price")


ESCAPES = (
    "promotion; DROP TABLE victim",
    "promotion); DROP TABLE victim; SELECT (1",
    "promotion) ; DROP TABLE victim --",
    "(SELECT true FROM victim)",
    "pg_terminate_backend(pg_backend_pid())",
)


@pytest.mark.parametrize("where", ESCAPES)
def test_an_index_s_condition_is_all_that_the_server_takes(database_url: str, where: str) -> None:
    """Even of a table that nobody has checked."""
    table = load_table("price")
    index = table.target.index[1].model_copy(update={"where": where})
    target = table.target.model_copy(update={"index": (index,)})
    unchecked = table.model_copy(update={"target": target})
    with connect(database_url) as opened:
        opened.execute("CREATE TABLE victim (id int)")
        with pytest.raises((ConfigurationInvalid, SchemaMismatch)):
            ensure_schema(opened, unchecked)
    with connect(database_url) as opened:
        cursor = opened.execute("SELECT to_regclass('victim'), to_regclass('menu_price')")
        assert cursor.fetchone() == ("victim", None)


def test_the_statement_under_uninstall_drops_all_that_the_first_run_creates(
    connection: Connection,
) -> None:
    [statement] = re.findall(r"`(DROP TABLE [^`]+)`", DEPLOY_GUIDE.read_text())
    connection.execute(statement)
    relations = "SELECT relname FROM pg_class WHERE relname LIKE 'forecast\\_sync%'"
    assert connection.execute(relations).fetchall() == []
