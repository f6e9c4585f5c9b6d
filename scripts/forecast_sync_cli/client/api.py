"""The status API's client: signs each request with the operator's credentials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from forecast_sync.contracts.base import Model
from pydantic import ValidationError

from forecast_sync_cli.errors import UserError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_apigatewayv2 import ApiGatewayV2Client

M = TypeVar("M", bound=Model)

# Longer than the gateway's own limit of 30 s, so that its answer arrives.
TIMEOUT = urllib3.Timeout(connect=5, read=35)


@dataclass(frozen=True)
class Answer:
    """An answer of the API: the document that was requested, or problem details."""

    status: int
    document: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.status < 400

    @property
    def reason(self) -> str:
        """Why the request failed, in one line."""
        detail = self.document.get("detail") or self.document.get("message") or "no reason given"
        mistakes = self.document.get("errors", [])
        where = "; ".join(f"{item['where']}: {item['detail']}" for item in mistakes)
        return f"{detail} {where}".strip()


def parse(model: type[M], document: Mapping[str, Any]) -> M:
    """The API's document as the product's model; raises ``UserError`` when it doesn't fit."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise UserError(
            f"the status API's {model.__name__} doesn't fit this version of forecast-sync, "
            f"beginning with {where}: deploy the current template.yaml"
        ) from None


class ApiClient:
    """One deployment's status API."""

    def __init__(self, session: boto3.Session, url: str, region: str) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._region = region
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; raises ``UserError`` if there is no answer or it isn't a JSON object."""
        url = f"{self._url}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        content = None if body is None else json.dumps(body)
        request = AWSRequest(method, url, headers=dict(headers or {}), data=content)
        if content is not None:
            request.headers["Content-Type"] = "application/json"
        credentials = self._session.get_credentials()
        if credentials is None:
            raise UserError(
                "no AWS credentials were found: the status API accepts only signed requests"
            )
        SigV4Auth(credentials.get_frozen_credentials(), "execute-api", self._region).add_auth(
            request
        )
        try:
            answer = self._pool.request(
                method, url, headers=dict(request.headers.items()), body=content
            )
            document = answer.json()
        except urllib3.exceptions.HTTPError as error:
            raise UserError(
                f"the status API at {self._url} can't be reached: {type(error).__name__}"
            ) from None
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise UserError(
                f"the status API answered {method} {path} with {answer.status}, but without a "
                "JSON object"
            )
        return Answer(answer.status, document)


def find_url(client: ApiGatewayV2Client, name: str, endpoint_url: str | None) -> str:
    """The URL of the API of this name; raises ``UserError`` if there is none."""
    for page in client.get_paginator("get_apis").paginate():
        for api in page["Items"]:
            if api["Name"] == name and endpoint_url:
                return f"{endpoint_url}/_aws/execute-api/{api['ApiId']}/$default"
            if api["Name"] == name:
                return api["ApiEndpoint"]
    raise UserError(f"there is no HTTP API {name}: deploy the current template.yaml")
