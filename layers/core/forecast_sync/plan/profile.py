"""The profile: what Athena counted in the lake, and so what the load must add up to."""

from __future__ import annotations

from forecast_sync.adapters.athena import Athena
from forecast_sync.contracts.counts import Profile
from forecast_sync.errors import ResultInvalid
from forecast_sync.extract.athena_sql import warning_names
from forecast_sync.tables import Table


def read_profile(athena: Athena, table: Table, query_execution_id: str) -> Profile:
    """Read the only row of the profile query; raises ``ResultInvalid`` when it isn't a profile."""
    row = athena.read_row(query_execution_id)
    names = warning_names(table)
    try:
        warnings = {
            rule.message: int(row[name])
            for name, rule in zip(names, table.expect, strict=True)
            if row[name] != "0"
        }
        counts = {name: value for name, value in row.items() if name not in names}
        return Profile.model_validate({**counts, "warnings": warnings})
    except (KeyError, ValueError):
        raise ResultInvalid(
            f"Athena query {query_execution_id} returned {row}, expected the counts of a profile; "
            "redrive to query again."
        ) from None
