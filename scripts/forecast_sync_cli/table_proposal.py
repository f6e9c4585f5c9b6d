"""Proposes a table file for a Parquet file: each line with its comment, and nothing unsaid."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from forecast_sync.survey.parquet_footer import ParquetColumn, footer_size, read_footer
from forecast_sync.survey.readable import readable_codecs
from forecast_sync.tables.faults import suggest
from forecast_sync.tables.files import SCHEMA, find_folders
from forecast_sync.tables.model import (
    IDENTIFIER,
    LONGEST_DECIMAL,
    LONGEST_NAME_BYTES,
    OWN_COLUMNS,
    QUERY_COLUMNS,
    SYSTEM_COLUMNS,
)
from forecast_sync.text.visible import visible

from forecast_sync_cli.errors import UserError

TAIL_BYTES = 64 * 1024
SAMPLED_ROWS = 100_000
"""How many rows decide the number of digits for doubles."""
MOST_DECIMALS = 6
LEAST_DECIMALS = 2
WHOLE_DIGITS = 10
"""The least number of digits before the point."""
FLOAT_DIGITS, DOUBLE_DIGITS = 6, 15
"""How many decimal digits a float and a double keep; any further ones are noise."""

NEWEST_NAMES = (
    r"(row_)?(updated|modified|changed|corrected)(_?(at|on|ts|time|timestamp|date))?",
    r"last_?(updated|modified|changed)(_?(at|on))?",
    r"(exported|loaded|ingested|extracted|synced|published|version)(_?(at|on|ts|time|timestamp))?",
    r"(created|inserted|generated)(_?(at|on|ts|time|timestamp))?",
    r".*_at|.*_ts|.*timestamp",
)
"""Names of columns that say when a row was written, the surest first."""
WRITTEN_AT = ("synced_at", "row_synced_at", "written_by_sync_at")

RESERVED = re.compile(
    "alter|and|as|between|by|case|cast|constraint|create|cross|cube|current_.*|deallocate|delete"
    "|describe|distinct|drop|else|end|escape|except|execute|exists|extract|false|for|from|full"
    "|group|grouping|having|in|inner|insert|intersect|into|is|join|left|like|localtime.*|natural"
    "|normalize|not|null|on|or|order|outer|prepare|recursive|right|rollup|select|skip|table|then"
    "|trim|true|uescape|union|unnest|using|values|when|where|with"
)
"""Words that Athena SQL takes as names only if they are quoted."""

HIDDEN_MODIFIED = '"$file_modified_time"'
"""The time at which the row's file was uploaded, which Athena knows without a column."""


class Proposed(NamedTuple):
    """A column of the file: its source type, its target type and a note on both.

    ``source`` is the expression of a target column of another name or type, or None;
    ``is_folder`` is whether a folder's name has its value.
    """

    name: str
    source_type: str
    target_name: str
    target_type: str
    source: str | None
    note: str
    is_folder: bool = False


class Answers(NamedTuple):
    """What only the user knows; if None, it is asked for or proposed."""

    key: str | None = None
    date: str | None = None
    newest: str | None = None
    target: str | None = None


Ask = Callable[[str, str, str | None], str]
"""Asks a question; gets the option that answers it too, and a default."""


