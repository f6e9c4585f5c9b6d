"""Find bad files: which objects make the run's queries fail."""

from __future__ import annotations

from forecast_sync import clients, deployed_tables
from forecast_sync.contracts.run import BadFiles, BadFilesRequest
from forecast_sync.extract.bad_files import find_bad_files
from forecast_sync.extract.probes import SearchTools
from forecast_sync.task import RemainingMilliseconds, timed_task


@timed_task(BadFilesRequest)
def handler(request: BadFilesRequest, remaining_milliseconds: RemainingMilliseconds) -> BadFiles:
    """Return how many objects were quarantined; the run then decides its window again."""
    run = request.run
    tools = SearchTools(
        connection=clients.connection(run.neon_branch_id, run.run_id),
        athena=clients.athena(),
        storage=clients.storage(),
        catalog=clients.catalog(),
        table=deployed_tables.table_of(run),
        settings=deployed_tables.settings_of(run),
        remaining_milliseconds=remaining_milliseconds,
    )
    return find_bad_files(tools, request)
