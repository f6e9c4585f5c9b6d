"""Claims about the check of the templates' queries: it refuses what AWS would refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from devtools import check_cloudwatch_queries
from devtools import cloudwatch_queries as queries

SELECT = 'SELECT SUM(Errors) FROM SCHEMA("AWS/Lambda", FunctionName)'


@pytest.mark.parametrize(
    "query",
    [
        SELECT,
        "select avg(Duration) from \"AWS/Lambda\" where FunctionName = 'a' and FunctionName != 'b'",
        f"{SELECT} WHERE FunctionName != 'it''s'",
        f"{SELECT} GROUP BY FunctionName ORDER BY SUM() DESC LIMIT 10",
        'SELECT MAX("Some-Metric") FROM Custom',
    ],
)
def test_metrics_insights_takes_its_own_grammar(query: str) -> None:
    queries.parse_metrics_insights(query)


@pytest.mark.parametrize(
    "query",
    [
        f"{SELECT} WHERE FunctionName = 'a' OR FunctionName = 'b'",
        f"{SELECT} WHERE FunctionName IN ('a', 'b')",
        f"{SELECT} WHERE FunctionName LIKE 'a%'",
        f"{SELECT} WHERE NOT FunctionName = 'a'",
        f"{SELECT} WHERE (FunctionName = 'a')",
        f"{SELECT} WHERE FunctionName > 'a'",
        f'{SELECT} WHERE FunctionName = "a"',
        f"{SELECT} WHERE FunctionName = 'a' AND",
        f"{SELECT} LIMIT 501",
        f"{SELECT} LIMIT 0",
        f"{SELECT}; {SELECT}",
        'SELECT Errors FROM "AWS/Lambda"',
        'SELECT MEDIAN(Errors) FROM "AWS/Lambda"',
        "SELECT SUM(Errors) FROM AWS/Lambda",
        "SELECT SUM(Errors) FROM SCHEMA()",
        'SELECT SUM(Errors), MAX(Errors) FROM "AWS/Lambda"',
        "",
    ],
)
def test_metrics_insights_refuses_what_it_lacks(query: str) -> None:
    with pytest.raises(queries.QueryInvalid):
        queries.parse_metrics_insights(query)


@pytest.mark.parametrize(
    "expression",
    [
        "bytes / 1099511627776 * 5",
        "IF(m1 > 5 AND m2 <= 3, m1, 0)",
        "SUM([m1, m2]) + FILL(m3, REPEAT)",
        "-(m1 ^ 2) || m2",
        "SUM(METRICS('errors'))",
        "SEARCH('{AWS/Lambda,FunctionName} MetricName=\"Errors\" (a OR b) NOT c', 'Sum', 300)",
    ],
)
def test_metric_math_takes_its_own_grammar(expression: str) -> None:
    queries.parse_metric_math(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "m1 +",
        "m1 m2",
        "TOTAL(m1)",
        "M1 + 1",
        "SUM([m1, m2)",
        "m1 IN (1, 2)",
        "m1 = 2",
        "SEARCH('AWS/Lambda MetricName=\"Errors\"', 'Sum', 300)",
        "SEARCH('{AWS/Lambda,FunctionName} MetricName=\"Errors\" (a OR', 'Sum', 300)",
        f"SEARCH('{{AWS/Lambda}} {'a ' * 600}', 'Sum', 300)",
    ],
)
def test_metric_math_refuses_what_it_lacks(expression: str) -> None:
    with pytest.raises(queries.QueryInvalid):
        queries.parse_metric_math(expression)


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.level = "ERROR" }',
        '{ ($.a = "x*" && $.b.c != "y") || $.status >= 500 }',
        "{ $.a IS TRUE || $.b IS NULL && $.c NOT EXISTS }",
        "{ $.list[0].name = *.example.* }",
    ],
)
def test_filters_take_their_own_grammar(pattern: str) -> None:
    queries.parse_filter(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        '{ $.level = "ERROR" OR $.level = "WARN" }',
        '{ $.level = "ERROR" || }',
        '{ $.level IN ("ERROR") }',
        '{ $.level LIKE "E%" }',
        '{ level = "ERROR" }',
        '{ $.level == "ERROR" }',
        '{ !($.level = "ERROR") }',
        '{ ($.level = "ERROR" }',
        '$.level = "ERROR"',
        "ERROR",
        '{ $.level = "' + "x" * 1024 + '" }',
    ],
)
def test_filters_refuse_what_they_lack(pattern: str) -> None:
    with pytest.raises(queries.QueryInvalid):
        queries.parse_filter(pattern)


def metric(number: int, **more: Any) -> dict[str, Any]:
    return {"Id": f"m{number}", "MetricStat": {"Stat": "Sum"}, "ReturnData": False, **more}


def test_an_alarm_has_ten_metrics_at_most() -> None:
    total = {"Id": "total", "Expression": "SUM(METRICS())"}
    check_cloudwatch_queries.check_alarm([total, *map(metric, range(10))])
    with pytest.raises(queries.QueryInvalid, match="11 metrics, at most 10"):
        check_cloudwatch_queries.check_alarm([total, *map(metric, range(11))])


@pytest.mark.parametrize(
    ("metrics", "why"),
    [
        ([{"Id": "all", "Expression": "m1 + m2"}, metric(1)], "uses the id m2"),
        ([metric(1)], "0 of its metrics return data"),
        ([{"Id": "all", "Expression": "m1 +"}, metric(1)], "it can't end here"),
        ([metric(1, ReturnData=True), metric(2, ReturnData=True)], "2 of its metrics"),
        ([{"Id": "q", "Expression": f"{SELECT} LIMIT 3"}, metric(1)], "must be the only metric"),
        (
            [{"Id": "q", "Expression": f"{SELECT} WHERE a = 'b' OR c = 'd'"}],
            "can't continue with: OR",
        ),
        ([{"Id": "q", "Expression": "SEARCH('{A,B} c', 'Sum', 60)"}], "can't use SEARCH"),
    ],
)
def test_an_alarm_s_metrics_fit_together(metrics: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(queries.QueryInvalid, match=why):
        check_cloudwatch_queries.check_alarm(metrics)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("{", "isn't JSON"),
        ({"title": "a", "query": "fields @message"}, "can parse the widget a's query"),
        ({"metrics": [[{"expression": "m1 * 2", "id": "e1"}]]}, "uses the id m1"),
        (
            {"metrics": [[{"expression": f"{SELECT} WHERE a LIKE 'b'"}]]},
            "can't continue with: LIKE",
        ),
    ],
)
def test_a_dashboard_s_expressions_are_parsed(body: Any, why: str) -> None:
    text = body if isinstance(body, str) else json.dumps({"widgets": [{"properties": body}]})
    with pytest.raises(queries.QueryInvalid, match=why):
        check_cloudwatch_queries.check_dashboard(text)


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        (
            "AWS::CloudWatch::Alarm",
            {"Metrics": [{"Id": "a", "Expression": {"Fn::Sub": SELECT + " WHERE a = '${N}' OR"}}]},
        ),
        ("AWS::CloudWatch::Dashboard", {"DashboardBody": "{}"}),
        ("AWS::Logs::MetricFilter", {"FilterPattern": {"Fn::Sub": '{ $.a = "${N}" OR $.b = 1 }'}}),
        ("AWS::Logs::SubscriptionFilter", {"FilterPattern": "{ a }"}),
        ("AWS::Logs::QueryDefinition", {"QueryString": "fields @message"}),
        ("AWS::Athena::NamedQuery", {"QueryString": "SELECT 1"}),
    ],
)
def test_what_is_wrong_in_a_template_is_named(
    kind: str, properties: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "stack.yaml"
    file.write_text(yaml.safe_dump({"Resources": {"It": {"Type": kind, "Properties": properties}}}))
    assert check_cloudwatch_queries.main([str(file)]) == 1
    assert f"error: {file}: It: " in capsys.readouterr().out
