"""What deploying another table file would change: what is read, the target, its rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from forecast_sync.tables import Table, definition_of
from forecast_sync.tables.model import Source
from forecast_sync.target.differences import DescribedTarget, find_added, list_differences
from forecast_sync.target.remedies import write_remedy

from forecast_sync_cli.client.deployment import Deployment
from forecast_sync_cli.errors import UserError
from forecast_sync_cli.table_lint import TableFile

FULL_RUN = (
    "the run after the deployment is a full one: it reads the whole lake, compares every row, and "
    "writes those that differ"
)
NO_RUN = "no value of a row changes, so the run after the deployment is like any other"


@dataclass(frozen=True)
class DeployChanges:
    """What would change; ``refusals`` keep runs from working until their statements have run.

    ``adds`` are the target's new columns. ``unknown`` says why the database wasn't compared.
    """

    table: str
    definition: str
    deployed_definition: str
    changes: list[str]
    adds: list[str] = field(default_factory=list)
    refusals: list[dict[str, str | None]] = field(default_factory=list)
    unknown: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {**vars(self)}


def find_changes(deployed: Deployment, local: TableFile, git_ref: str | None) -> DeployChanges:
    """Compare a table file with the deployed one, and with the branch's database."""
    before = deployed.table_in_use
    target, unknown = _find_target(deployed, local.table, git_ref)
    adds: list[str] = []
    refusals: list[dict[str, str | None]] = []
    if target is not None and target.exists:
        added = {column.name for column in find_added(target, local.table)}
        for item in list_differences(target, local.table):
            if item["column"] in added:
                adds.append(f"{item['column']} {item['expected']}")
            else:
                refusals.append(
                    {
                        "column": item["column"],
                        "expected": item["expected"],
                        "found": item["found"],
                        "remedy": write_remedy(local.table, item),
                    }
                )
    changes = list(list_changes(before.table, local.table))
    definition = definition_of(local.table)
    changes.append(NO_RUN if definition == before.definition else FULL_RUN)
    return DeployChanges(
        table=local.name,
        definition=definition,
        deployed_definition=before.definition,
        changes=changes,
        adds=adds,
        refusals=refusals,
        unknown=unknown,
    )


def _find_target(
    deployed: Deployment, table: Table, git_ref: str | None
) -> tuple[DescribedTarget | None, str | None]:
    """The target as the database has it; or why that isn't known."""
    if deployed.table.target.table != table.target.table:
        return None, f"the target is another table, {table.target.table}"
    try:
        answer = deployed.inspect(git_ref, {"about": "database"})
    except UserError as error:
        return None, str(error)
    if "described" not in answer:
        return None, "the deployed version doesn't say what columns the target has"
    return DescribedTarget(**answer["described"]), None


def list_changes(before: Table, after: Table) -> Iterator[str]:
    """What another table file changes, a line per change."""
    yield from _source_changes(before.source, after.source)
    yield from _column_changes(before, after)
    for what, then, now in (
        ("the target", before.target.table, after.target.table),
        ("the key", ", ".join(before.target.key), ", ".join(after.target.key)),
        ("written_at", before.target.written_at, after.target.written_at),
        ("missing", before.target.missing, after.target.missing),
        (
            "max_delete_percent",
            f"{before.target.max_delete_percent:g}",
            f"{after.target.max_delete_percent:g}",
        ),
        *(
            (what, getattr(before.source, what), getattr(after.source, what))
            for what in (
                "date",
                "newest",
                "filter",
                "deleted",
                "bad_files",
                "prefix",
                "path",
                "modified",
            )
        ),
    ):
        if then != now:
            yield f"{what} is {_shown(now)}, was {_shown(then)}"
    for what, rules, others in (
        ("reject rules", before.reject, after.reject),
        ("expectations", before.expect, after.expect),
    ):
        if rules != others:
            yield f"the {what} have changed: {len(others)}, were {len(rules)}"
    known = {index.name for index in before.target.index}
    for index in after.target.index:
        if index.name not in known:
            yield (
                f"the index {index.name} isn't created on an existing table: create it by hand, "
                "as `forecast-sync tables ddl` shows it"
            )


def _column_changes(before: Table, after: Table) -> Iterator[str]:
    old = {column.name: column for column in before.column}
    new = {column.name: column for column in after.column}
    for name, column in new.items():
        was = old.get(name)
        if was is None:
            yield f"{name} ({column.type}) is a new column of {after.target.table}"
        elif was != column:
            shown = " and ".join(
                f"its {what} is {_shown(now)}, was {_shown(then)}"
                for what in ("type", "required", "source")
                if (then := getattr(was, what)) != (now := getattr(column, what))
            )
            yield f"{name}: {shown}"
    for name in old.keys() - new.keys():
        yield f"{name} stays in {before.target.table} as it is, and runs no longer write it"


def _source_changes(before: Source, after: Source) -> Iterator[str]:
    for name, entry in after.columns.items():
        kind = after.types[name]
        how = "must have"
        if name in after.partitions:
            how = "must be in folders that have"
        elif name in after.optional:
            how = "may have"
        if name not in before.columns:
            yield f"files {how} {name} ({kind})"
        elif before.columns[name] != entry:
            yield f"files {how} {name} as {kind}, which was {_entry(before, name)}"
    for name in before.columns.keys() - after.columns.keys():
        yield f"{name} is no longer read from files"


def _entry(source: Source, name: str) -> str:
    marks = [
        word
        for word, names in (("optional", source.optional), ("a folder's", source.partitions))
        if name in names
    ]
    return ", ".join([source.types[name], *marks])


def _shown(value: object) -> str:
    return (
        "not set" if value is None else str(value).lower() if value in (True, False) else str(value)
    )
