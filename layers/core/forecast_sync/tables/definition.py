"""A table's definition: one hash of everything that decides which values its rows get.

Rows that were made of two definitions don't belong together, so whatever is made of a table file
carries its definition: runs, their queries, plans and pages, and the batches in the ledger.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from forecast_sync.tables.index_limits import KEY_INDEX, find_text_limits
from forecast_sync.tables.model import Source, Table

LINE_FORMAT = 1
"""The version of what is made of a table file. Raise it when a release makes other lines, keys or
rejects of the same file: every database then gets one full run."""

DEFINITION_DIGITS = 16


def definition_of(table: Table) -> str:
    """The definition of a table, as 16 hexadecimal digits."""
    text = json.dumps([LINE_FORMAT, canonical_form(table)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DEFINITION_DIGITS]


def canonical_form(table: Table) -> dict[str, Any]:
    """What decides values, in one form: options at their defaults are left out.

    So a later release can add an option without changing the definition of the files that don't
    use it. Left out too is what decides no value: the prefix, indexes, expectations, the report,
    what a bad file does, how much may be deleted, the order of rules and of the key, and the
    wording of reasons. The order of columns stays: a line has it. So does how much text an index
    holds: a row with more is a reject.
    """
    form = table.model_dump(mode="json", exclude_defaults=True)
    for name in ("expect", "report"):
        form.pop(name, None)
    form["source"].pop("bad_files", None)
    form["source"].pop("prefix", None)
    form["target"].pop("index", None)
    form["target"].pop("max_delete_percent", None)
    if limits := _index_limits(table):
        form["target"]["limits"] = limits
    form["target"]["key"].sort()
    form["source"]["columns"] = {
        name: _canonical_column(table.source, name) for name in table.source.columns
    }
    if rules := form.pop("reject", None):
        without_reasons = [{**rule, "reason": None} for rule in rules]
        form["reject"] = sorted(without_reasons, key=lambda rule: json.dumps(rule, sort_keys=True))
    return form


def _canonical_column(source: Source, name: str) -> str | list[str]:
    """A column's type, and which files lack the column, unless all have it."""
    declared = source.declared[name]
    if name in source.partitions:
        return [declared, "partition"]
    return [declared, "optional"] if name in source.optional else declared


def _index_limits(table: Table) -> list[list[Any]]:
    """Of each index whose texts are limited, which columns and to how much; the key is known."""
    limits = {
        (tuple(sorted(limit.columns)), limit.most_bytes)
        for limit in find_text_limits(table)
        if limit.index_name != KEY_INDEX
    }
    return [[list(columns), most_bytes] for columns, most_bytes in sorted(limits)]
