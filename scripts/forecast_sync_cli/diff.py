"""Compares lake and Postgres: sums by business date, then the keys of the dates that differ."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

from forecast_sync.contracts.counts import Sums
from forecast_sync.contracts.run import Window
from forecast_sync.contracts.survey import Survey
from forecast_sync.diagnostics.checksums import build_lake_keys, build_lake_sums
from forecast_sync.extract.athena_sql import Dates

from forecast_sync_cli.client.athena import make_athena, run_query
from forecast_sync_cli.client.deployment import Deployment

TARGET_PAGE = 20_000
Difference = Literal["only in the lake", "only in Postgres", "different", "deleted in the lake"]
DELETED = ""
"""The hash of a key whose newest row in the lake deletes it."""


@dataclass(frozen=True)
class Day:
    """A business date whose sums differ."""

    day: str
    lake_rows: int
    postgres_rows: int


@dataclass(frozen=True)
class Key:
    """A key whose rows differ; values are COPY text."""

    key: dict[str, str]
    difference: Difference


@dataclass(frozen=True)
class Diff:
    """What differs; ``complete`` is False if more keys differ than ``keys`` holds."""

    as_of: str
    days_compared: int
    lake_rows: int
    postgres_rows: int
    days: list[Day] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    complete: bool = True

    def to_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {"equal": not self.days, **asdict(self)}


@dataclass(frozen=True)
class Sides:
    """Lake and target: the lake's loaded objects or, with ``now``, all of its objects."""

    deployment: Deployment
    git_ref: str | None
    as_of: datetime
    now: bool = False

    def lake_sums(self, dates: Dates) -> dict[str, Sums]:
        """Rows and checksum of the lake, by business date."""
        window = self._window(dates)
        rows = self._query(
            build_lake_sums(self.deployment.table, self.deployment.settings, dates, window)
        )
        return {row["day"]: Sums(int(row["row_count"]), int(row["checksum"])) for row in rows}

    def target_sums(self, dates: Dates) -> dict[str, Sums]:
        """Rows and checksum of the target, by business date."""
        bounds = {name: str(day) for name, day in dates._asdict().items() if day}
        sums = self._inspect({"about": "sums", **bounds})["sums"]
        return {day: Sums(rows, int(checksum)) for day, rows, checksum in sums}

    def lake_keys(self, day: date) -> dict[tuple[str, ...], str]:
        """The hash of each of the lake's rows of a day, by key."""
        window = self._window(Dates(day, day))
        rows = self._query(
            build_lake_keys(self.deployment.table, self.deployment.settings, day, window)
        )
        names = self.deployment.table.target.key
        return {tuple(row[name] for name in names): row["line_hash"] for row in rows}

    def target_keys(self, day: date) -> dict[tuple[str, ...], str]:
        """The hash of each of the target's rows of a day, by key."""
        hashes: dict[tuple[str, ...], str] = {}
        while True:
            question = {"about": "keys", "day": str(day), "limit": TARGET_PAGE}
            answer = self._inspect({**question, "offset": len(hashes)})
            rows = answer["rows"]
            hashes |= {tuple(key): line_hash for *key, line_hash in rows}
            # A function deployed from an older version sends no `next`, and only full pages.
            if answer.get("next", len(rows) >= TARGET_PAGE or None) is None:
                return hashes

    def _window(self, dates: Dates) -> Window:
        """What is read: the loaded objects that may have rows of these dates; with ``now``, all."""
        question: dict[str, Any] = {"about": "lake"}
        question |= {name: str(day) for name, day in dates._asdict().items() if day}
        if self.now:
            question["now"] = True
        survey_id = self._inspect(question)["survey_id"]
        survey = Survey(survey_id=survey_id, location="", began_at=self.as_of)
        return Window(high=self.as_of, survey=survey)

    def _query(self, query: str) -> Iterator[dict[str, str]]:
        athena = make_athena(self.deployment, self.deployment.settings)
        return athena.read_rows(run_query(athena, query))

    def _inspect(self, question: dict[str, Any]) -> dict[str, Any]:
        return self.deployment.inspect(self.git_ref, question)


def compare(
    sides: Sides, dates: Dates, limit: int, step: Callable[[str], None] = lambda _: None
) -> Diff:
    """Compare both sides; the result names at most ``limit`` of the keys that differ.

    ``step`` is called with what is being done.
    """
    step(f"adding up the lake as of {sides.as_of:%Y-%m-%d %H:%M:%S} UTC in Athena")
    lake = sides.lake_sums(dates)
    rows = sum(sums.rows for sums in lake.values())
    step(f"adding up Postgres' rows; the lake has {rows:,}")
    target = sides.target_sums(dates)
    known = sorted({*lake, *target})
    none = Sums(0, 0)
    days = [
        Day(day, lake.get(day, none).rows, target.get(day, none).rows)
        for day in known
        if lake.get(day) != target.get(day)
    ]
    keys: list[Key] = []
    for number, item in enumerate(days, start=1):
        step(f"comparing the keys of {item.day}, day {number} of {len(days)} that differ")
        keys += _compare_keys(sides, date.fromisoformat(item.day))
        if len(keys) > limit:
            break
    return Diff(
        as_of=sides.as_of.astimezone(UTC).isoformat(timespec="milliseconds"),
        days_compared=len(known),
        lake_rows=sum(sums.rows for sums in lake.values()),
        postgres_rows=sum(sums.rows for sums in target.values()),
        days=days,
        keys=keys[:limit],
        complete=len(keys) <= limit,
    )


def watermark(deployment: Deployment, git_ref: str | None) -> datetime | None:
    """The table's watermark in the branch; None before its first successful run without dates."""
    query = {"git_ref": git_ref} if git_ref else {}
    answer = deployment.ask_status("/syncs", {**query, **deployment.table_choice})
    for run in (answer or {"syncs": []})["syncs"]:
        if run["status"] == "succeeded":
            time = datetime.fromisoformat(run["last_sync_timestamp"]).replace(tzinfo=UTC)
            return time if time.timestamp() else None
    return None


def _compare_keys(sides: Sides, day: date) -> list[Key]:
    lake, target = sides.lake_keys(day), sides.target_keys(day)
    names = sides.deployment.table.target.key
    differing = []
    for key in sorted({*lake, *target}):
        if lake.get(key) == target.get(key) or (lake.get(key) == DELETED and key not in target):
            continue
        difference: Difference = "different"
        if lake.get(key) == DELETED:
            difference = "deleted in the lake"
        elif key not in target:
            difference = "only in the lake"
        elif key not in lake:
            difference = "only in Postgres"
        differing.append(Key(dict(zip(names, key, strict=True)), difference))
    return differing
