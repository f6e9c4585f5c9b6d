"""Where the runbook says to redrive: a run fails, the cause is removed, one redrive succeeds."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from tests.lake import KEY, VALUES, reference
from tests.workflow.deployed import Deployed, Ended
from tests.workflow.repairs import ANOTHER, REMEDIES, Repair

REPAIRS = [
    pytest.param(name, remedy, id=f"{name}: {remedy.how}")
    for name, remedies in REMEDIES.items()
    for remedy in remedies
    if isinstance(remedy, Repair)
]


@pytest.fixture(autouse=True)
def _settings(deployed: Deployed) -> Iterator[None]:
    """The other tests' functions have the settings of before."""
    before = deployed.settings()
    yield
    for name, variables in deployed.settings().items():
        if variables != before[name]:
            deployed.restore(name, before[name])


@pytest.mark.parametrize(("error", "repair"), REPAIRS)
def test_one_redrive_succeeds_once_the_cause_is_removed(
    deployed: Deployed, error: str, repair: Repair
) -> None:
    failed = repair.fails(deployed)
    assert failed.status == "FAILED"
    assert error_of(deployed, failed) == error, failed.cause
    repair.repairs(deployed)
    ended = deployed.redrive(failed)
    assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
    if repair.uploads_newer:
        deployed.succeed()
    if ended.output["status"] == "succeeded":
        assert _stored(deployed, repair.branch) == reference(deployed.files)


def error_of(deployed: Deployed, failed: Ended) -> str:
    """The error's name; that of a failed Map is in its children."""
    if failed.error != "States.ExceedToleratedFailureThreshold":
        return failed.error
    children = [deployed.describe(child) for child in deployed.children(failed.arn)]
    (name,) = {child["error"] for child in children if child["status"] == "FAILED"}
    return str(name)


def _stored(deployed: Deployed, branch: str) -> dict[tuple[object, ...], tuple[object, ...]]:
    if branch in deployed.cloud.database_urls:
        return deployed.table(branch)
    (found,) = deployed.neon("GET", f"/branches?search={branch}")["branches"]
    databases = deployed.neon("GET", f"/branches/{found['id']}/databases")["databases"]
    (database,) = [database for database in databases if database["name"] != ANOTHER]
    (role,) = deployed.neon("GET", f"/branches/{found['id']}/roles")["roles"]
    query = (
        f"/connection_uri?branch_id={found['id']}&database_name={database['name']}"
        f"&role_name={role['name']}"
    )
    with psycopg.connect(deployed.neon("GET", query)["uri"]) as connection:
        rows = connection.execute(
            f"SELECT {', '.join((*KEY, *VALUES))} FROM forecast_data".encode()
        ).fetchall()
    return {row[: len(KEY)]: row[len(KEY) :] for row in rows}
