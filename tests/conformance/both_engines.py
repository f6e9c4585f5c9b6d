"""The same statements on Trino, through the local cloud's API, and on the embedded engine."""

from __future__ import annotations

import gzip
import json
import math
import re
import tempfile
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.s3 import split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Window
from forecast_sync.errors import QueryFailed
from forecast_sync.extract.athena_sql import Dates, build_extract, build_profile
from forecast_sync.tables import Table
from forecast_sync_cli.client.athena import run_query
from forecast_sync_cli.glue_tables import glue_input
from localcloud.athena.embedded import fetch, open_database
from localcloud.athena.engine import QueryError
from localcloud.athena.object_files import ObjectFile
from localcloud.athena.parquet_files import define_view
from localcloud.athena.trino_dialect import parse, transpile
from localcloud.athena.unload import parse_unload

from tests.workflow.deployed import Deployed

UNESCAPED = {"t": "\t", "n": "\n", "r": "\r"}


@dataclass
class Answer:
    """An engine's results of an extract and a profile; ``error`` if one failed."""

    lines: Counter[tuple[str, ...]] = field(default_factory=Counter)
    profile: dict[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass
class Lake:
    """Files of one table in the local cloud, at their own location."""

    deployed: Deployed
    table: Table
    files: dict[str, bytes]
    window: Window = field(default_factory=lambda: Window(high=datetime(9999, 1, 1, tzinfo=UTC)))

    def __post_init__(self) -> None:
        cloud, name = self.deployed.cloud, f"both_{uuid.uuid4().hex[:12]}"
        self.location = f"s3://{cloud.bucket}/both/{name}/"
        self.settings = Settings(
            environment="dev",
            athena_db_name="forecast_dev",
            forecast_table_name=name,
            athena_output_location=f"s3://{cloud.results_bucket}/athena/",
            data_location=self.location,
        )
        s3 = self.deployed.client("s3")
        for key, content in self.files.items():
            s3.put_object(Bucket=cloud.bucket, Key=f"both/{name}/{key}", Body=content)
        self.deployed.client("glue").create_table(
            DatabaseName="forecast_dev", TableInput=glue_input(self.table, name, self.location)
        )

    def on_trino(self) -> Answer:
        """Run both statements through Athena's API; the cloud's engine is Trino."""
        athena = Athena(
            self.deployed.client("athena"),
            self.settings.athena_workgroup,
            self.settings.athena_output_location,
        )
        answer = Answer()
        try:
            extract_id = run_query(athena, self._extract())
            answer.profile = athena.read_row(run_query(athena, self._profile()))
        except QueryFailed as failed:
            return Answer(error=str(failed))
        s3 = self.deployed.client("s3")
        manifest = athena.manifest_location(extract_id)
        listed = _read(s3, manifest).decode().split() if manifest else []
        for file in listed:
            folders = file.split("/")[-3:-1]
            values = tuple(folder.partition("=")[2] for folder in folders)
            for line in gzip.decompress(_read(s3, file)).decode().split("\n")[:-1]:
                answer.lines[(*values, line)] += 1
        return answer

    def on_the_embedded_engine(self) -> Answer:
        """Run both statements on DuckDB, in this process."""
        answer = Answer()
        unload = parse_unload(self._extract())
        assert unload is not None
        with tempfile.TemporaryDirectory() as folder, open_database() as connection:
            workdir = Path(folder)
            try:
                view = define_view(connection, self._files(workdir), self.table.source.declared)
                name = f'"forecast_dev"."{self.settings.forecast_table_name}"'
                connection.execute(f"CREATE SCHEMA forecast_dev; CREATE VIEW {name} AS {view}")
                _, rows = fetch(connection, transpile(parse(unload.query)), workdir)
                answer.lines = Counter((kind, str(part), line) for line, kind, part in rows)
                columns, (row,) = fetch(connection, transpile(parse(self._profile())), workdir)
            except QueryError as error:
                return Answer(error=str(error))
        pairs = zip(columns, row, strict=True)
        answer.profile = {name: str(value) for (name, _), value in pairs if value is not None}
        return answer

    def _extract(self) -> str:
        prefix = f"{self.settings.athena_output_location}both/{uuid.uuid4().hex}/"
        return build_extract(self.table, self.settings, Dates(), self.window, prefix, 7)

    def _profile(self) -> str:
        return build_profile(self.table, self.settings, Dates(), self.window)

    def _files(self, folder: Path) -> list[ObjectFile]:
        bucket, prefix = split_location(self.location)
        listed = self.deployed.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
        files = []
        for number, item in enumerate(listed["Contents"]):
            path = folder / f"{number}.parquet"
            path.write_bytes(self.files[item["Key"].removeprefix(prefix)])
            location = f"s3://{bucket}/{item['Key']}"
            files.append(ObjectFile(path, location, item["LastModified"].isoformat()))
        return files


def compare(lake: Lake) -> Answer:
    """Run both; they agree line by line, or fail both. Returns what Trino answered."""
    trino, embedded = lake.on_trino(), lake.on_the_embedded_engine()
    assert bool(trino.error) == bool(embedded.error), (trino.error, embedded.error)
    only_trino = [*(trino.lines - embedded.lines).elements()]
    only_embedded = []
    for line in (embedded.lines - trino.lines).elements():
        if alike := next((other for other in only_trino if _are_alike(line, other)), None):
            only_trino.remove(alike)
        else:
            only_embedded.append(line)
    assert (only_embedded[:2], only_trino[:2]) == ([], []), (only_embedded[:2], only_trino[:2])
    assert embedded.profile == trino.profile
    return trino


def _are_alike(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two rejects' lines are the same but for the last digits of their doubles' texts."""
    if one[:2] != other[:2] or one[0] != "reject":
        return False
    *texts, row = one[2].split("\t")
    *other_texts, other_row = other[2].split("\t")
    values, other_values = json.loads(_unescape(row)), json.loads(_unescape(other_row))
    return (
        texts == other_texts
        and values.keys() == other_values.keys()
        and all(_are_close(value, other_values[name]) for name, value in values.items())
    )


def _are_close(one: Any, other: Any) -> bool:
    if one == other or not (isinstance(one, str) and isinstance(other, str)):
        return bool(one == other)
    try:
        return "E" in one and math.isclose(float(one), float(other), rel_tol=1e-13)
    except ValueError:
        return False


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: UNESCAPED.get(found[1], found[1]), text)


def _read(s3: Any, location: str) -> bytes:
    bucket, key = split_location(location.strip('"'))
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content
