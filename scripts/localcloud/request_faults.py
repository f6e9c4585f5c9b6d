"""Makes the local AWS refuse, delay or cut off requests, as a file asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from localcloud.faults import FaultFile

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def disturbed(application: Application, faults_dir: Path) -> Application:
    """Wrap the application so that ``faults_dir/request-faults.json`` disturbs its requests.

    ``{"match": "GET /bucket/athena/", "status": 503, "code": "SlowDown"}`` refuses it;
    ``{"match": "PUT /bucket/athena/", "status": 200}`` says that it was done when it wasn't.
    ``{"match": "...", "hold": true, "after_bytes": 1000}`` holds back the rest of the body until
    the file no longer names the fault. ``{"match": "...", "cut": true}`` breaks the connection in
    the middle of the body. ``match`` is a part of the method, the path and, if there is one, the
    ``X-Amz-Target``, separated by blanks.
    """
    faults = FaultFile(faults_dir / "request-faults.json")

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        fault = faults.take(_call(scope)) if scope["type"] == "http" else None
        if fault is None:
            await application(scope, receive, send)
        elif "status" in fault:
            await _refuse(scope, send, fault)
        else:
            await application(scope, receive, _divided(send, fault, faults))

    return answer


def _call(scope: Message) -> str:
    headers = {name.lower(): value for name, value in scope["headers"]}
    target = headers.get(b"x-amz-target", b"").decode()
    return f"{scope['method']} {scope['path']} {target}"


async def _refuse(scope: Message, send: Send, fault: dict[str, Any]) -> None:
    """Answer in JSON for services with an ``X-Amz-Target``, else in S3's XML."""
    code, status = fault.get("code"), fault["status"]
    if code is None:
        kind, body = "application/octet-stream", ""
    elif _call(scope).endswith(" "):
        kind, body = "application/xml", f"<Error><Code>{code}</Code></Error>"
    else:
        kind, body = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": "fault"})
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})


def _divided(send: Send, fault: dict[str, Any], faults: FaultFile) -> Send:
    """Send the beginning of the body, and the rest later or never."""

    async def send_divided(message: Message) -> None:
        body = message.get("body", b"")
        beginning = fault.get("after_bytes", len(body) // 2)
        if message["type"] == "http.response.body" and len(body) > beginning:
            await send({**message, "body": body[:beginning], "more_body": True})
            if fault.get("cut"):
                raise ConnectionAbortedError("a fault cuts this answer")
            await asyncio.to_thread(faults.await_end, fault)
            message = {**message, "body": body[beginning:]}
        await send(message)

    return send_divided
