"""Survey lake: which objects are new, and which others the queries have to read."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.run import SurveyRequest, Window
from forecast_sync.survey.lake import survey_lake
from forecast_sync.task import RemainingMilliseconds, timed_task


@timed_task(SurveyRequest)
def handler(request: SurveyRequest, remaining_milliseconds: RemainingMilliseconds) -> Window:
    """Return the window with its survey, which another call must continue if it isn't done."""
    run = request.run
    return survey_lake(
        connection=clients.connection(run.neon_branch_id, run.run_id),
        storage=clients.storage(),
        catalog=clients.catalog(),
        table=deployed_tables.table_of(run),
        settings=deployed_tables.settings_of(run),
        request=request,
        remaining_milliseconds=remaining_milliseconds,
    )
