"""Each error's repair: how a run comes to fail with it, and what the runbook says to do then."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from tests.lake import MORNING, make_row, make_rows
from tests.waiting import eventually
from tests.workflow.breakages import RAISE, lose_a_file, miscount, refuse_a_row
from tests.workflow.deployed import Deployed, Ended

LATER = MORNING + timedelta(hours=1)
RESULTS = "/kind=row/"
MANIFEST = "manifest.csv"
KEY_SECRET = "forecast-sync-dev/neon-api-key"  # pragma: allowlist secret
MISSING = "preview/pr-41"
AMBIGUOUS = "preview/pr-42"
ANOTHER = "another"
"""The name of a branch's second database."""
LOST = {"status": 404, "code": "NoSuchKey", "times": 1000}
DENIED = {"status": 403, "code": "AccessDenied", "times": 1000}
CONNECTED = ("read-watermark", "survey-lake", "upsert-batches", "verify-load", "record-status")
"""The functions of a run that reach the database."""


class Repair(NamedTuple):
    """A run that fails, what removes the cause, and then one redrive must succeed.

    ``fails`` returns the failed run. ``branch`` is whose database the run fills.
    ``uploads_newer`` says that the repair uploads a file after the run's window ended, which the
    next run takes in.
    """

    how: str
    fails: Callable[[Deployed], Ended]
    repairs: Callable[[Deployed], object]
    branch: str = "dev"
    uploads_newer: bool = False


class Elsewhere(NamedTuple):
    """The claim that proves the repair, as ``file::function`` under ``tests``."""

    test: str


class Waits(NamedTuple):
    """A passing fault: the state machine retries it, see ``test_state_machine.py``."""


class Reroutes(NamedTuple):
    """The state machine catches it, see ``test_state_machine.py``."""


class NewRun(NamedTuple):
    """A redrive is no use, and the message and the runbook say to start a new run."""


Remedy = Repair | Elsewhere | Waits | Reroutes | NewRun


def _run(deployed: Deployed, **payload: Any) -> Ended:
    deployed.upload("few", make_rows(range(20)))
    return deployed.run(**payload)


def _run_big(deployed: Deployed) -> Ended:
    refuse_a_row(deployed)
    return deployed.run()


def _run_colliding(deployed: Deployed) -> Ended:
    deployed.succeed()
    deployed.execute("CREATE UNIQUE INDEX once ON forecast_data (y_95)")
    deployed.upload("equal", make_rows(range(3), y_95=1.0))
    return deployed.run()


def _correct_the_row(deployed: Deployed) -> None:
    deployed.upload("big", [make_row(50), make_row(51, y_50=60.0, updated_at=LATER)])


def _run_on_a_missing_branch(deployed: Deployed) -> Ended:
    return _run(deployed, git_ref=MISSING)


def _create_branch(name: str, deployed: Deployed) -> str:
    created = deployed.neon("POST", "/branches", {"branch": {"name": name}})
    return str(created["branch"]["id"])


def _run_with_two_databases(deployed: Deployed) -> Ended:
    branch = _create_branch(AMBIGUOUS, deployed)
    deployed.neon("POST", f"/branches/{branch}/databases", {"database": {"name": ANOTHER}})
    return _run(deployed, git_ref=AMBIGUOUS)


def _drop_the_other_database(deployed: Deployed) -> None:
    (branch,) = deployed.neon("GET", f"/branches?search={AMBIGUOUS}")["branches"]
    deployed.neon("DELETE", f"/branches/{branch['id']}/databases/{ANOTHER}")


def _keep_key(deployed: Deployed, key: str) -> None:
    deployed.client("secretsmanager").put_secret_value(SecretId=KEY_SECRET, SecretString=key)


def _run_with_key(key: str, deployed: Deployed) -> Ended:
    _keep_key(deployed, key)
    try:
        return _run(deployed)
    finally:
        _keep_key(deployed, deployed.cloud.neon_api_key)


