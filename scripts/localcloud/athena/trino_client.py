"""How a Trino on loopback is reached: by who started it, and by clouds that share it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
import trino
from trino.auth import JWTAuthentication

from localcloud import private_files
from localcloud.errors import LocalCloudError
from localcloud.ports import LOOPBACK

REQUEST_TIMEOUT_SECONDS = 120.0
USER = "athena"
_FILE = "client.json"


@dataclass(frozen=True, slots=True)
class TrinoClient:
    """Where the server listens, the token that it takes, and the certificate that it shows."""

    port: int
    token: str
    certificate: str

    @classmethod
    def read(cls, folder: Path) -> TrinoClient:
        """The client that the server in ``folder`` has written. Raises ``LocalCloudError``."""
        text = private_files.read(folder / _FILE)
        if text is None:
            raise LocalCloudError(
                f"{folder} has no {_FILE}: no Trino that can be shared runs there"
            )
        return cls(**json.loads(text))

    def write(self, folder: Path) -> None:
        """Leave it to whoever may share the server."""
        private_files.write(folder / _FILE, json.dumps(asdict(self)))

    def connect(self, catalog: str | None = None, schema: str | None = None) -> Any:
        """A connection of the ``trino`` package, which keeps values as the server writes them."""
        session = requests.Session()
        session.trust_env = False
        session.verify = self.certificate
        return trino.dbapi.connect(
            host=LOOPBACK,
            port=self.port,
            user=USER,
            catalog=catalog,
            schema=schema,
            http_scheme="https",
            http_session=session,
            auth=JWTAuthentication(self.token),
            timezone="UTC",
            request_timeout=REQUEST_TIMEOUT_SECONDS,
            max_attempts=1,
            legacy_primitive_types=True,
        )

    def run(self, statement: str) -> list[list[Any]]:
        """The rows of a statement."""
        cursor = self.connect().cursor()
        cursor.execute(statement)
        rows: list[list[Any]] = cursor.fetchall()
        return rows
