"""Random faults over random data, round after round: ``python -m tests.chaos.rounds --rounds 20``.

A round uploads a few files, starts a run, and disturbs it: processes die, services refuse, and what
the run rests on changes in the middle of it, namely the lake, the target, the table file, the
functions, and who holds the lease. Then somebody redrives what has failed, and a last run, which
nothing disturbs, loads what is left. There is no lookback, so that no run repairs what one before
it has left out.

Ten rounds are an episode, which begins with an empty lake and an empty database. Episodes take
turns with their tables: one that keeps its rows, one with tombstones, one that mirrors the lake,
and three of one stack, one of each kind, that read the same objects. Where rows may leave, files
are removed and replaced, too.

What a round proves:

- After the last run each table is, row by row, what the Parquet files say under the table file that
  is deployed then. A key whose newest row is a tombstone has no row; of a key that no file has any
  more, a mirror has none, and any other table the one that it had.
- The round's own run, if it succeeded, isn't *green and wrong*. At its end, each key of the files
  that were there when it began has a row whose own time no other row's is later than, with the
  values that the table file of the run gives it; or, if a later run has come to it already, those
  of a lake as it was since, or of the table file that is deployed now. If the lake has rested, the
  rows that must leave have left; if not, the run may have left them to the next one.
- If the target was emptied, dropped or altered after the run had come to *Record status*, rows may
  be missing, or altered, but none may be an older one. A later run then has to read the whole lake
  without being asked to, and say why in its ``window_reason``. Before that, the run itself has to
  notice.
- A run that failed succeeds after at most five redrives, unless a later one has overtaken it; and
  no run holds the lease in the end.

A round is made of the seed and its number, whichever cloud plays it, so ``--first 41 --rounds 50``
plays an episode again, and ``--tables mirror`` only the rounds of such episodes. Chance in the
machine's own timing remains: the evidence of a round that isn't right is kept in build/chaos.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import psycopg
import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError
from localcloud.ports import free_port
from rich.console import Console
from rich.table import Table

from tests import waiting
from tests.chaos import evidence, scene
from tests.chaos.synced import (
    KEPT,
    MIRROR,
    ONE_FOLDER,
    TOMBSTONES,
    Files,
    Newest,
    Scene,
    Synced,
    Values,
    differing,
    spell,
)
from tests.lake import KEY, MORNING, SCHEMA, Row, make_row, to_parquet
from tests.pooler import pooled
from tests.waiting import eventually
from tests.workflow.deployed import PREFIX, Deployed, Ended
from tests.workflow.leaving import WITH_DELETED
from tests.workflow.project import copied_project
from tests.workflow.several import running_tables

EPISODE = 10
"""Rounds that share one lake and one database."""
KEYS = 1_000
MOST_ROWS = 600
"""In one file."""
PADDING_BYTES = 80_000
BATCH_SIZE = 50
REDRIVES = 5
PATIENCE = 300
"""Seconds for the end of a run; its retries alone may take a minute."""
PATIENCE_FACTOR = 4.0
"""Rounds go on for an hour, mostly beside other work: a slow machine isn't a difference."""
WAIT_SCALE = 0.05
FIRST_PACE = 2.0
FOLDER = Path("build/chaos")
"""Where the evidence of rounds with differences goes."""

EPISODES: dict[str, tuple[Synced, ...]] = {
    "kept": (KEPT,),
    "tombstones": (TOMBSTONES,),
    "mirror": (MIRROR,),
    "several": ONE_FOLDER,
}
"""The tables of episodes, which take turns."""
SHARE_OF_TOMBSTONES = 0.15

Fault = Callable[[Scene, random.Random, str], object]


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
    reading = f"GET /{deployed.cloud.bucket}/forecast/"
    match = chance.choice(["kind=row", "manifest.csv", "AmazonAthena.", reading])
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


def truncate_target(project: Scene, _chance: random.Random, _arn: str) -> None:
    """Somebody empties the target."""
    with suppress(psycopg.Error):
        project.execute(f"SET lock_timeout = '5s'; TRUNCATE {project.main.target}")


