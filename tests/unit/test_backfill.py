"""Claims about splitting a backfill into windows."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from forecast_sync_cli.backfill import Backfill
from hypothesis import given
from hypothesis import strategies as st

YEAR = Backfill("dev", None, date(2026, 1, 1), date(2026, 12, 31), 31)


@given(first=st.dates(), days=st.integers(0, 800), per_run=st.integers(1, 400))
def test_windows_hold_every_date_once_and_in_order(first: date, days: int, per_run: int) -> None:
    last = min(first, date.max - timedelta(days=days)) + timedelta(days=days)
    backfill = Backfill("dev", None, min(first, last), last, per_run)
    dates = [
        start + timedelta(days=offset)
        for start, end in backfill.windows()
        for offset in range((end - start).days + 1)
    ]
    assert dates == [backfill.date_from + timedelta(days=n) for n in range(len(dates))]
    assert dates[-1] == last
    assert all((end - start).days < per_run for start, end in backfill.windows())


def test_the_same_backfill_finds_its_runs_again_and_another_one_has_others() -> None:
    others = [
        replace(YEAR, git_ref="preview/pr-7"),
        replace(YEAR, days_per_run=7),
        replace(YEAR, date_to=date(2026, 12, 30)),
        replace(YEAR, label="again"),
        replace(YEAR, label="again", git_ref="preview/pr-7"),
    ]
    names = {backfill.run_name(YEAR.date_from, YEAR.date_from) for backfill in [YEAR, *others]}
    assert len(names) == 6
    assert replace(YEAR).run_name(YEAR.date_from, YEAR.date_to) == YEAR.run_name(
        YEAR.date_from, YEAR.date_to
    )
    longest = replace(YEAR, label="x" * 40).run_name(YEAR.date_from, YEAR.date_to)
    assert len(longest) <= 80
