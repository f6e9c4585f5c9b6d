"""What other web pages can't do to the dashboard."""

from __future__ import annotations

import re
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import urllib3

TOKEN = re.compile(r'"X-CSRF-Token": "([\w-]+)"')


class Visitor(NamedTuple):
    """Somebody who asks the dashboard, with or without its page's token."""

    url: str
    token: str

    def ask(self, method: str, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return urllib3.request(method, self.url + path.lstrip("/"), headers=named, retries=False)


@pytest.fixture
def visitor(served: str) -> Visitor:
    page = urllib3.request("GET", served).data.decode()
    found = TOKEN.search(page)
    assert found is not None
    return Visitor(served, found[1])


def test_another_host_name_is_refused(visitor: Visitor) -> None:
    assert visitor.ask("GET", "/", Host="evil.example").status == 400
    assert visitor.ask("GET", "/now", Host="127.0.0.1.evil.example").status == 400


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


@pytest.mark.parametrize("path", ["/", "/runs", "/static/app.js", "/nowhere", "/dialogs/start"])
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
