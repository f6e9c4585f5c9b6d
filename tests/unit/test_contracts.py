"""Claims about what travels between states."""

from __future__ import annotations

from datetime import date

import pytest
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.page import UpsertRequest
from forecast_sync.contracts.redrive import has_renewals_left, raise_if_stale
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.errors import InputsOutdated, InvalidInput, ResultInvalid

from tests.builders import make_run, make_upsert


def test_every_key_of_the_execution_input_is_optional() -> None:
    request = SyncRequest.parse({})
    assert (request.sync_type, request.git_ref, request.dry_run) == ("incremental", None, False)


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        ({"gitref": "dev"}, "gitref"),
        ({"sync_type": "partial"}, "sync_type"),
        ({"batch_size": 0}, "batch_size"),
        ({"date_from": "yesterday"}, "date_from"),
        ({"date_from": "2026-02-01", "date_to": "2026-01-01"}, "date_from 2026-02-01 is after"),
        ({"git_ref": ""}, "git_ref"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_in_one_line(
    payload: dict[str, object], named: str
) -> None:
    with pytest.raises(InvalidInput, match=named) as caught:
        SyncRequest.parse(payload)
    assert "\n" not in str(caught.value)


def test_a_raw_upload_event_is_a_plain_incremental_run() -> None:
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {}}}
    assert SyncRequest.parse(event) == SyncRequest(trigger="s3")


def test_models_survive_the_way_through_a_state() -> None:
    request = make_upsert(make_run(date_from=date(2026, 1, 1)), ["a", "b"])
    assert parse_payload(UpsertRequest, request.model_dump(mode="json")) == request


def test_a_checksum_travels_as_text_because_json_numbers_are_not_exact() -> None:
    profile = Profile(window_rows=3, rejected=0, candidates=3, good=1, checksum=2**70 + 1)
    dumped = profile.model_dump(mode="json")
    assert dumped["checksum"] == str(2**70 + 1)
    assert Profile.model_validate(dumped).checksum == 2**70 + 1
    assert profile.superseded == 2


def test_a_profile_from_before_an_update_still_fits() -> None:
    """A run that waits for its redrive carries what an older version has put into its state."""
    counts = {"window_rows": 3, "rejected": 0, "candidates": 3, "good": 1, "checksum": "7"}
    old = {**counts, "newest_modified": "2026-11-23T12:00:00Z"}
    assert parse_payload(Profile, old) == parse_payload(Profile, counts)


@pytest.mark.parametrize(("made_at", "redrive_count"), [(0, 0), (1, 1), (2, 1)])
def test_inputs_of_the_present_redrive_are_judged(made_at: int, redrive_count: int) -> None:
    raise_if_stale("They differ.", made_at=made_at, redrive_count=redrive_count)


def test_inputs_from_before_the_redrive_are_outdated_and_the_judgement_is_kept() -> None:
    with pytest.raises(InputsOutdated, match=r"^They differ\.$"):
        raise_if_stale(ResultInvalid("They differ."), made_at=0, redrive_count=1)


def test_each_redrive_allows_two_renewals_more() -> None:
    assert [has_renewals_left(renewal, 0) for renewal in range(4)] == [True, True, False, False]
    assert [has_renewals_left(renewal, 1) for renewal in (3, 4)] == [True, False]
