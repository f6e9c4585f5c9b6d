"""A run's statements on Trino, through the local cloud's API, and on the embedded engine."""

from __future__ import annotations

import gzip
import json
import math
import re
import tempfile
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
from forecast_sync.adapters.athena import Athena
from forecast_sync.adapters.glue import Catalog
from forecast_sync.adapters.s3 import Storage, split_location
from forecast_sync.config import Settings
from forecast_sync.contracts.run import Window
from forecast_sync.contracts.survey import DateRange, Survey
from forecast_sync.errors import QueryFailed
from forecast_sync.extract.athena_sql import Dates, build_extract, build_profile
from forecast_sync.survey.lists import (
    OTHER,
    WINDOW,
    partition_keys,
    register_lists,
    survey_table,
    write_paths,
)
from forecast_sync.tables import Table
from forecast_sync_cli.client.athena import run_query
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


LONG_AGO, NOW = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
FIRST_HALF = DateRange(first=date(1900, 1, 1), last=date(2026, 12, 31))
READ = (FIRST_HALF, DateRange(first=date(2200, 1, 1), last=date(2200, 1, 1)))


@dataclass
class Lake:
    """Files of one table in the local cloud, at their own location, and a survey that lists them.

    The first half of the files is to be taken in, the others may have rows of the same keys.
    """

    deployed: Deployed
    table: Table
    files: dict[str, bytes]

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
        self.keys = [f"both/{name}/{key}" for key in self.files]
        self.taken_in = (len(self.keys) + 1) // 2
        self.window = Window(low=LONG_AGO, high=NOW, survey=self._survey(name))

    def _survey(self, survey_id: str) -> Survey:
        location = f"{self.settings.athena_output_location}{survey_id}/"
        lists = (Storage(self.deployed.client("s3")), self.settings, self.table, location)
        window = write_paths(*lists, WINDOW, self.keys[: self.taken_in])
        other = write_paths(*lists, OTHER, self.keys[self.taken_in :])
        catalog = Catalog(self.deployed.client("glue"))
        register_lists(catalog, self.settings, self.table, survey_id, window, other)
        return Survey(
            survey_id=survey_id,
            location=location,
            began_at=NOW,
            done=True,
            reads=READ,
            touched=(FIRST_HALF,),
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
                self._make_view(connection, workdir)
                _, rows = fetch(connection, transpile(parse(unload.query)), workdir)
                answer.lines = Counter((kind, str(part), line) for line, kind, part in rows)
                columns, (row,) = fetch(connection, transpile(parse(self._profile())), workdir)
            except QueryError as error:
                return Answer(error=str(error))
        pairs = zip(columns, row, strict=True)
        answer.profile = {name: str(value) for (name, _), value in pairs if value is not None}
        return answer

    def _make_view(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        """The survey table, as the engine makes it of its partitions."""
        files, declared = self._files(folder), self.table.source.declared
        keys = partition_keys(self.table)
        parts = {WINDOW: files[: self.taken_in], OTHER: files[self.taken_in :]}
        survey_id = self.settings.forecast_table_name
        selects = [
            f"SELECT *, '{survey_id}' AS {keys.run}, '{part}' AS {keys.part} "
            f"FROM ({define_view(connection, listed, declared, f'objects_{part}')})"
            for part, listed in parts.items()
        ]
        name = f'forecast_dev."{survey_table(self.settings, self.table)}"'
        connection.execute(
            f"CREATE SCHEMA forecast_dev; CREATE VIEW {name} AS {' UNION ALL '.join(selects)}"
        )

    def _extract(self) -> str:
        prefix = f"{self.settings.athena_output_location}both/{uuid.uuid4().hex}/"
        return build_extract(self.table, self.settings, Dates(), self.window, prefix, 7)

    def _profile(self) -> str:
        return build_profile(self.table, self.settings, Dates(), self.window)

    def _files(self, folder: Path) -> list[ObjectFile]:
        bucket, prefix = split_location(self.location)
        listed = self.deployed.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
        modified = {item["Key"]: item["LastModified"].isoformat() for item in listed["Contents"]}
        files = []
        for number, (key, content) in enumerate(zip(self.keys, self.files.values(), strict=True)):
            path = folder / f"{number}.parquet"
            path.write_bytes(content)
            files.append(ObjectFile(path, f"s3://{bucket}/{key}", modified[key]))
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
