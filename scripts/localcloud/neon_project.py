"""The Neon stand-in's project: its branches, and the real database behind each."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote, urlsplit

DEFAULT_BRANCH = "main"
MAX_LIMIT = 10_000
COMPUTE = {"autoscaling_limit_min_cu": 0.25, "autoscaling_limit_max_cu": 2}

CreateDatabase = Callable[[str, str | None], str]


class Refusal(Exception):
    """An answer that isn't a success; ``status`` is the HTTP status."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Project:
    """The answers to Neon's API about one project, as Python objects ready for JSON."""

    def __init__(
        self,
        project_id: str,
        urls: dict[str, str],
        create_database: CreateDatabase | None,
        pooler_port: int | None = None,
    ) -> None:
        self.id = project_id
        self._pooler_port = pooler_port
        self._urls = urls
        self._create_database = create_database
        self._branches: dict[str, dict[str, Any]] = {}
        self._more_databases: dict[str, list[str]] = {}
        default = DEFAULT_BRANCH if DEFAULT_BRANCH in urls else next(iter(urls))
        root = self._add(default, None)
        for name in urls:
            if name != default:
                self._add(name, root["id"])

    def list_branches(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of the branches whose name or id contains ``search``."""
        search, limit = query.get("search", ""), _limit(query)
        branches = [b for b in self._branches.values() if search in b["name"] or search in b["id"]]
        order, by = query.get("sort_order", "desc"), query.get("sort_by", "updated_at")
        if order not in ("asc", "desc") or by not in ("name", "created_at", "updated_at"):
            raise Refusal(HTTPStatus.BAD_REQUEST, "unknown sort_by or sort_order")
        branches.sort(key=lambda branch: (branch[by], branch["id"]), reverse=order == "desc")
        first = _position(query["cursor"], branches) if query.get("cursor") else 0
        page = branches[first : first + limit]
        pagination = {"sort_by": by.upper(), "sort_order": order.upper()}
        if first + limit < len(branches):
            pagination["next"] = base64.urlsafe_b64encode(page[-1]["id"].encode()).decode()
        return {"branches": page, "annotations": {}, "pagination": pagination}

    def get_branch(self, branch_id: str) -> dict[str, Any]:
        """The branch, or 404."""
        branch = self._branch(branch_id)
        annotation = {"object": {"type": "console/branch", "id": branch["id"]}, "value": {}}
        return {"branch": branch, "annotation": annotation}

    def list_databases(self, branch_id: str) -> dict[str, Any]:
        """The database of a branch, and those that were added to it."""
        branch = self._branch(branch_id)
        names = [self._names(branch)[0], *self._more_databases.get(branch["id"], [])]
        return {
            "databases": [
                self._database(branch, name, number) for number, name in enumerate(names, 1)
            ]
        }

    def add_database(self, branch_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """List another database on a branch; only the first one can be connected to."""
        branch = self._branch(branch_id)
        name = (body.get("database") or {}).get("name")
        if not name:
            raise Refusal(HTTPStatus.BAD_REQUEST, "database.name is required")
        more = self._more_databases.setdefault(branch["id"], [])
        more.append(name)
        return {
            "database": self._database(branch, name, 1 + len(more)),
            "operations": [self._operation(branch, "apply_config")],
        }

    def delete_database(self, branch_id: str, name: str) -> dict[str, Any]:
        """Take a database off a branch's list again."""
        branch = self._branch(branch_id)
        if name not in self._more_databases.get(branch["id"], []):
            raise Refusal(HTTPStatus.NOT_FOUND, f"database {name} not found on this branch")
        self._more_databases[branch["id"]].remove(name)
        return {
            "database": self._database(branch, name, 1),
            "operations": [self._operation(branch, "apply_config")],
        }

    def _database(self, branch: Mapping[str, Any], name: str, number: int) -> dict[str, Any]:
        role = self._names(branch)[1]
        listed = {"id": number, "branch_id": branch["id"], "name": name, "owner_name": role}
        return listed | _times(branch)

    def list_roles(self, branch_id: str) -> dict[str, Any]:
        """The one role of a branch."""
        branch = self._branch(branch_id)
        role = {"branch_id": branch["id"], "name": self._names(branch)[1], "protected": False}
        return {"roles": [role | _times(branch)]}

    def connection_uri(self, query: Mapping[str, str]) -> dict[str, Any]:
        """The URL of a branch, by default of the default branch, as in Neon.

        ``pooled`` leads to the pooler, if there is one.
        """
        for name in ("database_name", "role_name"):
            if not query.get(name):
                raise Refusal(HTTPStatus.BAD_REQUEST, f"query parameter {name} is required")
        branch = self._branch(query["branch_id"]) if query.get("branch_id") else self._default()
        if (query["database_name"], query["role_name"]) != self._names(branch):
            raise Refusal(HTTPStatus.NOT_FOUND, "database or role not found on this branch")
        url = urlsplit(self._urls[branch["name"]])
        if self._pooler_port and query.get("pooled") == "true":
            address = f"{url.netloc.rpartition(':')[0]}:{self._pooler_port}"
            url = url._replace(netloc=address)
        return {"uri": url.geturl()}

    def create_branch(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create a branch with its parent's current rows, and a compute if one was requested."""
        wanted = body.get("branch") or {}
        name = wanted.get("name") or f"br-{uuid.uuid4().hex[:8]}"
        parent = self._branch(wanted["parent_id"]) if wanted.get("parent_id") else self._default()
        if name in self._urls:
            raise Refusal(HTTPStatus.CONFLICT, f"branch {name} already exists")
        if self._create_database is None:
            raise Refusal(HTTPStatus.FORBIDDEN, "this stand-in serves one database only")
        self._create_database(name, parent["name"])
        branch = self._add(name, parent["id"])
        return {
            "branch": branch,
            "endpoints": [self._endpoint(branch) for _ in body.get("endpoints") or []],
            "operations": [self._operation(branch, "create_branch")],
            **self.list_roles(branch["id"]),
            **self.list_databases(branch["id"]),
        }

    def delete_branch(self, branch_id: str) -> dict[str, Any]:
        """Remove a branch; its database stays on the server, unreachable."""
        branch = self._branch(branch_id)
        if branch["default"]:
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "the default branch can't be deleted")
        del self._branches[branch["id"]]
        del self._urls[branch["name"]]
        return {"branch": branch, "operations": [self._operation(branch, "delete_timeline")]}

    def _add(self, name: str, parent_id: str | None) -> dict[str, Any]:
        """Add a branch; its id is the same after a restart, because leases refer to it."""
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        seed = f"{self.id}/{urlsplit(self._urls[name]).path}/{name}"
        branch: dict[str, Any] = {
            "id": f"br-local-{hashlib.sha256(seed.encode()).hexdigest()[:12]}",
            "project_id": self.id,
            "name": name,
            "current_state": "ready",
            "state_changed_at": now,
            "creation_source": "console",
            "created_at": now,
            "updated_at": now,
            "default": parent_id is None,
            "primary": parent_id is None,
            "protected": False,
            **dict.fromkeys(("cpu_used_sec", "active_time_seconds", "compute_time_seconds"), 0),
            **dict.fromkeys(("written_data_bytes", "data_transfer_bytes"), 0),
        }
        if parent_id is not None:
            branch["parent_id"] = parent_id
        self._branches[branch["id"]] = branch
        return branch

    def _branch(self, branch_id: str) -> dict[str, Any]:
        if branch_id not in self._branches:
            raise Refusal(HTTPStatus.NOT_FOUND, f"branch {branch_id} not found")
        return self._branches[branch_id]

    def _default(self) -> dict[str, Any]:
        return next(branch for branch in self._branches.values() if branch["default"])

    def _names(self, branch: Mapping[str, Any]) -> tuple[str, str]:
        """The database and the role of a branch."""
        url = urlsplit(self._urls[branch["name"]])
        return unquote(url.path.lstrip("/")), unquote(url.username or "postgres")

    def _endpoint(self, branch: Mapping[str, Any]) -> dict[str, Any]:
        host = urlsplit(self._urls[branch["name"]]).hostname or "localhost"
        return {
            "host": host,
            "proxy_host": host,
            "id": branch["id"].replace("br-", "ep-", 1),
            "project_id": self.id,
            "branch_id": branch["id"],
            "region_id": "aws-us-east-2",
            **COMPUTE,
            "type": "read_write",
            "current_state": "active",
            "provisioner": "k8s-neonvm",
            "pooler_enabled": False,
            "pooler_mode": "transaction",
            "disabled": False,
            "passwordless_access": False,
            "creation_source": "console",
            "settings": {},
            "suspend_timeout_seconds": 0,
            **_times(branch),
        }

    def _operation(self, branch: Mapping[str, Any], action: str) -> dict[str, Any]:
        return {
            "id": str(uuid.uuid4()),
            "project_id": self.id,
            "branch_id": branch["id"],
            "action": action,
            "status": "finished",
            "failures_count": 0,
            "total_duration_ms": 0,
            **_times(branch),
        }


def _times(branch: Mapping[str, Any]) -> dict[str, Any]:
    return {name: branch[name] for name in ("created_at", "updated_at")}


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", "100")
    if not text.isdecimal() or not 1 <= int(text) <= MAX_LIMIT:
        raise Refusal(HTTPStatus.BAD_REQUEST, f"limit must be between 1 and {MAX_LIMIT}")
    return int(text)


def _position(cursor: str, branches: list[dict[str, Any]]) -> int:
    """The index after the branch that a cursor names."""
    try:
        last = base64.urlsafe_b64decode(cursor).decode()
        return [branch["id"] for branch in branches].index(last) + 1
    except ValueError:
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid cursor") from None
