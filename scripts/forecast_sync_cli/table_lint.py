"""Checks a table file before it is deployed: its SQL parses and names existing columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from forecast_sync.tables import Table, known_tables, load_table, read_table
from forecast_sync.tables.expressions import Expression, find_fault
from forecast_sync.tables.faults import describe, suggest
from forecast_sync.tables.files import read_table_file
from forecast_sync.tables.lines import Location
from forecast_sync.tables.model import OWN_COLUMNS
from forecast_sync.tables.neighbors import find_clashes, is_nested, prefix_of, say_nested
from forecast_sync.target.schema import define_target

from forecast_sync_cli.errors import Faults, UserError

if TYPE_CHECKING:
    from sqlglot import exp

HIDDEN = {"$path", "$file_modified_time", "$file_size", "$bucket", "$partition"}

LANGUAGES = {"athena": "Athena SQL", "postgres": "Postgres SQL"}


class TableFile(NamedTuple):
    """A table file that was read and checked; ``name`` is what a stack's ``TableFile`` calls it."""

    name: str
    text: str
    table: Table


def read_checked(name_or_path: str) -> TableFile:
    """Read a table file by its name or path; raises ``Faults`` with line and key of each mistake.

    A text that ends in ``.toml`` is a path; raises ``UserError`` if there is no such file.
    """
    path = Path(name_or_path)
    known = ", ".join(known_tables())
    if path.suffix != ".toml" and name_or_path not in known_tables():
        raise UserError(
            f"there is no table {name_or_path} in tables/: expected one of {known}, or the path of "
            f"a file that ends in .toml{suggest(name_or_path, known_tables())}"
        )
    try:
        is_path = path.suffix == ".toml"
        text = path.read_text("utf-8") if is_path else read_table_file(name_or_path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; the known tables are {known}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} isn't UTF-8 text: expected a table file in TOML") from None
    file = str(path) if is_path else f"tables/{name_or_path}.toml"
    table = read_table(text, file)
    if isinstance(table, list):
        raise Faults(table)
    if mistakes := describe(text, file, find_sql_mistakes(table)):
        raise Faults(mistakes)
    return TableFile(name_of(path), text, table)


def read_together(names_or_paths: Iterable[str]) -> list[TableFile]:
    """Read the table files of one stack; raises ``Faults`` too if it can't sync them together."""
    read = [read_checked(given) for given in names_or_paths]
    tables = {table_file.name: table_file.table for table_file in read}
    if len(tables) < len(read):
        raise UserError(
            "two table files have the same name, but a stack needs distinct names: rename one of "
            f"{', '.join(table_file.name for table_file in read)}"
        )
    if clashes := find_clashes(tables):
        raise Faults(clashes)
    return read


def find_clashes_with_known(read: Sequence[TableFile]) -> list[str]:
    """Folders of these tables that contain, or are in, the folder of another table file."""
    given = {item.name: prefix_of(item.name, item.table) for item in read}
    others = {name: prefix_of(name, load_table(name)) for name in known_tables()}
    return [
        say_nested(name, prefix, other, folder)
        for name, prefix in given.items()
        for other, folder in others.items()
        if other not in given and is_nested(prefix, folder)
    ]


def name_of(path: Path) -> str:
    """The table's name that a file's name gives; a stack takes no other characters."""
    name = re.sub(r"[^a-z0-9_]+", "_", path.stem.lower())
    return name if name[:1].isalpha() or name[:1] == "_" else f"_{name}"


def find_sql_mistakes(table: Table) -> Iterator[tuple[Location, str]]:
    """Texts that aren't exactly one SQL expression, or that name a missing column."""
    known = {
        "source": {*table.source.columns, *HIDDEN},
        "target": {*table.names, *HIDDEN},
    }
    from sqlglot import exp

    indexed = {*table.names, *OWN_COLUMNS, table.target.written_at}
    for expression in table.expressions():
        location, text, dialect, over = expression
        tree = _parse(expression)
        if isinstance(tree, str):
            yield location, f"{text!r} isn't {LANGUAGES[dialect]}: {tree}"
            continue
        named = {column.name for column in tree.find_all(exp.Column)}
        if unknown := sorted(named - (indexed if dialect == "postgres" else known[over])):
            columns = (indexed if dialect == "postgres" else known[over]) - HIDDEN
            near = suggest(unknown[0], columns)
            yield location, f"{text!r} names {', '.join(unknown)}, which doesn't exist{near}"


def _parse(expression: Expression) -> exp.Expression | str:
    """The syntax tree of an expression, or what is wrong with it."""
    import sqlglot
    from sqlglot import exp

    if fault := find_fault(expression):
        return fault
    try:
        trees = sqlglot.parse(f"SELECT ({expression.text})", read=expression.dialect)
    except sqlglot.ParseError as error:
        return str(error.errors[0]["description"])
    except sqlglot.errors.SqlglotError as error:
        return str(error).partition("\n")[0]
    values = trees[0].expressions if trees[0] else []
    if len(trees) != 1 or len(values) != 1 or not isinstance(values[0], exp.Paren):
        return "expected one value"
    if isinstance(values[0].this, exp.Alias) or values[0].find(exp.Query):
        return "expected a value without an alias and without a subquery"
    return values[0]


def write_ddl(table: Table) -> str:
    """The statements that the first run creates the target with."""
    return ";\n\n".join(part.as_string().strip() for part in define_target(table)) + ";\n"
