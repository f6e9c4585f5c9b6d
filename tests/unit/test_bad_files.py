"""Claims about the search for bad files: what proves one, and what never does."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise, product
from typing import Any, cast

import pytest
from forecast_sync.adapters.athena import Cost
from forecast_sync.adapters.s3 import Listed
from forecast_sync.config import Settings
from forecast_sync.contracts.run import BadFilesRequest
from forecast_sync.errors import QueryFailed, QueryRetryable
from forecast_sync.extract.bad_files import PROOF_MILLISECONDS, search
from forecast_sync.extract.probes import (
    MOST_QUERIES,
    RESERVE_MILLISECONDS,
    SearchEnded,
    SearchTools,
)
from forecast_sync.extract.suspects import PAUSES
from forecast_sync.survey.lists import version_of
from forecast_sync.tables import load_table

from tests.builders import STARTED_AT, make_run, make_survey, make_window

SETTINGS = Settings(
    environment="dev",
    athena_output_location="s3://results/athena/",
    data_location="s3://lake/",
)
LONG = 900_000
GOOD = "ABCD"
BECAUSE = "makes Athena's queries fail, though its footer is in order: because"

Outcome = Callable[[int, str], Exception | None]
"""How a probe ends, by its number from 0 on and the objects that it reads, in a row."""


def died() -> Exception:
    return QueryRetryable("died")


def broke() -> Exception:
    return QueryFailed("broke", ended_by="content")


def crashed() -> Exception:
    return QueryFailed("crashed", ended_by="engine")


class Scene:
    """Objects of one row, each with a name of one character, and what Athena makes of them.

    It is all the adapters of a search at once, and the file ledger.
    """

    def __init__(self, names: Sequence[str], outcome: Outcome) -> None:
        self.outcome = outcome
        self.loaded = ""
        self.missing_rows = 0
        self.probes: list[str] = []
        """The objects of each probe."""
        self.log: list[str | float] = []
        """The probes, and between them the seconds slept."""
        self.content: dict[str, bytes] = {}
        versions = [version_of(Listed(name, 1, STARTED_AT, "etag")) for name in names]
        lines = "".join(f"{json.dumps(version)}\n" for version in versions)
        self.survey = make_survey(
            window_objects=len(names), window_files=1, window_bytes=len(names), other_files=1
        )
        folder = f"{self.survey.location}versions/".removeprefix("s3://results/")
        self.write("results", f"{folder}window/00000", lines.encode())
        self.write("results", f"{folder}other/00000", b"")

    def search(self, remaining: Callable[[], int] = lambda: LONG) -> dict[str, str]:
        stand_in = cast(Any, self)
        tools = SearchTools(
            connection=stand_in,
            athena=stand_in,
            storage=stand_in,
            catalog=stand_in,
            table=load_table(),
            settings=SETTINGS,
            remaining_milliseconds=remaining,
            sleep=self.log.append,
        )
        window = make_window(self.survey)
        request = BadFilesRequest(run=make_run(), window=window, error="", cause="")
        return search(tools, stand_in, request, "The query broke.")

    def write(self, _bucket: str, key: str, content: bytes) -> None:
        self.content[key] = content

    def read(self, _bucket: str, key: str) -> bytes:
        return self.content[key]

    def keep_listed_table(self, *_arguments: Any) -> None:
        """The table is there."""

    def add_partitions(self, *_arguments: Any) -> None:
        """The lists are found by their names."""

    def start(self, sql: str, _token: str) -> str:
        (part,) = set(re.findall(r"part-\d+", sql))
        files = [content for key, content in self.content.items() if f"/{part}/window/" in key]
        self.probes.append(b"".join(files).decode().replace("s3://lake/", "").replace("\n", ""))
        self.log.append(self.probes[-1])
        return str(len(self.probes) - 1)

    def poll(self, query_execution_id: str) -> Cost | None:
        number = int(query_execution_id)
        if failure := self.outcome(number, self.probes[number]):
            raise failure
        return Cost(len(self.probes[number]), 1)

    def find_failure(self, _query_execution_id: str) -> str:
        return "because"

    def read_row(self, query_execution_id: str) -> dict[str, str]:
        keys = self.probes[int(query_execution_id)]
        return {"rows": str(len(keys) - ("B" in keys) * self.missing_rows)}

    def count_rows(self, keys: Sequence[str]) -> int:
        return len(keys)

    def find_control(self, read: Iterable[str], suspects: Iterable[str]) -> str | None:
        free = set(self.loaded) - set(suspects)
        return min(set(read) - set(suspects) or free, default=None)


def whenever_read(name: str, failure: Callable[[], Exception]) -> Outcome:
    return lambda _number, keys: failure() if name in keys else None


@pytest.mark.parametrize("failure", [died, broke, crashed])
@pytest.mark.parametrize("loaded", ["", "Z"], ids=["first run", "later run"])
@pytest.mark.parametrize("times", range(30))
def test_an_engine_that_fails_a_while_accuses_no_file(
    failure: Callable[[], Exception], loaded: str, times: int
) -> None:
    """The engine that had failed the run's query goes on failing, then is well again."""
    scene = Scene(GOOD, lambda number, _keys: failure() if number < times else None)
    scene.loaded = loaded
    with pytest.raises(SearchEnded):
        scene.search()


