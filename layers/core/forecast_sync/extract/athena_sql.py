"""Composes a run's two Athena queries, and others over the same rows, from the table file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import NamedTuple

from forecast_sync.config import Settings
from forecast_sync.contracts.run import Run, Window
from forecast_sync.contracts.survey import DateRange
from forecast_sync.sql import read_statement
from forecast_sync.survey.lists import partition_keys, survey_table
from forecast_sync.tables import Column, Table
from forecast_sync.tables.index_limits import KEY_INDEX, TextLimit, find_text_limits
from forecast_sync.tables.model import EXACT_SUFFIX

FIRST_DATE, LAST_DATE = "0001-01-01", "9999-12-31"

NEWEST = "source_newest"

TEXTS = ("varchar", "text")
FLOATS = ("real", "double")

LEAST_TOO_LARGE_FOR_REAL = "3.4028235677973366E38"
"""From here on a double isn't rounded to the largest real but to infinity."""

UUID_PATTERN = (
    "^([0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    "|\\{[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\})\\z"
)
"""A UUID's usual spellings, in lower case; ``$`` would let a line end follow it."""

INTEGER_BITS = {"smallint": 16, "integer": 32}

NO_TIMES = ("2262-04-11 23:47:16.854", "1677-09-21 00:12:43.145")
"""What Athena reads where pandas' NaT, -2^63 nanoseconds, is stored as if it were a time.

The first is that of an INT64, whose rounding overflows, the second that of an INT96. Footers don't
tell.
"""


def _hash(line: str) -> str:
    """60 bits of md5; as a decimal because Trino's sum of bigint overflows."""
    return f"CAST(from_base(substr(to_hex(md5(to_utf8({line}))), 1, 15), 16) AS decimal(38, 0))"


LINE_HASH = _hash("line")


IS_GOOD = "row__kind = 'row' AND is_touched AND newest_first = 1"
IS_TOMBSTONE = "row__kind = 'tombstone' AND is_touched AND newest_first = 1"
IS_KEPT = "row__kind = 'reject' AND key__line IS NOT NULL"
"""Rows whose key the lake has, though no valid row of it."""


class Dates(NamedTuple):
    """A range of business dates, both ends included; None means no bound."""

    date_from: date | None = None
    date_to: date | None = None


def build_extract(
    table: Table,
    settings: Settings,
    dates: Run | Dates,
    window: Window,
    prefix: str,
    parts: int,
    source: str | None = None,
) -> str:
    """The UNLOAD statement: rows and rejects as text lines under ``prefix`` (``s3://...``).

    Rows with the same value in the key's first column are in the same of ``parts`` partitions.
    ``source`` is as in ``build_sources``.
    """
    name = "extract/extract_deletions.athena.sql" if table.deletes else "extract/extract.athena.sql"
    rejects = "ARRAY['reject', 'kept']" if table.is_mirror else "ARRAY['reject']"
    return read_statement(name).format(
        sources=build_sources(table, settings, dates, window, source, with_rejects=True),
        part=_part(parts),
        prefix=quote_literal(prefix),
        kinds=f"CASE WHEN row__kind = 'reject' THEN {rejects} ELSE ARRAY[row__kind] END",
    )


def build_profile(
    table: Table,
    settings: Settings,
    dates: Run | Dates,
    window: Window,
    source: str | None = None,
) -> str:
    """The SELECT whose one row says what the extract must add up to."""
    return read_statement("extract/profile.athena.sql").format(
        sources=build_sources(table, settings, dates, window, source),
        line_hash=LINE_HASH,
        is_good=IS_GOOD,
        is_rejected=f"row__kind = 'reject'{' AND row__new' if table.is_mirror else ''}",
        counted_keys=_counted_keys(table),
        counted_warnings=_counted_warnings(table, IS_GOOD),
    )


