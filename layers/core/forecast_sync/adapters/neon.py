"""Neon's API: finds a branch by its exact name, and a connection string by the branch's id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import certifi
import urllib3
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forecast_sync.adapters.endpoints import PLAIN, read_endpoint
from forecast_sync.errors import (
    BranchNotFound,
    ConfigurationInvalid,
    DatabaseAmbiguous,
    NeonRefused,
    NeonUnavailable,
)

PAGE_SIZE = 100
MAX_PAGES = 1000
# Short faults are retried here, longer ones by the state machine's Retry.
RETRIES = urllib3.Retry(
    total=3,
    backoff_factor=0.3,
    backoff_jitter=0.3,
    backoff_max=5,
    retry_after_max=10,
    status_forcelist={423, 429, 500, 502, 503, 504},
    raise_on_status=False,
)
TRANSIENT_STATUS = frozenset(
    {
        408,  # A gateway waited too long for the request (RFC 9110).
        423,  # The resource is locked by an operation in progress: safe to retry, says Neon.
        425,  # Too early to answer (RFC 8470).
        429,  # More than 700 requests a minute, or 40 a second (Neon's rate limits).
    }
)
"""So does every 5xx: all requests here are GETs, which Neon calls safe to retry (its API reference,
General Error, https://api-docs.neon.tech/reference). Other codes last, see ``_refusal``."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""Of one answer; a page of 100 branches has about 100 kB."""


class _Shape(BaseModel):
    """The part of an answer that is read and validated; other keys are ignored."""

    model_config = ConfigDict(frozen=True, defer_build=True)


class _Item(_Shape):
    name: str


class _Branch(_Item):
    id: str


class _Pagination(_Shape):
    next: str | None = None


class _Branches(_Shape):
    branches: tuple[_Branch, ...]
    pagination: _Pagination = Field(default_factory=_Pagination)


class _Databases(_Shape):
    items: tuple[_Item, ...] = Field(alias="databases")


class _Roles(_Shape):
    items: tuple[_Item, ...] = Field(alias="roles")


class _Uri(_Shape):
    uri: str


class _Answer(NamedTuple):
    status: int
    body: bytes


S = TypeVar("S", bound=_Shape)


class NeonClient:
    """One Neon project, always queried with an explicit branch id.

    Without an id the API answers for the default branch, and its search matches parts of names, so
    this relies on neither. ``read_key`` returns the API key; it is called again when the key is
    refused, because the key may have been rotated. Messages never contain the key or a connection
    string.
    """

    def __init__(self, read_key: Callable[[], str], project_id: str, *, base_url: str) -> None:
        self._base_url = read_endpoint(base_url, "NEON_API_URL")
        self._read_key = read_key
        self._project_id = project_id
        self.renew_key()
        self._pool = urllib3.PoolManager(
            ca_certs=certifi.where(), retries=RETRIES, timeout=urllib3.Timeout(connect=5, read=20)
        )

    def renew_key(self) -> None:
        """Read the API key again, which may have been replaced while the old one still works."""
        self._api_key = _checked(self._read_key())
        if not self._api_key or not self._project_id:
            raise ConfigurationInvalid(
                "NEON_API_KEY or NEON_PROJECT_ID is empty, and DATABASE_URL isn't set; set them."
            )

    def find_branch(self, name: str) -> str:
        """The id of the branch with exactly this name; raises ``BranchNotFound`` without one."""
        similar = []
        for branch in self._branches(name):
            if branch.name == name:
                return branch.id
            similar.append(branch.name)
        others = f"; similar names, not used: {', '.join(sorted(similar)[:5])}" if similar else ""
        raise BranchNotFound(
            f"Neon project {self._project_id} has no branch named exactly {name!r}{others}. "
            "Create it in Neon, then start or redrive the run."
        )

    def names_under(self, prefix: str) -> list[str]:
        """The names of all branches that begin with ``prefix``, sorted."""
        names = {branch.name for branch in self._branches(prefix)}
        return sorted(name for name in names if name.startswith(prefix))

    def connection_uri(
        self,
        branch_id: str,
        *,
        database: str | None = None,
        role: str | None = None,
        pooled: bool = True,
    ) -> str:
        """The ``postgresql://`` URL of a branch; database and role may be omitted if unique.

        Raises ``BranchNotFound`` when the branch is gone, and ``DatabaseAmbiguous`` when the
        omitted database or role isn't unique.
        """
        path = f"/branches/{quote(branch_id, safe='')}"
        fields = {
            "branch_id": branch_id,
            "database_name": database or self._only(path, "databases", "NEON_DATABASE_NAME"),
            "role_name": role or self._only(path, "roles", "NEON_ROLE_NAME"),
            "pooled": "true" if pooled else "false",
        }
        return self._get("/connection_uri", fields, _Uri).uri

    def _branches(self, name: str) -> Iterator[_Branch]:
        fields = {"search": name, "limit": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            answer = self._get("/branches", fields, _Branches)
            yield from answer.branches
            cursor = answer.pagination.next
            if not cursor or not answer.branches:
                return
            fields["cursor"] = cursor
        raise NeonRefused(
            f"Neon's list of branches for {name!r} hasn't ended after {MAX_PAGES} pages; "
            "report it to Neon."
        )

    def _only(self, branch_path: str, what: str, setting: str) -> str:
        shape: type[_Databases | _Roles] = _Databases if what == "databases" else _Roles
        names = [item.name for item in self._get(f"{branch_path}/{what}", {}, shape).items]
        if len(names) != 1:
            raise DatabaseAmbiguous(
                f"The Neon branch has {len(names)} {what} ({', '.join(sorted(names))}), "
                f"expected one; name the one to use in {setting}."
            )
        return names[0]

    def _get(self, path: str, fields: dict[str, str], shape: type[S]) -> S:
        url = f"{self._base_url}/projects/{quote(self._project_id, safe='')}{path}"
        answer = self._request(url, fields)
        if answer.status == 401 and (renewed := _checked(self._read_key())) != self._api_key:
            self._api_key = renewed
            answer = self._request(url, fields)
        if answer.status != 200:
            raise _refusal(answer.status, path)
        try:
            return shape.model_validate_json(answer.body)
        except ValidationError:
            raise NeonUnavailable(
                f"Neon's answer to {path} doesn't match its API reference; if this persists, "
                "report it to Neon."
            ) from None

    def _request(self, url: str, fields: dict[str, str]) -> _Answer:
        headers = {"Authorization": f"Bearer {self._api_key}", "Accept": "application/json"}
        try:
            # Neon never redirects, so a redirect isn't followed, with or without the key.
            answer = self._pool.request(
                "GET", url, fields=fields, headers=headers, redirect=False, preload_content=False
            )
            body = answer.read(MAX_ANSWER_BYTES + 1, decode_content=True)
            if len(body) > MAX_ANSWER_BYTES:
                answer.close()
                raise NeonUnavailable(f"Neon's answer has more than {MAX_ANSWER_BYTES:,} bytes.")
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise NeonUnavailable(f"Neon didn't answer: {type(error).__name__}.") from None
        return _Answer(answer.status, body)


def _checked(key: str) -> str:
    """The key, if a header can carry it: urllib3's refusal would quote an unsuitable one."""
    if key and not PLAIN.fullmatch(key):
        raise ConfigurationInvalid(
            "NEON_API_KEY has a space, a line break or another character that no key has; "
            "store the key alone."
        )
    return key


def _refusal(status: int, path: str) -> Exception:
    if status in TRANSIENT_STATUS or status >= 500:
        return NeonUnavailable(f"Neon answered {status}.")
    if status == 401:
        return NeonRefused("Neon refused the API key (401): renew NEON_API_KEY, then redrive.")
    if status == 403:
        return NeonRefused(
            "The Neon API key lacks permission (403): give it the project, then redrive."
        )
    if status == 404 and path != "/branches":
        return BranchNotFound(
            "Neon knows no such branch, database or role (404): restore it, or correct "
            "NEON_DATABASE_NAME or NEON_ROLE_NAME, then redrive."
        )
    if status == 404:
        return NeonRefused(
            "Neon knows no such project (404): correct NEON_PROJECT_ID, then redrive."
        )
    return NeonRefused(f"Neon refused the request ({status}); see its API reference.")