@pytest.mark.parametrize("failure", [died, broke, crashed])
def test_an_engine_that_stops_working_in_the_middle_accuses_no_file(
    failure: Callable[[], Exception],
) -> None:
    for begins in range(12):
        for bad in ("", "B"):
            scene = Scene(GOOD, _failing_from(begins, bad, failure))
            try:
                found = scene.search()
            except SearchEnded:
                continue
            assert found.keys() == {bad}, f"{begins}: {scene.probes}"


def _failing_from(begins: int, bad: str, failure: Callable[[], Exception]) -> Outcome:
    def outcome(number: int, keys: str) -> Exception | None:
        return failure() if number >= begins or (bad and bad in keys) else None

    return outcome


@pytest.mark.parametrize(("failure", "times"), [(broke, 3), (died, 5), (crashed, 5)])
def test_a_bad_file_is_proven_by_several_probes_each_between_controls(
    failure: Callable[[], Exception], times: int
) -> None:
    """Athena may report a damaged page as an error of its engine: then it takes more probes."""
    scene = Scene(GOOD, whenever_read("B", failure))
    assert scene.search() == {"B": BECAUSE}
    alone = [number for number, keys in enumerate(scene.probes) if keys == "B"]
    assert len(alone) == times
    for before, after in pairwise([*alone, len(scene.probes)]):
        assert any("B" not in keys for keys in scene.probes[before + 1 : after]), scene.probes
    pauses = [item for item in scene.log if item in PAUSES]
    assert pauses == [*PAUSES[: times - 1]]


def test_a_file_that_kills_the_engine_now_and_then_is_not_proven() -> None:
    """It was read once, so the engine may be at fault."""
    alone = 0

    def outcome(_number: int, keys: str) -> Exception | None:
        nonlocal alone
        alone += keys == "B"
        return died() if "B" in keys and alone != 3 else None

    with pytest.raises(SearchEnded, match="it couldn't read B, and then it could"):
        Scene(GOOD, outcome).search()


def test_an_engine_that_fails_at_random_accuses_no_file() -> None:
    """Half of all queries, or fewer or more."""
    for seed, share in product(range(100), (0.1, 0.3, 0.5, 0.7)):
        dice = random.Random(seed)
        scene = Scene("ABCDEFGH", _dying_at_random(dice, share))
        with pytest.raises(SearchEnded):
            scene.search()


def _dying_at_random(dice: random.Random, share: float) -> Outcome:
    return lambda _number, _keys: died() if dice.random() < share else None


def test_several_bad_files_are_found_together() -> None:
    scene = Scene(
        "ABCDEFGH",
        lambda _number, keys: died() if "B" in keys else broke() if "G" in keys else None,
    )
    assert scene.search() == {"B": BECAUSE, "G": BECAUSE}


def test_a_file_with_too_few_rows_is_found() -> None:
    scene = Scene(GOOD, lambda _number, _keys: None)
    scene.missing_rows = 1
    assert scene.search() == {"B": "has 0 rows, and its footer says 1"}