def build_search(table: Table, settings: Settings, dates: Run | Dates, window: Window) -> str:
    """The SELECT that reads the listed objects as the extract and the profile do."""
    return read_statement("extract/search.athena.sql").format(
        sources=build_sources(table, settings, dates, window, with_rejects=True),
        counted_warnings=_counted_warnings(table, "true"),
    )


def _counted_warnings(table: Table, condition: str) -> str:
    return "".join(
        f", count(CASE WHEN {condition} THEN {name} END) AS {name}" for name in warning_names(table)
    )


def _counted_keys(table: Table) -> str:
    """Further columns of a profile: how many keys leave or only have rejects, and their sum."""
    if not table.deletes:
        return ""
    kept = IS_KEPT if table.is_mirror else "false"
    hashed = f"CASE WHEN ({IS_TOMBSTONE}) OR ({kept}) THEN {_hash('key__line')} END"
    return (
        f", count(CASE WHEN {IS_TOMBSTONE} THEN 1 END) AS tombstones"
        f", count(CASE WHEN {kept} THEN 1 END) AS kept"
        f", coalesce(sum({hashed}), CAST(0 AS decimal(38, 0))) AS key_checksum"
    )


def warning_names(table: Table) -> list[str]:
    """The profile's columns: how many good rows fail each of the table's expectations."""
    return [f"warning_{number}" for number in range(len(table.expect))]


def _part(parts: int) -> str:
    digits = "substr(to_hex(md5(to_utf8(CAST(first_key AS varchar)))), 1, 8)"
    return f"from_base({digits}, 16) % {parts}"


def quote_literal(text: str) -> str:
    """``text`` as a Trino string literal, whose only escape is the doubled quote."""
    return "'" + text.replace("'", "''") + "'"


def quote_name(name: str) -> str:
    """``name`` as a quoted Trino identifier."""
    return '"' + name.replace('"', '""') + '"'


def _exact_columns(table: Table) -> str:
    """Further columns of a SELECT: the values that the target holds, where they may be others."""
    return "".join(
        f", {value} AS {_exact(column)}"
        for column in table.column
        if (value := _exact_value(table, column))
    )


def _exact_value(table: Table, column: Column) -> str | None:
    """What the target makes of a column's value; None when that needs no column of its own.

    A number is rounded, and NULL when it doesn't fit. Floats, times with a zone and UUIDs are
    texts, equal when the target's values are. Only in the key does the same hold for times, which
    lose digits and time zone, and for dates that are computed as timestamps.
    """
    name = quote_name(column.name)
    if column.kind == "numeric":
        return f"TRY_CAST({name} AS decimal{column.arguments})"
    if column.kind in FLOATS:
        return _float_bits(column)
    if column.kind == "timestamptz":
        text = f"date_format({_in_utc(name)}, '%Y-%m-%d %H:%i:%s.%f')"
        return f"TRY(concat({text}, '+00'))"
    if column.kind == "uuid":
        return _uuid(name)
    if column.name in table.target.key and column.kind == "timestamp":
        return f"TRY({_as_text(column)})"
    if column.name in table.target.key and column.kind == "date":
        return f"CAST({name} AS date)"
    return None


def _key_values(table: Table) -> dict[str, str]:
    """By name of a key's column, the column of ``exact`` with the value that the target holds.

    Rows whose keys differ only before rounding are one row of the target.
    """
    columns = {column.name: column for column in table.column}
    return {
        name: _exact(columns[name]) if _exact_value(table, columns[name]) else quote_name(name)
        for name in table.target.key
    }


def _copy_line(table: Table) -> str:
    """The expression of a row as a line of Postgres' ``COPY`` format."""
    return _joined([f"coalesce({_as_text(column)}, '\\N')" for column in table.column])


