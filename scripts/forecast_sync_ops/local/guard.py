"""The door of the local AWS: who comes in has signed with this cloud's keys, from this machine."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from forecast_sync_ops.local.loopback import find_foreign
from forecast_sync_ops.local.request_faults import Application, Message, Receive, Send
from forecast_sync_ops.local.signatures import Claim, Head, Refused, Verifier, read_claim

Headers = Iterable[tuple[bytes, bytes]]

# S3 and the services that answer in XML have one set of names for these, the others another.
JSON_CODES = {
    "AccessDenied": "MissingAuthenticationTokenException",
    "InvalidAccessKeyId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "RequestTimeTooSkewed": "InvalidSignatureException",
    "XAmzContentSHA256Mismatch": "InvalidSignatureException",
}
EXECUTE_API = "/_aws/execute-api/"


def guarded(application: Application, verifier: Verifier, port: int) -> Application:
    """The application for signed requests to this port of this machine, and for no web page.

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
            try:
                receive = await _admit(verifier, port, scope, receive)
            except Refused as refused:
                await _discard(receive)
                await _refuse(scope, send, refused)
                return
            await application(scope, receive, _without_cors(send))

    return answer


async def _admit(verifier: Verifier, port: int, scope: Message, receive: Receive) -> Receive:
    """Where the application gets the body from. Raises ``Refused``.

    A body that the signature covers is read to its end first; the head is judged before that.
    """
    head = _head(scope)
    if reason := find_foreign(head.headers, port):
        raise Refused("AccessDenied", reason)
    claim = read_claim(head)
    verifier.check_claim(head, claim, datetime.now(UTC))
    if claim.payload is not None:
        verifier.check_signature(head, claim, None)
    if not claim.wants_body:
        return receive
    messages, body = await _read(receive)
    if claim.payload is None:
        verifier.check_signature(head, claim, hashlib.sha256(body).hexdigest())
    verifier.check_body(claim, body)
    return _again(messages, receive)


def _head(scope: Message) -> Head:
    return Head(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=tuple((name.decode("latin-1").lower(), _text(v)) for name, v in scope["headers"]),
    )


def _text(value: bytes) -> str:
    """As whoever signed it has written it; clients differ in what they encode with."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


async def _read(receive: Receive) -> tuple[list[Message], bytes]:
    """The messages up to the body's end, and the body."""
    messages = [await receive()]
    while messages[-1].get("more_body", False):
        messages.append(await receive())
    return messages, b"".join(message.get("body", b"") for message in messages)


def _again(messages: list[Message], receive: Receive) -> Receive:
    waiting = iter(messages)

    async def receive_again() -> Message:
        for message in waiting:
            return message
        return await receive()

    return receive_again


async def _discard(receive: Receive) -> None:
    """A client that still sends wouldn't see why it was refused."""
    while (await receive()).get("more_body", False):
        pass


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
    """In the words of the service that was asked, so that its clients understand."""
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
