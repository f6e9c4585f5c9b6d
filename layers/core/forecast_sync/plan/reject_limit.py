"""The limit on rejected rows: above it a run stops before it loads anything."""

from __future__ import annotations

from collections.abc import Callable

from forecast_sync.config import Settings
from forecast_sync.contracts.counts import Profile
from forecast_sync.errors import TooManyRejects


def refuse_too_many_rejects(
    profile: Profile, settings: Settings, name_reasons: Callable[[], str]
) -> None:
    """Raise ``TooManyRejects`` above the limit, or when every row of the window is rejected.

    Above the limit are ``reject_rows`` rows or more that are also more than ``reject_percent`` of
    the window's. ``name_reasons()`` is a sentence for the message: why rows are rejected.
    """
    valid = profile.window_rows - profile.rejected
    percent = 100 * profile.rejected / max(1, profile.window_rows)
    over_limit = profile.rejected >= settings.reject_rows and percent > settings.reject_percent
    none_valid = profile.rejected > 0 and valid <= 0
    if over_limit or none_valid:
        reasons = name_reasons()
        raise TooManyRejects(
            f"{profile.rejected} of {profile.window_rows} rows are rejected ({percent:.1f}%); at "
            f"most {settings.reject_percent:g}% or {settings.reject_rows - 1} rows are tolerated, "
            "and one row must be good. Nothing was loaded. "
            f"{f'{reasons} ' if reasons else ''}Repair the files and redrive."
        )
