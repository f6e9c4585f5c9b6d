"""Extraction: the two Athena queries of a run, built from the table file, submitted and watched."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Protocol

from forecast_sync.contracts import PolledQuery, PollRequest, QueryRequest, Run, StartedQuery, Window
from forecast_sync.errors import InputsOutdated, QueryFailed, QueryRetryable
from forecast_sync.settings import Settings
from forecast_sync.sql import read_statement
from forecast_sync.tables import Column, Table

SUBMISSIONS_PER_REDRIVE = 3

FIRST_DATE, LAST_DATE = "0001-01-01", "9999-12-31"


class QueryEngine(Protocol):
    """What extraction needs of Athena."""

    def start(self, sql: str, token: str) -> str:
        """Submit ``sql`` and return its query execution id; the same token returns the same id."""
        ...

    def poll(self, query_execution_id: str) -> bool:
        """Whether the query has succeeded; False while it is queued or runs.

        Raises ``QueryRetryable`` or ``QueryFailed`` when it ended otherwise.
        """
        ...


def start_query(
    athena: QueryEngine, table: Table, settings: Settings, request: QueryRequest
) -> StartedQuery:
    """Submit one of the run's two queries, at most once for the same request."""
    build = {"extract": build_extract, "profile": build_profile}[request.query]
    identity = (
        f"{request.run.execution_arn} {request.query} {request.renewal} {request.attempt} "
        f"{request.redrive_count}"
    )
    token = hashlib.sha256(identity.encode()).hexdigest()
    return StartedQuery(
        query=request.query,
        query_execution_id=athena.start(build(table, settings, request), token),
        renewal=request.renewal,
        attempt=request.attempt,
        redrive_count=request.redrive_count,
    )


def poll_query(athena: QueryEngine, request: PollRequest) -> PolledQuery:
    """Say whether the query is done.

    Raises ``QueryRetryable`` while submissions are left, ``InputsOutdated`` when the query failed
    before the redrive that asks, and ``QueryFailed`` otherwise.
    """
    started = request.started
    try:
        return PolledQuery(done=athena.poll(started.query_execution_id))
    except (QueryRetryable, QueryFailed) as error:
        if request.redrive_count > started.redrive_count:
            raise InputsOutdated(
                f"Query {started.query_execution_id} failed before the redrive."
            ) from error
        allowed = SUBMISSIONS_PER_REDRIVE * (request.redrive_count + 1)
        if isinstance(error, QueryRetryable) and started.attempt + 1 >= allowed:
            raise QueryFailed(f"{error} It was submitted {started.attempt + 1} times.") from error
        raise


def build_extract(table: Table, settings: Settings, request: QueryRequest) -> str:
    """The UNLOAD statement: rows and rejects as text lines under the attempt's own prefix."""
    return read_statement("extract.athena.sql").format(
        sources=_sources(table, settings, request.run, request.window),
        reject_line=_reject_line(table),
        prefix=quote_literal(result_prefix(settings, request)),
    )


def build_profile(table: Table, settings: Settings, request: QueryRequest) -> str:
    """The SELECT that counts what the extract must add up to; one row."""
    return read_statement("profile.athena.sql").format(
        sources=_sources(table, settings, request.run, request.window),
        line_hash="CAST(from_base(substr(to_hex(md5(to_utf8(line))), 1, 15), 16) AS decimal(38, 0))",
    )


def result_prefix(settings: Settings, request: QueryRequest) -> str:
    """Where this attempt writes: never the same place twice, because orphans of a failed one stay."""
    attempt = f"{request.query}-{request.renewal}-{request.attempt}-{request.redrive_count}"
    return f"{settings.athena_output_location}{request.run.run_id}/{attempt}/"


