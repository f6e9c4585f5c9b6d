"""The Neon client: exact names, explicit branch ids, and failures sorted by what to do."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from forecast_sync.adapters import neon
from forecast_sync.adapters.neon import NeonClient
from forecast_sync.errors import (
    BranchNotFound,
    ConfigurationInvalid,
    DatabaseAmbiguous,
    ForecastSyncError,
    NeonRefused,
    NeonUnavailable,
)
from localcloud.neon import Fault, NeonStandIn
from localcloud.neon_project import Project

KEY, PROJECT = "canary-key", "calm-river-1"
URLS = {
    name: f"postgresql://forecaster:canary@127.0.0.1:5/db_{index}"
    for index, name in enumerate(
        ["main", "dev", "dev-2", "old/dev", "preview/pr-1", "preview/pr-11", "preview/pr-111"]
    )
}


@pytest.fixture
def stand_in() -> Iterator[NeonStandIn]:
    server = NeonStandIn(KEY, PROJECT, dict(URLS))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def client(stand_in: NeonStandIn) -> NeonClient:
    return NeonClient(lambda: KEY, PROJECT, base_url=stand_in.url)


@pytest.mark.parametrize("name", list(URLS))
@pytest.mark.parametrize("page_size", [1, 2, 100])
def test_a_branch_is_found_by_its_exact_name_on_any_page(
    client: NeonClient, name: str, page_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neon, "PAGE_SIZE", page_size)
    assert client.connection_uri(client.find_branch(name)) == URLS[name]


@pytest.mark.parametrize("name", ["preview/pr-1111", "de", "DEV", "preview/pr-", ""])
def test_a_part_of_a_name_is_no_name(client: NeonClient, name: str) -> None:
    with pytest.raises(BranchNotFound, match="no branch named exactly"):
        client.find_branch(name)


def test_a_deleted_branch_has_no_connection_string(client: NeonClient) -> None:
    with pytest.raises(BranchNotFound, match="404"):
        client.connection_uri("br-gone-1")
    with pytest.raises(BranchNotFound, match="404"):
        client.connection_uri("br-gone-1", database="db_0", role="forecaster")


def test_several_databases_need_a_choice(
    client: NeonClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = {"databases": [{"name": "db_1"}, {"name": "reports"}]}
    monkeypatch.setattr(Project, "list_databases", lambda *_: two)
    branch_id = client.find_branch("dev")
    with pytest.raises(DatabaseAmbiguous, match=r"2 databases.*NEON_DATABASE_NAME"):
        client.connection_uri(branch_id)
    assert client.connection_uri(branch_id, database="db_1") == URLS["dev"]


def test_a_refused_key_is_read_once_more(stand_in: NeonStandIn) -> None:
    keys = iter(["old", KEY])
    client = NeonClient(lambda: next(keys, KEY), PROJECT, base_url=stand_in.url)
    assert client.find_branch("main")
    always_old = NeonClient(lambda: "old", PROJECT, base_url=stand_in.url)
    with pytest.raises(NeonRefused, match="401"):
        always_old.find_branch("main")


def test_a_hiccup_is_waited_for(client: NeonClient, stand_in: NeonStandIn) -> None:
    stand_in.fail_next(Fault(status=429, times=1, retry_after=0))
    stand_in.fail_next(Fault(status=500, times=1))
    assert client.find_branch("main")


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, NeonRefused), (403, NeonRefused), (404, NeonRefused), (400, NeonRefused)]
    + [(code, NeonUnavailable) for code in (408, 423, 429, 500, 503)],
)
def test_every_failure_has_its_error(
    client: NeonClient,
    stand_in: NeonStandIn,
    status: int,
    error: type[ForecastSyncError],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(neon.RETRIES, "backoff_factor", 0)
    monkeypatch.setattr(neon.RETRIES, "backoff_jitter", 0)
    stand_in.fail_next(Fault(status=status, times=4))
    with pytest.raises(error, match=str(status)) as raised:
        client.find_branch("main")
    assert "canary" not in str(raised.value)


def test_no_answer_is_transient() -> None:
    unreachable = NeonClient(lambda: KEY, PROJECT, base_url="http://127.0.0.1:9/api/v2")
    unreachable._pool.connection_pool_kw["retries"] = False
    with pytest.raises(NeonUnavailable, match="didn't answer"):
        unreachable.find_branch("main")


@pytest.mark.parametrize(
    ("key", "project", "url"),
    [("", PROJECT, "https://x"), (KEY, "", "https://x"), (KEY, PROJECT, "http://neon.example")],
)
def test_a_client_needs_a_key_a_project_and_tls(key: str, project: str, url: str) -> None:
    with pytest.raises(ConfigurationInvalid) as raised:
        NeonClient(lambda: key, project, base_url=url)
    assert KEY not in str(raised.value)


def test_a_key_that_was_replaced_is_used_while_the_old_one_still_works() -> None:
    keys = iter(["old", "new"])
    used: list[str] = []
    client = NeonClient(lambda: next(keys), "p", base_url="http://127.0.0.1:1")
    used.append(client._api_key)
    client.renew_key()
    used.append(client._api_key)
    assert used == ["old", "new"]


ADDRESSES = [
    "http://127.0.0.1@evil.example/api/v2",
    "http://evil.example\\@127.0.0.1/api/v2",
    "http://127.0.0.1\\@evil.example/api/v2",
    "http://127.0.0.1.evil.example/api/v2",
    "http://localhost.evil.example/api/v2",
    "http://evil.example#@127.0.0.1/",
    "http://evil.example?@127.0.0.1/",
    "http://127.0.0.1 .evil.example/",
    "http://127.0.0.1\t.evil.example/",
    "http://127.0.0.1\n.evil.example/",
    " http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.0.0.1/",
    "http://[::1%25eth0]/",
    "http://127\u30020\u30020\u30021/",
    "https://user:canary@console.neon.tech/api/v2",
    "https://console.neon.tech/api/v2?key=canary",
    "https://console.neon.tech/api/v2#canary",
    "https:/console.neon.tech/api/v2",
    "https:console.neon.tech",
    "//127.0.0.1/api/v2",
    "127.0.0.1/api/v2",
    "ftp://127.0.0.1/",
    "file:///etc/passwd",
    "",
]


@pytest.mark.parametrize("url", ADDRESSES)
def test_the_key_goes_nowhere_but_by_tls_or_to_loopback(url: str) -> None:
    with pytest.raises(ConfigurationInvalid, match="NEON_API_URL") as refused:
        NeonClient(lambda: KEY, PROJECT, base_url=url)
    assert "canary" not in str(refused.value)


def test_localhost_is_pinned_to_loopback_or_refused(
    stand_in: NeonStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = stand_in.url.replace("127.0.0.1", "localhost")
    client = NeonClient(lambda: KEY, PROJECT, base_url=url)
    evil = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.9", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: evil)
    with pytest.raises(ConfigurationInvalid, match="expected https, or http to loopback"):
        NeonClient(lambda: KEY, PROJECT, base_url=url)
    monkeypatch.undo()
    assert client._base_url == stand_in.url
    assert client.find_branch("main")


@pytest.mark.parametrize(
    "key", ["canary\n", "can ary", "canary\r\nX-Evil: 1", "canary\x7f", "c\xe4"]
)
def test_an_invalid_header_value_is_refused_without_being_shown(
    stand_in: NeonStandIn, key: str
) -> None:
    with pytest.raises(ConfigurationInvalid, match="NEON_API_KEY has") as refused:
        NeonClient(lambda: key, PROJECT, base_url=stand_in.url)
    keys = iter([KEY])
    client = NeonClient(lambda: next(keys, key), PROJECT, base_url=stand_in.url)
    stand_in.fail_next(Fault(status=401, times=1))
    with pytest.raises(ConfigurationInvalid, match="NEON_API_KEY has") as renewed:
        client.find_branch("main")
    for error in (refused, renewed):
        assert key not in str(error.value)


def test_a_redirect_isn_t_followed() -> None:
    asked: list[str] = []

    class Redirector(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{server.server_address[1]}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirector)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = NeonClient(
        lambda: KEY, PROJECT, base_url=f"http://127.0.0.1:{server.server_address[1]}/api/v2"
    )
    with pytest.raises(NeonRefused, match="302"):
        client.find_branch("main")
    server.shutdown()
    server.server_close()
    assert len(asked) == 1


ODD_ANSWERS = {
    "100,000 brackets": b"[" * 100_000,
    "brackets in a branch": b'{"branches": ' + b"[" * 100_000,
    "5,000 digits": b'{"branches": [], "x": ' + b"1" * 5_000 + b"}",
    "no JSON": b"<html>",
    "nothing": b"",
    "a list": b"[]",
    "no branches": b"{}",
    "branches that are a number": b'{"branches": 5}',
    "a branch without an id": b'{"branches": [{"name": "dev"}]}',
    "a branch that is a text": b'{"branches": ["dev"]}',
    "a name that is a number": b'{"branches": [{"name": 5, "id": "br-1"}]}',
    "no UTF-8": b'{"branches": [{"name": "\xff", "id": "br-1"}]}',
    "half of a pair": b'{"branches": [{"name": "\\ud800", "id": "br-1"}]}',
    "a list as cursor": b'{"branches": [{"name": "a", "id": "b"}], "pagination": {"next": []}}',
    "more than is read": b'{"branches": [], "x": "' + b"x" * 5_000_000 + b'"}',
}


@contextmanager
def answering(content: bytes, **headers: str) -> Iterator[NeonClient]:
    """A client of a server that answers everything with these bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            with suppress(OSError):  # The client stops reading what is too much.
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
    try:
        yield NeonClient(lambda: KEY, PROJECT, base_url=f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_odd_answer_is_transient_and_in_one_short_line(name: str) -> None:
    with answering(ODD_ANSWERS[name]) as client:
        with pytest.raises(NeonUnavailable, match="Neon's answer") as raised:
            client.find_branch("dev")
        assert len(str(raised.value)) < 200
        for ask in (lambda: client.connection_uri("br-1"), lambda: client.names_under("preview/")):
            with pytest.raises(NeonUnavailable, match="Neon's answer"):
                ask()


def test_an_answer_that_inflates_is_not_read_to_its_end() -> None:
    bomb = gzip.compress(b" " * 400_000_000, compresslevel=1)
    with answering(bomb, Content_Encoding="gzip") as client:
        tracemalloc.start()
        with pytest.raises(NeonUnavailable, match="more than 4,194,304 bytes"):
            client.find_branch("dev")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 40_000_000
