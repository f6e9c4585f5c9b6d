"""Attacks on every port that a local cloud opens: only its keys give access."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import stat
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import psutil
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from localcloud import cloud as local
from localcloud.cloud import Cloud
from localcloud.keys import FILE, Keys

from tests.contract.stack import ROOT
from tests.localcloud.toy_cloud import TOY, client, invoke
from tests.waiting import eventually

EVIL = "https://evil.example"
FORM = "text/plain"
NEXT = "/2018-06-01/runtime/invocation/next"
CREATE_FUNCTION = "/2015-03-31/functions"
PATHS = [
    "/",
    "/_ministack/health",
    "/_ministack/reset",
    "/_ministack/config",
    "/toy-data/secret",
    CREATE_FUNCTION,
    "/api/v2/projects/local-forecast-project/branches",
    "/_faults",
    "/_key",
    NEXT,
]
PAGES: dict[str, tuple[str, dict[str, str]]] = {
    "a form that is sent by itself": ("POST", {"Origin": EVIL, "Content-Type": FORM}),
    "fetch without CORS": ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}),
    "a form in a sandbox": ("POST", {"Origin": "null", "Content-Type": FORM}),
    "a page on another port": ("GET", {"Origin": "http://127.0.0.1:1"}),
    "a page of the same site": ("GET", {"Sec-Fetch-Site": "same-site"}),
    "a link in a page": ("GET", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}),
    "DNS rebinding": ("GET", {"Host": "evil.example"}),
    "DNS rebinding with a body": ("POST", {"Host": "evil.example", "Origin": EVIL}),
    "a bucket's host": ("GET", {"Host": "toy-data.s3.evil.example"}),
    "an API's host": ("GET", {"Host": "abcd1234.execute-api.evil.example"}),
    "a preflight": (
        "OPTIONS",
        {
            "Origin": EVIL,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,x-amz-target",
            "Access-Control-Request-Private-Network": "true",
        },
    ),
    "an old browser, which says nothing": ("GET", {}),
    "an old browser's form": ("POST", {"Content-Type": FORM}),
    "a bare preflight": ("OPTIONS", {}),
}
BODY = json.dumps({"api_key": "x", "status": 500, "times": 1}).encode()


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with local.running(template=TOY) as cloud:
        client(cloud, "s3").put_object(Bucket="toy-data", Key="secret", Body=b"rows")
        invoke(cloud)
        yield cloud


def listening(cloud: Cloud) -> dict[int, str]:
    """The ports of the cloud's processes, and the addresses that they listen on."""
    server = psutil.Process(cloud.pid)
    ports = {}
    for process in (server, *server.children(recursive=True)):
        # Postgres' own processes come and go.
        with suppress(psutil.NoSuchProcess):
            for connection in process.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    ports[connection.laddr.port] = connection.laddr.ip
    return ports


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def runtime_ports(cloud: Cloud) -> list[int]:
    """Where the functions poll for their events."""
    named = {cloud.endpoint_url, cloud.neon_api_url, *cloud.database_urls.values()}
    return [port for port in listening(cloud) if port not in set(map(port_of, named))]


def runtime_addresses(cloud: Cloud) -> set[str]:
    """The address and path that each live environment received."""
    addresses = set()
    for process in psutil.Process(cloud.pid).children(recursive=True):
        with suppress(psutil.Error):
            addresses.add(process.environ().get("AWS_LAMBDA_RUNTIME_API", ""))
    return addresses - {""}


