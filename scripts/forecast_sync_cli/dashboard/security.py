"""What keeps others out: people of the same machine, other web pages, and other host names.

Whoever opens the printed address proves with its token that they may read the terminal. The browser
gets a cookie and the page's key, and goes on to the address without the token. A cookie reaches
every port of this host, and so whatever another user serves there; the key stays in the storage of
this port, and whatever asks AWS or a database needs it in a header. Neither is any use alone.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus

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
"""What the address bar may hold: they ask nobody but the page's own files."""

STATIC = "/static/"
OWN_SITES = frozenset({"same-origin", "none"})
RUN_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")
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
    """The secrets of one process: of the printed address, of the cookie, and of the page's header.

    A browser has one set of cookies for all ports of a host, so the cookie's name says whose it is.
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
    """Lets in who has the address, refuses what comes from elsewhere, puts headers on every answer.

    Its own pages are ``enter.html`` for who comes in, and ``locked.html`` for who doesn't.
    """

    def __init__(self, app: ASGIApp, keys: Keys, templates: Jinja2Templates) -> None:
        self._app = app
        self._keys = keys
        self._templates = templates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
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

        app = self._answer_at_the_door(Request(scope)) or self._app
        await app(scope, receive, send_guarded)

    def _answer_at_the_door(self, request: Request) -> Response | None:
        """The answer to who isn't let in, or is just coming in; None for who may go on."""
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
        """The cookie and the key, and on to the address without its token.

        A page does that and no redirect, along which a browser wouldn't send a strict cookie when
        the address was a link on another page.
        """
        run = request.query_params.get("run", "")
        target = request.url.path + (f"?run={run}" if RUN_NAME.fullmatch(run) else "")
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
    '<p class="notice bad"><strong>This page is of an earlier dashboard.</strong> Open the address '
    "that <code>forecast-sync dashboard</code> printed when it was started.</p>"
)


def run_name(text: str) -> str:
    """A run's name from a request, which goes on to AWS; anything else is answered with 400."""
    if not RUN_NAME.fullmatch(text):
        raise HTTPException(
            HTTPStatus.BAD_REQUEST,
            "That is no run's name: expected 1 to 80 letters, digits, - and _",
        )
    return text


def _is_foreign(request: Request) -> bool:
    """Whether a page of another origin asks, as far as the browser says."""
    origin = request.headers.get("Origin")
    is_other = origin is not None and origin != f"http://{request.headers.get('Host')}"
    return is_other or request.headers.get("Sec-Fetch-Site", "none") not in OWN_SITES


def _same(given: str, known: str) -> bool:
    return secrets.compare_digest(given.encode(errors="replace"), known.encode())


def _refused() -> Response:
    return PlainTextResponse(
        "This doesn't come from the dashboard's own page: open the address that it printed.", 403
    )
