"""The model of a table file: where values come from and go, and what makes a file invalid."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, StrictBool, Tag
from pydantic_core import PydanticCustomError

from forecast_sync.contracts.base import Model
from forecast_sync.tables.expressions import Expression as PlacedExpression
from forecast_sync.tables.expressions import find_fault
from forecast_sync.tables.faults import find_near, suggest
from forecast_sync.tables.lines import Location

IDENTIFIER = r"^[a-z_][a-z0-9_]{0,62}$"
LONGEST_NAME_BYTES = 63
"""What Postgres keeps of a longer name could be another name."""


def _identifier(name: str) -> str:
    if re.fullmatch(IDENTIFIER, name):
        return name
    reason, size = "has other characters", len(name.encode())
    if name != name.lower():
        reason = "has capital letters, by which alone Athena tells no two names apart"
    elif size > LONGEST_NAME_BYTES:
        reason = f"has {size} bytes, and Postgres keeps {LONGEST_NAME_BYTES}"
    raise PydanticCustomError(
        "identifier",
        "{name} {reason}; a name is a lower-case letter or _, followed by at most 62 lower-case "
        "letters, digits or _",
        {"name": repr(name), "reason": reason},
    )


Identifier = Annotated[
    str, AfterValidator(_identifier), Field(json_schema_extra={"pattern": IDENTIFIER})
]
Expression = Annotated[str, Field(min_length=1)]

DECIMAL_PATTERN = r"decimal\(([1-9]\d?),(\d\d?)\)"
LONGEST_DECIMAL = 38
INTEGER_TYPES = ("tinyint", "smallint", "int", "bigint")
FLOAT_TYPES = ("float", "double")
SIMPLE_SOURCE_TYPES = (*INTEGER_TYPES, *FLOAT_TYPES, "string", "date", "timestamp", "boolean")


def decimal_arguments(source_type: str) -> tuple[int, int] | None:
    """Precision and scale of ``decimal(p,s)``; None for any other type."""
    match = re.fullmatch(DECIMAL_PATTERN, source_type)
    return (int(match[1]), int(match[2])) if match else None


SOURCE_SYNONYMS = {
    "integer": "int",
    "long": "bigint",
    "bool": "boolean",
    "text": "string",
    "varchar": "string",
    "uuid": "string",
    "real": "float",
    "double precision": "double",
    "datetime": "timestamp",
    "timestamptz": "timestamp",
    "numeric": "decimal(p,s)",
    "decimal": "decimal(p,s)",
}
"""What other systems call the source types."""


def _source_type(text: str) -> str:
    precision, scale = decimal_arguments(text) or (0, 0)
    if text in SIMPLE_SOURCE_TYPES or (0 < precision <= LONGEST_DECIMAL and scale <= precision):
        return text
    raise _no_such_type(
        text,
        "source",
        SOURCE_SYNONYMS,
        f"{', '.join(SIMPLE_SOURCE_TYPES)} or decimal(p,s) of at most {LONGEST_DECIMAL} digits, "
        "like decimal(10,2)",
    )


def _no_such_type(
    text: str, kind: str, synonyms: dict[str, str], allowed: str
) -> PydanticCustomError:
    """The fault of a type that isn't one, with the type that may be meant."""
    name, bracket, arguments = text.strip().lower().partition("(")
    meant = synonyms.get(name) or find_near(name, re.findall(r"[a-z]+(?:\([a-z,]+\))?", allowed))
    if meant and bracket and "(" in meant:
        meant = f"{meant.partition('(')[0]}({arguments}"
    near = f". Did you mean {meant}?" if meant else "."
    return PydanticCustomError(
        "no_such_type",
        "{text} isn't a {kind} type{near} Allowed: {allowed}",
        {"text": text, "kind": kind, "near": near, "allowed": allowed},
    )


SourceType = Annotated[
    str,
    AfterValidator(_source_type),
    Field(
        json_schema_extra={
            "pattern": rf"^({'|'.join(SIMPLE_SOURCE_TYPES)}|{DECIMAL_PATTERN})$",
        }
    ),
]
"""The type of a column of the lake as a table file gives it, by Glue's name."""

PARTITION_TYPES = (*INTEGER_TYPES, "string", "date", "boolean")
"""The types of columns whose values the names of folders have."""