def ask(
    port: int, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body; a browser's names included, so nothing is added."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, named, answer.read()
    finally:
        connection.close()


class TestPages:
    def test_every_port_is_on_loopback(self, cloud: Cloud) -> None:
        assert set(listening(cloud).values()) == {"127.0.0.1"}
        assert len(runtime_ports(cloud)) >= 1

    @pytest.mark.parametrize("page", PAGES)
    def test_a_page_gets_nothing_from_any_port(self, cloud: Cloud, page: str) -> None:
        method, headers = PAGES[page]
        postgres = {port_of(url) for url in cloud.database_urls.values()}
        for port in listening(cloud):
            host = {"Host": f"{headers['Host']}:{port}"} if "Host" in headers else {}
            if port in postgres:
                with pytest.raises((http.client.HTTPException, OSError)):
                    ask(port, method, "/", headers | host)
                continue
            for path in PATHS:
                body = BODY if method == "POST" else None
                status, answered, content = ask(port, method, path, headers | host, body)
                assert status in {401, 403, 501}, (port, path, content)
                assert not [name for name in answered if name.startswith("access-control-")]
                assert b"rows" not in content

    def test_a_signed_request_of_a_page_is_refused_too(self, cloud: Cloud) -> None:
        """Whoever knows the keys by mistake, as a page that shows a presigned URL does."""
        url = client(cloud, "s3").generate_presigned_url(
            "get_object", Params={"Bucket": "toy-data", "Key": "secret"}
        )
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}"
        assert ask(port_of(url), "GET", target, {})[2] == b"rows"
        for name, (method, headers) in PAGES.items():
            if method == "GET" and headers:
                assert ask(port_of(url), "GET", target, headers)[0] == 403, name

    def test_no_answer_may_be_read_by_a_page(self, cloud: Cloud) -> None:
        s3 = client(cloud, "s3")
        rule = {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
        s3.put_bucket_cors(Bucket="toy-data", CORSConfiguration={"CORSRules": [rule]})
        for answer in (
            s3.get_object(Bucket="toy-data", Key="secret"),
            client(cloud, "lambda").list_functions(),
            client(cloud, "stepfunctions").list_state_machines(),
        ):
            headers = answer["ResponseMetadata"]["HTTPHeaders"]
            assert not [name for name in headers if name.startswith("access-control-")]

    def test_a_websocket_is_refused(self, cloud: Cloud) -> None:
        port = port_of(cloud.endpoint_url)
        upgrade = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        for path in ("/", urlsplit(cloud.api_url).path):
            assert ask(port, "GET", path, upgrade)[0] == 403

    def test_bytes_that_are_no_request_end_the_connection(self, cloud: Cloud) -> None:
        for port in listening(cloud):
            with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                connection.sendall(b"GET / HTTP/0.9\r\n\r\nGET /\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                answered = b""
                while block := connection.recv(4096):
                    answered += block
            assert b"200" not in answered.split(b"\r\n", 1)[0]
        assert client(cloud, "s3").list_buckets()["Buckets"]


class TestKeys:
    @pytest.mark.parametrize("keys", [("test", "test"), ("000000000000", "test"), ("A" * 20, "x")])
    @pytest.mark.parametrize("service", ["s3", "lambda", "stepfunctions", "sns", "cloudformation"])
    def test_the_keys_of_others_open_nothing(
        self, cloud: Cloud, keys: tuple[str, str], service: str
    ) -> None:
        calls = {
            "s3": "list_buckets",
            "lambda": "list_functions",
            "stepfunctions": "list_state_machines",
            "sns": "list_topics",
            "cloudformation": "list_stacks",
        }
        for key_id, secret in (keys, (cloud.access_key_id, keys[1])):
            session = boto3.Session(key_id, secret, region_name=cloud.region)
            other: Any = session.client(service, endpoint_url=cloud.endpoint_url)  # type: ignore[call-overload]
            with pytest.raises(ClientError, match=r"`forecast-sync local up` prints") as caught:
                getattr(other, calls[service])()
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403

    def test_a_request_that_was_seen_can_t_be_turned_into_another(self, cloud: Cloud) -> None:
        port = port_of(cloud.endpoint_url)
        body = b"{}"
        seen = _signed(
            cloud, "POST", "/", body, {"X-Amz-Target": "AWSStepFunctions.ListActivities"}
        )
        assert ask(port, "POST", "/", seen, body)[0] == 200
        for name, (headers, content) in {
            "body": (seen, b'{"maxResults": 1}'),
            "host": (seen | {"Host": f"localhost:{port}"}, body),
            "target": (seen | {"X-Amz-Target": "AWSStepFunctions.DeleteActivity"}, body),
            "date": (seen | {"X-Amz-Date": f"{datetime.now(UTC):%Y%m%d}T000000Z"}, body),
            "more": (seen | {"X-Amz-Security-Token": "x"}, body),
            "signature": (
                {name: value.replace("Signature=", "Signature=0") for name, value in seen.items()},
                body,
            ),
        }.items():
            assert ask(port, "POST", "/", headers, content)[0] == 403, name

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_a_clock_that_is_minutes_off_is_refused(
        self, cloud: Cloud, minutes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        off = datetime.now(UTC) + timedelta(minutes=minutes)
        monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: off)
        with pytest.raises(ClientError, match="signature has expired or isn't valid yet") as caught:
            client(cloud, "s3").list_buckets()
        assert caught.value.response["Error"]["Code"] == "RequestTimeTooSkewed"

    def test_an_upload_that_was_changed_on_its_way_is_refused(self, cloud: Cloud) -> None:
        port, body = port_of(cloud.endpoint_url), os.urandom(200_000)
        headers = _signed(cloud, "PUT", "/toy-data/changed", body, service="s3")
        assert ask(port, "PUT", "/toy-data/changed", headers, body[:-1] + b"x")[0] == 400
        assert (
            client(cloud, "s3").list_objects_v2(Bucket="toy-data", Prefix="changed")["KeyCount"]
            == 0
        )
        assert ask(port, "PUT", "/toy-data/changed", headers, body)[0] == 200

    def test_a_presigned_url_is_for_what_it_names_and_for_its_time(self, cloud: Cloud) -> None:
        s3 = client(cloud, "s3")
        url = urlsplit(
            s3.generate_presigned_url("get_object", {"Bucket": "toy-data", "Key": "secret"}, 1)
        )
        target, port = f"{url.path}?{url.query}", port_of(cloud.endpoint_url)
        assert ask(port, "GET", target, {})[2] == b"rows"
        assert ask(port, "DELETE", target, {})[0] == 403
        assert ask(port, "GET", target.replace("secret", "other"), {})[0] == 403
        assert ask(port, "GET", target.replace("Expires=1&", "Expires=999&"), {})[0] == 403
        eventually(lambda: ask(port, "GET", target, {})[0] == 403, 10, "the end of its time")

    def test_a_post_policy_is_no_signature(self, cloud: Cloud) -> None:
        form = client(cloud, "s3").generate_presigned_post("toy-data", "posted")
        fields = "".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in [*form["fields"].items(), ("file", "x")]
        )
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        body = f"{fields}--b--\r\n".encode()
        assert ask(port_of(cloud.endpoint_url), "POST", "/toy-data", kind, body)[0] == 403

    def test_the_keys_are_this_cloud_s_alone(self, cloud: Cloud) -> None:
        with local.running(template=TOY) as other:
            pairs = [(c.access_key_id, c.secret_access_key, c.neon_api_key) for c in (cloud, other)]
            assert not set(pairs[0]) & set(pairs[1])
            with pytest.raises(ClientError, match="InvalidAccessKeyId"):
                cloud.session().client("s3", endpoint_url=other.endpoint_url).list_buckets()
            assert client(other, "s3").list_buckets()["Buckets"]


class TestClients:
    """Every form of request that AWS's own clients send is accepted."""

    @pytest.mark.parametrize("size", [0, 1, 100_000, 9_000_000])
    def test_boto3_s_uploads_arrive(self, cloud: Cloud, size: int, tmp_path: Path) -> None:
        s3, content = client(cloud, "s3"), os.urandom(size)
        (tmp_path / "file").write_bytes(content)
        for key in ("a b+c/ü~(1).bin", f"n{size}"):
            s3.upload_file(str(tmp_path / "file"), "toy-data", key, {"Metadata": {"a": " b  c "}})
            assert s3.get_object(Bucket="toy-data", Key=key)["Body"].read() == content

    def test_a_body_in_chunks_with_a_trailer_arrives(self, cloud: Cloud) -> None:
        """As boto3 sends it over TLS."""
        content = os.urandom(70_000)
        wrapper = AwsChunkedWrapper(
            io.BytesIO(content),
            checksum_cls=Crc32Checksum,
            checksum_name="x-amz-checksum-crc32",
            chunk_size=16_000,
        )
        body = wrapper.read()
        headers = {
            "Content-Encoding": "aws-chunked",
            "X-Amz-Trailer": "x-amz-checksum-crc32",
            "X-Amz-Decoded-Content-Length": str(len(content)),
        }
        request = AWSRequest("PUT", f"{cloud.endpoint_url}/toy-data/chunks", headers)
        request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        credentials = Credentials(cloud.access_key_id, cloud.secret_access_key)
        S3SigV4Auth(credentials, "s3", cloud.region).add_auth(request)
        port = port_of(cloud.endpoint_url)
        sent = dict(request.headers.items())
        assert ask(port, "PUT", "/toy-data/chunks", sent, body)[0] == 200
        stored = client(cloud, "s3").get_object(Bucket="toy-data", Key="chunks")
        assert stored["Body"].read() == content

    def test_an_unsigned_body_arrives(self, cloud: Cloud) -> None:
        options = Config(s3={"payload_signing_enabled": False})
        s3 = cloud.session().client("s3", endpoint_url=cloud.endpoint_url, config=options)
        sent = s3.put_object(Bucket="toy-data", Key="unsigned", Body=b"x" * 10)
        assert sent["ResponseMetadata"]["HTTPStatusCode"] == 200

    def test_the_aws_cli_works_with_what_up_prints(self, cloud: Cloud, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(os.urandom(9_000_000))
        cli = ROOT / ".tools/awscli/bin/aws"
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **cloud.variables}
        environment["AWS_DEFAULT_REGION"] = cloud.region
        for command in (
            ["s3", "cp", str(tmp_path / "file"), "s3://toy-data/cli", "--no-progress"],
            ["s3", "cp", "s3://toy-data/cli", str(tmp_path / "copy"), "--no-progress"],
            ["stepfunctions", "list-state-machines"],
            ["sns", "list-topics"],
        ):
            subprocess.run([cli, *command], env=environment, check=True, capture_output=True)
        assert (tmp_path / "copy").read_bytes() == (tmp_path / "file").read_bytes()
        made = subprocess.run(
            [cli, "s3", "presign", "s3://toy-data/secret"],
            env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        url = urlsplit(made.stdout.strip())
        assert ask(port_of(cloud.endpoint_url), "GET", f"{url.path}?{url.query}", {})[2] == b"rows"

    def test_curl_works_as_the_docs_say(self, cloud: Cloud) -> None:
        answer = subprocess.run(
            [
                "curl", "--silent", "--fail", "--aws-sigv4", "aws:amz:us-east-2:execute-api",
                "--user", f"{cloud.access_key_id}:{cloud.secret_access_key}",
                f"{cloud.api_url}/status?git_ref=feature%2Fx",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        assert json.loads(answer.stdout)["greeting"] == "from the layer"

    def test_many_at_once_are_all_answered(self, cloud: Cloud) -> None:
        s3 = client(cloud, "s3")
        with ThreadPoolExecutor(8) as pool:
            keys = [uuid.uuid4().hex for _ in range(100)]
            list(pool.map(lambda key: s3.put_object(Bucket="toy-data", Key=key, Body=key), keys))
            bodies = pool.map(lambda key: s3.get_object(Bucket="toy-data", Key=key), keys)
            assert [answer["Body"].read().decode() for answer in bodies] == keys


class TestFunctions:
    def test_the_runtime_api_is_for_its_own_environment(self, cloud: Cloud) -> None:
        """Who polled it would get the events, and could answer them."""
        ports = runtime_ports(cloud)
        for port in ports:
            for path in (NEXT, f"/{'x' * 32}{NEXT}", f"//{NEXT}", f"/x/..{NEXT}"):
                assert ask(port, "GET", path, {})[0] == 403
            for path in ("init/error", "invocation/x/response", "invocation/x/error"):
                assert ask(port, "POST", f"/2018-06-01/runtime/{path}", {}, BODY)[0] == 403
        assert invoke(cloud)["greeting"] == "from the layer"

    def test_not_even_its_path_lets_a_page_in(self, cloud: Cloud) -> None:
        """Each environment reads its path from a variable that no other user can read."""
        addresses = runtime_addresses(cloud)
        assert addresses
        for address in addresses:
            host, _, token = address.partition("/")
            assert len(token) > 20
            port = int(host.rpartition(":")[2])
            for method, headers in PAGES.values():
                if "Origin" in headers or "Host" in headers or "Sec-Fetch-Site" in headers:
                    assert ask(port, method, f"/{token}{NEXT}", headers)[0] == 403

    def test_an_environment_s_path_is_not_another_s(self, cloud: Cloud) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda _: invoke(cloud, sleep=1), range(2)))
        hosts, tokens = zip(
            *(address.split("/") for address in runtime_addresses(cloud)), strict=True
        )
        assert len(set(tokens)) == len(tokens) >= 2
        port = int(hosts[0].rpartition(":")[2])
        assert ask(port, "POST", f"/{tokens[1]}/2018-06-01/runtime/init/error", {}, BODY)[0] == 403
        assert invoke(cloud)["greeting"] == "from the layer"

    def test_a_failed_start_is_reported_through_it(self, cloud: Cloud) -> None:
        """The half of the client that doesn't know of paths reports it."""
        functions = client(cloud, "lambda")
        described = functions.get_function_configuration(FunctionName="toy-probe")
        functions.update_function_configuration(FunctionName="toy-probe", Handler="missing.handler")
        try:
            answer = functions.invoke(FunctionName="toy-probe")
            assert answer["FunctionError"]
            assert "missing" in answer["Payload"].read().decode()
        finally:
            functions.update_function_configuration(
                FunctionName="toy-probe", Handler=described["Handler"]
            )
        assert invoke(cloud)["greeting"] == "from the layer"


class TestNeon:
    def test_its_control_routes_want_the_key(self, cloud: Cloud) -> None:
        port = port_of(cloud.neon_api_url)
        for path in ("/_key", "/_faults", "/_other"):
            for headers in (
                {},
                {"Authorization": "Bearer local-neon-api-key"},
                {"Authorization": f"Basic {cloud.neon_api_key}"},
            ):
                assert ask(port, "POST", path, headers, BODY)[0] == 401
        key = {"Authorization": f"Bearer {cloud.neon_api_key}"}
        branches = f"/api/v2/projects/{cloud.neon_project_id}/branches"
        assert ask(port, "GET", branches, key)[0] == 200
        assert ask(port, "POST", "/_other", key, BODY)[0] == 404

    def test_not_even_the_key_lets_a_page_in(self, cloud: Cloud) -> None:
        port = port_of(cloud.neon_api_url)
        key = {"Authorization": f"Bearer {cloud.neon_api_key}"}
        branches = f"/api/v2/projects/{cloud.neon_project_id}/branches"
        for method, headers in PAGES.values():
            if "Origin" in headers or "Host" in headers or "Sec-Fetch-Site" in headers:
                assert ask(port, method, branches, headers | key)[0] == 403


class TestKeyFile:
    def test_the_keys_of_a_directory_stay_and_are_its_owner_s(self, tmp_path: Path) -> None:
        first = Keys.of(tmp_path)
        assert Keys.of(tmp_path) == first
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
        assert first.secret_access_key not in repr(first)

    def test_keys_that_others_can_know_are_replaced(self, tmp_path: Path) -> None:
        first = Keys.of(tmp_path)
        (tmp_path / FILE).chmod(0o644)
        second = Keys.of(tmp_path)
        assert second != first
        assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
        planted = tmp_path / "planted.json"
        (tmp_path / FILE).rename(planted)
        (tmp_path / FILE).symlink_to(planted)
        assert Keys.of(tmp_path) != second
        assert not (tmp_path / FILE).is_symlink()
        (tmp_path / FILE).write_text("{")
        assert Keys.of(tmp_path).access_key_id


def _signed(
    cloud: Cloud,
    method: str,
    path: str,
    body: bytes,
    headers: dict[str, str] | None = None,
    service: str = "states",
) -> dict[str, str]:
    """The headers of a request that is signed with the cloud's keys."""
    request = AWSRequest(method, f"{cloud.endpoint_url}{path}", headers=headers or {}, data=body)
    credentials = Credentials(cloud.access_key_id, cloud.secret_access_key)
    auth = S3SigV4Auth if service == "s3" else SigV4Auth
    auth(credentials, service, cloud.region).add_auth(request)
    return dict(request.headers.items())