@dataclass
class Proposal:
    """What a table file for a Parquet file would say."""

    file: Path
    target: str
    key: tuple[str, ...]
    date: str
    newest: str
    newest_note: str
    columns: list[Proposed]
    left_out: list[str] = field(default_factory=list)
    schema: str = SCHEMA

    def write(self) -> str:
        """The table file's text."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        yield f"#:schema {self.schema}"
        yield f"# Made of {visible(self.file.name)} by `forecast-sync tables init`."
        yield "# Change what you like, then check it: forecast-sync tables check THIS-FILE"
        yield ""
        yield "[target]  # the Postgres table; the first run creates it"
        yield _line("table", self.target, "its name; in the role's own schema, or in public")
        yield _line("key", list(self.key), "identify a row; they get a unique constraint")
        yield _line("written_at", self._written_at(), "set whenever a row is written")
        yield ""
        yield "[source]  # what is read"
        yield f"# prefix = \"{self.target}/\"  # the bucket's folder; default: this file's name"
        yield _line("date", self.date, "the key's date, which bounds backfills and reports")
        yield _line("newest", self.newest, self.newest_note)
        yield '# filter = "..."  # Athena SQL: rows for which it isn\'t true are ignored'
        yield ""
        yield "[source.columns]  # what every file must have, with Glue's types; others are ignored"
        for column in self.columns:
            if column.is_folder:
                entry = f'{{type = "{column.source_type}", partition = true}}'
                yield f"{column.name} = {entry}  # in the folder: {column.note}"
            else:
                yield _line(column.name, column.source_type, f"in the file: {column.note}")
        for reason in self.left_out:
            yield f"# {reason}"
        for column in self.columns:
            if column.target_name in self._loaded():
                yield from self._column(column)
        yield ""
        yield "# [[reject]]  # rows that are kept with a reason instead of being loaded"
        yield '# when = "..."  # Athena SQL over the columns above'
        yield '# reason = "..."  # what it says'
        yield ""
        yield "# [[expect]]  # what a row should be like; one that isn't is loaded and counted"
        yield '# that = "..."  # Athena SQL over the columns above'
        yield '# message = "..."  # the warning\'s text'
        yield ""
        yield "[report]  # what `forecast-sync plan` shows"
        yield _line("by", [self.date], "rows are counted by these columns")
        watched = self._watched()
        if watched:
            yield _line("watch", watched, "its largest changes are listed")

    def _loaded(self) -> set[str]:
        return {column.target_name for column in self.columns if column.target_type}

    def _column(self, column: Proposed) -> Iterator[str]:
        name, is_key = column.target_name, column.target_name in self.key
        yield ""
        yield f"[[column]]  # {column.name}, {column.note}{', a part of the key' if is_key else ''}"
        yield _line("name", name, "its name in Postgres, and in this file's rules")
        yield _line("type", column.target_type, _type_note(column))
        if column.source is not None:
            yield _line("source", column.source, "Athena SQL over the source's columns")
        required = "NOT NULL: a row without a value is rejected"
        yield f"required = true  # {required}" if is_key else f"# required = true  # {required}"

    def _written_at(self) -> str:
        names = {column.target_name for column in self.columns}
        return next(name for name in WRITTEN_AT if name not in names)

    def _watched(self) -> str | None:
        numbers = ("integer", "bigint", "numeric")
        names = [
            column.target_name
            for column in self.columns
            if column.target_name not in self.key and column.target_type.startswith(numbers)
        ]
        return names[-1] if names else None


def propose(file: Path, answers: Answers, ask: Ask) -> Proposal:
    """A table file for ``file``; ``ask`` is called for what neither it nor ``answers`` says.

    Raises ``UserError`` if the file isn't Parquet, or an answer doesn't fit it.
    """
    columns, left_out = _read_columns(file)
    names = [column.target_name for column in columns]
    key = _choose_key(answers, names, left_out, ask)
    date = _choose_date(answers, columns, key, ask)
    key = key if date in key else (*key, date)
    newest, note = _choose_newest(answers, columns, key, ask)
    return Proposal(
        file=file,
        target=_table_name(answers.target or _folder_name(file)),
        key=key,
        date=date,
        newest=newest,
        newest_note=note,
        columns=[_as_date(column) if column.target_name == date else column for column in columns],
        left_out=left_out,
        schema=_schema(),
    )


def _read_columns(file: Path) -> tuple[list[Proposed], list[str]]:
    footer = _read_footer(file)
    sample = _Sample(file)
    columns, left_out = [], []
    codecs = readable_codecs(footer.created_by)
    for name, column in footer.columns.items():
        if name in footer.repeated_names:
            names = ", ".join(map(visible, footer.repeated_names[name]))
            left_out.append(f"{visible(name)} is left out: it occurs more than once ({names})")
            continue
        storage = footer.storage.get(name)
        unreadable = sorted(storage.codecs - codecs) if storage else []
        proposed = _infer(name, column, sample)
        if unreadable:
            proposed = f"Athena can't read {unreadable[0]}; write snappy, gzip or zstd"
        if isinstance(proposed, str):
            left_out.append(f"{visible(name)} is left out: {proposed}")
        else:
            columns.append(proposed)
    if columns:
        columns += _read_folders(file, {*footer.columns})
    if not columns:
        raise UserError(f"{file} has no column that can be synced: {'; '.join(left_out) or 'none'}")
    return columns, left_out


def _read_folders(file: Path, stored: Collection[str]) -> Iterator[Proposed]:
    """The columns that only the file's folders have, such as ``day=2026-01-31``."""
    for folder in file.absolute().parent.parts:
        name, sign, text = (unquote(part) for part in folder.partition("="))
        name = name.lower()
        if not sign or name in stored or not re.fullmatch(IDENTIFIER, name):
            continue
        source_type, target_type = "string", "text"
        if re.fullmatch(r"-?\d{1,18}", text):
            source_type = target_type = "bigint"
        elif re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            source_type = target_type = "date"
        target_name = _target_name(name)
        source = None if target_name == name else _quoted(name)
        note = f"{visible(text)}, in this file's path"
        yield Proposed(name, source_type, target_name, target_type, source, note, is_folder=True)


def _read_footer(file: Path) -> Any:
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, 2)
            opened.seek(max(0, size - TAIL_BYTES))
            tail = opened.read()
            needed = footer_size(tail)
            if needed > len(tail):
                opened.seek(max(0, size - needed))
                tail = opened.read()
            return read_footer(tail)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; expected a Parquet file") from None
    except ValueError as error:
        raise UserError(f"{file} isn't a Parquet file: {error}") from None


