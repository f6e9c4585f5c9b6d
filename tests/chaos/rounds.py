"""Random faults over random data, round after round: ``python -m tests.chaos.rounds --rounds 20``.

After each round the table must be, row by row, what the Parquet files alone say; and a run that
succeeds, whatever happened meanwhile, must not have left an older row than the lake has.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from localcloud.ports import free_port
from rich.console import Console
from rich.table import Table

from tests.builders import FORECAST_FILE
from tests.chaos import scene
from tests.lake import MORNING, Row, make_row, newest_values, reference
from tests.lake import Table as LoadedTable
from tests.pooler import pooled
from tests.waiting import eventually
from tests.workflow.deployed import Deployed, Ended
from tests.workflow.project import EXCHANGED, Project, copied_project, exchanged

KEYS = 4_000
BATCH_SIZE = 200
REDRIVES = 5
PATIENCE = 180
"""Seconds for the end of a run; its retries alone may take a minute."""

Fault = Callable[[Deployed, random.Random, str], object]


def kill_functions(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """SIGKILL the environments of one function."""
    function = chance.choice(["upsert-batches", "verify-load", "record-status", "plan-pages"])
    scene.kill_workers(deployed, function)


def cut_sessions(deployed: Deployed, _chance: random.Random, _arn: str) -> None:
    """End every session of the database."""
    with suppress(psycopg.Error):
        scene.end_sessions(deployed)


def crash_postgres(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """SIGKILL one of the server's processes."""
    with suppress(psycopg.Error):
        if sessions := scene.sessions(deployed, "true"):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(sessions), signal.SIGKILL)


