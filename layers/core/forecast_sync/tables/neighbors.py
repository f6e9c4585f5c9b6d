"""What tables that one stack syncs must not have in common: a folder in another's, or a target."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from forecast_sync.tables.model import Table


def prefix_of(name: str, table: Table) -> str:
    """The folder of the lake's bucket that a table is read from."""
    return table.source.prefix or f"{name}/"


def is_nested(one: str, other: str) -> bool:
    """Whether one folder holds the other; the same folder doesn't count."""
    return one != other and (one.startswith(other) or other.startswith(one))


def say_nested(one: str, prefix: str, other: str, folder: str) -> str:
    """That two tables read folders of which one holds the other."""
    outer, inner = sorted((prefix, folder), key=len)
    return (
        f"tables {one} and {other} read folders of which one holds the other: {inner} is in "
        f"{outer}. Give both the same [source] prefix, or separate folders."
    )


def find_clashes(tables: Mapping[str, Table]) -> list[str]:
    """Why these tables can't be synced by one stack, a sentence each; tables are by their names.

    Two tables may read the same folder. If one folder holds the other, an object of the inner one
    would be read as a row of both, which is most likely a mistake.
    """
    clashes = []
    for (one, first), (other, second) in combinations(tables.items(), 2):
        prefixes = prefix_of(one, first), prefix_of(other, second)
        if is_nested(*prefixes):
            clashes.append(say_nested(one, prefixes[0], other, prefixes[1]))
        if both := {index.name for index in first.target.index} & {
            index.name for index in second.target.index
        }:
            clashes.append(
                f"tables {one} and {other} both name an index {min(both)}, and a database has one "
                "index of a name. Rename it in one of them."
            )
        if first.target.table == second.target.table:
            clashes.append(
                f"tables {one} and {other} have the same [target] table, {first.target.table}: "
                "each would overwrite the other's rows. Give each its own."
            )
    return clashes
