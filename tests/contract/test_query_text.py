"""The Athena statements parse in Athena's dialect, whatever the window and the names."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import pytest
import sqlglot
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run, Window
from forecast_sync.extract.athena_sql import build_extract, build_profile, quote_literal, quote_name
from forecast_sync.tables import load_table
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import STARTED_AT, make_run

UNLOAD = re.compile(r"UNLOAD \((.*)\)\s*TO 's3://results/x/'\s*WITH \(.*\)", re.DOTALL)
SETTINGS = Settings(environment="dev", athena_db_name="forecast_dev")
WINDOWS = [Window(high=STARTED_AT), Window(low=datetime(2026, 1, 1, tzinfo=UTC), high=STARTED_AT)]
RUNS = [make_run(), make_run(date_from=date(2026, 1, 1), date_to=date(2026, 2, 1))]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("run", RUNS)
def test_both_statements_parse_as_athena(run: Run, window: Window) -> None:
    profile = build_profile(load_table(), SETTINGS, run, window)
    sqlglot.parse_one(profile, read="athena")
    extract = build_extract(load_table(), SETTINGS, run, window, "s3://results/x/", 61)
    unload = UNLOAD.fullmatch(extract.strip())
    assert unload is not None
    sqlglot.parse_one(unload[1], read="athena")


def test_dates_bound_what_both_queries_look_at() -> None:
    text = build_profile(load_table(), SETTINGS, RUNS[1], WINDOWS[0])
    assert "\"business_date\" >= DATE '2026-01-01'" in text
    assert "\"business_date\" <= DATE '2026-02-01'" in text


@given(st.text())
def test_any_text_is_one_literal_and_any_name_one_identifier(text: str) -> None:
    literal, name = quote_literal(text), quote_name(text)
    assert literal[1:-1].replace("''", "") == text.replace("'", "")
    assert name[1:-1].replace('""', "") == text.replace('"', "")
