"""Keeps out other users of the machine, other web pages, and other host names.

The token in the printed address proves that its reader can read the terminal. The browser exchanges
it for a cookie and the page's key, and continues to the address without the token. Browsers send a
cookie to every port of the host, so another user's server could read it; the key stays in the
storage of this port, and every request that reaches AWS or a database must carry it in a header.
Neither is of any use alone.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode

from forecast_sync.contracts.run import TABLE_PATTERN
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ["127.0.0.1", "localhost"]
TOKEN_HEADER = "X-CSRF-Token"  # noqa: S105  # the header's name
TOKEN_PARAMETER = "token"  # noqa: S105  # the parameter's name
READS = frozenset({"GET", "HEAD"})
PAGES = frozenset({"/", "/runbook"})
"""Pages that may be opened from the address bar: they send nothing to AWS or a database."""

STATIC = "/static/"
OWN_SITES = frozenset({"same-origin", "none"})
RUN_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
RUN_NAME_IN_WORDS = "1 to 80 letters, digits, - and _"
KEPT = {"table": re.compile(TABLE_PATTERN), "run": RUN_NAME}
"""The part of the printed address that stays in the page's address."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def _secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Keys:
    """The secrets of one process: for the printed address, the cookie, and the page's header.

    Browsers keep one set of cookies for all ports of a host, so the cookie's name has the port.
    """

    port: int
    address: str = field(default_factory=_secret, repr=False)
    session: str = field(default_factory=_secret, repr=False)
    page: str = field(default_factory=_secret, repr=False)

    @property
    def cookie(self) -> str:
        """The cookie's name."""
        return f"forecast-sync-{self.port}"


class Guard:
    """Admits browsers that know the token, refuses all others, and adds headers to every answer.

    Its own pages are ``enter.html`` for those it admits, and ``locked.html`` for the others.
    """

    def __init__(self, app: ASGIApp, keys: Keys, templates: Jinja2Templates) -> None:
        self._app = app
        self._keys = keys
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._check(Request(scope)) or self._app
        await app(scope, receive, send_guarded)

    def _check(self, request: Request) -> Response | None:
        """The answer to a request that isn't admitted or brings the token; None for others."""
        path, is_read = request.url.path, request.method in READS
        is_page = is_read and path in PAGES
        if not is_page and _is_foreign(request):
            return _refused()
        if is_read and path.startswith(STATIC):
            return None
        if is_page and TOKEN_PARAMETER in request.query_params:
            is_known = _same(request.query_params[TOKEN_PARAMETER], self._keys.address)
            return self._let_in(request) if is_known else self._locked_out(request)
        if not _same(request.cookies.get(self._keys.cookie, ""), self._keys.session):
            return self._locked_out(request)
        if is_page or _same(request.headers.get(TOKEN_HEADER, ""), self._keys.page):
            return None
        return _refused()

    def _let_in(self, request: Request) -> Response:
        """A page that sets cookie and key, and continues to the address without the token.

        It isn't a redirect: if the address was a link on another page, browsers wouldn't send a
        strict cookie along.
        """
        kept = {
            name: request.query_params[name]
            for name, pattern in KEPT.items()
            if pattern.fullmatch(request.query_params.get(name, ""))
        }
        target = request.url.path + (f"?{urlencode(kept)}" if kept else "")
        values = {"key": self._keys.page, "target": target}
        response = self._templates.TemplateResponse(request, "enter.html", values)
        response.set_cookie(
            self._keys.cookie, self._keys.session, path="/", httponly=True, samesite="strict"
        )
        return response

    def _locked_out(self, request: Request) -> Response:
        if "HX-Request" in request.headers:
            return HTMLResponse(LOCKED_PART, HTTPStatus.UNAUTHORIZED)
        return self._templates.TemplateResponse(
            request, "locked.html", status_code=HTTPStatus.UNAUTHORIZED
        )


LOCKED_PART = (
    '<p class="notice bad"><strong>This page belongs to an earlier dashboard.</strong> Open the '
    "address that <code>forecast-sync dashboard</code> printed when it started.</p>"
)


def run_name(text: str) -> str:
    """A run's name from a request, safe to send to AWS; anything else is answered with 400."""
    if not RUN_NAME.fullmatch(text):
        raise HTTPException(
            HTTPStatus.BAD_REQUEST,
            f"That isn't a run's name: expected {RUN_NAME_IN_WORDS}",
        )
    return text


def _is_foreign(request: Request) -> bool:
    """Whether the browser says that another origin's page sent the request."""
    origin = request.headers.get("Origin")
    is_other = origin is not None and origin != f"http://{request.headers.get('Host')}"
    return is_other or request.headers.get("Sec-Fetch-Site", "none") not in OWN_SITES


def _same(given: str, known: str) -> bool:
    return secrets.compare_digest(given.encode(errors="replace"), known.encode())


def _refused() -> Response:
    return PlainTextResponse(
        "This request isn't from the dashboard's own page: open the address that it printed.",
        403,
    )