def _run_without_a_grant(deployed: Deployed) -> Ended:
    deployed.succeed()
    deployed.execute("REVOKE INSERT ON forecast_data FROM current_user")
    return _run(deployed)


def _run_with_a_failing_query(deployed: Deployed) -> Ended:
    deployed.athena_faults({"match": "UNLOAD", "state": "FAILED"})
    return _run(deployed)


def _run_set(function: str, settings: dict[str, str], deployed: Deployed) -> Ended:
    """A run in which the function that needs it was deployed with a wrong setting."""
    deployed.configure(function, **settings)
    return _run(deployed)


def _configure(function: str, settings: dict[str, str], deployed: Deployed) -> None:
    deployed.configure(function, **settings)


def _correct_the_project(deployed: Deployed) -> None:
    deployed.configure("resolve-branch", NEON_PROJECT_ID=deployed.cloud.neon_project_id)


def _name_the_database(deployed: Deployed) -> None:
    (branch,) = deployed.neon("GET", f"/branches?search={AMBIGUOUS}")["branches"]
    databases = deployed.neon("GET", f"/branches/{branch['id']}/databases")["databases"]
    (name,) = {database["name"] for database in databases} - {ANOTHER}
    deployed.configure(*CONNECTED, NEON_DATABASE_NAME=name)


def _run_without_results(deployed: Deployed) -> Ended:
    name = f"test-{uuid.uuid4().hex[:12]}"
    # Athena writes them with PUT; only reading them fails.
    match = f"GET /{_results_bucket(deployed)}/athena/{name}/extract-"
    deployed.request_faults({**LOST, "match": match})
    failed = _run(deployed, name=name)
    _delete_results(deployed, RESULTS)
    return failed


def _run_without_a_manifest(deployed: Deployed) -> Ended:
    deployed.request_faults({**LOST, "match": MANIFEST})
    failed = _run(deployed)
    _delete_results(deployed, MANIFEST)
    return failed


def _run_with_lost_pages(deployed: Deployed) -> Ended:
    """Step Functions can't read the file (``States.ItemReaderFailed``)."""
    deployed.request_faults({"match": "-pages.json", "status": 200})
    return _run(deployed)


def _run_without_changes(deployed: Deployed) -> Ended:
    deployed.upload("few", make_rows(range(20)))
    with deployed.held_query():
        arn = deployed.start(dry_run=True)
        eventually(lambda: "Poll Athena query" in deployed.entered(arn))
    # The batches save their changes with PUT; only reading them fails.
    deployed.request_faults({**LOST, "match": "GET " + _changes_of(deployed, arn)})
    failed = deployed.wait(arn)
    _delete_results(deployed, "/changes/")
    return failed


def _results_bucket(deployed: Deployed) -> str:
    return deployed.cloud.bucket.replace("-datalake-", "-results-")


def _changes_of(deployed: Deployed, arn: str) -> str:
    return f"/{_results_bucket(deployed)}/athena/{arn.rpartition(':')[2]}/changes/"


def _delete_results(deployed: Deployed, part: str) -> None:
    """What a rule of the bucket, or somebody, deletes; from then on nothing else is in the way."""
    deployed.request_faults()
    s3, bucket = deployed.client("s3"), _results_bucket(deployed)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="athena/")["Contents"]
    keys = [item["Key"] for item in listed if part in item["Key"]]
    assert keys
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)


def _run_without_a_column(deployed: Deployed) -> Ended:
    """One that has to have values: others are added by the run."""
    deployed.succeed()
    deployed.execute("ALTER TABLE forecast_data DROP COLUMN y_50")
    return _run(deployed)