def _key_line(table: Table) -> str:
    """Further columns of a SELECT: a row's key as a line of ``COPY``, NULL if it isn't valid."""
    if not table.deletes:
        return ""
    columns = {column.name: column for column in table.column}
    rules = [rule for name in table.target.key for rule in _reject_rules(columns[name])]
    limits = (limit for limit in find_text_limits(table) if limit.index_name == KEY_INDEX)
    rules += map(_length_rule, limits)
    invalid = " OR ".join(f"({condition})" for condition, _ in rules)
    line = _joined([_as_text(columns[name]) for name in table.target.key])
    return f", CASE WHEN {invalid} THEN NULL ELSE {line} END AS key__line"


def build_sources(
    table: Table,
    settings: Settings,
    dates: Run | Dates,
    window: Window,
    source: str | None = None,
    *,
    with_rejects: bool = False,
) -> str:
    """The WITH clause that all these queries share.

    Its ``ranked`` has, of each row, whether its ``row__kind`` is ``row``, ``tombstone``,
    ``reject`` or ``left out``, the ``line``, whether its object is ``row__new`` and its key
    ``is_touched``, and ``newest_first``, which is 1 for the newest row of a key; ``with_rejects``
    also the ``reject_line``, and of a table whose rows may leave the ``key__line``. ``source`` is a
    query that replaces the lake. It returns what ``build_listed`` does.
    """
    values = _key_values(table)
    key = ", ".join(values.values())
    if source is None:
        build = build_listed if window.survey else build_lake
        source = build(table, settings, dates, window)
    warnings = "".join(
        f", CASE WHEN NOT ({rule.that}) THEN 1 END AS {name}"
        for name, rule in zip(warning_names(table), table.expect, strict=True)
    )
    has_tombstones = table.source.deleted is not None
    is_alone = "row__kind NOT IN ('row', 'tombstone')" if has_tombstones else "row__kind <> 'row'"
    is_read = "row__kind IN ('row', 'tombstone')" if has_tombstones else "row__kind = 'row'"
    return read_statement("extract/sources.athena.sql").format(
        source=source,
        key_line=_key_line(table),
        key_name=", key__line" if table.deletes else "",
        tombstone=(
            " WHEN row__deleted AND key__line IS NOT NULL THEN 'tombstone'"
            if has_tombstones
            else ""
        ),
        is_alone=is_alone,
        # Of equals in everything else, the one that deletes nothing.
        tie=", row__kind" if has_tombstones else "",
        is_read="row__kind <> 'left out'" if table.is_mirror else is_read,
        exact_columns=_exact_columns(table),
        reject_reason=_reject_reason(table),
        line=_copy_line(table),
        first_key=_first_key(table, values),
        key=key,
        newest=NEWEST,
        reject_line=_reject_column(table) if with_rejects else "",
        warnings=warnings,
        is_touched=_is_touched(key, values[table.source.date], window, is_alone),
    )


def _first_key(table: Table, values: dict[str, str]) -> str:
    """What rows are partitioned by; of a mirror, text that Postgres too has of the target's row."""
    name = table.target.key[0]
    if not table.is_mirror:
        return values[name]
    return _as_text(next(column for column in table.column if column.name == name))


def _reject_column(table: Table) -> str:
    return f", CASE WHEN row__kind = 'reject' THEN {_reject_line(table)} END AS reject_line"


def _is_touched(key: str, day: str, window: Window, is_alone: str) -> str:
    """Whether a run looks at a key: one of the window's rows has it, or one withdrawn had its date.

    A run of the whole lake looks at every key, and nothing has to be kept for that.
    """
    if window.survey is None or window.low is None:
        return "true"
    touching = " OR ".join(["row__new", *_in_ranges(day, window.survey.touched)])
    return f"bool_or({touching}) OVER (PARTITION BY {key}, CASE WHEN {is_alone} THEN line END)"


def _in_ranges(day: str, ranges: Iterable[DateRange]) -> list[str]:
    return [
        f"{day} BETWEEN DATE '{item.first.isoformat()}' AND DATE '{item.last.isoformat()}'"
        for item in ranges
    ]


