"""Attacks on the dashboard by other users, other web pages and invalid names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import pytest
from forecast_sync_cli.client.api import Answer
from forecast_sync_cli.dashboard import server
from forecast_sync_cli.dashboard.app import make_app
from forecast_sync_cli.dashboard.scope import Scope
from forecast_sync_cli.dashboard.security import PAGES, Keys
from forecast_sync_cli.dashboard.view_models import Views
from starlette.routing import Mount, Route

from tests.waiting import run_coroutine

HOST = "127.0.0.1:8377"
HOSTILE = "\x1b]52;c;cm0=\x07\u202e<script>alert(1)</script>"


@dataclass
class Deployment:
    """A deployment that notes whatever reaches it; its values are hostile."""

    reached: list[str] = field(default_factory=list)
    label: str = "dev"
    place: str = HOSTILE
    tables: tuple[str, ...] = ("forecast",)
    neon_branch: str = HOSTILE

    @property
    def deployment(self) -> Deployment:
        return self

    def now(self, run: str | None, _scope: Scope) -> None:
        self.reached.append(f"now {run}")

    def status(self, _scope: Scope) -> dict[str, Any]:
        self.reached.append("status")
        return {"branches": []}

    def runs(self, _scope: Scope) -> list[Any]:
        self.reached.append("runs")
        return []

    def rejects(self, _scope: Scope) -> list[dict[str, Any]]:
        self.reached.append("rejects")
        return [{"reason": HOSTILE, "rows": 1, "files": 1, "example_file": HOSTILE}]

    def act(self, path: str, body: dict[str, Any] | None, _key: str | None) -> Answer:
        self.reached.append(f"act {path} {body}")
        return Answer(200, {})


@dataclass
class Response:
    """An answer of the application."""

    status: int
    headers: dict[str, str]
    text: str


class Scene:
    """The application, called without a browser."""

    def __init__(self) -> None:
        self.behind = Deployment()
        self.keys = Keys(8377)
        self.app = make_app(cast("Views", self.behind), self.keys)

    @property
    def cookie(self) -> str:
        return f"{self.keys.cookie}={self.keys.session}"

    def own(self, **more: str) -> dict[str, str]:
        """The headers that the page itself sends."""
        return {
            "Cookie": self.cookie,
            "X-CSRF-Token": self.keys.page,
            "Sec-Fetch-Site": "same-origin",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Response:
        named = {"Host": HOST, **{name.replace("_", "-"): text for name, text in headers.items()}}
        return self.send(path, method, body, named)

    def ask_as_page(self, path: str, method: str = "GET", body: bytes = b"") -> Response:
        return self.send(path, method, body, {"Host": HOST, **self.own()})

    def send(self, path: str, method: str, body: bytes, headers: dict[str, str]) -> Response:
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in headers.items()],
        }
        run_coroutine(self.app(scope, receive, send))
        answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        text = b"".join(part.get("body", b"") for part in sent[1:]).decode()
        return Response(sent[0]["status"], answered, text)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def paths(scene: Scene) -> list[tuple[str, str]]:
    """Every route but those of files, as method and path."""
    return [
        (method, route.path.replace("{run_id}", "run-1").replace("{action}", "redrive"))
        for route in scene.app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    ]


@pytest.mark.parametrize("site", ["none", "cross-site"])
def test_the_printed_address_lets_in_and_is_left(scene: Scene, site: str) -> None:
    address = server.address_of(scene.keys)
    path = address.removeprefix(f"http://{HOST}")
    assert path == f"/?token={scene.keys.address}"
    answer = scene.ask(f"{path}&run=run-1", Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")
    assert answer.status == 200
    assert f'data-key="{scene.keys.page}" data-target="/?run=run-1"' in answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.split("; ")[0] == scene.cookie
    assert {part.lower() for part in cookie.split("; ")[1:]} == {
        "httponly",
        "samesite=strict",
        "path=/",
    }
    for name in ("//evil.example/", 'x"><script>', "../"):
        assert 'data-target="/"' in scene.ask(f"{path}&run={quote(name, safe='')}").text


def test_who_has_stolen_a_cookie_finds_no_key(scene: Scene) -> None:
    """Another user's server on another port gets it from the browser, and may ask with it."""
    for path in PAGES:
        page = scene.ask(path, Cookie=scene.cookie)
        assert page.status == 200
        assert not [key for key in (scene.keys.address, scene.keys.page) if key in page.text]
    assert scene.keys.session not in scene.ask("/", Cookie=scene.cookie).text


@pytest.mark.parametrize("token", ["", "guessed", "%00", "%ff", "\xe9"])
def test_without_the_token_there_is_one_clear_page(scene: Scene, token: str) -> None:
    for answer in (scene.ask("/"), scene.ask(f"/?token={token}"), scene.ask("/?token")):
        assert answer.status == 401
        assert "forecast-sync dashboard" in answer.text
        assert "set-cookie" not in answer.headers
        assert answer.headers["referrer-policy"] == "no-referrer"
    other = Keys(8377)
    assert scene.ask("/", Cookie=f"{other.cookie}={other.session}").status == 401
    assert scene.ask("/", Cookie=f"forecast-sync-9999={scene.keys.session}").status == 401


