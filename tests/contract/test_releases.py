"""A run's states may be of different releases: each reads what another release has recorded.

``tests/payloads`` keeps, for each state, what it got in a run of an earlier release. Never correct
these files: executions of that release can be redriven for 14 days.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from forecast_sync.contracts.base import Payload, parse_payload
from forecast_sync.contracts.run import SyncRequest, WatermarkRequest
from forecast_sync.errors import InvalidInput, Superseded
from forecast_sync.lease.window import refuse_older_release
from forecast_sync.survey.proof import require_survey

from tests.contract.stack import ROOT, function_of, tasks
from tests.contract.test_state_machine import PAYLOADS

RECORDED = {
    (file.stem, state): payload
    for file in sorted((ROOT / "tests/payloads").glob("*.json"))
    for state, payload in json.loads(file.read_text()).items()
}
FUNCTIONS = {name: function_of(state) for name, state in tasks()}
CASES = [
    pytest.param(state, payload, id=f"{release}-{state}")
    for (release, state), payload in RECORDED.items()
]


SURVEYING = {"Survey lake", "Find bad files", "Delete rows"}
ADDED_SINCE = {"without_definition": SURVEYING, "without_survey": SURVEYING}
"""By release: the states that only later ones have."""


def test_every_state_that_calls_a_function_has_a_recorded_payload() -> None:
    for release in {release for release, _ in RECORDED}:
        recorded = {state for known, state in RECORDED if known == release}
        assert recorded == set(FUNCTIONS) - ADDED_SINCE[release]


@pytest.mark.parametrize("release", sorted(ADDED_SINCE))
def test_a_run_that_surveyed_no_lake_ends_as_superseded(release: str) -> None:
    """Until it loads: from then on nothing asks for a survey, and it ends as it began."""
    payload = RECORDED[release, "Read watermark"]
    with pytest.raises(Superseded, match="start a new incremental run"):
        refuse_older_release(parse_payload(WatermarkRequest, payload))
    for state in ("Start Athena query", "Plan pages", "Verify load", "Record status"):
        request: Any = parse_payload(PAYLOADS[FUNCTIONS[state]], RECORDED[release, state])
        with pytest.raises(Superseded, match="start a new incremental run"):
            require_survey(request.run, request.window)


@pytest.mark.parametrize(("state", "payload"), CASES)
def test_a_state_reads_what_an_earlier_release_recorded(
    state: str, payload: dict[str, Any]
) -> None:
    parse_payload(PAYLOADS[FUNCTIONS[state]], payload)


@pytest.mark.parametrize(("state", "payload"), CASES)
def test_a_state_ignores_what_a_later_release_adds(state: str, payload: dict[str, Any]) -> None:
    model = PAYLOADS[FUNCTIONS[state]]
    assert parse_payload(model, _with_additions(payload)) == parse_payload(model, payload)


def _with_additions(payload: Any) -> Any:
    """The payload with an unknown key in each object, but the execution's input as it is."""
    if not isinstance(payload, dict):
        return payload
    kept = ("input", "warnings")
    values = {
        name: value if name in kept else _with_additions(value) for name, value in payload.items()
    }
    return {**values, "from_a_later_release": {"any": "thing"}}


@pytest.mark.parametrize(("state", "payload"), CASES)
def test_what_a_state_can_not_read_ends_the_run_as_superseded(
    state: str, payload: dict[str, Any]
) -> None:
    """Such as a payload of a release that is too old; only a new run helps, and it says so."""
    model = PAYLOADS[FUNCTIONS[state]]
    kind = InvalidInput if state == "Resolve branch" else Superseded
    with pytest.raises(kind) as caught:
        parse_payload(model, dict.fromkeys(payload, "something else"))
    assert str(caught.value).isprintable()
    assert "start a new run" in str(caught.value) or kind is InvalidInput


def test_every_model_within_a_payload_ignores_what_it_does_not_know() -> None:
    """A strict model, such as the execution's input, is never part of a payload."""
    seen: set[type] = set()

    def visit(model: type[Any]) -> None:
        if model in seen:
            return
        seen.add(model)
        assert issubclass(model, Payload), model
        for field in model.model_fields.values():
            if isinstance(field.annotation, type) and hasattr(field.annotation, "model_fields"):
                visit(field.annotation)

    for model in PAYLOADS.values():
        visit(model)
    assert len(seen) > len(PAYLOADS)


def test_the_execution_input_of_a_recorded_run_may_have_no_unknown_key() -> None:

    payload = RECORDED["without_definition", "Resolve branch"]["input"]
    assert SyncRequest.parse(payload).trigger == "s3"
    with pytest.raises(InvalidInput, match="from_a_later_release"):
        SyncRequest.parse({**payload, "from_a_later_release": 1})