def build_lake(table: Table, settings: Settings, dates: Run | Dates, window: Window) -> str:
    """The query for the rows of all objects of the lake modified up to the window's end.

    It is for operators' questions: a run reads what its survey has listed.
    """
    return read_statement("extract/lake.athena.sql").format(
        **_source_columns(table),
        table=lake_name(settings),
        high=_instant(window.high),
        filter=_conditions([*_date_bounds(table, dates), *_own_filter(table)]),
    )


def build_listed(table: Table, settings: Settings, dates: Run | Dates, window: Window) -> str:
    """The query for the rows of all objects that a run's survey has listed, each read once.

    It returns ``source_path``, ``source_modified``, the target's columns, ``source_newest``, and
    whether a row is ``row__new`` (of an object to take in) and ``row__kept`` (by the filter).
    """
    survey, keys = window.survey, partition_keys(table)
    assert survey is not None  # noqa: S101
    bounds = _date_bounds(table, dates)
    reads = [] if survey.reads is None else [_read_dates(table, survey.reads)]
    own = _own_filter(table)
    return read_statement("extract/listed.athena.sql").format(
        **_source_columns(table),
        table=listed_name(settings, table),
        run_key=quote_name(keys.run),
        part_key=quote_name(keys.part),
        survey_id=quote_literal(survey.survey_id),
        is_kept=f"coalesce({own[0]}, false)" if own else "true",
        window_filter=_conditions(bounds),
        other_filter=_conditions([*reads, *bounds, *own]),
    )


def _read_dates(table: Table, ranges: Sequence[DateRange]) -> str:
    conditions = _in_ranges(_date_of(table), ranges)
    return f"({' OR '.join(conditions)})" if conditions else "false"


def _source_columns(table: Table) -> dict[str, str]:
    columns = [f"{source_of(column)} AS {quote_name(column.name)}" for column in table.column]
    columns.append(f"({table.source.newest}) AS {NEWEST}")
    deleted = table.source.deleted
    return {
        "path": f"({table.source.path})",
        "modified": f"({table.source.modified})",
        "columns": ", ".join(columns),
        "deleted": f", coalesce(({deleted}), false) AS row__deleted" if deleted else "",
    }


def lake_name(settings: Settings) -> str:
    """The lake's table, qualified with its database."""
    return f"{quote_name(settings.athena_db_name)}.{quote_name(settings.forecast_table_name)}"


def listed_name(settings: Settings, table: Table) -> str:
    """The survey table, qualified with its database."""
    return f"{quote_name(settings.athena_db_name)}.{quote_name(survey_table(settings, table))}"


def source_of(column: Column) -> str:
    """The expression, over the lake's columns, of a column of the target."""
    return f"({column.source})" if column.source else quote_name(column.name)


def _date_of(table: Table) -> str:
    """The expression of a date; bare when the lake has dates, by which engines skip row groups."""
    if table.source_date is not None:
        return quote_name(table.source_date)
    (column,) = (column for column in table.column if column.name == table.source.date)
    return f"CAST({source_of(column)} AS date)"


def _date_bounds(table: Table, dates: Run | Dates) -> list[str]:
    bounds = ((">=", dates.date_from), ("<=", dates.date_to))
    day = _date_of(table)
    return [f"{day} {sign} DATE '{bound.isoformat()}'" for sign, bound in bounds if bound]


def _own_filter(table: Table) -> list[str]:
    return [f"({table.source.filter})"] if table.source.filter else []


def _conditions(conditions: Iterable[str]) -> str:
    return "".join(f" AND {condition}" for condition in conditions)


def _instant(time: datetime) -> str:
    return f"from_iso8601_timestamp('{time.astimezone(UTC).isoformat(timespec='milliseconds')}')"


def _exact(column: Column) -> str:
    return quote_name(f"{column.name}{EXACT_SUFFIX}")


