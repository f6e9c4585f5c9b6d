"""Answers an operator's questions about a branch's database without changing a row.

The deployment's functions can reach the database; the operator's machine may not.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from typing import Annotated, Any, Literal

from psycopg import sql
from pydantic import Field, StrictBool, StrictInt

from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.postgres import (
    Connection,
    copy_in,
    has_table,
    statement,
    transaction,
)
from forecast_sync.adapters.s3 import Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.base import Day, Line, Model
from forecast_sync.contracts.page import Page
from forecast_sync.contracts.survey import DateRange
from forecast_sync.diagnostics.checksums import list_target, sum_target
from forecast_sync.errors import InvalidInput
from forecast_sync.extract.athena_sql import Dates
from forecast_sync.load.page_reader import PageReader, Stream
from forecast_sync.survey.file_ledger import FileLedger
from forecast_sync.survey.folders import partition_values
from forecast_sync.survey.judge import ARCHIVED
from forecast_sync.survey.listing import is_hidden
from forecast_sync.survey.lists import OTHER, WINDOW, ListedFile, register_lists, write_list
from forecast_sync.tables import Table
from forecast_sync.target.differences import describe_target, list_differences
from forecast_sync.target.expressions import row_hash, shown, type_sql
from forecast_sync.text.size_limits import fitting

MAX_PROBE_KEYS = 100
MAX_PROBE_ROWS = 100
MAX_OFFSET = 2**31


class DatabaseQuestion(Model):
    """Which server answers, and how its table differs from the table file."""

    about: Literal["database"]


class ProbeQuestion(Model):
    """What Postgres reads from the result files of doctor's probe."""

    about: Literal["probe"]
    bucket: Line
    keys: Annotated[tuple[Line, ...], Field(max_length=MAX_PROBE_KEYS)]


class SumsQuestion(Model):
    """Rows and checksum by business date."""

    about: Literal["sums"]
    date_from: Day | None = None
    date_to: Day | None = None


class LakeQuestion(Model):
    """A list of objects, for Athena: the loaded ones that may have rows of some business dates.

    With ``now``, those that the lake has at the moment, whether they were loaded or not.
    """

    about: Literal["lake"]
    date_from: Day | None = None
    date_to: Day | None = None
    now: StrictBool = False


class KeysQuestion(Model):
    """Keys and hashes of the rows of one business date, page by page."""

    about: Literal["keys"]
    day: Day
    limit: Annotated[StrictInt, Field(ge=1, le=50_000)]
    offset: Annotated[StrictInt, Field(ge=0, le=MAX_OFFSET)] = 0


Question = DatabaseQuestion | ProbeQuestion | SumsQuestion | LakeQuestion | KeysQuestion


class InspectRequest(Model):
    """A question to the database of a git ref's branch; None is the environment's own branch.

    ``table`` is the one that the question is about; None is the stack's only one.
    """

    git_ref: Line | None = None
    table: Line | None = None
    question: Annotated[Question, Field(discriminator="about")]


class BranchRequest(Model):
    """Whether the database of a git ref's branch answers; None is the environment's own branch."""

    git_ref: Line | None = None


def inspect(
    connection: Connection,
    storage: Storage,
    catalog: Catalog,
    table: Table,
    settings: Settings,
    request: InspectRequest,
) -> dict[str, Any]:
    """Answer a question.

    About ``database``: ``{"server", "user", "target", "exists", "differences": [{"column",
    "expected", "found"}], "described": the fields of a ``DescribedTarget``, "rights": what the role
    may do with its rows, None without one}``; about ``probe``: ``{"rows": [{column: text or None}],
    "hashes": [int as text]}``; about ``sums``: ``{"sums": [[date, rows, checksum as text]]}``;
    about ``lake``: ``{"survey_id": whose partition of the survey table the objects are}``; about
    ``keys``: ``{"rows": [[key..., hash as text]], "next": the offset to continue at, or None}``,
    with fewer rows than asked for when they are large. A probe's values are shortened.
    """
    question = request.question
    if isinstance(question, ProbeQuestion):
        return _read_probe(connection, storage.stream, table, question)
    if isinstance(question, SumsQuestion):
        dates = Dates(question.date_from, question.date_to)
        sums = sum_target(connection, table, dates)
        rows = [[day, of_day.rows, str(of_day.checksum)] for day, of_day in sums.items()]
        if len(fitting(rows)) < len(rows):
            raise InvalidInput(
                f"The sums of {len(rows):,} business dates don't fit into one answer: ask for "
                "fewer dates with date_from and date_to."
            )
        return {"sums": rows}
    if isinstance(question, LakeQuestion):
        return {"survey_id": _list_lake(connection, storage, catalog, table, settings, question)}
    if isinstance(question, KeysQuestion):
        return _list_keys(connection, table, question)
    return _describe_database(connection, table)


