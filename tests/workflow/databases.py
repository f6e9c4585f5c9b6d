"""The databases of a local cloud as tests read and change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from forecast_sync_ops.local.cloud import Cloud

from tests.lake import KEY, VALUES, Table


@dataclass
class Databases:
    """One database for each Neon branch."""

    cloud: Cloud

    def query(
        self, statement: str, parameters: Sequence[Any] = (), *, branch: str = "dev"
    ) -> list[tuple[Any, ...]]:
        """Rows of a statement in a branch's database."""
        with psycopg.connect(self.cloud.database_urls[branch]) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()

    def execute(self, statement: str, *, branch: str = "dev") -> None:
        """Run a statement in a branch's database."""
        with psycopg.connect(self.cloud.database_urls[branch]) as connection:
            connection.execute(statement.encode())

    def table(self, branch: str = "dev") -> Table:
        """What stands in the target."""
        columns = ", ".join((*KEY, *VALUES))
        rows = self.query(f"SELECT {columns} FROM forecast_data", branch=branch)
        return {row[: len(KEY)]: row[len(KEY) :] for row in rows}

    def versions(self) -> dict[int, str]:
        """The transaction that wrote each row, by id."""
        return dict(self.query("SELECT id, xmin::text FROM forecast_data"))

    def status(self, run: str) -> dict[str, Any] | None:
        """A run's row in the status table."""
        with psycopg.connect(
            self.cloud.database_urls["dev"], row_factory=psycopg.rows.dict_row
        ) as connection:
            return connection.execute(
                "SELECT * FROM forecast_sync_status WHERE run_id = %s", [run]
            ).fetchone()