def drop_target(project: Scene, _chance: random.Random, _arn: str) -> None:
    """Somebody drops the target."""
    with suppress(psycopg.Error):
        project.execute(f"SET lock_timeout = '5s'; DROP TABLE {project.main.target}")


def round_column(project: Scene, _chance: random.Random, _arn: str) -> None:
    """Somebody narrows a column of the target, and widens it again."""
    alter = f"ALTER TABLE {project.main.target} ALTER y_50 TYPE"
    with suppress(psycopg.Error):
        project.execute(f"SET lock_timeout = '5s'; {alter} numeric(10,0); {alter} numeric(10,2)")


def exchange_columns(project: Scene, _chance: random.Random, _arn: str) -> None:
    """Somebody gives two columns of the target each other's name."""
    rename = f"ALTER TABLE {project.main.target} RENAME"
    with suppress(psycopg.Error):
        project.execute(
            f"SET lock_timeout = '5s'; {rename} y_05 TO y_00; {rename} y_95 TO y_05;"
            f"{rename} y_00 TO y_95"
        )


def upload_more(project: Scene, chance: random.Random, _arn: str) -> None:
    """Somebody uploads another file."""
    project.upload(f"late-{chance.randrange(10**9)}", _file(project, chance))


def remove_object(project: Scene, chance: random.Random, _arn: str) -> None:
    """Somebody removes an object, but never the last one."""
    if len(project.files) > 1:
        project.delete(_name_of(chance.choice(sorted(project.files))))


def replace_object(project: Scene, chance: random.Random, _arn: str) -> None:
    """Somebody replaces an object by one with other rows."""
    name = _name_of(chance.choice(sorted(project.files)))
    project.upload(name, _file(project, chance))


def _name_of(path: str) -> str:
    return path.partition(PREFIX)[2].removesuffix(".parquet")


def redrive_earlier(deployed: Deployed, chance: random.Random, _arn: str) -> None:
    """Somebody redrives a run that has failed at any time, perhaps of another database."""
    sfn, machine = deployed.client("stepfunctions"), deployed.cloud.state_machine_arn
    failed = [
        execution["executionArn"]
        for status in ("ABORTED", "FAILED")
        for execution in sfn.list_executions(stateMachineArn=machine, statusFilter=status)[
            "executions"
        ]
    ]
    if failed:
        with suppress(sfn.exceptions.ExecutionNotRedrivable):
            sfn.redrive_execution(executionArn=chance.choice(failed))


def start_another(project: Scene, chance: random.Random, _arn: str) -> None:
    """Another trigger fires."""
    project.start(sync_type=chance.choice(["full", "incremental"]), **project.main.input)


def lock_rows(project: Scene, chance: random.Random, _arn: str) -> None:
    """An application locks some rows briefly."""
    rows = f"SELECT FROM {project.main.target} WHERE restaurant_id % 7 = {chance.randrange(7)}"
    with suppress(psycopg.Error), psycopg.connect(project.cloud.database_urls["dev"]) as session:
        session.execute(f"{rows} FOR UPDATE".encode())
        session.execute("SELECT pg_sleep(0.5)")


def deploy_again(project: Scene, chance: random.Random, _arn: str) -> None:
    """A deployment with the same table file replaces some functions, or all."""
    functions = project.functions()
    project.deploy_again(chance.sample(functions, chance.randint(1, len(functions))))


def deploy_another_table_file(project: Scene, chance: random.Random, _arn: str) -> None:
    """A deployment gives the functions another table file, some of them a little later."""
    main = project.main
    other = main.exchanged if project.table_file == main.file else main.file
    functions = project.functions()
    project.deploy(other, *chance.sample(functions, chance.randint(1, len(functions))))
    time.sleep(chance.uniform(0, 0.5))
    project.deploy(other)