def _run_that_loses_a_column(deployed: Deployed) -> Ended:
    deployed.succeed()
    deployed.upload("few", make_rows(range(20)))
    with deployed.held_query():
        arn = deployed.start()
        eventually(lambda: "Poll Athena query" in deployed.entered(arn))
        deployed.execute("ALTER TABLE forecast_data DROP COLUMN y_50")
    return deployed.wait(arn)


def _add_the_column(deployed: Deployed) -> None:
    deployed.execute(
        "ALTER TABLE forecast_data ADD COLUMN y_50 numeric(10, 2) NOT NULL DEFAULT 0;"
        "ALTER TABLE forecast_data ALTER COLUMN y_50 DROP DEFAULT"
    )


def _run_over_a_lost_file(deployed: Deployed) -> Ended:
    lose_a_file(deployed)
    return _run(deployed)


def _run_over_an_object_that_is_denied(deployed: Deployed) -> Ended:
    deployed.request_faults({**DENIED, "match": f"GET /{deployed.cloud.bucket}/forecast/"})
    return _run(deployed)


def _run_over_few_rejects(deployed: Deployed) -> Ended:
    deployed.upload("rejects", make_rows(range(100, 105), state=None))
    return _run_set("plan-pages", {"REJECT_PERCENT": "1", "REJECT_ROWS": "1"}, deployed)


