"""Parses every query of CloudFormation templates: check_cloudwatch_queries TEMPLATE...

CloudFormation checks them only when it creates the resource, and a mistake then rolls back the
whole stack.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from devtools.cloudwatch_queries import (
    QueryInvalid,
    calls_in,
    names_in,
    parse_filter,
    parse_metric_math,
    parse_metrics_insights,
)

METRICS_LIMIT = 10
"""The limit of an alarm on metric math."""

QUERIES = frozenset({"Expression", "FilterPattern", "QueryString", "QueryDefinition"})
"""Properties that hold a query, whatever the resource's type."""


def main(paths: list[str]) -> int:
    """Exit with 1 if a query is invalid; names each by file and resource."""
    count, wrong = 0, []
    for path in paths:
        for where, query in read_queries(yaml_parse(Path(path).read_text())):
            count += 1
            try:
                query()
            except QueryInvalid as error:
                wrong.append(f"error: {path}: {where}: {error}")
    print("\n".join(wrong) or f"queries: {count} parsed")
    return int(bool(wrong))


def read_queries(template: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The resource of each query of a template, and a function that raises ``QueryInvalid``."""
    parameters = template.get("Parameters", {})
    for name, resource in template["Resources"].items():
        properties = resolve(resource.get("Properties", {}), parameters)
        kind = resource["Type"]
        if kind == "AWS::CloudWatch::Alarm" and "Metrics" in properties:
            yield name, lambda metrics=properties["Metrics"]: check_alarm(metrics)
        elif kind == "AWS::CloudWatch::Dashboard":
            yield name, lambda body=properties["DashboardBody"]: check_dashboard(body)
        elif kind in {"AWS::Logs::MetricFilter", "AWS::Logs::SubscriptionFilter"}:
            yield name, lambda pattern=properties["FilterPattern"]: parse_filter(pattern)
        elif held := sorted(QUERIES & set(_keys(properties))):
            yield name, lambda what=f"{kind} {held[0]}": _refuse(what)


def check_alarm(metrics: list[dict[str, Any]]) -> None:
    """Check the metrics of an alarm on metric math or on a Metrics Insights query."""
    retrieved = [item for item in metrics if "MetricStat" in item]
    queries = [item["Expression"] for item in metrics if "Expression" in item]
    selects = [query for query in queries if _is_select(query)]
    for query in selects:
        parse_metrics_insights(query)
    if len(retrieved) > METRICS_LIMIT:
        raise QueryInvalid(
            f"the alarm has {len(retrieved)} metrics, at most {METRICS_LIMIT} may be in metric math"
        )
    if selects and len(metrics) > 1:
        raise QueryInvalid("a Metrics Insights query must be the only metric of its alarm")
    results = [item for item in metrics if item.get("ReturnData", True)]
    if len(results) != 1:
        raise QueryInvalid(f"{len(results)} of its metrics return data, expected exactly one")
    known = {str(item["Id"]) for item in metrics}
    for query in queries:
        if query not in selects:
            _check_math(query, known)
            if "SEARCH" in calls_in(parse_metric_math(query)):
                raise QueryInvalid("an alarm can't use SEARCH")


def check_dashboard(body: str) -> None:
    """Check every expression of every widget."""
    try:
        widgets = json.loads(body)["widgets"]
    except (ValueError, KeyError) as error:
        raise QueryInvalid(f"the dashboard's body isn't JSON with widgets: {error}") from None
    for widget in widgets:
        properties = widget["properties"]
        if "query" in properties:
            _refuse(f"the widget {properties.get('title')}'s query")
        rendered = [row[-1] for row in properties.get("metrics", []) if isinstance(row[-1], dict)]
        known = {str(item["id"]) for item in rendered if "id" in item}
        for item in rendered:
            query = item.get("expression")
            if query and _is_select(query):
                parse_metrics_insights(query)
            elif query:
                _check_math(query, known)


def _check_math(expression: str, known: set[str]) -> None:
    if missing := sorted(names_in(parse_metric_math(expression)) - known):
        raise QueryInvalid(f"{expression!r} uses the id {missing[0]}, which no metric has")


def _is_select(query: str) -> bool:
    return query.lstrip().upper().startswith("SELECT")


def _refuse(what: str) -> None:
    raise QueryInvalid(f"nothing here can parse {what}: add its grammar to cloudwatch_queries.py")


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


def resolve(value: Any, parameters: dict[str, Any]) -> Any:
    """The value with sample texts in place of parameters and functions."""
    if isinstance(value, list):
        return [resolve(item, parameters) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Ref"}:
        return _sample(value["Ref"], parameters, {})
    if set(value) == {"Fn::Sub"}:
        given = value["Fn::Sub"]
        text, local = given if isinstance(given, list) else (given, {})
        return re.sub(r"\$\{([^}!]+)\}", lambda match: _sample(match[1], parameters, local), text)
    if set(value) == {"Fn::If"}:
        return resolve(value["Fn::If"][1], parameters)
    if len(value) == 1 and next(iter(value)).startswith("Fn::"):
        return next(iter(value)).removeprefix("Fn::")
    return {key: resolve(item, parameters) for key, item in value.items()}


def _sample(name: str, parameters: dict[str, Any], local: dict[str, Any]) -> str:
    """A parameter's default, or its own name; neither contains quotes or braces."""
    if name in local:
        return str(resolve(local[name], parameters))
    default = str(parameters.get(name, {}).get("Default", ""))
    return default or re.sub(r"\W+", "-", name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