FAULTS: list[Fault] = [
    kill_functions, cut_sessions, crash_postgres, throttle, cut_answers, fail_query, disturb_neon,
    stop_execution, stop_and_redrive, redrive_earlier, start_another, lock_rows, compact,
    upload_more, truncate_target, drop_target, deploy_again,
]  # fmt: skip
ALTERATIONS: list[Fault] = [round_column, exchange_columns]
ALL_FAULTS: list[Fault] = [*FAULTS, *ALTERATIONS, deploy_another_table_file]
"""The last one needs a copy of the project."""
DELETIONS: list[Fault] = [remove_object, replace_object]
"""They come only where rows may leave."""
TARGET_FAULTS: set[Fault] = {truncate_target, drop_target, *ALTERATIONS}
"""They may come after a run's end; the next one then says that it is full for it."""


@dataclass(frozen=True)
class Round:
    """What happened in one round; ``differences`` counts rows that aren't as they must be.

    ``wrong`` counts those of them that the round's own run left when it succeeded; ``outcome`` is
    how that run ended. ``pace`` is how many seconds the undisturbed run took. ``problem`` says what
    else didn't hold, if anything.
    """

    number: int
    faults: list[str]
    outcome: str
    redrives: int = 0
    rows: int = 0
    differences: int = 0
    wrong: int = 0
    seconds: float = 0.0
    pace: float = 0.0
    problem: str = ""

    @property
    def is_right(self) -> bool:
        """Whether the round has proved what it should."""
        return not self.differences and not self.problem