def _infer(name: str, column: ParquetColumn, sample: _Sample) -> Proposed | str:
    """The types of a column, or why it can't be synced."""
    if not re.fullmatch(IDENTIFIER, name):
        return (
            "a name is a lower-case letter or _, then at most 62 lower-case letters, digits or _; "
            "rename it in the files"
        )
    types = _types(name, column, sample)
    if isinstance(types, str):
        return types
    source_type, target_type, note = types
    target_name = _target_name(name)
    source = None if target_name == name else _quoted(name)
    return Proposed(name, source_type, target_name, target_type, source, f"{column}{note}")


def _types(name: str, column: ParquetColumn, sample: _Sample) -> tuple[str, str, str] | str:
    kind, logical = column.physical, column.logical
    if column.is_nested:
        return "it is nested; write its parts as columns of their own"
    if logical == "NULL":
        return "this file has only NULL in it, so its type isn't known: add it by hand"
    if logical in ("UINT_32", "UINT_64"):
        return f"Athena reads {logical} as signed; write it as a signed integer"
    if logical == "DECIMAL":
        digits = f"({column.precision},{column.scale})"
        return f"decimal{digits}", f"numeric{digits}", ""
    if (kind, logical) in SIMPLE:
        return SIMPLE[kind, logical]
    if kind == "INT64" and logical == "TIMESTAMP":
        return "timestamp", sample.time_type(name), ROUNDED
    if kind == "BYTE_ARRAY" and logical in ("", "STRING", "ENUM", "JSON"):
        return "string", "text", "" if logical else "; bytes that must be text in UTF-8"
    if kind in ("DOUBLE", "FLOAT") and not logical:
        return "double", sample.number_type(name), ""
    return f"Athena has no type for {column}; write it as text or a number"


ROUNDED = "; in UTC, rounded half up to milliseconds"
SIMPLE = {
    ("BOOLEAN", ""): ("boolean", "boolean", ""),
    ("INT32", "DATE"): ("date", "date", ""),
    ("INT96", ""): ("timestamp", "timestamp", ROUNDED),
    **{
        ("INT32", logical): ("int", "integer", "")
        for logical in ("", "INTEGER", "UINT_8", "UINT_16")
    },
    **{("INT64", logical): ("bigint", "bigint", "") for logical in ("", "INTEGER")},
}
"""Source type, target type and a note, by a column's physical and logical type."""


class _Sample:
    """A file's first rows and its own schema, which say more than its types do."""

    def __init__(self, file: Path) -> None:
        import pyarrow.parquet as pq

        self._parquet = pq.ParquetFile(file)
        self._stored = {item.lower(): item for item in self._parquet.schema_arrow.names}

    def time_type(self, name: str) -> str:
        """``timestamptz`` for instants, ``timestamp`` for times without a zone."""
        return "timestamp" if self._arrow_type(name).tz is None else "timestamptz"

    def number_type(self, name: str) -> str:
        """The ``numeric(p,s)`` that holds the values seen, with room for larger ones.

        Values that no such type holds as people write them, such as NaN or measurements with many
        digits, stay ``double``.
        """
        whole, decimals = WHOLE_DIGITS, LEAST_DECIMALS
        for number in self._values(name):
            _, shown, exponent = number.as_tuple()
            if not isinstance(exponent, int) or -exponent > MOST_DECIMALS:
                return "double"
            decimals = max(decimals, -exponent)
            whole = max(whole, len(shown) + exponent)
        digits = whole + decimals
        return f"numeric({digits},{decimals})" if digits <= LONGEST_DECIMAL else "double"

    def _values(self, name: str) -> Iterator[Decimal]:
        batch = next(self._parquet.iter_batches(SAMPLED_ROWS, columns=[self._stored[name]]), None)
        digits = FLOAT_DIGITS if self._arrow_type(name) == "float" else DOUBLE_DIGITS
        for value in batch.column(0).to_pylist() if batch else ():
            if value is not None:
                yield Decimal(f"{value:.{digits}g}")

    def _arrow_type(self, name: str) -> Any:
        return self._parquet.schema_arrow.field(self._stored[name]).type


def _choose_key(
    answers: Answers, names: Sequence[str], left_out: Sequence[str], ask: Ask
) -> tuple[str, ...]:
    question = f"Which columns identify a row ({', '.join(names)})?"
    text = answers.key or ask(question, "--key a,b", None)
    key = tuple(_target_name(part.strip().lower()) for part in text.split(",") if part.strip())
    if not key:
        raise UserError(f"--key names no column: expected some of {', '.join(names)}")
    for name in key:
        _require("--key", name, names, left_out)
    return tuple(dict.fromkeys(key))