class SourceColumn(Model):
    """A column of the lake that not every file has, like `{type = "double", optional = true}`."""

    type: SourceType = Field(description="Its type, like any other column's.")
    optional: bool = Field(
        default=False, description="Files may lack it; their rows have NULL in it."
    )
    partition: bool = Field(
        default=False,
        description="Its value is in the name of a folder, like `day=2026-01-31/`, and not in the "
        "file. An empty value and `__HIVE_DEFAULT_PARTITION__` are NULL.",
    )


PLAIN_TAG, TABLE_TAG = "[type]", "[column]"
"""What pydantic puts into the location of a fault, besides the file's keys."""


def _is_table(value: object) -> str:
    return TABLE_TAG if isinstance(value, dict | SourceColumn) else PLAIN_TAG


SourceEntry = Annotated[
    Annotated[SourceType, Tag(PLAIN_TAG)] | Annotated[SourceColumn, Tag(TABLE_TAG)],
    Discriminator(_is_table),
]
"""What a table file says of a column of the lake: its type, or a table with its type."""

DECLARED_AS = {"tinyint": "bigint", "smallint": "bigint", "int": "bigint", "float": "double"}
"""Source types that are declared in Glue as a wider type.

A value that is too large for the target is then a reject. In a column declared as ``int`` it would
fail the whole query, without naming the file; and a file with doubles can't be read as ``float``.
"""


def declared_type(source_type: SourceType) -> str:
    """The type that Glue should declare."""
    return DECLARED_AS.get(source_type, source_type)


def is_declared(source_type: SourceType, glue_type: str | None) -> bool:
    """Whether runs work with a column declared so: as it should be, or as older versions did."""
    return glue_type in (source_type, declared_type(source_type))


TYPE_PATTERN = (
    r"^(smallint|integer|bigint|real|double|boolean|date|timestamp|timestamptz|uuid|text"
    r"|varchar\([1-9]\d*\)|numeric\([1-9]\d*,\d+\))$"
)
NUMBERS = ("smallint", "integer", "bigint", "real", "double", "numeric")
TARGET_SYNONYMS = {
    "int": "integer",
    "tinyint": "smallint",
    "bool": "boolean",
    "string": "text",
    "char": "varchar(n)",
    "float": "real",
    "decimal": "numeric(p,s)",
    "datetime": "timestamp",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
    "double precision": "double",
    "character varying": "varchar(n)",
    "varchar": "varchar(n)",
    "numeric": "numeric(p,s)",
}
"""What other systems, and Postgres itself, call the target types, or types that they hold."""


def _target_type(text: str) -> str:
    if re.fullmatch(TYPE_PATTERN, text):
        return text
    raise _no_such_type(
        text,
        "target",
        TARGET_SYNONYMS,
        "smallint, integer, bigint, real, double, boolean, date, timestamp, timestamptz, uuid, "
        "text, varchar(n) of at most n characters, like varchar(50), or numeric(p,s) of p digits, "
        "s of them after the point, like numeric(10,2)",
    )


OWN_COLUMNS = ("id", "created_at")
"""Columns of every target: a SERIAL primary key, and the time at which the row was inserted."""

SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
"""Postgres has them in every table, and no other column can have their name."""

QUERY_COLUMNS = (
    "source_path",
    "source_modified",
    "source_newest",
    "line",
    "reject_reason",
    "row__new",
    "row__kept",
    "row__kind",
    "row__deleted",
    "key__line",
)
"""The columns that Athena's statements add to the target's; see ``sources.athena.sql``."""

EXACT_SUFFIX = "__exact"
"""What they call a column with the value that the target holds."""

OWN_PREFIX, SYSTEM_PREFIX = "forecast_sync_", "pg_"
"""What the names of this project's own tables begin with, and those of Postgres' catalog."""


class Column(Model):
    """A column of the target."""

    name: Identifier = Field(description="Its name in Postgres, and in this file's rules.")
    type: Annotated[str, AfterValidator(_target_type)] = Field(
        json_schema_extra={"pattern": TYPE_PATTERN},
        description="`smallint`, `integer`, `bigint`, `real`, `double`, `boolean`, `date`, "
        "`timestamp`, `timestamptz`, `uuid`, `text`, `varchar(n)` or `numeric(p,s)`.",
    )
    required: StrictBool = Field(
        default=False, description="NOT NULL; a row without a value is rejected."
    )
    source: Expression | None = Field(
        default=None,
        description="Athena SQL over the source's columns: a rename or a computed value. Default: "
        "the source's column of the same name.",
    )

    @property
    def kind(self) -> str:
        """The type's name without its arguments."""
        return self.type.partition("(")[0]

    @property
    def arguments(self) -> tuple[int, ...]:
        """The type's arguments, such as (10, 2)."""
        return tuple(int(digits) for digits in re.findall(r"\d+", self.type))


