# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Lambda's runtime API, open only to the execution environment that it was started for."""

from __future__ import annotations

import hmac
import secrets
from http import HTTPStatus
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from localcloud.foreign_requests import LoopbackHandler

ADDRESS = "AWS_LAMBDA_RUNTIME_API"


def install(access_key_id: str, secret_access_key: str, wait_scale: float) -> None:
    """Give ministack's functions this cloud's keys and scale, and their runtime API a secret path.

    In AWS nothing else runs beside a function. Here any user of the machine and any web page could
    poll for events and answer them, so the path begins with a token that only one environment
    gets, as a part of the address (``worker`` knows how to use it).
    """

    def token(port: int) -> str:
        return hmac.digest(secret, str(port).encode(), "sha256").hex()

    secret = secrets.token_bytes(32)
    build_handler = lambda_runtime.ProvidedWorker._build_handler_class
    make_environment = lambda_svc._provided_worker_env

    def build_guarded_handler(worker: Any, *arguments: Any) -> type[Any]:
        class Handler(LoopbackHandler, build_handler(worker, *arguments)):  # type: ignore[misc]
            def parse_request(self) -> bool:
                if not super().parse_request():
                    return False
                expected = f"/{token(self.port)}/".encode()
                if hmac.compare_digest(self.path.encode()[: len(expected)], expected):
                    return True
                self.send_error(HTTPStatus.FORBIDDEN, explain="the path has no token")
                self.close_connection = True
                return False

        return Handler

    def environment(config: dict[str, Any], code_dir: str, port: int) -> dict[str, str]:
        made: dict[str, str] = make_environment(config, code_dir, port)
        made.pop("AWS_SESSION_TOKEN", None)
        return {
            **made,
            "AWS_ACCESS_KEY_ID": access_key_id,
            "AWS_SECRET_ACCESS_KEY": secret_access_key,
            "FORECAST_SYNC_WAIT_SCALE": str(wait_scale),
            ADDRESS: f"{made[ADDRESS]}/{token(port)}",
        }

    lambda_runtime.ProvidedWorker._build_handler_class = build_guarded_handler
    lambda_svc._provided_worker_env = environment