def broke_once(number: int, _keys: str) -> Exception | None:
    return broke() if number == 0 else None


@pytest.mark.parametrize("outcome", [broke_once, whenever_read("B", broke)])
def test_a_probe_that_somebody_stops_ends_the_search_and_accuses_no_file(outcome: Outcome) -> None:
    """Whichever it is; a redrive searches again."""
    undisturbed = Scene(GOOD, outcome)
    with suppress(SearchEnded):
        undisturbed.search()
    assert len(undisturbed.probes) > 3
    for number in range(len(undisturbed.probes)):
        scene = Scene(GOOD, _stopped_at(number, outcome))
        with pytest.raises(SearchEnded, match=rf"query {number} was cancelled. Redrive"):
            scene.search()
        assert len(scene.probes) == number + 1


def _stopped_at(stopped: int, outcome: Outcome) -> Outcome:
    cancelled = QueryFailed("stopped", ended_by="cancellation")
    return lambda number, keys: cancelled if number == stopped else outcome(number, keys)


def test_a_request_that_athena_refuses_is_no_failure_of_a_file() -> None:
    with pytest.raises(QueryFailed, match="no permission"):
        Scene(GOOD, lambda _number, _keys: QueryFailed("no permission")).search()


def test_a_control_that_can_not_be_read_any_more_ends_the_search() -> None:
    scene = Scene(GOOD, lambda _number, _keys: None)
    scene.outcome = lambda _number, keys: (
        broke() if "B" in keys or scene.probes.count("B") > 1 else None
    )
    with pytest.raises(SearchEnded, match="couldn't read A either, which it had read before"):
        scene.search()


def test_without_a_control_nothing_is_proven() -> None:
    """A missing permission looks the same."""
    scene = Scene("BX", lambda _number, _keys: broke())
    with pytest.raises(SearchEnded, match=r"could be read by itself either: B and 1 more\."):
        scene.search()
    scene = Scene("B", whenever_read("B", broke))
    scene.loaded = "Z"
    assert scene.search() == {"B": BECAUSE}


@pytest.mark.parametrize("failure", [died, broke])
def test_a_search_has_at_most_64_queries_and_proves_what_it_has_found(
    failure: Callable[[], Exception],
) -> None:
    names = [chr(0x100 + number) for number in range(200)]
    bad = set(names[::3])
    scene = Scene(names, lambda _number, keys: failure() if bad & set(keys) else None)
    proven = scene.search()
    assert len(proven) >= 5
    assert proven.keys() <= bad
    assert len(scene.probes) <= MOST_QUERIES


@pytest.mark.parametrize("failure", [died, broke])
@pytest.mark.parametrize("place", [0, 49_999, 99_999])
def test_one_bad_file_is_found_among_a_hundred_thousand(
    failure: Callable[[], Exception], place: int
) -> None:
    names = [chr(0x10000 + number) for number in range(100_000)]
    scene = Scene(names, whenever_read(names[place], failure))
    assert scene.search().keys() == {names[place]}
    assert len(scene.probes) <= MOST_QUERIES
    assert sum(item for item in scene.log if not isinstance(item, str)) < 180


def test_a_search_keeps_the_time_to_prove_what_it_finds() -> None:
    names = [chr(0x100 + number) for number in range(64)]
    scene = Scene(names, whenever_read(names[0], died))
    calls = scene.probes
    proven = scene.search(lambda: LONG - 90_000 * len(calls) if len(calls) < 8 else 200_000)
    assert proven.keys() == {names[0]}


@pytest.mark.parametrize(
    ("probes", "left"), [(2, PROOF_MILLISECONDS - 1), (3, RESERVE_MILLISECONDS - 1)]
)
def test_without_time_nothing_is_proven(probes: int, left: int) -> None:
    scene = Scene(GOOD, whenever_read("B", broke))
    with pytest.raises(SearchEnded, match="within the limits of a search"):
        scene.search(lambda: LONG if len(scene.probes) < probes else left)
    assert len(scene.probes) == probes
