"""A stack that syncs several tables: copies of the forecast's, each with a target of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psycopg
from forecast_sync.tables import parse_table
from forecast_sync_cli.table_lint import write_ddl
from localcloud import cloud

from tests.builders import FORECAST_FILE
from tests.lake import KEY, VALUES, Row, Table, reference, to_parquet
from tests.workflow.deployed import PARAMETERS, Deployed, Ended


def table_text(name: str, prefix: str | None = None) -> str:
    """The forecast's table file, but with the target ``t_NAME`` and names of its own."""
    return rename_target(FORECAST_FILE, name, prefix)


def rename_target(text: str, name: str, prefix: str | None = None) -> str:
    """A table file with the target ``t_NAME`` and names of its own."""
    text = text.replace('"forecast_data"', f'"t_{name}"')
    text = text.replace('"idx_forecast_', f'"idx_{name}_')
    return text if prefix is None else text.replace("[source]", f'[source]\nprefix = "{prefix}"')


@dataclass
class Several(Deployed):
    """A stack with these table files, by name; ``folders`` are where their objects are."""

    texts: Mapping[str, str] = field(default_factory=dict)

    def folder(self, name: str) -> str:
        """The folder that a table is read from."""
        return parse_table(self.texts[name], name).source.prefix or f"{name}/"

    def put(self, key: str, rows: Sequence[Row]) -> None:
        """Upload an object anywhere in the bucket."""
        content = to_parquet(rows)
        self.client("s3").put_object(Bucket=self.cloud.bucket, Key=key, Body=content)
        self.remember(key, content)

    def put_all(self, objects: Mapping[str, Sequence[Row]]) -> None:
        """Upload objects as fast as possible."""
        contents = {key: to_parquet(rows) for key, rows in objects.items()}
        put = partial(self.client("s3").put_object, Bucket=self.cloud.bucket)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: put(Key=key, Body=contents[key]), contents))
        for key, content in contents.items():
            self.remember(key, content)

    def rows_of(self, name: str) -> Table:
        """A target's rows; none while it isn't as the table file says."""
        if self.query("SELECT to_regclass(%s)", [f"t_{name}"]) == [(None,)]:
            return {}
        try:
            rows = self.query(f"SELECT {', '.join((*KEY, *VALUES))} FROM t_{name}")
        except psycopg.errors.UndefinedColumn:
            return {}
        return {row[: len(KEY)]: row[len(KEY) :] for row in rows}

    def expected(self, name: str) -> Table:
        """What a table's target must hold."""
        location = f"s3://{self.cloud.bucket}/{self.folder(name)}"
        return reference(
            {key: file for key, file in self.files.items() if key.startswith(location)}
        )

    def is_right(self, name: str) -> bool:
        """Whether every row of a table is as the lake says."""
        return self.rows_of(name) == self.expected(name)

    def create_target(self, name: str) -> None:
        """Create a target before the first run does."""
        self.execute(write_ddl(parse_table(self.texts[name], name)))

    def executions(self, **filters: Any) -> list[str]:
        """The ARNs of all executions, the newest first."""
        pages = self.client("stepfunctions").get_paginator("list_executions")
        listed = pages.paginate(stateMachineArn=self.cloud.state_machine_arn, **filters)
        return [item["executionArn"] for page in listed for item in page["executions"]]

    def runs_of(self, name: str) -> list[dict[str, Any]]:
        """What is recorded of a table's runs, the oldest first."""
        rows = self.query(
            "SELECT run_id, status, trigger, error_message FROM forecast_sync_status "
            "WHERE table_name = %s ORDER BY id",
            [name],
        )
        return [
            dict(zip(("run_id", "status", "trigger", "error"), row, strict=True)) for row in rows
        ]

    def table_of(self, ended: Ended) -> str:
        """The table that an execution was started for."""
        return str(json.loads(self.describe(ended.arn)["input"])["table"])

    def await_end_of_runs(self, seconds: float = 120) -> None:
        """Wait until nothing runs."""
        for arn in self.executions(statusFilter="RUNNING"):
            self.wait(arn, seconds)

    def redrive_all(self, runs: Sequence[Ended]) -> list[Ended]:
        """Redrive several executions at once, and wait for their ends."""
        redrive = self.client("stepfunctions").redrive_execution
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda ended: redrive(executionArn=ended.arn), runs))
        return [self.wait(ended.arn, 120) for ended in runs]


@contextmanager
def running_tables(
    texts: Mapping[str, str], parameters: Mapping[str, str] | None = None, **options: Any
) -> Iterator[Several]:
    """A cloud that syncs these tables, as ``local up`` with a ``--table`` for each starts it."""
    given = {**PARAMETERS, "Tables": ",".join(texts), **(parameters or {})}
    layer = {f"{name}.toml": text for name, text in texts.items()}
    options = {"wait_scale": 0.02, **options}
    with cloud.running(parameters=given, layer_files=layer, **options) as started:
        deployed = Several(started, texts=texts)
        deployed.postpone_schedules()
        yield deployed
