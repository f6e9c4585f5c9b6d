"""The tables that this deployment syncs and the settings of each, read once per process."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from forecast_sync.config import Settings

if TYPE_CHECKING:
    from forecast_sync.contracts.run import Run
    from forecast_sync.tables import Table


@cache
def settings() -> Settings:
    """The function's settings, which every table shares."""
    return Settings.from_environment()


def table_named(name: str | None = None) -> Table:
    """A deployed table, or the only one; raises ``InvalidInput`` as ``settings_named`` does."""
    from forecast_sync.tables import load_table

    return load_table(_known(name))


def table_of(run: Run) -> Table:
    """The table that a run syncs; raises ``InvalidInput`` as ``settings_of`` does."""
    from forecast_sync.tables import load_table

    return load_table(_known_to(run))


def settings_of(run: Run) -> Settings:
    """The settings with which a run's table is synced.

    Raises ``InvalidInput`` when the stack has no longer, or not yet, had that table when it was
    deployed last.
    """
    return settings_named(_known_to(run))


def settings_named(name: str | None) -> Settings:
    """The settings with which a table, or the only one, is synced.

    Raises ``InvalidInput`` for a table that this deployment doesn't sync, and for None where there
    are several.
    """
    configured = settings()
    if not configured.has_several_tables:
        return configured
    known = configured.require_table(name)
    folder = folders()[known]
    first = next(each for each, other in folders().items() if other == folder)
    return configured.for_table(known, folder, adopts_unnamed=known == first)


@cache
def folders() -> dict[str, str]:
    """The folder of the lake's bucket that each of several tables is read from.

    Raises ``ConfigurationInvalid`` for tables that one stack can't sync.
    """
    from forecast_sync.errors import ConfigurationInvalid
    from forecast_sync.tables import load_table
    from forecast_sync.tables.neighbors import find_clashes, prefix_of

    tables = {name: load_table(name) for name in settings().table_names}
    if clashes := find_clashes(tables):
        raise ConfigurationInvalid(" ".join(clashes))
    _refuse_too_few_loaders(len(tables))
    return {name: prefix_of(name, table) for name, table in tables.items()}


def _refuse_too_few_loaders(tables: int) -> None:
    from forecast_sync.errors import ConfigurationInvalid

    reserved = settings().reserved_loaders
    if 0 < reserved < tables:
        raise ConfigurationInvalid(
            f"ReservedLoaders is {reserved}, and the stack syncs {tables} tables: one table's "
            "first load could keep all others waiting. Reserve at least one for each, or none (0)."
        )


def _known(name: str | None) -> str:
    """A run continues with the only table even if that had another name when the run began."""
    configured = settings()
    return configured.require_table(name if configured.has_several_tables else None)


def _known_to(run: Run) -> str:
    """As ``_known``, but a run of one of several tables is never about another one."""
    from forecast_sync.errors import InvalidInput

    configured = settings()
    if run.scope is not None:
        return configured.require_table(run.scope)
    if run.table is None and configured.has_several_tables:
        raise InvalidInput(
            f"Run {run.run_id} names no table, as when the stack had one; now it syncs "
            f"{', '.join(configured.table_names)}. It can't continue: start a new run of the table."
        )
    return _known(run.table)
