"""Claims about what travels between states."""

from __future__ import annotations

from datetime import date

import pytest
from forecast_sync.contracts.base import parse_payload
from forecast_sync.contracts.counts import Profile
from forecast_sync.contracts.page import UpsertRequest
from forecast_sync.contracts.run import SyncRequest
from forecast_sync.errors import InvalidInput

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