def throttle(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """S3 and Athena refuse the next requests."""
    match = chance.choice(["kind=row", "manifest.csv", "AmazonAthena.", "/forecast/"])
    status, code = (400, "TooManyRequestsException") if "Athena" in match else (503, "SlowDown")
    fault = {"match": match, "times": chance.randint(1, 7), "status": status, "code": code}
    deployed.request_faults(fault)


def cut_answers(deployed: Deployed, _chance: random.Random, _arn: str) -> None:
    """The next result files end in the middle."""
    deployed.request_faults({"match": "kind=row", "times": 2, "cut": True})


def fail_query(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """Athena fails the next query, for now or for good."""
    deployed.athena_faults(
        {"match": "SELECT", "state": "FAILED", "retryable": chance.random() < 0.5}
    )


def disturb_neon(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """Neon refuses or fails some requests."""
    deployed.neon_fault(
        status=chance.choice([401, 429, 500, 503]), times=chance.randint(1, 3), retry_after=0
    )


def stop_execution(deployed: Deployed, _chance: random.Random, arn: str) -> None:
    """Somebody presses Stop, perhaps too late."""
    deployed.stop(arn)


def stop_and_redrive(deployed: Deployed, _chance: random.Random, arn: str) -> None:
    """Somebody presses Stop and then Redrive, while functions may still work."""
    scene.redrive_at_once(deployed, arn)


def compact(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """One or two objects are rewritten into later ones."""
    for path in chance.sample(sorted(deployed.files), min(len(deployed.files), 2)):
        scene.compact(deployed, path, f"compacted-{chance.randrange(10**9)}")


def truncate_target(deployed: Deployed, _chance: random.Random, _arn: str) -> None:
    """Somebody empties the target."""
    _alter(deployed, "TRUNCATE forecast_data")


def drop_target(deployed: Deployed, _chance: random.Random, _arn: str) -> None:
    """Somebody drops the target."""
    _alter(deployed, "DROP TABLE forecast_data")


def round_column(deployed: Deployed, _chance: random.Random, _arn: str) -> None:
    """Somebody narrows a column of the target, and widens it again."""
    alter = "ALTER TABLE forecast_data ALTER y_50 TYPE"
    _alter(deployed, f"{alter} numeric(10,0); {alter} numeric(10,2)")


def exchange_columns(deployed: Deployed, _chance: random.Random, _arn: str) -> None:
    """Somebody gives two columns of the target each other's name."""
    rename = "ALTER TABLE forecast_data RENAME"
    _alter(deployed, f"{rename} y_05 TO y_00; {rename} y_95 TO y_05; {rename} y_00 TO y_95")


def _alter(deployed: Deployed, statements: str) -> None:
    with suppress(psycopg.Error):
        deployed.execute(f"SET lock_timeout = '5s'; {statements}")


def deploy(deployed: Deployed, _chance: random.Random, _arn: str) -> None:
    """Another table file is deployed, one function after the other."""
    if isinstance(deployed, Project):
        other = FORECAST_FILE if deployed.table_file == EXCHANGED else EXCHANGED
        deployed.deploy(other)


def start_another(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """Another trigger fires."""
    deployed.start(sync_type=chance.choice(["full", "incremental"]))


def lock_rows(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """An application locks some rows briefly."""
    with suppress(psycopg.Error), psycopg.connect(deployed.cloud.database_urls["dev"]) as session:
        session.execute(
            "SELECT FROM forecast_data WHERE restaurant_id %% 7 = %s FOR UPDATE",
            [chance.randrange(7)],
        )
        session.execute("SELECT pg_sleep(0.5)")


FAULTS: list[Fault] = [
    kill_functions, cut_sessions, crash_postgres, throttle, cut_answers, fail_query, disturb_neon,
    stop_execution, start_another, lock_rows,
]  # fmt: skip
CHANGES: list[Fault] = [compact, stop_and_redrive]
"""What changes in the middle of a run: the lake, and which call belongs to it."""
TARGET_FAULTS: list[Fault] = [truncate_target, drop_target, round_column, exchange_columns]
"""They may come just after a run has ended; then the next one is full, and fills the target."""

DEPLOYMENTS: list[Fault] = [deploy]
"""The functions of the project that ``main`` copies; a round's run may end before they come."""


@dataclass(frozen=True)
class Round:
    """What happened in one round; ``differences`` counts rows that aren't as they must be.

    ``older`` counts those of them that the round's own run left when it succeeded.
    """

    number: int
    faults: list[str]
    redrives: int
    rows: int
    differences: int
    older: int


def play(
    deployed: Deployed, rounds: int, seed: int, faults: Sequence[Fault] = FAULTS
) -> Iterator[Round]:
    """Play the rounds, one growing lake and one database for all of them."""
    deployed.reset()
    chance = random.Random(seed)
    for number in range(1, rounds + 1):
        for part in range(chance.randint(1, 3)):
            deployed.upload(f"round-{number}-{part}", _rows(chance))
        chosen = chance.sample(faults, chance.randint(1, 3))
        arn = deployed.start(
            batch_size=BATCH_SIZE, sync_type=chance.choice(["full", "incremental"])
        )
        for fault in chosen:
            time.sleep(chance.uniform(0, 1))  # not a synchronization: the time is what varies
            fault(deployed, chance, arn)
        ended, redrives = _recover(deployed, arn)
        has_worked = ended.status == "SUCCEEDED" and ended.entered[-1] != "Coalesced"
        is_comparable = not set(chosen) & {*TARGET_FAULTS, *DEPLOYMENTS}
        older = _count_older(deployed) if has_worked and is_comparable else 0
        _settle_down(deployed)
        expected, actual = reference(deployed.files), _read_table(deployed)
        wrong = {
            key for key in expected.keys() | actual.keys() if expected.get(key) != actual.get(key)
        }
        names = [fault.__name__ for fault in chosen]
        yield Round(number, names, redrives, len(expected), len(wrong) + older, older)


def _read_table(deployed: Deployed) -> LoadedTable:
    """The target's rows, as the lake has them, whichever table file is deployed."""
    loaded = deployed.table()
    is_exchanged = isinstance(deployed, Project) and deployed.table_file == EXCHANGED
    return exchanged(loaded, "y_05", "y_95") if is_exchanged else loaded


def _count_older(deployed: Deployed) -> int:
    """How many keys of the lake the target lacks, or has with an older row.

    Uploads come before a round's run, so that a run which has succeeded has read them all.
    """
    loaded = _read_table(deployed)
    newest = newest_values(deployed.files)
    return sum(loaded.get(key) not in values for key, values in newest.items())


def _recover(deployed: Deployed, arn: str) -> tuple[Ended, int]:
    """What an operator does: press Redrive, unless a later run has taken over; how often."""
    ended = deployed.wait(arn, PATIENCE)
    scene.await_postgres(deployed)
    redrives = 0
    while ended.status != "SUCCEEDED" and not _overtaken(deployed, ended) and redrives < REDRIVES:
        deployed.client("stepfunctions").redrive_execution(executionArn=arn)
        ended = deployed.wait(arn, PATIENCE)
        redrives += 1
    scene.await_postgres(deployed)
    return ended, redrives


def _settle_down(deployed: Deployed) -> None:
    """The end of all faults, and a run that nothing disturbs."""
    deployed.request_faults()
    deployed.athena_faults()
    scene.await_quiet(deployed)
    last = eventually(lambda: _settle(deployed), 120, "a run that succeeds after all faults")
    assert last.status == "SUCCEEDED"


def _settle(deployed: Deployed) -> Ended | None:
    """A separate run, to load what was uploaded meanwhile; a fault may still hit it."""
    ended = deployed.wait(deployed.start(), PATIENCE)
    scene.await_quiet(deployed)
    return ended if ended.status == "SUCCEEDED" and ended.entered[-1] != "Coalesced" else None


def _overtaken(deployed: Deployed, ended: Ended) -> bool:
    return (deployed.status(ended.name) or {}).get("status") == "superseded"


def _rows(chance: random.Random) -> list[Row]:
    rows = []
    for _ in range(chance.randint(100, 3_000)):
        row: dict[str, Any] = {
            "y_50": chance.choice([chance.uniform(-1e4, 1e4), 1.005, 0.0]),
            "dma_id": chance.choice([None, "", "\\N", "a\tb", "é🍕", "x" * 50]),
            "updated_at": chance.choice(
                [None, MORNING, MORNING + timedelta(seconds=chance.randint(0, 9))]
            ),
        }
        rows.append(make_row(chance.randrange(KEYS), **row))
    return rows


def main() -> int:
    """Print a table; the exit code is 1 when a row differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--target-faults", action="store_true", help="also empty and drop the target"
    )
    parser.add_argument("--deployments", action="store_true", help="also deploy table files")
    options = parser.parse_args()
    console = Console(highlight=False)
    table = Table(title=f"seed {options.seed}", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("round", "faults", "redrives", "rows compared", "differences"):
        table.add_column(heading, justify="left" if heading == "faults" else "right")
    played = []
    with ExitStack() as stack:
        port = free_port() if shutil.which("pgbouncer") else None
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        copied = copied_project(folder / "project", wait_scale=0.04, pooler_port=port)
        project = stack.enter_context(copied)
        if port is not None:
            stack.enter_context(pooled(project.cloud.database_urls["dev"], port, folder))
        faults = [*FAULTS, *CHANGES, *(TARGET_FAULTS if options.target_faults else [])]
        faults += DEPLOYMENTS if options.deployments else []
        for one in play(project, options.rounds, options.seed, faults):
            console.print(f"round {one.number}: {', '.join(one.faults)}; {one.differences} differ")
            table.add_row(
                str(one.number),
                " ".join(one.faults),
                str(one.redrives),
                f"{one.rows:,}",
                str(one.differences),
            )
            played.append(one)
    console.print(table)
    differences = sum(one.differences for one in played)
    console.print(
        f"{len(played)} rounds, {sum(len(one.faults) for one in played)} faults injected, "
        f"{sum(one.rows for one in played):,} rows compared, {differences} differences"
    )
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
