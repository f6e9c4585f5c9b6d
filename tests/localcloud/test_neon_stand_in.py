"""The Neon stand-in against an excerpt of the API that Neon publishes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import urllib3
from localcloud.neon import Fault, NeonStandIn

OPENAPI = json.loads((Path(__file__).parent / "neon-openapi.json").read_text())
KEY, PROJECT = "a-key", "calm-river-1"
BRANCH = "/projects/{project_id}/branches/{branch_id}"
POOL = urllib3.PoolManager(retries=False)


@pytest.fixture
def stand_in() -> Iterator[NeonStandIn]:
    urls = {
        name: f"postgresql://forecaster:secret@127.0.0.1:5/{name.replace('/', '_')}"
        for name in ("main", "dev", "preview/pr-7")
    }

    def create(branch: str, parent: str | None) -> str:
        urls[branch] = f"{urls[parent or 'main']}_{branch}"
        return urls[branch]

    server = NeonStandIn(KEY, PROJECT, urls, create_database=create)
    server.start()
    yield server
    server.stop()


def call(
    server: NeonStandIn, method: str, path: str, key: str = KEY, **request: Any
) -> tuple[int, Any]:
    """The answer of a request, after checking that Neon could have given it."""
    branch_id = request.pop("branch_id", "")
    url = server.url + path.format(project_id=PROJECT, branch_id=branch_id)
    headers = {"Authorization": f"Bearer {key}"}
    answer = POOL.request(method, url, headers=headers, **request)
    responses = OPENAPI["paths"][path][method.lower()]["responses"]
    response = responses.get(str(answer.status), responses["default"])
    if "$ref" in response:
        response = OPENAPI["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    schema = response["content"]["application/json"]["schema"]
    resolvable = {**schema, "components": OPENAPI["components"]}
    jsonschema.Draft4Validator(resolvable, format_checker=jsonschema.FormatChecker()).validate(
        answer.json()
    )
    assert not _undeclared(answer.json(), schema), "fields that Neon doesn't have"
    return answer.status, answer.json()


def _undeclared(answer: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    return set(answer) - _properties(schema)


def _properties(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    parts = [_properties(part) for part in schema.get("allOf", [])]
    return set(schema.get("properties", {})).union(*parts)


def branches(server: NeonStandIn, **fields: str) -> list[dict[str, Any]]:
    status, answer = call(server, "GET", "/projects/{project_id}/branches", fields=fields)
    assert status == 200
    return list(answer["branches"])


def branch_id(server: NeonStandIn, name: str) -> str:
    return next(str(found["id"]) for found in branches(server) if found["name"] == name)


def test_it_starts_with_three_branches_and_one_default(stand_in: NeonStandIn) -> None:
    listed = branches(stand_in)
    assert {branch["name"] for branch in listed} == {"main", "dev", "preview/pr-7"}
    assert [branch["name"] for branch in listed if branch["default"]] == ["main"]


def test_search_matches_parts_of_names(stand_in: NeonStandIn) -> None:
    assert [branch["name"] for branch in branches(stand_in, search="pr-")] == ["preview/pr-7"]
    assert branches(stand_in, search="nothing") == []


def test_a_list_comes_page_by_page(stand_in: NeonStandIn) -> None:
    names, fields = [], {"limit": "1"}
    while True:
        _, answer = call(stand_in, "GET", "/projects/{project_id}/branches", fields=fields)
        names += [branch["name"] for branch in answer["branches"]]
        if "next" not in answer["pagination"]:
            break
        fields["cursor"] = answer["pagination"]["next"]
    assert sorted(names) == ["dev", "main", "preview/pr-7"]


@pytest.mark.parametrize("fields", [{"limit": "0"}, {"limit": "10001"}, {"cursor": "eA=="}])
def test_a_malformed_list_request_is_refused(stand_in: NeonStandIn, fields: dict[str, str]) -> None:
    assert call(stand_in, "GET", "/projects/{project_id}/branches", fields=fields)[0] == 400


def test_a_branch_its_database_and_role_are_found_by_id(stand_in: NeonStandIn) -> None:
    dev = branch_id(stand_in, "dev")
    assert call(stand_in, "GET", BRANCH, branch_id=dev)[1]["branch"]["name"] == "dev"
    _, databases = call(stand_in, "GET", f"{BRANCH}/databases", branch_id=dev)
    _, roles = call(stand_in, "GET", f"{BRANCH}/roles", branch_id=dev)
    assert [item["name"] for item in databases["databases"]] == ["dev"]
    assert [item["name"] for item in roles["roles"]] == ["forecaster"]


def test_a_database_is_added_to_a_branch_and_deleted(stand_in: NeonStandIn) -> None:
    path = f"{stand_in.url}/projects/{PROJECT}/branches/{branch_id(stand_in, 'dev')}/databases"
    headers = {"Authorization": f"Bearer {KEY}"}
    body = json.dumps({"database": {"name": "another", "owner_name": "forecaster"}})
    assert POOL.request("POST", path, headers=headers, body=body).status == 201
    assert _names_at(path, headers) == ["dev", "another"]
    assert POOL.request("DELETE", f"{path}/another", headers=headers).status == 200
    assert POOL.request("DELETE", f"{path}/another", headers=headers).status == 404
    assert POOL.request("POST", path, headers=headers, body="{}").status == 400
    assert _names_at(path, headers) == ["dev"]


def _names_at(path: str, headers: dict[str, str]) -> list[str]:
    listed = POOL.request("GET", path, headers=headers).json()["databases"]
    return [database["name"] for database in listed]


@pytest.mark.parametrize("path", [BRANCH, f"{BRANCH}/databases", f"{BRANCH}/roles"])
def test_an_unknown_branch_is_404(stand_in: NeonStandIn, path: str) -> None:
    assert call(stand_in, "GET", path, branch_id="br-nowhere-1")[0] == 404


def test_without_a_branch_id_the_default_branch_answers(stand_in: NeonStandIn) -> None:
    named = {"database_name": "main", "role_name": "forecaster"}
    status, answer = call(stand_in, "GET", "/projects/{project_id}/connection_uri", fields=named)
    assert (status, answer["uri"].rsplit("/", 1)[1]) == (200, "main")


def test_with_a_branch_id_that_branch_answers(stand_in: NeonStandIn) -> None:
    named = {"database_name": "dev", "role_name": "forecaster"}
    query = {**named, "branch_id": branch_id(stand_in, "dev"), "pooled": "true"}
    _, answer = call(stand_in, "GET", "/projects/{project_id}/connection_uri", fields=query)
    assert answer["uri"].rsplit("/", 1)[1] == "dev"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"role_name": "forecaster"}, 400),
        ({"database_name": "main"}, 400),
        ({"database_name": "other", "role_name": "forecaster"}, 404),
        ({"database_name": "main", "role_name": "forecaster", "branch_id": "br-no"}, 404),
    ],
)
def test_a_connection_uri_needs_its_names(
    stand_in: NeonStandIn, fields: dict[str, str], status: int
) -> None:
    path = "/projects/{project_id}/connection_uri"
    assert call(stand_in, "GET", path, fields=fields)[0] == status


def test_a_branch_is_created_from_its_parent_and_deleted(stand_in: NeonStandIn) -> None:
    path = "/projects/{project_id}/branches"
    body = {"branch": {"name": "preview-pr-8", "parent_id": branch_id(stand_in, "dev")}}
    body["endpoints"] = [{"type": "read_write"}]  # type: ignore[assignment]
    status, created = call(stand_in, "POST", path, json=body)
    assert (status, created["databases"][0]["name"]) == (201, "dev_preview-pr-8")
    assert len(created["endpoints"]) == 1
    assert call(stand_in, "POST", path, json=body)[0] == 409
    new = created["branch"]["id"]
    assert call(stand_in, "DELETE", BRANCH, branch_id=new)[0] == 200
    assert call(stand_in, "GET", BRANCH, branch_id=new)[0] == 404


def test_a_wrong_key_is_401(stand_in: NeonStandIn) -> None:
    assert call(stand_in, "GET", "/projects/{project_id}/branches", key="wrong")[0] == 401


def test_faults_disturb_the_next_requests_only(stand_in: NeonStandIn) -> None:
    stand_in.fail_next(Fault(status=429, times=1, retry_after=2))
    url = f"{stand_in.url}/projects/{PROJECT}/branches"
    headers = {"Authorization": f"Bearer {KEY}"}
    throttled = POOL.request("GET", url, headers=headers)
    assert (throttled.status, throttled.headers["Retry-After"]) == (429, "2")
    assert POOL.request("GET", url, headers=headers).status == 200