def _as_text(column: Column) -> str:
    name = quote_name(column.name)
    if column.kind == "numeric":
        return f"CAST({_exact(column)} AS varchar)"
    if column.kind in (*FLOATS, "timestamptz", "uuid"):
        return _exact(column)
    if column.kind == "timestamp":
        return f"date_format({name}, '%Y-%m-%d %H:%i:%s.%f')"
    if column.kind == "date":
        return f"CAST(CAST({name} AS date) AS varchar)"
    return _escaped(name) if column.kind in TEXTS else f"CAST({name} AS varchar)"


def _float_bits(column: Column) -> str:
    """A float's bits as a hexadecimal number that Postgres reads; -0 is 0.

    Athena's decimal digits of a float aren't those that Postgres writes for it, and the checksum
    needs one form. A real is written as the double that is equal to it.
    """
    given = f"CAST({quote_name(column.name)} AS double)"
    value = f"CAST(TRY_CAST({given} AS real) AS double)" if column.kind == "real" else given
    digits = f"lower(to_hex(to_ieee754_64(abs({value}))))"
    exponent = f"from_base(substr({digits}, 1, 3), 16)"
    return (
        f"CASE WHEN is_nan({given}) THEN 'NaN' "
        f"WHEN is_infinite({given}) "
        f"THEN CASE WHEN {given} > 0 THEN 'Infinity' ELSE '-Infinity' END "
        f"WHEN {value} = 0 THEN '0' ELSE concat(CASE WHEN {value} < 0 THEN '-' ELSE '' END, "
        f"CASE WHEN {exponent} = 0 THEN '0x0.' ELSE '0x1.' END, substr({digits}, 4), 'p', "
        f"CAST(greatest({exponent}, 1) - 1023 AS varchar)) END"
    )


def _in_utc(name: str) -> str:
    """A time, be it with or without a zone, as one in UTC; without, it is in UTC already."""
    return f"at_timezone(CAST({name} AS timestamp with time zone), 'UTC')"


def _uuid(name: str) -> str:
    """A UUID as Postgres writes it; NULL when it isn't one."""
    text = f"lower(CAST({name} AS varchar))"
    digits = f"replace(replace(replace({text}, '-', ''), '{{', ''), '}}', '')"
    parts = ", '-', ".join(
        f"substr({digits}, {start}, {length})"
        for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )
    return f"CASE WHEN regexp_like({text}, '{UUID_PATTERN}') THEN concat({parts}) END"


def _escaped(text: str) -> str:
    escaped = f"replace({text}, '\\', '\\\\')"
    for code, letter in ((9, "t"), (10, "n"), (13, "r")):
        escaped = f"replace({escaped}, chr({code}), '\\{letter}')"
    return escaped


def _joined(fields: list[str]) -> str:
    """Fields, none of them NULL, joined with tabs; Trino's ``||`` fails beyond 1 MB."""
    return f"array_join(ARRAY[{', '.join(fields)}], chr(9))"


def _reject_reason(table: Table) -> str:
    rules = [rule for column in table.column for rule in _reject_rules(column)]
    rules += map(_length_rule, find_text_limits(table))
    newest = table.source.newest.strip('"')
    if table.source.types.get(newest) == "timestamp":
        rules.append(_no_time_rule(newest, NEWEST))
    rules += [(f"({rule.when})", rule.reason) for rule in table.reject]
    cases = " ".join(
        f"WHEN {condition} THEN {quote_literal(reason)}" for condition, reason in rules
    )
    return f"CASE {cases} END" if rules else "CAST(NULL AS varchar)"