def test_without_the_cookie_nothing_is_reachable(scene: Scene) -> None:
    for method, path in paths(scene):
        assert scene.ask(path, method, X_CSRF_Token=scene.keys.page).status == 401, path
    for part in ("/now", "/runs"):
        answer = scene.ask(part, HX_Request="true", X_CSRF_Token=scene.keys.page)
        assert (answer.status, "earlier dashboard" in answer.text) == (401, True)
    assert scene.behind.reached == []


def test_a_cookie_alone_reaches_nothing_behind_the_page(scene: Scene) -> None:
    """A browser sends the cookie for any page; only the dashboard's page can send its header."""
    for method, path in paths(scene):
        answer = scene.ask(path, method, Cookie=scene.cookie)
        expected = 200 if path in PAGES and method in ("GET", "HEAD") else 403
        assert answer.status == expected, path
        wrong = scene.ask(path, method, Cookie=scene.cookie, X_CSRF_Token="gu\xe9ssed")
        assert wrong.status == expected, path
    assert scene.behind.reached == []


@pytest.mark.parametrize(
    "foreign",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://localhost:8377"},
        {"Origin": "null"},
    ],
)
def test_another_site_is_refused_with_every_key(scene: Scene, foreign: dict[str, str]) -> None:
    headers = scene.own(**foreign)
    for method, path in [*paths(scene), ("GET", "/static/app.js")]:
        if path not in PAGES:
            answer = scene.send(path, method, b"", {"Host": HOST, **headers})
            assert answer.status == 403, path
    assert scene.behind.reached == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "0.0.0.0:8377"])
def test_another_host_name_is_refused_with_every_key(scene: Scene, host: str) -> None:
    for method, path in paths(scene):
        answer = scene.send(path, method, b"", {**scene.own(), "Host": host})
        assert answer.status == 400, path
    assert scene.ask(f"/?token={scene.keys.address}", Host=host).status == 400
    assert scene.behind.reached == []


NO_NAMES = [
    *("../rejects", "a/b", "a b", "a?limit=1000", "a&b", "a#", ".", "..", "a.b", "%2e%2e", "a%2f"),
    *("\x1b[31m", "a\n", "a\0", "\u202e", "arn:aws:states:x", "x" * 81, "<b>", "'; DROP", "*"),
]


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_of_a_run_goes_nowhere(scene: Scene, name: str) -> None:
    for path in ("/", "/now", "/dialogs/redrive", "/dialogs/stop"):
        answer = scene.ask_as_page(f"{path}?run={quote(name, safe='')}")
        assert answer.status == 400, path
        assert "isn't a run's name" in answer.text
    for action in ("stop", "redrive"):
        answer = scene.ask_as_page(f"/runs/{name}/{action}", "POST")
        assert answer.status in (400, 404), action
    assert scene.behind.reached == []


def test_a_name_of_a_run_goes_on(scene: Scene) -> None:
    for path in ("/now?run=Run_1-a", "/now", "/now?run="):
        assert scene.ask_as_page(path).status == 200
    assert scene.ask_as_page("/runs/Run_1-a/stop", "POST").status == 204
    stopped = "act /syncs/Run_1-a/stop None"
    assert scene.behind.reached == ["now Run_1-a", "now None", "now None", stopped]
    assert scene.ask_as_page("/runs/run-1/delete", "POST").status == 404
    assert scene.ask_as_page("/dialogs/delete?run=run-1").status == 404


@pytest.mark.parametrize(
    "body", [b"url=https://evil", b"key=a%0d%0ab", b"key=" + b"x" * 65, b"trigger=x", b"key=%00"]
)
def test_a_form_sends_its_own_fields_only(scene: Scene, body: bytes) -> None:
    assert scene.ask_as_page("/start", "POST", body).status == 400
    assert scene.behind.reached == []


def test_no_value_is_markup_or_hides_on_the_page(scene: Scene) -> None:
    for path in ("/", "/rejects"):
        text = scene.ask_as_page(path).text
        assert "<script>alert" not in text
        assert r"\x1b]52;c;cm0=\x07\u202e&lt;script&gt;" in text
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_keys_are_no_part_of_what_is_printed_of_them() -> None:
    keys = Keys(1)
    assert not {keys.address, keys.session, keys.page} & set(re.findall(r"[\w-]+", repr(keys)))
    assert len({keys.address, keys.session, keys.page, Keys(1).address}) == 4


def test_a_web_socket_is_closed(scene: Scene) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/", "headers": [(b"host", HOST.encode())]}
    run_coroutine(scene.app(scope, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_files_are_the_only_thing_beside_the_routes(scene: Scene) -> None:
    mounts = [route.path for route in scene.app.routes if isinstance(route, Mount)]
    assert mounts == ["/static"]
    assert len(mounts) + len([r for r in scene.app.routes if isinstance(r, Route)]) == len(
        scene.app.routes
    )
    assert scene.ask("/static/app.css", "HEAD").status == 200
