"""Trino's SQL for DuckDB: transpiled, with the text forms and the rounding of Trino."""

from __future__ import annotations

from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.dialects.athena import Athena
from sqlglot.dialects.duckdb import DuckDB

from localcloud.athena.engine import SYNTAX, QueryError

MACROS = Path(__file__).with_suffix(".sql").read_text("utf-8")
"""What a session of DuckDB must run before it runs what ``transpile`` returns."""

_READ, _WRITE = Athena, DuckDB
"""Loaded with this module. By their names they would be loaded at first use, and of two queries at
once, one would get a dialect that isn't complete."""


def parse(query: str) -> exp.Expr:
    """The statement's tree. Raises ``QueryError`` when it isn't Athena's SQL."""
    try:
        return sqlglot.parse_one(query, read=_READ)
    except sqlglot.ParseError as error:
        raise QueryError(f"SYNTAX_ERROR: {error}", error_type=SYNTAX) from None


def transpile(tree: exp.Expr) -> str:
    """The statement for DuckDB, whose session has run ``MACROS``; changes the tree."""
    return tree.transform(_as_trino, copy=False).sql(dialect=_WRITE, copy=False)


def _as_trino(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.Cast):
        if node.to.is_type(exp.DataType.Type.DECIMAL):
            # Trino rounds the shortest decimal form half up; DuckDB does so only when it is text.
            node.set("this", exp.cast(node.this, "text"))
        elif node.to.is_type(exp.DataType.Type.VARCHAR) and type(node) is exp.Cast:
            return exp.func("trino_text", node.this.transform(_as_trino))
    if isinstance(node, exp.Decode):
        return exp.func("trino_from_utf8", node.this.transform(_as_trino))
    if isinstance(node, exp.Try) and isinstance(node.this, exp.DPipe):
        return exp.func("trino_try_concatenation", node.this.transform(_as_trino))
    if isinstance(node, exp.JSONFormat):
        return _json_of_texts(node) or node
    return node


def _json_of_texts(node: exp.JSONFormat) -> exp.Expr | None:
    """A map of texts as JSON, with its keys in order, as Trino has them."""
    inner = node.this.this if isinstance(node.this, exp.Cast) else None
    if not isinstance(inner, exp.Map | exp.VarMap):
        return None
    keys, values = inner.args["keys"].expressions, inner.args["values"].expressions
    pairs = sorted(
        (key.this, value) for key, value in zip(keys, values, strict=True) if key.is_string
    )
    if len(pairs) != len(keys):
        return None
    quoted = (key.replace("\\", "\\\\").replace('"', '\\"') for key, _ in pairs)
    return exp.func(
        "trino_json_object",
        exp.array(*(exp.Literal.string(f'"{key}":') for key in quoted)),
        exp.array(*(value.transform(_as_trino) for _, value in pairs)),
    )