def describe_server(connection: Connection) -> str:
    """The server that answers: ``Postgres`` and its major version."""
    return f"Postgres {connection.info.server_version // 10_000}"


def _list_lake(
    connection: Connection,
    storage: Storage,
    catalog: Catalog,
    table: Table,
    settings: Settings,
    question: LakeQuestion,
) -> str:
    survey_id = f"inspect-{uuid.uuid4().hex}"
    location = f"{settings.athena_output_location}{survey_id}/"
    if question.now:
        wanted: Iterable[ListedFile] = _list_present(storage, settings, table)
    else:
        wanted = _list_loaded(connection, settings, question)
    window = write_list(storage, settings, table, location, WINDOW, wanted)
    other = write_list(storage, settings, table, location, OTHER, ())
    register_lists(catalog, settings, table, survey_id, window.folders, other.folders)
    return survey_id


def _list_keys(connection: Connection, table: Table, question: KeysQuestion) -> dict[str, Any]:
    rows = list_target(connection, table, question.day, question.limit, question.offset)
    page = fitting(rows)
    is_last = len(page) == len(rows) < question.limit
    return {"rows": page, "next": None if is_last else question.offset + len(page)}


def _list_loaded(
    connection: Connection, settings: Settings, question: LakeQuestion
) -> Iterable[ListedFile]:
    """The loaded objects that may have rows of the question's dates; none before the first run."""
    with transaction(connection) as cursor:
        if not has_table(cursor, "forecast_sync_file"):
            return ()
    bounds = DateRange(first=question.date_from or date.min, last=question.date_to or date.max)
    return FileLedger(connection, settings).list_others([bounds])


def _list_present(storage: Storage, settings: Settings, table: Table) -> Iterator[ListedFile]:
    """The objects that Athena can read, but for those whose folders don't say their values."""
    bucket, prefix = split_location(settings.data_location)
    for item in storage.list(bucket, prefix):
        if is_hidden(item.key, prefix) or item.storage_class in ARCHIVED:
            continue
        with suppress(ValueError):
            partition_values(item.key, prefix, table.source.partitions)
            yield ListedFile(item.key, item.etag, item.modified, item.size, 0)


def _describe_database(connection: Connection, table: Table) -> dict[str, Any]:
    target = describe_target(connection, table)
    return {
        "server": describe_server(connection),
        "user": connection.info.user,
        "target": table.target.table,
        "exists": target.exists,
        "differences": list_differences(target, table),
        "described": target._asdict(),
        "rights": _read_rights(connection, table) if target.exists else None,
    }


def _read_rights(connection: Connection, table: Table) -> list[str]:
    with transaction(connection) as cursor:
        rights = cursor.execute(
            statement("diagnostics/read_rights.sql"), {"table": table.target.table}
        )
        return [right for (right,) in rights.fetchall()]


def _read_probe(
    connection: Connection, stream: Stream, table: Table, question: ProbeQuestion
) -> dict[str, Any]:
    page = Page(
        query_execution_id="probe",
        number=0,
        kind="row",
        bucket=question.bucket,
        keys=question.keys,
    )
    reader = PageReader(stream, page)
    definitions = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column.name), type_sql(column))
        for column in table.column
    )
    values = sql.SQL(", ").join(
        shown(sql.SQL("{}::text").format(sql.Identifier(name))) for name in table.names
    )
    with transaction(connection) as cursor:
        cursor.execute(statement("diagnostics/create_probe.sql", columns=definitions))
        copy_in(cursor, b"COPY forecast_sync_probe FROM STDIN", reader.take(MAX_PROBE_ROWS))
        cursor.execute(statement("diagnostics/read_probe.sql", hash=row_hash(table), values=values))
        rows = cursor.fetchall()
    return {
        "rows": [dict(zip(table.names, row[1:], strict=True)) for row in rows],
        "hashes": [str(row[0]) for row in rows],
    }
