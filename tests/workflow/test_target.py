"""The target is held against the table file before a run writes anything."""

from __future__ import annotations

from tests.lake import make_row, make_rows, reference
from tests.workflow.deployed import Deployed

CREATE = """
CREATE TABLE forecast_data (
    id serial PRIMARY KEY, restaurant_id int NOT NULL, inventory_item_id int NOT NULL,
    business_date date NOT NULL, dma_id varchar(50), dc_id int, state varchar(2) NOT NULL,
    y_05 numeric(10,1), y_50 numeric(10,2) NOT NULL, y_95 numeric(10,2), load_id bigint NOT NULL,
    created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now()
)
"""
REPAIRS = (
    "ALTER TABLE forecast_data ALTER y_05 TYPE numeric(10,2)",
    "ALTER TABLE forecast_data DROP load_id",
    "ALTER TABLE forecast_data ADD UNIQUE (restaurant_id, inventory_item_id, business_date)",
)


def test_a_target_that_would_change_rows_gets_none_until_it_is_repaired(deployed: Deployed) -> None:
    deployed.execute(CREATE)
    deployed.upload("a", make_rows(range(20)))
    ended = deployed.run()
    for difference in (
        "y_05 is numeric(10,1), expected numeric(10,2)",
        "load_id is bigint NOT NULL, expected a default, or no NOT NULL",
        (
            "key (restaurant_id, inventory_item_id, business_date) is unique on (id), expected a"
            " unique constraint or primary key on exactly these columns"
        ),
    ):
        assert difference in ended.cause
    assert (ended.status, ended.error) == ("FAILED", "SchemaMismatch")
    assert ended.entered[-1] == "Read watermark"
    assert deployed.query("SELECT count(*) FROM pg_class WHERE relname ~ '^forecast_sync'") == [
        (0,)
    ]
    for repair in REPAIRS:
        deployed.execute(repair)
    assert deployed.redrive(ended).status == "SUCCEEDED"
    assert deployed.table() == reference(deployed.files)


def test_a_redriven_page_loads_nothing_into_a_target_that_lost_its_key(deployed: Deployed) -> None:
    deployed.upload("a", make_rows(range(20)))
    deployed.succeed()
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    deployed.upload("b", [make_row(30), make_row(31, y_50=6000.0)])
    ended = deployed.run()
    assert ended.status == "FAILED"
    [(key,)] = deployed.query(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'forecast_data'::regclass"
        " AND contype = 'u'"
    )
    deployed.execute(f"ALTER TABLE forecast_data DROP CONSTRAINT small, DROP CONSTRAINT {key}")
    stands = deployed.table()
    again = deployed.redrive(ended)
    assert (again.status, again.error) == ("FAILED", "SchemaMismatch")
    assert deployed.table() == stands
    deployed.execute(REPAIRS[-1])
    assert deployed.redrive(again).status == "SUCCEEDED"
    assert deployed.table() == reference(deployed.files)