def _run_with_a_trigger(deployed: Deployed) -> Ended:
    deployed.succeed()
    deployed.execute(
        RAISE + "CREATE TRIGGER refuse BEFORE INSERT ON forecast_data "
        "FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    return _run(deployed)


def _run_over_rejects(deployed: Deployed) -> Ended:
    deployed.upload("rejects", make_rows(range(100, 300), state=None))
    return _run(deployed)


def _run_miscounted(deployed: Deployed) -> Ended:
    miscount(deployed)
    return _run(deployed)


def _do(statement: str, deployed: Deployed) -> None:
    deployed.execute(statement)


def _replace(name: str, numbers: Sequence[int], deployed: Deployed) -> None:
    deployed.upload(name, make_rows(numbers))


def _delete(name: str, deployed: Deployed) -> None:
    deployed.delete(name)


def _nothing(_deployed: Deployed) -> None:
    """The cause has passed."""


REMEDIES: dict[str, Sequence[Remedy]] = {
    "AthenaUnavailable": [Waits()],
    "BadFilesSuspected": [Reroutes()],
    "BatchConflict": [Waits()],
    "BatchRefused": [
        Repair(
            "the constraint is dropped",
            _run_big,
            partial(_do, "ALTER TABLE forecast_data DROP CONSTRAINT small"),
        ),
        Repair(
            "the row is corrected at its source", _run_big, _correct_the_row, uploads_newer=True
        ),
        Repair(
            "the trigger is dropped",
            _run_with_a_trigger,
            partial(_do, "DROP TRIGGER refuse ON forecast_data"),
        ),
        Repair("the unique index is dropped", _run_colliding, partial(_do, "DROP INDEX once")),
        Repair(
            "the colliding rows are corrected at their source",
            _run_colliding,
            partial(_delete, "equal"),
        ),
    ],
    "BranchNotFound": [
        Repair(
            "the branch is created in Neon",
            _run_on_a_missing_branch,
            partial(_create_branch, MISSING),
            branch=MISSING,
        ),
        Repair(
            "the database's name is corrected",
            partial(_run_set, "read-watermark", {"NEON_DATABASE_NAME": "nowhere"}),
            partial(_configure, "read-watermark", {"NEON_DATABASE_NAME": ""}),
        ),
        Repair(
            "the role's name is corrected",
            partial(_run_set, "read-watermark", {"NEON_ROLE_NAME": "nobody"}),
            partial(_configure, "read-watermark", {"NEON_ROLE_NAME": ""}),
        ),
    ],
    "BranchNotMapped": [NewRun()],
    "ConfigurationInvalid": [
        Repair("the secret is corrected", partial(_run_with_key, "a key with spaces"), _nothing),
        Repair(
            "the setting is corrected",
            partial(_run_set, "read-watermark", {"LOOKBACK_HOURS": "six"}),
            partial(_configure, "read-watermark", {"LOOKBACK_HOURS": "6"}),
        ),
    ],
    "DatabaseAmbiguous": [
        Repair(
            "the other database is dropped",
            _run_with_two_databases,
            _drop_the_other_database,
            branch=AMBIGUOUS,
        ),
        Repair(
            "the database is named",
            _run_with_two_databases,
            _name_the_database,
            branch=AMBIGUOUS,
        ),
    ],
    "DatabaseRefused": [
        Repair(
            "the privilege is granted",
            _run_without_a_grant,
            partial(_do, "GRANT INSERT ON forecast_data TO current_user"),
        )
    ],
    "DatabaseUnavailable": [Waits()],
    "InputsOutdated": [Reroutes()],
    "FullRunNeeded": [NewRun()],
    "InvalidInput": [NewRun()],
    "LeaseHeld": [Waits()],
    "NeonRefused": [
        Repair("a new key is stored", partial(_run_with_key, "a-revoked-key"), _nothing),
        Repair(
            "the project's id is corrected",
            partial(_run_set, "resolve-branch", {"NEON_PROJECT_ID": "no-such-project"}),
            _correct_the_project,
        ),
    ],
    "NeonUnavailable": [Waits()],
    "QueryFailed": [Repair("the cause is gone", _run_with_a_failing_query, _nothing)],
    "QueryRetryable": [Reroutes()],
    "ResultInvalid": [
        Repair("the results are lost", _run_without_results, _nothing),
        Repair("the manifest is lost", _run_without_a_manifest, _nothing),
        Repair("the pages file is lost", _run_with_lost_pages, _nothing),
        Repair("a dry run's changes are lost", _run_without_changes, _nothing),
    ],
    "SchemaMismatch": [
        Repair("the column is added", _run_without_a_column, _add_the_column),
        Repair("the column is added in the middle", _run_that_loses_a_column, _add_the_column),
    ],
    "SecretUnavailable": [Waits()],
    "ServerTooOld": [
        Elsewhere("workflow/test_secrets.py::test_a_server_that_was_too_old_is_upgraded")
    ],
    "SourceChanged": [Reroutes()],
    "SourceInvalid": [
        Repair("the object is removed", _run_over_a_lost_file, partial(_delete, "lost")),
        Repair(
            "the object may be read", _run_over_an_object_that_is_denied, Deployed.request_faults
        ),
        Repair(
            "the object is replaced",
            _run_over_a_lost_file,
            partial(_replace, "lost", [30]),
            uploads_newer=True,
        ),
    ],
    "SourceUnstable": [
        Elsewhere(
            "workflow/test_retries.py"
            "::test_a_lake_that_changes_in_each_attempt_fails_the_run_and_a_redrive_heals_it"
        )
    ],
    "StorageUnavailable": [Waits()],
    "Superseded": [NewRun()],
    "TooManyRejects": [
        Repair("the file is removed", _run_over_rejects, partial(_delete, "rejects")),
        Repair(
            "RejectPercent is raised",
            _run_over_few_rejects,
            partial(_configure, "plan-pages", {"REJECT_PERCENT": "50"}),
        ),
        Repair(
            "RejectRows is raised",
            _run_over_few_rejects,
            partial(_configure, "plan-pages", {"REJECT_ROWS": "6"}),
        ),
        Repair(
            "the file is repaired",
            _run_over_rejects,
            partial(_replace, "rejects", range(100, 300)),
            uploads_newer=True,
        ),
    ],
    "VerificationFailed": [
        Repair(
            "what changes rows is removed",
            _run_miscounted,
            partial(_do, "DROP TRIGGER miscount ON forecast_sync_batch"),
        )
    ],
}
"""By the name of each class in ``errors.py`` that a run can fail with."""