def quote_literal(text: str) -> str:
    """``text`` as a Trino string literal; Trino has no other escape in it than the doubled quote."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """``name`` as a quoted Trino identifier."""
    return '"' + name.replace('"', '""') + '"'


def _sources(table: Table, settings: Settings, run: Run, window: Window) -> str:
    key = ", ".join(map(quote_name, table.target.key))
    date = quote_name(table.source.date)
    candidates = read_statement(
        "candidates_all.athena.sql" if window.low is None else "candidates_touched.athena.sql"
    ).format(
        key=key,
        date=date,
        same_key=" AND ".join(
            f"checked.{quote_name(name)} = touched.{quote_name(name)}" for name in table.target.key
        ),
    )
    sources = {column.name: column.source or quote_name(column.name) for column in table.column}
    newest_alias = "source_newest"
    columns = [f"{expression} AS {quote_name(name)}" for name, expression in sources.items()]
    columns.append(f"{quote_name(table.source.newest)} AS {newest_alias}")
    return read_statement("sources.athena.sql").format(
        path=table.source.path,
        modified=table.source.modified,
        columns=", ".join(columns),
        table=f"{quote_name(settings.athena_db_name)}.{quote_name(settings.forecast_table_name)}",
        high=_instant(window.high),
        date_filter=_date_filter(date, run),
        exact_columns="".join(
            f", TRY_CAST({quote_name(column.name)} AS decimal({_digits(column)})) AS {_exact(column)}"
            for column in table.column
            if column.kind == "numeric"
        ),
        reject_reason=_reject_reason(table),
        line=_joined([f"coalesce({_as_text(column)}, '\\N')" for column in table.column]),
        window_filter=f" WHERE source_modified >= {_instant(window.low)}" if window.low else "",
        candidates=candidates,
        key=key,
        newest=newest_alias,
    )


def _date_filter(date: str, run: Run) -> str:
    bounds = ((">=", run.date_from), ("<=", run.date_to))
    return "".join(f" AND {date} {sign} DATE '{day.isoformat()}'" for sign, day in bounds if day)


def _instant(moment: datetime) -> str:
    return f"from_iso8601_timestamp('{moment.astimezone(UTC).isoformat(timespec='milliseconds')}')"


def _digits(column: Column) -> str:
    return ", ".join(map(str, column.arguments))


def _exact(column: Column) -> str:
    return quote_name(f"{column.name}__exact")


def _as_text(column: Column) -> str:
    name = quote_name(column.name)
    if column.kind == "numeric":
        return f"CAST({_exact(column)} AS varchar)"
    return _escaped(name) if column.kind == "varchar" else f"CAST({name} AS varchar)"


def _escaped(text: str) -> str:
    escaped = f"replace({text}, '\\', '\\\\')"
    for code, letter in ((9, "t"), (10, "n"), (13, "r")):
        escaped = f"replace({escaped}, chr({code}), '\\{letter}')"
    return escaped


def _joined(fields: list[str]) -> str:
    return " || chr(9) || ".join(fields)


def _reject_reason(table: Table) -> str:
    rules = [rule for column in table.column for rule in _reject_rules(column)]
    cases = " ".join(f"WHEN {condition} THEN {quote_literal(reason)}" for condition, reason in rules)
    return f"CASE {cases} END"


def _reject_rules(column: Column) -> list[tuple[str, str]]:
    """What the target can't hold, as conditions in Athena and reasons in words."""
    name = quote_name(column.name)
    rules = [(f"{name} IS NULL", f"{column.name} is NULL")] if column.required else []
    if column.kind == "varchar":
        (length,) = column.arguments
        rules += [
            (f"strpos({name}, chr(0)) > 0", f"{column.name} has a NUL byte"),
            (f"length({name}) > {length}", f"{column.name} is longer than {length} characters"),
        ]
    elif column.kind == "numeric":
        rules += [
            (f"is_nan({name})", f"{column.name} is NaN"),
            (f"is_infinite({name})", f"{column.name} is infinite"),
            (
                f"{name} IS NOT NULL AND {_exact(column)} IS NULL",
                f"{column.name} doesn't fit {column.type}",
            ),
        ]
    elif column.kind == "date":
        outside = f"{name} < DATE '{FIRST_DATE}' OR {name} > DATE '{LAST_DATE}'"
        rules.append((outside, f"{column.name} is outside {FIRST_DATE} to {LAST_DATE}"))
    return rules


def _reject_line(table: Table) -> str:
    names = ", ".join(quote_literal(name) for name in table.names)
    values = ", ".join(f"CAST({quote_name(name)} AS varchar)" for name in table.names)
    row = f"json_format(CAST(MAP(ARRAY[{names}], ARRAY[{values}]) AS json))"
    return _joined([_escaped(field) for field in ("source_path", "reject_reason", row)])
