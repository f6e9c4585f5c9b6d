"""Admits to the local AWS only requests from this machine that this cloud's keys have signed."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import deque
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from localcloud.foreign_requests import find_foreign
from localcloud.request_faults import Application, Message, Receive, Send
from localcloud.signatures import Claim, Head, Refused, Verifier, read_claim

# S3 and the other XML services have these names for the errors, the JSON services have others.
JSON_CODES = {
    "AccessDenied": "MissingAuthenticationTokenException",
    "InvalidAccessKeyId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "RequestTimeTooSkewed": "InvalidSignatureException",
    "XAmzContentSHA256Mismatch": "InvalidSignatureException",
}
EXECUTE_API = "/_aws/execute-api/"


def guarded(application: Application, verifier: Verifier, port: int) -> Application:
    """Wrap the application so that it serves only signed requests, to this port, from no web page.

    Nothing is exempt: neither preflights nor ministack's own administration, and WebSockets, which
    no part of the deployment uses, are refused. No answer carries a header that would let a page
    of another origin read it.
    """

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await application(scope, receive, send)
        else:
            body = _Body(receive)
            try:
                await _admit(verifier, port, scope, body)
            except Refused as refused:
                await body.discard()
                await _refuse(scope, send, refused)
                return
            await application(scope, body.receive, _without_cors(send))

    return answer


class _Body:
    """A request's body, which can be read twice: here and by the application."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: deque[Message] = deque()
        self._ended = False

    async def read(self) -> bytes:
        """The whole body."""
        while not self._ended:
            self._read.append(await self._next())
        return b"".join(message.get("body", b"") for message in self._read)

    async def discard(self) -> None:
        """Read the rest: a client that is still sending would never see why it was refused."""
        while not self._ended:
            await self._next()

    async def receive(self) -> Message:
        """The body from its beginning, then any later message."""
        return self._read.popleft() if self._read else await self._receive()

    async def _next(self) -> Message:
        message = await self._receive()
        self._ended = not message.get("more_body", False)
        return message


async def _admit(verifier: Verifier, port: int, scope: Message, body: _Body) -> None:
    """Raise ``Refused``, or admit the request; its head is checked before its body is read."""
    head = _head(scope)
    if reason := find_foreign(head.headers, port):
        raise Refused("AccessDenied", reason)
    claim = read_claim(head)
    verifier.check_claim(head, claim, datetime.now(UTC))
    if claim.payload is not None:
        verifier.check_signature(head, claim, None)
    if claim.wants_body:
        content = await body.read()
        if claim.payload is None:
            verifier.check_signature(head, claim, hashlib.sha256(content).hexdigest())
        verifier.check_body(claim, content)


def _head(scope: Message) -> Head:
    return Head(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=tuple((name.decode("latin-1").lower(), _text(v)) for name, v in scope["headers"]),
    )


def _text(value: bytes) -> str:
    """The header as its signer wrote it; clients use different encodings."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _without_cors(send: Send) -> Send:
    async def send_without(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", [])
                if not name.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": kept}
        await send(message)

    return send_without


async def _refuse(scope: Message, send: Send, refused: Refused) -> None:
    """Answer in the format of the requested service, so that its clients understand."""
    code, kind, body = _worded(_head(scope), refused)
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"x-amzn-errortype", code.encode()),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": body})


def _worded(head: Head, refused: Refused) -> tuple[str, str, bytes]:
    """The error's code, the content type and the body."""
    code, message = refused.code, str(refused)
    claim = _claim_or_none(head)
    service = claim.service if claim else ""
    form = any(value.startswith("application/x-www-form") for value in head.values("content-type"))
    in_json = head.values("x-amz-target") or head.raw_path.startswith(EXECUTE_API)
    if in_json or (service not in {"", "s3"} and not form):
        code = JSON_CODES.get(code, code)
        return code, "application/json", json.dumps({"__type": code, "message": message}).encode()
    error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
    number = f"<RequestId>{uuid.uuid4()}</RequestId>"
    if form:
        error = f"<ErrorResponse><Error>{error}</Error>{number}</ErrorResponse>"
    else:
        error = f"<Error>{error}{number}</Error>"
    return code, "application/xml", error.encode()


def _claim_or_none(head: Head) -> Claim | None:
    try:
        return read_claim(head)
    except Refused:
        return None
