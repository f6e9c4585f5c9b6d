"""What the local cloud's server reads from stdin and answers on stdout."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

EngineName = Literal["embedded", "trino"]
"""What runs the local Athena's statements."""
REGION = "us-east-2"
ACCOUNT = "000000000000"
CALLS = "calls"
"""The folder that makes functions record their AWS calls."""
KEEP = "keep"
"""The line that lets the server outlive the process that started it."""


@dataclass(frozen=True, slots=True)
class SharedTrino:
    """A Trino that runs already, for several clouds; its ``folder`` says how to reach it."""

    folder: Path


Athena = EngineName | SharedTrino


@dataclass(frozen=True, slots=True)
class Config:
    """What to run.

    ``wait_scale`` multiplies Wait and Retry times of Step Functions, and long sleeps of functions.
    ``pooler_port`` is where a pooler in front of Postgres listens; Neon's pooled connection strings
    lead there. ``layers`` are the folders that the functions' layers are in; they look into
    ``more_layers`` before. ``trino`` is where Trino's programs are, ``shared_trino`` the folder of
    one that runs already; without either the local Athena has its embedded engine.
    """

    state_dir: str
    port: int | None
    database_url: str | None
    persistent: bool
    wait_scale: float
    access_key_id: str
    secret_access_key: str
    neon_api_key: str
    pooler_port: int | None = None
    layers: tuple[str, ...] = ()
    more_layers: tuple[str, ...] = ()
    trino: str | None = None
    shared_trino: str | None = None
    neon_project_id: str = "local-forecast-project"

    @property
    def engine(self) -> EngineName:
        """What runs the statements of its Athena."""
        return "embedded" if self.trino is None and self.shared_trino is None else "trino"

    @property
    def all_layers(self) -> list[Path]:
        """The folders in the order in which functions look into them."""
        return [Path(layer) for layer in (*self.more_layers, *self.layers)]

    def to_json(self) -> str:
        """One object on one line."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where everything listens; databases by Neon branch."""

    pid: int
    endpoint_url: str
    neon_api_url: str
    database_urls: dict[str, str]