class Index(Model):
    """An index of the target."""

    name: Identifier = Field(description="Its name in Postgres.")
    columns: tuple[Identifier, ...] = Field(min_length=1, description="Its columns.")
    where: Expression | None = Field(default=None, description="Postgres SQL: a partial index.")


class Target(Model):
    """The Postgres table; the first run creates it, and adds the columns `id` and `created_at`."""

    table: Identifier = Field(
        description="Its name; the role's search path finds it, or else the schema `public`."
    )
    key: tuple[Identifier, ...] = Field(
        min_length=1, description="The columns that identify a row; they get a unique constraint."
    )
    written_at: Identifier = Field(
        description="A timestamp column that is set whenever a row is written; not a `[[column]]`."
    )
    index: tuple[Index, ...] = Field(default=(), description="Further indexes.")
    missing: Literal["keep", "delete"] = Field(
        default="keep",
        description="What happens to a row whose key is no longer in any file of the lake: it "
        "stays (`keep`), or leaves the target (`delete`).",
    )
    max_delete_percent: Annotated[float, Field(ge=0, le=100, strict=True)] = Field(
        default=5,
        description="How much of the table may be deleted within a day; if it is more, all "
        "deletions of the run wait for `forecast-sync start --allow-deletes`. Doesn't apply below "
        "100 rows.",
    )


PREFIX_PATTERN = r"^([A-Za-z0-9!_.'()=-]+/)+$"


def _prefix(text: str) -> str:
    if re.fullmatch(PREFIX_PATTERN, text):
        return text
    raise PydanticCustomError(
        "prefix",
        "{text} isn't a folder of a bucket: expected names of letters, digits and !_.'()=- that "
        "end with a slash, like lake/sales/",
        {"text": repr(text)},
    )


class Source(Model):
    """The lake's table, as Glue declares it."""

    path: Expression = Field(
        default='"$path"', description="Athena SQL: the object that a row comes from."
    )
    modified: Expression = Field(
        default='"$file_modified_time"',
        description="Athena SQL: when that object was written, a timestamp with time zone.",
    )
    prefix: (
        Annotated[
            str, AfterValidator(_prefix), Field(json_schema_extra={"pattern": PREFIX_PATTERN})
        ]
        | None
    ) = Field(
        default=None,
        description="The folder of the lake's bucket with the Parquet files, like `sales/`. "
        "Default: the table file's name; a stack with one table needs `DataPrefix` for another.",
    )
    date: Identifier = Field(
        description="The key's date column, which bounds a run, its candidates and its reports."
    )
    newest: Expression = Field(
        description="Athena SQL: of several rows with the same key, the one with the greatest "
        "value wins; NULL loses. Modified time, path and line break ties."
    )
    filter: Expression | None = Field(
        default=None, description="Athena SQL: a run ignores rows for which this isn't true."
    )
    deleted: Expression | None = Field(
        default=None,
        description="Athena SQL: if it is true in the newest row of a key, the key is deleted from "
        "the target. In such a row, only the key has to be valid.",
    )
    bad_files: Literal["quarantine", "fail"] = Field(
        default="quarantine",
        description="What happens to a file that can't be read as this table file says: it is left "
        "out and named (`quarantine`), or it fails the run (`fail`).",
    )
    columns: dict[Identifier, SourceEntry] = Field(
        min_length=1,
        description="The columns that every Parquet file must have, with their types: `tinyint`, "
        "`smallint`, `int`, `bigint`, `float`, `double`, `decimal(p,s)`, `string`, `date`, "
        "`timestamp` or `boolean`. Give a column that not every file has as a table. Other columns "
        "are ignored.",
    )

    @property
    def types(self) -> dict[str, SourceType]:
        """All columns with their types."""
        return {
            name: entry if isinstance(entry, str) else entry.type
            for name, entry in self.columns.items()
        }

    @property
    def partitions(self) -> dict[str, SourceType]:
        """The columns whose values folders have, with their types, in the file's order."""
        return {name: self.types[name] for name in self._marked("partition")}

    @property
    def stored(self) -> dict[str, SourceType]:
        """The columns of the Parquet files, with their types."""
        partitions = self._marked("partition")
        return {name: kind for name, kind in self.types.items() if name not in partitions}

    @property
    def optional(self) -> frozenset[str]:
        """The columns that files may lack."""
        return frozenset(self._marked("optional"))

    def _marked(self, option: str) -> list[str]:
        return [
            name
            for name, entry in self.columns.items()
            if isinstance(entry, SourceColumn) and getattr(entry, option)
        ]

    @property
    def declared(self) -> dict[str, str]:
        """The columns with their types as Glue should declare them."""
        return {name: declared_type(kind) for name, kind in self.types.items()}

    @property
    def newest_name(self) -> str:
        """The name of the value of ``newest`` in a reject's JSON."""
        return self.newest if re.fullmatch(IDENTIFIER, self.newest) else "newest"