def _reject_rules(column: Column) -> list[tuple[str, str]]:
    """Conditions, in Athena's SQL, of values that the target can't hold, each with its reason."""
    name = quote_name(column.name)
    rules = [(f"{name} IS NULL", f"{column.name} is NULL")] if column.required else []
    if column.kind in TEXTS:
        # Trino compares bytes, and from_utf8 replaces what isn't UTF-8.
        rules.append((f"from_utf8(to_utf8({name})) <> {name}", f"{column.name} isn't UTF-8"))
        rules.append((f"strpos({name}, chr(0)) > 0", f"{column.name} has a NUL byte"))
        for length in column.arguments:
            reason = f"{column.name} is longer than {length} characters"
            rules.append((f"length({name}) > {length}", reason))
    elif column.kind in INTEGER_BITS:
        most = 2 ** (INTEGER_BITS[column.kind] - 1)
        outside = f"{name} < {-most} OR {name} > {most - 1}"
        rules.append((outside, f"{column.name} doesn't fit {column.kind}"))
    elif column.kind == "real":
        size = f"abs(CAST({name} AS double))"
        outside = f"{size} >= {LEAST_TOO_LARGE_FOR_REAL} AND NOT is_infinite({size})"
        outside += f" AND NOT is_nan({size})"
        rules.append((outside, f"{column.name} doesn't fit real"))
    elif column.kind == "uuid":
        wrong = f"{name} IS NOT NULL AND {_exact(column)} IS NULL"
        rules.append((wrong, f"{column.name} isn't a UUID"))
    elif column.kind == "numeric":
        rules += [
            (f"is_nan({name})", f"{column.name} is NaN"),
            (f"is_infinite({name})", f"{column.name} is infinite"),
            (
                f"{name} IS NOT NULL AND {_exact(column)} IS NULL",
                f"{column.name} doesn't fit {column.type}",
            ),
        ]
    elif column.kind in ("date", "timestamp", "timestamptz"):
        rules += _time_rules(column)
    return rules


def _time_rules(column: Column) -> list[tuple[str, str]]:
    name = quote_name(column.name)
    day = {
        "date": name,
        "timestamp": f"CAST({name} AS date)",
        "timestamptz": f"TRY(CAST({_in_utc(name)} AS date))",
    }[column.kind]
    outside = f"{day} < DATE '{FIRST_DATE}' OR {day} > DATE '{LAST_DATE}'"
    if column.kind == "timestamptz":  # Trino has no such times beyond the year 73,000.
        outside = f"coalesce({outside}, {name} IS NOT NULL)"
    rules = [(outside, f"{column.name} is outside {FIRST_DATE} to {LAST_DATE}")]
    if column.kind == "timestamp":
        rules.append(_no_time_rule(column.name, name))
    elif column.kind == "timestamptz":
        rules.append(_no_time_rule(column.name, f"TRY(CAST({_in_utc(name)} AS timestamp))"))
    return rules


def _no_time_rule(name: str, value: str) -> tuple[str, str]:
    times = ", ".join(f"TIMESTAMP '{time}'" for time in NO_TIMES)
    return f"{value} IN ({times})", f"{name} is NaT, no time, stored as one: write NULL"


def _length_rule(limit: TextLimit) -> tuple[str, str]:
    """The condition under which texts are too long for an index, and the reason in words."""
    # Two digits a byte: the embedded engine knows no length of bytes.
    digits = [f"coalesce(length(to_hex(to_utf8({quote_name(name)}))), 0)" for name in limit.columns]
    names, verb = " and ".join(limit.columns), "is" if len(limit.columns) == 1 else "are"
    return (
        f"{' + '.join(digits)} > {2 * limit.most_bytes}",
        f"{names} {verb} longer than {limit.most_bytes:,} bytes, the most of {limit.index_name}",
    )


def _reject_line(table: Table) -> str:
    """A reject's line: its path, its reason, and the row as JSON."""
    fields = {name: quote_name(name) for name in table.names}
    fields[table.source.newest_name] = NEWEST
    names = ", ".join(map(quote_literal, fields))
    values = ", ".join(f"CAST({expression} AS varchar)" for expression in fields.values())
    row = f"json_format(CAST(MAP(ARRAY[{names}], ARRAY[{values}]) AS json))"
    return _joined([_escaped(field) for field in ("source_path", "reject_reason", row)])