def _choose_date(
    answers: Answers, columns: Sequence[Proposed], key: Sequence[str], ask: Ask
) -> str:
    names = [column.target_name for column in columns]
    dates = [column.target_name for column in columns if column.target_type == "date"]
    in_key = [name for name in dates if name in key]
    if answers.date is None and len(in_key) == 1:
        return in_key[0]
    question = f"Which date of the key bounds backfills and reports ({', '.join(dates or names)})?"
    text = answers.date or ask(question, "--date NAME", dates[0] if len(dates) == 1 else None)
    date = _target_name(text.strip().lower())
    _require("--date", date, names)
    column = next(column for column in columns if column.target_name == date)
    if column.source_type not in ("date", "timestamp", "string"):
        raise UserError(
            f"--date {date} is {column.source_type}, expected a date, a timestamp or a text like "
            "2026-01-31; name another column, or write this one's [[column]] by hand"
        )
    return date


def _choose_newest(
    answers: Answers, columns: Sequence[Proposed], key: Sequence[str], ask: Ask
) -> tuple[str, str]:
    """The expression that decides which row is newer, and a note on it."""
    wins = "of rows with the same key the greatest wins"
    sources = [column.name for column in columns]
    if answers.newest is not None:
        if answers.newest.strip().lower() in sources:
            return _quoted(answers.newest.strip().lower()), wins
        if re.fullmatch(r"\w+", answers.newest.strip()):
            _require("--newest", answers.newest.strip().lower(), sources)
        return answers.newest, f"Athena SQL: {wins}"
    times = [
        column.name
        for column in columns
        if column.target_name not in key and column.source_type in ("timestamp", "bigint", "date")
    ]
    for pattern in NEWEST_NAMES:
        if named := [name for name in times if re.fullmatch(pattern, name)]:
            return _quoted(named[0]), wins
    times = [
        column.name
        for column in columns
        if column.name in times and column.source_type == "timestamp"
    ]
    if len(times) == 1:
        return _quoted(times[0]), wins
    if not times:
        return HIDDEN_MODIFIED, f"no column says it, so the file that was uploaded last: {wins}"
    question = f"Which column says which of two rows with one key is newer ({', '.join(times)})?"
    chosen = ask(question, f"--newest {times[0]}", None).strip().lower()
    _require("--newest", chosen, sources)
    return _quoted(chosen), wins


def _require(option: str, name: str, known: Sequence[str], left_out: Sequence[str] = ()) -> None:
    for line in left_out:
        if line.lower().startswith(f"{name} is left out"):
            raise UserError(f"{option} names {name}, but {line}")
    if name not in known:
        raise UserError(
            f"{option} names {name}, which isn't one of the file's columns {', '.join(known)}"
            f"{suggest(name, known)}"
        )


def _as_date(column: Proposed) -> Proposed:
    if column.target_type == "date":
        return column
    source = f"try_cast({_quoted(column.name)} AS date)"
    return column._replace(target_type="date", source=source)


def _target_name(name: str) -> str:
    """A name that Postgres and the sync's own statements leave free."""
    taken = {*OWN_COLUMNS, *SYSTEM_COLUMNS, *QUERY_COLUMNS}
    return f"source_{name}" if name in taken else name


def _quoted(name: str) -> str:
    """A column's name as Athena SQL."""
    return f'"{name}"' if RESERVED.fullmatch(name) else name


def _type_note(column: Proposed) -> str:
    if column.target_type.startswith("numeric") and column.source_type == "double":
        digits, decimals = map(int, re.findall(r"\d+", column.target_type))
        return (
            f"rounded half up to {decimals} decimals; a number of more than {digits - decimals} "
            "digits before the point is rejected"
        )
    if column.source is not None and column.target_type == "date":
        return "a row whose value is no date is rejected"
    if column.target_type == "text":
        return "of any length; varchar(n) rejects what is longer"
    return "as in the file"


def _line(key: str, value: str | list[str], comment: str) -> str:
    return f"{key} = {json.dumps(value, ensure_ascii=False)}  # {comment}"


def _table_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9_]+", "_", text.lower()).strip("_")
    return (name if name[:1].isalpha() else f"t_{name}")[:LONGEST_NAME_BYTES]


def _folder_name(file: Path) -> str:
    """The nearest folder's name that isn't a partition's, such as ``day=2026-01-31``."""
    names = (folder.name for folder in file.resolve().parents)
    return next((name for name in names if name and "=" not in name), file.stem)


def _schema() -> str:
    """Where editors find the JSON Schema: beside table files, or where this is installed."""
    if (Path("tables") / SCHEMA).is_file():
        return f"./{SCHEMA}"
    return next(
        (path.resolve().as_uri() for path in (folder / SCHEMA for folder in find_folders())), SCHEMA
    )
