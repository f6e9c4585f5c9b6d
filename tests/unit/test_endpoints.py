"""Where credentials go: the endpoints, locations and links that a deployment's variables name."""

from __future__ import annotations

import pytest
from forecast_sync.adapters.endpoints import read_endpoint
from forecast_sync.config import Settings
from forecast_sync.errors import ConfigurationInvalid
from forecast_sync_cli.client import deployment
from forecast_sync_cli.errors import UserError
from hypothesis import given
from hypothesis import strategies as st
from urllib3.connectionpool import connection_from_url


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://console.neon.tech/api/v2/", "https://console.neon.tech/api/v2"),
        ("HTTPS://console.neon.tech:8443/api", "https://console.neon.tech:8443/api"),
        ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
        ("http://127.8.9.1:1/a/", "http://127.8.9.1:1/a"),
        ("http://[::1]:4566/", "http://[::1]:4566"),
    ],
)
def test_an_endpoint_is_read_as_it_is_connected_to(url: str, read: str) -> None:
    assert read_endpoint(url, "X") == read


@given(
    st.text(alphabet="@\\\\/:#?[]%.1 l\\t\\n\u3002", max_size=12),
    st.sampled_from(["127.0.0.1", "[::1]", "localhost", ""]),
    st.text(alphabet="@\\\\/:#?[]%.1 l\\t\\n\u3002", max_size=12),
)
def test_whatever_is_read_as_plain_http_connects_to_loopback(
    before: str, host: str, after: str
) -> None:
    try:
        url = read_endpoint(f"http://{before}{host}{after}", "X")
    except ConfigurationInvalid:
        return
    with connection_from_url(url) as pool:
        assert pool.host.startswith("127.") or pool.host in ("::1", "[::1]")


@pytest.mark.parametrize(
    "url", ["http://10.0.0.9:4566", "http://evil.example\\@127.0.0.1", "http://u:canary@127.0.0.1"]
)
def test_an_operator_s_credentials_go_nowhere_in_plain_text(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(UserError, match="AWS_ENDPOINT_URL") as refused:
        deployment.open_session()
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ATHENA_OUTPUT_LOCATION", "s3://user@bucket/a/"),
        ("ATHENA_OUTPUT_LOCATION", "s3://bucket/a"),
        ("ATHENA_OUTPUT_LOCATION", "https://bucket/a/"),
        ("DATA_LOCATION", "s3://bucket/a\nb/"),
        ("DATA_LOCATION", "s3://bu ck\\et/"),
        ("DATA_LOCATION", "s3:///a/"),
        ("RUNBOOK_URL", "javascript:alert(1)"),
        ("RUNBOOK_URL", "//evil.example/x"),
        ("RUNBOOK_URL", "https://user@evil.example/"),
        ("RUNBOOK_URL", "https://wiki.example/a|b>"),
        ("RUNBOOK_URL", "https://wiki.example/a\n"),
    ],
)
def test_a_location_or_link_that_is_more_is_refused(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationInvalid, match=variable):
        Settings.from_environment({"ENVIRONMENT": "dev", variable: value})


def test_ordinary_locations_and_links_are_taken() -> None:
    Settings.from_environment(
        {
            "ENVIRONMENT": "dev",
            "DATA_LOCATION": "s3://My_old.bucket-1/fore cast/\u00fc/",
            "ATHENA_OUTPUT_LOCATION": "s3://results/",
            "RUNBOOK_URL": "https://wiki.example:8443/x/runbook.md?v=1",
        }
    )
