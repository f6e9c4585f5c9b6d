"""What a page on another site can do to a local cloud in a real Chromium: nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from localcloud import cloud as local
from localcloud.cloud import Cloud
from playwright.sync_api import Browser, Page

from tests.chromium import find_chromium
from tests.localcloud.toy_cloud import TOY, client, invoke

FUNCTION = {
    "FunctionName": "planted",
    "Runtime": "python3.13",
    "Role": "arn:aws:iam::000000000000:role/x",
    "Handler": "x.x",
    "Code": {"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="},
}
ATTACK = """
async ({cloud, neon, own, create, path}) => {
    const arrived = [];
    const attempt = async (url, options) => {
        try {
            const answer = await fetch(url, options);
            arrived.push([url, options, answer.type, answer.status, await answer.text()]);
        } catch (error) {
            arrived.push([url, options, String(error), 0, '']);
        }
    };
    const body = JSON.stringify(create);
    const planted = JSON.stringify({api_key: 'x'});
    const target = {'X-Amz-Target': 'AWSStepFunctions.ListStateMachines'};
    for (const mode of ['cors', 'no-cors']) {
        await attempt(own + '/control', {mode, method: 'POST', body});
        await attempt(cloud + '/2015-03-31/functions', {mode, method: 'POST', body});
        await attempt(cloud + '/toy-data/planted', {mode, method: 'POST', body});
        await attempt(cloud + path, {mode});
        await attempt(cloud + '/_ministack/reset', {mode, method: 'POST'});
        await attempt(neon + '/_key', {mode, method: 'POST', body: planted});
        await attempt(neon + '/_faults', {mode, method: 'POST', body: '{"status": 1, "times": 9}'});
    }
    await attempt(cloud + '/toy-data/planted', {method: 'PUT', body});
    await attempt(cloud, {method: 'POST', body: '{}', headers: target});
    for (const url of [cloud + path, cloud + '/2015-03-31/functions']) {
        const image = new Image();
        const loaded = new Promise((done) => { image.onload = image.onerror = done; });
        image.src = url;
        await loaded;
    }
    const socket = new WebSocket(cloud.replace('http', 'ws'));
    const opened = await new Promise((done) => {
        socket.onopen = () => done(true);
        socket.onerror = () => done(false);
    });
    return {arrived, opened};
}
"""


@pytest.fixture(scope="module")
def toy_cloud(chromium: Browser) -> Iterator[Cloud]:  # noqa: ARG001  # skips first
    with local.running(template=TOY) as cloud:
        client(cloud, "s3").put_object(Bucket="toy-data", Key="secret", Body=b"rows")
        yield cloud


@pytest.fixture
def evil_page(chromium: Browser) -> Iterator[Page]:
    """A page of http://evil.example, a name that leads to this machine, as after DNS rebinding."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>evil</title>control")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    browser = chromium.browser_type.launch(
        executable_path=find_chromium(),
        args=["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"],
    )
    page = browser.new_page()
    page.goto(f"http://evil.example:{server.server_port}/")
    yield page
    browser.close()
    server.shutdown()
    server.server_close()


def attack(page: Page, cloud: Cloud, path: str) -> Any:
    own = urlsplit(page.url)
    addresses = {
        "cloud": cloud.endpoint_url,
        "neon": cloud.neon_api_url.removesuffix("/api/v2"),
        "own": f"{own.scheme}://{own.netloc}",
    }
    return page.evaluate(ATTACK, {**addresses, "create": FUNCTION, "path": path})


def assert_untouched(cloud: Cloud) -> None:
    functions = client(cloud, "lambda").list_functions()["Functions"]
    assert "planted" not in json.dumps(functions, default=str)
    objects = client(cloud, "s3").list_objects_v2(Bucket="toy-data")["Contents"]
    assert [item["Key"] for item in objects] == ["secret"]
    assert invoke(cloud)["greeting"] == "from the layer"


def test_a_page_of_another_site_reads_and_changes_nothing(
    toy_cloud: Cloud, evil_page: Page
) -> None:
    presigned = client(toy_cloud, "s3").generate_presigned_url(
        "get_object", {"Bucket": "toy-data", "Key": "secret"}
    )
    for path in ("/toy-data/secret", presigned.removeprefix(toy_cloud.endpoint_url)):
        done = attack(evil_page, toy_cloud, path)
        own: list[Any] = []
        others: list[Any] = []
        for attempt in done["arrived"]:
            (own if attempt[0].endswith("/control") else others).append(attempt)
        assert [attempt[4].endswith("control") for attempt in own] == [True, True]
        assert [attempt for attempt in others if attempt[3] != 0 or attempt[4]] == []
        assert done["opened"] is False
    assert_untouched(toy_cloud)


def test_a_form_that_is_sent_by_itself_is_refused(toy_cloud: Cloud, evil_page: Page) -> None:
    """It shows the answer, which nobody else can read, and needs no preflight."""
    fields = json.dumps(FUNCTION | {"x": ""})
    name, value = fields.rsplit(": ", 1)[0] + ': "', '"}'
    for url in (
        f"{toy_cloud.endpoint_url}/2015-03-31/functions",
        f"{toy_cloud.neon_api_url.removesuffix('/api/v2')}/_key",
    ):
        with evil_page.context.expect_page() as opened:
            evil_page.evaluate(
                """([url, name, value]) => {
                    const form = document.createElement('form');
                    Object.assign(form, {method: 'POST', action: url, enctype: 'text/plain'});
                    form.target = '_blank';
                    const input = document.createElement('input');
                    Object.assign(input, {name, value});
                    form.append(input);
                    document.body.append(form);
                    form.submit();
                }""",
                [url, name, value],
            )
        shown = opened.value
        shown.wait_for_load_state()
        assert "aren't answered" in shown.content()
        shown.close()
    assert_untouched(toy_cloud)


def test_a_name_that_was_rebound_is_refused(toy_cloud: Cloud, evil_page: Page) -> None:
    presigned = client(toy_cloud, "s3").generate_presigned_url(
        "get_object", {"Bucket": "toy-data", "Key": "secret"}
    )
    for url in (presigned, f"{toy_cloud.neon_api_url}/projects"):
        rebound = url.replace("127.0.0.1", "evil.example")
        answer = evil_page.goto(rebound)
        assert answer is not None
        assert answer.status == 403
        assert "Host is" in answer.text()
    assert_untouched(toy_cloud)
