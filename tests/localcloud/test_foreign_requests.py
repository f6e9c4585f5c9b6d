"""Programs on this machine are served, web pages in a browser aren't."""

from __future__ import annotations

import pytest
from localcloud.foreign_requests import find_foreign

OWN = ("Host", "127.0.0.1:4566")


@pytest.mark.parametrize(
    "headers",
    [
        [OWN],
        [("HOST", "LOCALHOST:4566")],
        [OWN, ("Origin", "http://127.0.0.1:4566"), ("Sec-Fetch-Site", "same-origin")],
        [OWN, ("Sec-Fetch-Site", "none")],
    ],
)
def test_this_machine_s_programs_are_answered(headers: list[tuple[str, str]]) -> None:
    assert find_foreign(headers, 4566) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:4566",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:4567",
        "127.0.0.1:4566.evil.example",
        "127.0.0.1.evil.example:4566",
        "user@127.0.0.1:4566",
        "bucket.localhost:4566",
        "abcd1234.execute-api.localhost:4566",
        "bucket.s3.evil.example:4566",
        "localhost.:4566",
        "[::1]:4566",
        "0.0.0.0:4566",
        "2130706433:4566",
        "127.0.0.1:4566, evil.example",
        "",
    ],
)
def test_another_host_is_refused(host: str) -> None:
    reason = find_foreign([("Host", host)], 4566)
    assert reason is not None
    assert reason.startswith("Host is ")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [OWN, OWN],
        [OWN, ("Host", "evil.example")],
        *([OWN, ("Origin", origin)] for origin in (
            "https://evil.example", "null", "", "http://127.0.0.1", "http://127.0.0.1:8000",
            "https://127.0.0.1:4566", "http://127.0.0.1:4566.evil.example", "file://",
        )),
        [OWN, ("Origin", "http://127.0.0.1:4566"), ("Origin", "https://evil.example")],
        *([OWN, ("Sec-Fetch-Site", site)] for site in ("cross-site", "same-site", "", "x")),
    ],
)  # fmt: skip
def test_a_page_s_request_is_refused(headers: list[tuple[str, str]]) -> None:
    assert find_foreign(headers, 4566) is not None


def test_the_port_of_http_needs_no_number() -> None:
    assert find_foreign([("Host", "localhost")], 80) is None
    assert find_foreign([("Host", "localhost")], 4566) is not None