@dataclass(frozen=True)
class Timeline:
    """What happened in a round, and after how many seconds."""

    began: float
    lines: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long the round has gone on."""
        return time.monotonic() - self.began

    def note(self, what: object) -> None:
        """Add a line."""
        self.lines.append(f"{self.seconds:.2f} s: {what}")


def tables_of(number: int) -> str:
    """Which tables a round's episode has."""
    return [*EPISODES][(number - 1) // EPISODE % len(EPISODES)]


def play(
    project: Scene, numbers: Iterable[int], seed: int, faults: Sequence[Fault] = ALL_FAULTS
) -> Iterator[Round]:
    """Play the rounds with these numbers, over one lake and one database for each episode."""
    is_new, pace = True, FIRST_PACE
    for number in numbers:
        if is_new or number % EPISODE == 1:
            project.begin(*EPISODES[tables_of(number)])
        chance = random.Random(f"{seed}-{number}")
        if len(project.synced) > 1:
            project.main = chance.choice(project.synced)
        for part in range(chance.randint(1, 3)):
            project.upload(f"round-{number}-{part}", _file(project, chance))
        available = list(faults)
        if project.has_deletions:
            available += DELETIONS
            chance.choice(DELETIONS)(project, chance, "")
        if project.main.name:
            available = [one for one in available if one is not deploy_another_table_file]
        chosen = chance.sample(available, chance.randint(1, 3))
        file = FOLDER / f"seed-{seed}-round-{number}.txt"
        try:
            with evidence.kept(project, file) as notes:
                one = _play_round(project, number, chance, chosen, pace, notes)
        except (AssertionError, OSError, psycopg.Error, BotoCoreError, ClientError) as error:
            names = [fault.__name__ for fault in chosen]
            one = Round(number, names, "UNKNOWN", problem=f"{type(error).__name__}: {error}")
        yield one
        is_new, pace = not one.is_right, one.pace or pace


def _play_round(
    project: Scene,
    number: int,
    chance: random.Random,
    chosen: Sequence[Fault],
    pace: float,
    notes: list[str],
) -> Round:
    """One round; ``notes`` stays empty unless something isn't right.

    ``pace`` is how many seconds an undisturbed run takes: faults come at any time of the run,
    however busy the machine is.
    """
    timeline = Timeline(time.monotonic())
    main = project.main
    before = {table: project.rows_of(table) for table in project.synced}
    states: list[Files] = [dict(project.files)]
    sync_type = chance.choice(["full", "incremental"])
    arn = project.start(batch_size=BATCH_SIZE, sync_type=sync_type, **main.input)
    for table in set(project.synced) - {main}:
        project.start(batch_size=BATCH_SIZE, **table.input)
    damaged = _disturb(project, chance, arn, chosen, pace, timeline, states)
    ended, redrives = _recover(project, arn)
    timeline.note(ended)
    is_altered = not set(ALTERATIONS).isdisjoint(chosen)
    judged = _judge(project, ended, states, is_altered) if _has_worked(ended) else ({}, {})
    lost, wrong = judged
    ((checked_at,),) = project.query("SELECT clock_timestamp()")
    last, pace = _settle_down(project)
    timeline.note(last)
    problem = ""
    if lost and (damaged is None or damaged < _began_recording(project, arn)):
        wrong |= lost
    elif lost and not _was_filled(project, checked_at):
        problem = f"{len(lost)} rows were lost, and no later run says that it is full for it"
    if ended.status != "SUCCEEDED" and not _overtaken(project, ended):
        problem = f"{REDRIVES} redrives haven't helped: {ended.error}: {ended.cause}"
    try:
        eventually(lambda: not _holders(project), what="the end of the last lease")
    except AssertionError:
        problem = f"a run that has ended holds the lease: {_holders(project)}"
    different = {
        (table.target, *key): rows
        for table in project.synced
        for key, rows in differing(
            project, table, before[table], states, is_damaged=damaged is not None and table is main
        )
    }
    for name, rows in (("green and wrong", wrong), ("different in the end", different)):
        if rows:
            timeline.note(f"{name}: {len(rows)} rows, for example {dict(list(rows.items())[:5])}")
    one = Round(
        number=number,
        faults=[fault.__name__ for fault in chosen],
        outcome="COALESCED" if ended.entered[-1] == "Coalesced" else ended.status,
        redrives=redrives,
        rows=sum(len(project.expected(table)) for table in project.synced),
        differences=len(different) + len(wrong),
        wrong=len(wrong),
        seconds=timeline.seconds,
        pace=pace,
        problem=problem,
    )
    if not one.is_right:
        notes.extend([str(one), *timeline.lines])
    return one


def _disturb(
    project: Scene,
    chance: random.Random,
    arn: str,
    chosen: Sequence[Fault],
    pace: float,
    timeline: Timeline,
    states: list[Files],
) -> datetime | None:
    """Inject the faults at any time of an undisturbed run; when the target was damaged last.

    ``states`` gets the lake as it is after each fault that changes it.
    """
    damaged = None
    for fault, part in zip(chosen, sorted(chance.random() for _ in chosen), strict=True):
        # Not a synchronization: the time is what varies.
        time.sleep(max(0.0, part * pace - timeline.seconds))
        timeline.note(fault.__name__)
        fault(project, chance, arn)
        if project.files != states[-1]:
            states.append(dict(project.files))
        if fault in TARGET_FAULTS:
            damaged = datetime.now(UTC)
    return damaged


def _judge(
    project: Scene, ended: Ended, states: Sequence[Files], is_altered: bool
) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Rows that the target has lost, and those that aren't the newest, with what is there instead.

    A run that has succeeded has read the lake in its first state, or in a later one. Where somebody
    has altered columns, rows with other values are lost. Where the lake has changed since the run
    began, the run may have left rows that must leave to the next one.
    """
    table, loaded = project.main, project.rows_of(project.main)
    files = {project.definition_of(file): file for file in (table.file, table.exchanged)}
    accepted = {files[ended.output["definition"]], project.deployed_file(table)}
    read: list[Newest] = [table.newest(state) for state in states]
    lost: dict[Any, Any] = {}
    wrong: dict[Any, Any] = {}
    for key in read[0]:
        known = set[Values | None]().union(*(newest.get(key, set()) for newest in read))
        values = spell(known, plain=table.file in accepted, exchanged=table.exchanged in accepted)
        may_leave = None in values or any(key not in newest for newest in read)
        if may_leave and (key not in loaded or len(states) > 1):
            continue
        if key not in loaded:
            lost[key] = (values, None)
        elif loaded[key] not in values:
            (lost if is_altered else wrong)[key] = (values, loaded[key])
    if table.is_mirror and len(states) == 1:
        wrong |= {key: (None, loaded[key]) for key in loaded.keys() - read[0].keys()}
    return lost, wrong


def _began_recording(project: Scene, arn: str) -> datetime:
    """When a run that succeeded came to the state that compares the target for the last time."""
    times: list[datetime] = [
        event["timestamp"]
        for event in project.history(arn)
        if event.get("stateEnteredEventDetails", {}).get("name") == "Record status"
    ]
    return times[-1]


def _was_filled(project: Scene, since: datetime) -> bool:
    """Whether a run that ended since then has read the whole lake, by itself or as it was told."""
    return bool(
        project.query(
            "SELECT FROM forecast_sync_status WHERE finished_at > %s AND status = 'succeeded' "
            "AND window_low IS NULL AND (window_reason IS NOT NULL OR sync_type = 'full') "
            "AND coalesce(table_name = %s, true)",
            [since, project.main.name],
        )
    )


def _holders(project: Scene) -> list[str]:
    """The runs that hold the lease: one that has ended, or a rerun that has just started."""
    running = "SELECT run_id FROM forecast_sync_status WHERE status = 'running'"
    return [run for (run,) in project.query(running)]


def _recover(project: Scene, arn: str) -> tuple[Ended, int]:
    """What an operator does: press Redrive, unless a later run has taken over; how often."""
    ended = project.wait(arn, PATIENCE)
    scene.await_postgres(project)
    redrives = 0
    while ended.status != "SUCCEEDED" and not _overtaken(project, ended) and redrives < REDRIVES:
        project.client("stepfunctions").redrive_execution(executionArn=arn)
        ended = project.wait(arn, PATIENCE)
        redrives += 1
    scene.await_postgres(project)
    return ended, redrives


def _settle_down(project: Scene) -> tuple[Ended, float]:
    """The end of all faults, and a run that nothing disturbs; how many seconds that took."""
    project.request_faults()
    project.athena_faults()
    scene.await_quiet(project)
    return eventually(lambda: _settle(project), 120, "a run that succeeds after all faults")


def _settle(project: Scene) -> tuple[Ended, float] | None:
    """A separate run of each table, for what was uploaded meanwhile; a fault may still hit it."""
    began = time.monotonic()
    arns = [project.start(**table.input) for table in project.synced]
    ended = [project.wait(arn, PATIENCE) for arn in arns]
    seconds = time.monotonic() - began
    scene.await_quiet(project)
    main = project.synced.index(project.main)
    return (ended[main], seconds) if all(map(_has_worked, ended)) else None


def _has_worked(ended: Ended) -> bool:
    return ended.status == "SUCCEEDED" and ended.entered[-1] != "Coalesced"


def _overtaken(project: Scene, ended: Ended) -> bool:
    return (project.status(ended.name) or {}).get("status") == "superseded"


def _file(project: Scene, chance: random.Random) -> bytes:
    """A file of random rows, so large that several files are loaded in several pages.

    Where a table has tombstones, some rows are; in a lake that another table reads too, they are
    valid rows to it.
    """
    rows: list[Row] = []
    for _ in range(chance.randint(50, MOST_ROWS)):
        row: dict[str, Any] = {
            "y_50": chance.choice([chance.uniform(-1e4, 1e4), 1.005, 0.0]),
            "dma_id": chance.choice([None, "", "\\N", "a\tb", "é🍕", "x" * 50]),
            "updated_at": chance.choice(
                [None, MORNING, MORNING + timedelta(seconds=chance.randint(0, 9))]
            ),
        }
        rows.append(make_row(chance.randrange(KEYS), **row))
    schema = SCHEMA
    if any(table.has_tombstones for table in project.synced):
        schema = WITH_DELETED
        rows = [_perhaps_deleted(row, chance, project) for row in rows]
    rows[0]["padding"] = chance.randbytes(PADDING_BYTES)
    return to_parquet(rows, schema.append(pa.field("padding", pa.binary())))


def _perhaps_deleted(row: Row, chance: random.Random, project: Scene) -> Row:
    if chance.random() > SHARE_OF_TOMBSTONES:
        return {**row, "is_deleted": chance.choice([None, False])}
    if len(project.synced) == 1 and chance.random() < 0.5:
        row = {name: row[name] if name in (*KEY, "updated_at") else None for name in row}
    return {**row, "is_deleted": True}


def _play_in_cloud(numbers: Sequence[int], seed: int, played: Queue[Round]) -> None:
    """Play the rounds with these numbers in local clouds of their own.

    One has a stack with a single table, whose file is deployed anew; another one has several.
    """
    waiting.PATIENCE = PATIENCE_FACTOR
    for tables in (EPISODES["kept"], EPISODES["several"]):
        is_one = len(tables) == 1
        own = [number for number in numbers if (len(EPISODES[tables_of(number)]) == 1) is is_one]
        if not own:
            continue
        with _scene(tables) as project:
            for one in play(project, own, seed):
                played.put(one)


@contextmanager
def _scene(tables: Sequence[Synced]) -> Iterator[Scene]:
    """A stack with these tables in a local cloud, behind a pooler if there is one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port() if shutil.which("pgbouncer") else None
        options: dict[str, Any] = {"wait_scale": WAIT_SCALE, "pooler_port": port}
        parameters = {"LookbackHours": "0"}
        if tables[0].name is None:
            copied = stack.enter_context(copied_project(folder, parameters, **options))
            project = Scene(copied.cloud, tables=copied.tables)
        else:
            texts = {table.name or "": table.file for table in tables}
            several = stack.enter_context(running_tables(texts, parameters, **options))
            project = Scene(several.cloud)
        if port is not None:
            settings = folder / "pooler"
            settings.mkdir()
            stack.enter_context(pooled(project.cloud.database_urls["dev"], port, settings))
        project.begin(*tables)
        project.warm_up(**tables[0].input)
        yield project


def play_in_clouds(numbers: Sequence[int], seed: int, clouds: int) -> Iterator[Round]:
    """Play the rounds in several clouds side by side, which take turns with the episodes."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(clouds, context) as pool:
        played: Queue[Round] = manager.Queue()
        episodes = sorted({(number - 1) // EPISODE for number in numbers})
        turns = [
            [number for number in numbers if (number - 1) // EPISODE in episodes[turn::clouds]]
            for turn in range(clouds)
        ]
        working = [pool.submit(_play_in_cloud, own, seed, played) for own in turns]
        while not all(one.done() for one in working) or not played.empty():
            with suppress(Empty):
                yield played.get(timeout=1)
        for one in working:
            one.result()


def main() -> int:
    """Print a line for each round, then a table; the exit code is 1 when a row differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=1, help="the first round")
    parser.add_argument("--clouds", type=int, default=1, help="play side by side in so many")
    parser.add_argument("--tables", action="append", choices=[*EPISODES], help="only with these")
    options = parser.parse_args()
    console = Console(highlight=False, soft_wrap=True)
    played = []
    wanted = options.tables or EPISODES
    numbers = [
        number for number in range(options.first, options.rounds + 1) if tables_of(number) in wanted
    ]
    for one in play_in_clouds(numbers, options.seed, options.clouds):
        console.print(
            f"round {one.number} ({tables_of(one.number)}): {', '.join(one.faults)}; "
            f"{one.outcome}, {one.redrives} redrives; "
            f"{one.differences} of {one.rows:,} rows differ; {one.seconds:.1f} s {one.problem}"
        )
        played.append(one)
    _report(console, options.seed, played)
    return 0 if all(one.is_right for one in played) else 1


def _report(console: Console, seed: int, played: Sequence[Round]) -> None:
    table = Table(title=f"seed {seed}", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("fault", "rounds", "with a green run", "with a difference"):
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for name in sorted({name for one in played for name in one.faults}):
        having = [one for one in played if name in one.faults]
        green = sum(one.outcome == "SUCCEEDED" for one in having)
        different = sum(not one.is_right for one in having)
        table.add_row(name, str(len(having)), str(green), str(different))
    console.print(table)
    outcomes = Counter(one.outcome for one in played)
    console.print(", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))
    console.print(
        f"{len(played)} rounds, {sum(len(one.faults) for one in played)} faults injected, "
        f"{sum(one.redrives for one in played)} redrives, "
        f"{sum(one.rows for one in played):,} rows compared, "
        f"{sum(one.differences for one in played)} differences, "
        f"{sum(one.wrong for one in played)} rows of green runs wrong, "
        f"{sum(bool(one.problem) for one in played)} other problems"
    )


if __name__ == "__main__":
    sys.exit(main())
