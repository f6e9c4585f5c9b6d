"""The Neon stand-in: Neon's HTTP API on loopback, over one real database for each branch."""

from __future__ import annotations

import hmac
import json
import re
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from localcloud.foreign_requests import LoopbackHandler
from localcloud.neon_project import CreateDatabase, Project, Refusal

PREFIX = "/api/v2"
CODES = {
    HTTPStatus.BAD_REQUEST: "BAD_REQUEST",
    HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
    HTTPStatus.TOO_MANY_REQUESTS: "TOO_MANY_REQUESTS",
    HTTPStatus.CONFLICT: "BRANCH_ALREADY_EXISTS",
}


@dataclass(slots=True)
class Fault:
    """What happens to the next ``times`` requests, instead of an answer or before it."""

    status: int | None
    times: int
    retry_after: int | None = None
    delay_seconds: float = 0


class NeonStandIn:
    """A server for one project; ``urls`` are the databases by branch, new branches included.

    ``create_database(branch, parent)`` makes the database of a new branch; without it, branches
    can't be created. ``POST /_key`` replaces the API key, as a rotation does; the control routes
    (``/_...``) still take the key that the stand-in was created with.
    """

    def __init__(
        self,
        api_key: str,
        project_id: str,
        urls: dict[str, str],
        *,
        create_database: CreateDatabase | None = None,
        pooler_port: int | None = None,
    ) -> None:
        self._control_key = self._api_key = api_key
        self._project = Project(project_id, urls, create_database, pooler_port)
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{PREFIX}"

    def start(self) -> None:
        """Serve in a separate thread."""
        serve = self._server.serve_forever
        threading.Thread(target=serve, args=[0.05], daemon=True).start()

    def stop(self) -> None:
        """Stop serving and close the port."""
        self._server.shutdown()
        self._server.server_close()

    def fail_next(self, fault: Fault) -> None:
        """Disturb the next requests, like ``POST /_faults`` with the same fields."""
        with self._lock:
            self._faults.append(fault)

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON body and extra headers for a request."""
        url = urlsplit(target)
        is_control = url.path.startswith("/_")
        fault = None if is_control else self._next_fault()
        if fault and fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault and fault.status:
            extra = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            status = HTTPStatus(fault.status)
            return status, _error(status, status.phrase.lower()), extra
        answer: dict[str, Any] | None
        try:
            _authorize(headers, self._control_key if is_control else self._api_key)
            if is_control:
                status, answer = self._control(method, url.path, body)
            else:
                with self._lock:
                    status, answer = self._route(method, url.path, dict(parse_qsl(url.query)), body)
        except Refusal as refusal:
            return refusal.status, _error(refusal.status, str(refusal)), {}
        return status, answer, {}

    def _control(self, method: str, path: str, body: bytes) -> tuple[HTTPStatus, None]:
        """The stand-in's own routes, which Neon doesn't have."""
        match method, path:
            case "POST", "/_faults":
                self.fail_next(Fault(**_decoded(body)))
            case "POST", "/_key":
                self._api_key = _decoded(body)["api_key"]
            case _:
                raise Refusal(HTTPStatus.NOT_FOUND, "not found")
        return HTTPStatus.NO_CONTENT, None

    def _route(
        self, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> tuple[HTTPStatus, dict[str, Any]]:
        project = self._project
        base = f"{PREFIX}/projects/{re.escape(project.id)}"
        matched = re.fullmatch(
            rf"{base}/branches/([^/]+)(?:(/databases|/roles)(?:/([^/]+))?)?", path
        )
        branch, part = (unquote(matched[1]), matched[2] or "") if matched else ("", "")
        answer: dict[str, Any]
        match method, path.removeprefix(f"{PREFIX}/projects/{project.id}"), matched:
            case "GET", "/branches", _:
                return HTTPStatus.OK, project.list_branches(query)
            case "POST", "/branches", _:
                return HTTPStatus.CREATED, project.create_branch(_decoded(body))
            case "GET", "/connection_uri", _:
                return HTTPStatus.OK, project.connection_uri(query)
            case "POST", _, re.Match() if part == "/databases" and not matched[3]:
                return HTTPStatus.CREATED, project.add_database(branch, _decoded(body))
            case "DELETE", _, re.Match() if part == "/databases" and matched[3]:
                return HTTPStatus.OK, project.delete_database(branch, unquote(matched[3]))
            case "GET", _, re.Match() if not matched[3]:
                by_part = {"": project.get_branch, "/databases": project.list_databases}
                answer = by_part.get(part, project.list_roles)(branch)
                return HTTPStatus.OK, answer
            case "DELETE", _, re.Match() if not part:
                return HTTPStatus.OK, project.delete_branch(branch)
        raise Refusal(HTTPStatus.NOT_FOUND, "not found")

    def _next_fault(self) -> Fault | None:
        with self._lock:
            if not self._faults:
                return None
            fault = self._faults[0]
            fault.times -= 1
            if fault.times <= 0:
                self._faults.pop(0)
            return fault

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(LoopbackHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # noqa: N802
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                status, answer, extra = stand_in.answer(
                    self.command, self.path, dict(self.headers), body
                )
                payload = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(payload)))
                for name, value in extra.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            do_POST = do_DELETE = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Log nothing; the answers say enough."""

        return Handler


def _authorize(headers: Mapping[str, str], key: str) -> None:
    given = headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
        raise Refusal(HTTPStatus.UNAUTHORIZED, "authorization failed")


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(body or b"{}")
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body isn't JSON") from None
    if not isinstance(decoded, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, "the body isn't an object")
    return decoded


def _error(status: HTTPStatus, message: str) -> dict[str, str]:
    code = CODES.get(status, "INTERNAL" if status >= 500 else "")
    return {"request_id": str(uuid.uuid4()), "code": code, "message": message}
