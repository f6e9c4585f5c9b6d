"""How to make exactly one state of a run fail for good, and how to repair the cause."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from tests.lake import MORNING, make_row, make_rows
from tests.workflow.deployed import Deployed

RAISE = (
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$BEGIN RAISE EXCEPTION 'refused by the test'; END$$;"
)


class Breakage(NamedTuple):
    """How to make exactly one state fail for good, and how to repair the cause."""

    state: str
    error: str
    breaks: Callable[[Deployed], None]
    repairs: Callable[[Deployed], None]
    rerun: list[str]
    submissions: int | None = None


def miscount(deployed: Deployed) -> None:
    deployed.succeed()
    deployed.execute(
        "CREATE FUNCTION miscount() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN NEW.checksum = NEW.checksum + 1; RETURN NEW; END$$;"
        "CREATE TRIGGER miscount BEFORE INSERT ON forecast_sync_batch "
        "FOR EACH ROW EXECUTE FUNCTION miscount()"
    )
    deployed.upload("miscounted", make_rows(range(20, 23)))


def refuse_success(deployed: Deployed) -> None:
    deployed.succeed()
    deployed.execute(
        RAISE + "CREATE TRIGGER refuse BEFORE UPDATE ON forecast_sync_status FOR EACH ROW "
        "WHEN (NEW.status = 'succeeded') EXECUTE FUNCTION refuse()"
    )


def refuse_a_row(deployed: Deployed) -> None:
    deployed.succeed()
    deployed.execute("ALTER TABLE forecast_data ADD CONSTRAINT small CHECK (y_50 < 5000)")
    deployed.upload("big", [make_row(50), make_row(51, y_50=6000.0)])


def lose_a_file(deployed: Deployed) -> None:
    """A file whose rows are in the target can't be read any more."""
    deployed.upload("older", make_rows(range(3)))
    newer = make_rows(range(3), y_50=2.0, updated_at=MORNING + timedelta(hours=1))
    deployed.upload("lost", newer)
    deployed.succeed()
    deployed.upload("lost", b"no parquet")


BREAKAGES = [
    Breakage(
        "Resolve branch",
        "NeonRefused",
        lambda deployed: deployed.neon_fault(status=401, times=1),
        lambda _: None,
        [],
    ),
    Breakage(
        "Read watermark",
        "SchemaMismatch",
        lambda deployed: deployed.execute("CREATE TABLE forecast_data (id int)"),
        lambda deployed: deployed.execute("DROP TABLE forecast_data"),
        [],
    ),
    Breakage(
        "Survey lake",
        "SourceInvalid",
        lose_a_file,
        lambda deployed: deployed.delete("lost"),
        [],
        submissions=2,
    ),
    Breakage(
        "Start Athena query",
        "QueryFailed",
        lambda deployed: deployed.request_faults(
            {
                "match": "AmazonAthena.StartQueryExecution",
                "status": 400,
                "code": "InvalidRequestException",
            }
        ),
        lambda _: None,
        ["Wait for Athena", "Query finished"],
    ),
    Breakage(
        "Find bad files",
        "QueryFailed",
        lambda deployed: deployed.athena_faults({"match": "UNLOAD", "state": "FAILED"}),
        lambda _: None,
        ["Query anew", "Read watermark", "Survey lake", "Run queries"],
        submissions=2,
    ),
    Breakage(
        "Plan pages",
        "TooManyRejects",
        lambda deployed: deployed.upload("rejects", make_rows(range(100, 300), state=None)),
        lambda deployed: deployed.delete("rejects"),
        ["Query anew", "Read watermark", "Run queries"],
        submissions=2,
    ),
    Breakage(
        "Load pages",
        "States.ExceedToleratedFailureThreshold",
        refuse_a_row,
        lambda deployed: deployed.execute("ALTER TABLE forecast_data DROP CONSTRAINT small"),
        [],
    ),
    Breakage(
        "Verify load",
        "VerificationFailed",
        miscount,
        lambda deployed: deployed.execute("DROP TRIGGER miscount ON forecast_sync_batch"),
        ["Query anew", "Read watermark", "Run queries"],
        submissions=2,
    ),
    Breakage(
        "Record status",
        "BatchRefused",
        refuse_success,
        lambda deployed: deployed.execute("DROP TRIGGER refuse ON forecast_sync_status"),
        [],
    ),
]
