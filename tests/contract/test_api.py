"""The OpenAPI document against the template, and against its own promises."""

from __future__ import annotations

import re

from forecast_sync.api.routes import document

from tests.contract.stack import template

METHODS = {"get", "post"}


def test_every_route_of_the_document_is_deployed_and_no_other() -> None:
    events = template()["Resources"]["StatusApiFunction"]["Properties"]["Events"].values()
    deployed = {(event["Properties"]["Method"], event["Properties"]["Path"]) for event in events}
    described = {
        (method.upper(), path) for path, item in document()["paths"].items() for method in item
    }
    assert deployed == described | {("ANY", "/{proxy+}")}


def test_the_routes_that_the_documentation_names_are_there() -> None:
    paths = document()["paths"]
    named = {"/status", "/syncs", "/syncs/{run_id}", "/rejects", "/files", "/table"}
    named |= {"/rejects/{content_hash}", "/openapi.json", "/files/accept", "/files/retry"}
    assert named | {"/syncs/{run_id}/redrive", "/syncs/{run_id}/stop"} == set(paths)
    assert set(paths["/syncs"]) == METHODS


def test_every_operation_promises_problem_details_and_a_signature() -> None:
    described = document()
    assert re.match(r"3\.\d", described["openapi"])
    assert described["security"] == [{"sigv4": []}]
    for path, item in described["paths"].items():
        for method, operation in item.items():
            answers = operation["responses"]
            assert {"401", "403", "404", "422", "500"} <= set(answers), (method, path)
            assert "application/problem+json" in answers["422"]["content"]
            assert operation["summary"]
    for action in ("redrive", "stop"):
        assert "409" in described["paths"][f"/syncs/{{run_id}}/{action}"]["post"]["responses"]


def test_the_api_is_signed_and_throttled() -> None:
    properties = template()["Resources"]["Api"]["Properties"]
    assert properties["Auth"]["DefaultAuthorizer"] == "AWS_IAM"
    assert properties["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
