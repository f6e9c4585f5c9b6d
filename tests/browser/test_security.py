"""What other web pages, and other users of the machine, can't do with the dashboard."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import urllib3
from playwright.sync_api import Browser, expect

from tests.browser.conftest import check

KEY = re.compile(r'data-key="([\w-]+)"')


class Visitor(NamedTuple):
    """A client of the dashboard, with or without its cookie and its page's key."""

    url: str
    cookie: str
    token: str

    def ask(self, method: str, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"Cookie": self.cookie, **named}
        return urllib3.request(
            method,
            self.url + path.lstrip("/"),
            headers=named,
            retries=False,
            redirect=False,
            # A function is started for the first question about a branch.
            timeout=60,
        )


@pytest.fixture
def visitor(served: str) -> Visitor:
    entered = urllib3.request("GET", served)
    url, cookie = served.partition("?")[0], entered.headers["Set-Cookie"].partition(";")[0]
    match = KEY.search(entered.data.decode())
    assert match is not None
    return Visitor(url, cookie, match[1])


def test_another_host_name_is_refused(visitor: Visitor) -> None:
    assert visitor.ask("GET", "/", Host="evil.example").status == 400
    assert visitor.ask("GET", "/now", Host="127.0.0.1.evil.example").status == 400


@pytest.mark.parametrize("path", ["/", "/now", "/status", "/rejects", "/runbook", "/dialogs/start"])
def test_without_the_token_the_page_is_locked(visitor: Visitor, path: str) -> None:
    for cookie in ("", "forecast-sync-1=x", f"{visitor.cookie}x"):
        answer = visitor.ask("GET", path, Cookie=cookie, X_CSRF_Token=visitor.token)
        assert answer.status == 401
        assert "forecast-sync dashboard" in answer.data.decode()


@pytest.mark.parametrize("path", ["/now", "/status", "/runs", "/rejects", "/dialogs/start"])
def test_what_asks_aws_needs_the_token_of_the_page(visitor: Visitor, path: str) -> None:
    assert visitor.ask("GET", path).status == 403
    for foreign in ({"Sec_Fetch_Site": "cross-site"}, {"Origin": "http://127.0.0.1:1"}):
        assert visitor.ask("GET", path, X_CSRF_Token=visitor.token, **foreign).status == 403
    assert visitor.ask("GET", path, X_CSRF_Token=visitor.token).status == 200


@pytest.mark.parametrize("path", ["/start", "/runs/some-run/stop", "/runs/some-run/redrive"])
def test_a_change_needs_the_token_of_the_page(visitor: Visitor, path: str) -> None:
    assert visitor.ask("POST", path).status == 403
    assert visitor.ask("POST", path, X_CSRF_Token="guessed").status == 403
    assert visitor.ask("POST", path, X_CSRF_Token="gu\xe9ssed").status == 403
    crossed = visitor.ask("POST", path, X_CSRF_Token=visitor.token, Sec_Fetch_Site="cross-site")
    assert crossed.status == 403


def test_a_change_with_the_token_reaches_the_deployment(visitor: Visitor) -> None:
    answer = visitor.ask("POST", "/runs/no-such-run/stop", X_CSRF_Token=visitor.token)
    assert answer.status == 404
    assert "There is no run no-such-run" in answer.data.decode()


def test_a_run_is_requested_by_its_name_only(visitor: Visitor) -> None:
    for name in ("../rejects", "a%2f..%2frejects", "a%3flimit=1000", "%1b[31m"):
        answer = visitor.ask("GET", f"/now?run={name}", X_CSRF_Token=visitor.token)
        assert answer.status == 400


@pytest.mark.parametrize(
    "path", ["/", "/runs", "/static/app.js", "/nowhere", "/dialogs/start", "/?token=x"]
)
def test_every_answer_carries_the_headers(visitor: Visitor, path: str) -> None:
    headers = visitor.ask("GET", path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd"]
)
def test_only_its_own_files_are_served(visitor: Visitor, path: str) -> None:
    address = urlsplit(visitor.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        answer = raw.makefile("rb").read()
    assert answer.split(b" ")[1] == b"404"


def test_it_listens_on_loopback_only(served: str) -> None:
    port = urlsplit(served).port
    with socket.socket() as other:
        other.bind(("127.0.0.2", 0))
        other.settimeout(2)
        with pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", port))


def test_an_address_opened_from_a_page_elsewhere_lets_in_too(
    chromium: Browser, served: str, tmp_path: Path
) -> None:
    """As `--open` does it: the address is in a file, and not among a process's arguments."""
    file = tmp_path / "open.html"
    file.write_text(f'<meta http-equiv="refresh" content="0; url={served}">')
    context = chromium.new_context()
    page = context.new_page()
    page.goto(file.as_uri())
    expect(page).to_have_url(served.partition("?")[0])
    expect(page.get_by_role("heading", name="Is it fresh?")).to_be_visible()
    [cookie] = context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    context.close()


def test_without_the_address_the_page_says_what_to_do(chromium: Browser, served: str) -> None:
    page = chromium.new_page()
    answer = page.goto(served.partition("?")[0])
    assert answer is not None
    assert answer.status == 401
    expect(page.get_by_role("heading", name="This dashboard is locked")).to_be_visible()
    check(page, "locked-1440-light")
    page.close()


def test_another_page_in_the_same_browser_reaches_nothing(
    chromium: Browser, served: str, tmp_path: Path
) -> None:
    """Its port is another, so the browser sends the cookie along: the page's header is missing."""
    url = served.partition("?")[0]
    context = chromium.new_context()
    page = context.new_page()
    page.goto(served)
    expect(page).to_have_url(url)
    (tmp_path / "index.html").write_text("<p>evil</p>")
    ask = (
        "([url, mode]) => fetch(url, {mode, credentials: 'include'})"
        ".then(() => 'answered').catch(() => 'refused')"
    )
    with serving(tmp_path) as evil:
        page = context.new_page()
        page.goto(evil)
        for path in ("status", "now", "rejects", "dialogs/start", "static/app.js"):
            for mode in ("no-cors", "cors"):
                assert page.evaluate(ask, [url + path, mode]) == "refused", path
        assert page.evaluate(ask, [evil, "cors"]) == "answered"
    context.close()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Another web server on another port of this machine; its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