class RejectRule(Model):
    """Rows that are kept with their reason instead of being loaded."""

    when: Expression = Field(description="Athena SQL over the target's columns.")
    reason: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="The reason that is kept with the rejects."
    )


class Expectation(Model):
    """A condition that every good row should meet; one that doesn't is loaded and counted."""

    that: Expression = Field(
        description="Athena SQL over the target's columns; NULL counts as met."
    )
    message: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        description="The text of the warning."
    )


class Report(Model):
    """What `forecast-sync plan` shows."""

    by: tuple[Identifier, ...] = Field(default=(), description="Rows are counted by these columns.")
    watch: Identifier | None = Field(
        default=None, description="A column of numbers; its largest changes are listed."
    )


class Table(Model):
    """One table file."""

    target: Target
    source: Source
    column: tuple[Column, ...] = Field(min_length=1)
    reject: tuple[RejectRule, ...] = ()
    expect: tuple[Expectation, ...] = ()
    report: Report = Field(default_factory=Report)

    @property
    def names(self) -> tuple[str, ...]:
        """The target's columns in the order of a line's fields."""
        return tuple(column.name for column in self.column)

    @property
    def values(self) -> tuple[str, ...]:
        """The columns that aren't part of the key."""
        return tuple(name for name in self.names if name not in self.target.key)

    @property
    def is_mirror(self) -> bool:
        """Whether a row leaves the target when its key is no longer in any file of the lake."""
        return self.target.missing == "delete"

    @property
    def deletes(self) -> bool:
        """Whether rows can leave the target at all."""
        return self.is_mirror or self.source.deleted is not None

    @property
    def leaves(self) -> str | None:
        """When rows leave the target, as a sentence; None if they never do."""
        conditions = []
        if self.source.deleted is not None:
            conditions.append(f"its newest row has {self.source.deleted}")
        if self.is_mirror:
            conditions.append("no file of the lake has its key")
        if not conditions:
            return None
        return (
            f"a row leaves {self.target.table} when {' or '.join(conditions)}; at most "
            f"{self.target.max_delete_percent:g}% of the table a day, unless you allow more"
        )

    @property
    def source_date(self) -> str | None:
        """The source's date column that the key's date is; None if it is computed."""
        (column,) = (column for column in self.column if column.name == self.source.date)
        name = column.source or column.name
        return name if self.source.types.get(name) == "date" else None

    def expressions(self) -> Iterator[PlacedExpression]:
        """Every expression of the file."""
        source = self.source
        texts: list[tuple[Location, str | None]] = [
            (("source", "path"), source.path),
            (("source", "modified"), source.modified),
            (("source", "newest"), source.newest),
            (("source", "filter"), source.filter),
            (("source", "deleted"), source.deleted),
            *((("column", n, "source"), item.source) for n, item in enumerate(self.column)),
        ]
        for location, text in texts:
            if text is not None:
                yield PlacedExpression(location, text, "athena", "source")
        for n, rule in enumerate(self.reject):
            yield PlacedExpression(("reject", n, "when"), rule.when, "athena", "target")
        for n, expectation in enumerate(self.expect):
            yield PlacedExpression(("expect", n, "that"), expectation.that, "athena", "target")
        for n, index in enumerate(self.target.index):
            if index.where is not None:
                location = ("target", "index", n, "where")
                yield PlacedExpression(location, index.where, "postgres", "target")

    def problems(self) -> Iterator[tuple[Location, str]]:
        """Where parts of the file don't fit together, and how; nothing for a valid file."""
        for expression in self.expressions():
            if fault := find_fault(expression):
                message = f"{expression.text!r} isn't one expression: {fault}"
                yield expression.location, message
        columns = {column.name: column for column in self.column}
        yield from self._source_problems()
        yield from self._column_problems()
        for position, name in enumerate(self.target.key):
            if name not in columns:
                words = f"{name} isn't a required column, or any{suggest(name, columns)}"
                yield ("target", "key"), words
            elif not columns[name].required:
                words = f"{name} isn't a required column: give its [[column]] `required = true`"
                yield ("target", "key"), words
            if name in self.target.key[:position]:
                yield ("target", "key"), f"{name} is defined twice"
        yield from self._name_problems()
        yield from self._reference_problems(columns)

    def _source_problems(self) -> Iterator[tuple[Location, str]]:
        for name, entry in self.source.columns.items():
            location = ("source", "columns", name)
            if isinstance(entry, str) or not entry.partition:
                continue
            if entry.optional:
                yield location, "files don't have a folder's column anyway: leave out `optional`"
            if entry.type not in PARTITION_TYPES:
                words = (
                    f"a folder's value is no {entry.type}, expected {', '.join(PARTITION_TYPES)}: "
                    "take string, and convert it in a [[column]]'s `source`"
                )
                yield location, words
        if not self.source.stored:
            words = "all of them are folders' columns, and a file has at least one"
            yield ("source", "columns"), words

    def _column_problems(self) -> Iterator[tuple[Location, str]]:
        for position, column in enumerate(self.column):
            location, name = ("column", position, "name"), column.name
            if name in self.names[:position]:
                yield location, f"{name} is defined twice"
            if name in (*OWN_COLUMNS, self.target.written_at):
                words = "is filled by the sync itself: give the column another name, and"
                yield location, f'{name} {words} `source = "{name}"` if the lake has it'
            if name in SYSTEM_COLUMNS:
                yield location, f"{name} is a system column of every Postgres table; rename it"
            if name in QUERY_COLUMNS or name.removesuffix(EXACT_SUFFIX) in {*self.names} - {name}:
                yield location, f"{name} is a column of the sync's own queries; rename it"
            if column.source is None and name not in self.source.columns:
                near = suggest(name, self.source.columns)
                words = f"{name} isn't a column of the source: add a `source` expression{near}"
                yield location, words

    def _name_problems(self) -> Iterator[tuple[Location, str]]:
        """Names that something else has: the table's, its indexes', the written column's."""
        table, written_at = self.target.table, self.target.written_at
        names: list[tuple[Location, str]] = [(("target", "table"), table)]
        names += [
            (("target", "index", position, "name"), index.name)
            for position, index in enumerate(self.target.index)
        ]
        taken = {f"{table}_pkey", f"{table}_id_seq"}
        for location, name in names:
            if name.startswith((OWN_PREFIX, SYSTEM_PREFIX)):
                yield location, f"{name} begins like the sync's own tables or Postgres' own"
            if name in taken:
                yield location, f"{name} is the name of another part of this table"
            taken.add(name)
        if written_at in (*OWN_COLUMNS, *SYSTEM_COLUMNS):
            yield ("target", "written_at"), f"{written_at} is filled by Postgres itself; rename it"

    def _reference_problems(self, columns: dict[str, Column]) -> Iterator[tuple[Location, str]]:
        date, watch = columns.get(self.source.date), self.report.watch
        if date is None or date.kind != "date" or date.name not in self.target.key:
            name = self.source.date
            words = f"{name} isn't a date column of the key{suggest(name, {*columns} - {name})}"
            yield ("source", "date"), words
        for option, text in (("newest", self.source.newest), ("deleted", self.source.deleted)):
            if text and re.fullmatch(IDENTIFIER, text) and text not in self.source.columns:
                near = suggest(text, self.source.columns)
                yield ("source", option), f"{text} isn't a column of the source{near}"
        deleted = self.source.types.get(self.source.deleted or "", "boolean")
        if deleted != "boolean":
            words = f"{self.source.deleted} is {deleted}, expected a condition: compare it, like"
            yield ("source", "deleted"), f"{words} `{self.source.deleted} = ...`"
        known = {*columns, *OWN_COLUMNS, self.target.written_at}
        for position, index in enumerate(self.target.index):
            for name in sorted(set(index.columns) - known):
                yield (
                    ("target", "index", position, "columns"),
                    f"{name} isn't a column of the target{suggest(name, known)}",
                )
        for name in sorted(set(self.report.by) - set(columns)):
            near = suggest(name, columns)
            yield ("report", "by"), f"{name} isn't a column of the target{near}"
        if watch and (watch not in columns or columns[watch].kind not in NUMBERS):
            yield ("report", "watch"), f"{watch} isn't a column of numbers"
