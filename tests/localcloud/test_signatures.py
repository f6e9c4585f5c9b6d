"""Requests of AWS's own clients are accepted; changed, old and foreign ones are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st
from localcloud.signatures import (
    ALGORITHM,
    EMPTY_SHA256,
    MAX_SKEW,
    SIGNED_CHUNKS,
    SIGNED_CHUNKS_AND_TRAILER,
    Head,
    Refused,
    Verifier,
    read_claim,
)

ID, SECRET, REGION = "LOCALAAAAAAAAAAAAAAA", "a-secret", "us-east-2"
CREDENTIALS = Credentials(ID, SECRET)
VERIFIER = Verifier(ID, SECRET)
URL = "http://127.0.0.1:4566/bucket/a%20key?list-type=2&prefix=a%2Fb"
Change = Callable[[Head], Head]


def signed(
    auth: SigV4Auth, method: str = "PUT", url: str = URL, body: bytes = b"body", **headers: str
) -> Head:
    """What a server reads when botocore has signed this request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    # A presigned URL is made without its body.
    data = b"" if isinstance(auth, SigV4QueryAuth) else body
    request = AWSRequest(method, url, headers=named, data=data)
    auth.add_auth(request)
    parts = urlsplit(str(request.url))
    received = [(name.lower(), value) for name, value in request.headers.items()]
    if "host" not in {name for name, _ in received}:
        received.append(("host", parts.netloc))
    return Head(method, parts.path, parts.query, tuple(received))


def check(head: Head, body: bytes = b"body", at: datetime | None = None) -> None:
    claim = read_claim(head)
    VERIFIER.check_claim(head, claim, at or datetime.now(UTC))
    VERIFIER.check_signature(head, claim, hashlib.sha256(body).hexdigest())
    VERIFIER.check_body(claim, body)


def refused(head: Head, body: bytes = b"body", at: datetime | None = None) -> str:
    with pytest.raises(Refused) as caught:
        check(head, body, at)
    return caught.value.code


def with_header(name: str, value: str) -> Change:
    def change(head: Head) -> Head:
        kept = [(other, was) for other, was in head.headers if other != name]
        return replace(head, headers=(*kept, (name, value)))

    return change


AUTHS: dict[str, Callable[[], SigV4Auth]] = {
    "S3": lambda: S3SigV4Auth(CREDENTIALS, "s3", REGION),
    "API": lambda: SigV4Auth(CREDENTIALS, "execute-api", REGION),
    "presigned S3": lambda: S3SigV4QueryAuth(CREDENTIALS, "s3", REGION),
}


@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
def test_what_botocore_signs_is_taken(auth: Callable[[], SigV4Auth]) -> None:
    check(signed(auth()))
    check(signed(auth(), "GET", body=b""), b"")


def test_a_presigned_call_of_another_service_is_taken() -> None:
    auth = SigV4QueryAuth(CREDENTIALS, "sts", REGION)
    check(signed(auth, "GET", "http://127.0.0.1:4566/?Action=GetCallerIdentity", b""), b"")


TEXT = st.text(st.characters(exclude_categories=["Cs"], min_codepoint=32), max_size=8)


@given(
    segments=st.lists(TEXT, max_size=3),
    query=st.lists(st.tuples(TEXT.filter(bool), TEXT), max_size=3),
    body=st.binary(max_size=20),
    service=st.sampled_from(["s3", "execute-api"]),
)
def test_any_path_query_and_body_is_taken(
    segments: list[str], query: list[tuple[str, str]], body: bytes, service: str
) -> None:
    path = "/".join(quote(segment, safe="~") for segment in segments)
    pairs = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query)
    auth = S3SigV4Auth if service == "s3" else SigV4Auth
    url = f"http://127.0.0.1:4566/{path}" + (f"?{pairs}" if pairs else "")
    check(signed(auth(CREDENTIALS, service, REGION), "POST", url, body), body)


CHANGES: dict[str, Change] = {
    "method": lambda head: replace(head, method="DELETE"),
    "path": lambda head: replace(head, raw_path="/bucket/another%20key"),
    "query": lambda head: replace(head, query=head.query.replace("a%2Fb", "a%2Fc")),
    "more query": lambda head: replace(head, query=head.query + "&versioning="),
    "host": with_header("host", "localhost:4566"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("auth", AUTHS.values(), ids=AUTHS)
def test_a_changed_request_is_refused(auth: Callable[[], SigV4Auth], change: Change) -> None:
    assert refused(change(signed(auth()))) == "SignatureDoesNotMatch"


def test_a_changed_body_is_refused() -> None:
    assert refused(signed(AUTHS["S3"]()), b"other") == "XAmzContentSHA256Mismatch"
    assert refused(signed(AUTHS["API"]()), b"other") == "SignatureDoesNotMatch"
    another = with_header("x-amz-content-sha256", hashlib.sha256(b"other").hexdigest())
    assert refused(another(signed(AUTHS["S3"]())), b"other") == "SignatureDoesNotMatch"


def test_a_target_that_was_not_signed_is_refused() -> None:
    head = signed(SigV4Auth(CREDENTIALS, "states", REGION), X_Amz_Target="States.List")
    check(head)
    assert refused(with_header("x-amz-target", "States.Delete")(head)) == "SignatureDoesNotMatch"
    added = with_header("x-amz-copy-source", "/secret/key")(signed(AUTHS["S3"]()))
    assert refused(added) == "AccessDenied"


@pytest.mark.parametrize("name", ["authorization", "host", "x-amz-date", "x-amz-content-sha256"])
def test_a_repeated_header_is_refused(name: str) -> None:
    head = signed(AUTHS["S3"]())
    (value,) = head.values(name)
    refused(replace(head, headers=(*head.headers, (name, value))))


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (Credentials("test", "test"), "InvalidAccessKeyId"),
        (Credentials("000000000000", "test"), "InvalidAccessKeyId"),
        (Credentials(ID, "test"), "SignatureDoesNotMatch"),
        (Credentials(ID, SECRET + "x"), "SignatureDoesNotMatch"),
    ],
)
def test_other_keys_are_refused(credentials: Credentials, code: str) -> None:
    for auth in (S3SigV4Auth, SigV4Auth, S3SigV4QueryAuth):
        assert refused(signed(auth(credentials, "s3", REGION))) == code


def test_a_request_lives_five_minutes() -> None:
    now = datetime.now(UTC)
    head = signed(AUTHS["S3"]())
    for seconds in (-1, 1):
        check(head, at=now + seconds * (MAX_SKEW - timedelta(seconds=5)))
        late = now + seconds * (MAX_SKEW + timedelta(seconds=5))
        assert refused(head, at=late) == "RequestTimeTooSkewed"
    yesterday = f"{now - timedelta(days=1):%Y%m%d}T000000Z"
    assert refused(with_header("x-amz-date", yesterday)(head)) == "AccessDenied"


def test_a_presigned_url_lives_as_long_as_it_says() -> None:
    head = signed(S3SigV4QueryAuth(CREDENTIALS, "s3", REGION, expires=600), "GET", body=b"")
    now = datetime.now(UTC)
    check(head, b"", now + timedelta(seconds=590))
    assert refused(head, b"", now + timedelta(seconds=610)) == "AccessDenied"
    longer = replace(head, query=head.query.replace("Expires=600", "Expires=6000"))
    assert refused(longer, b"") == "SignatureDoesNotMatch"
    for wrong in ("0", "-1", "", "604801", "9" * 5000, "٣"):
        odd = replace(head, query=head.query.replace("Expires=600", f"Expires={quote(wrong)}"))
        assert refused(odd, b"") == "AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer token",
        "Basic dGVzdDp0ZXN0",
        "AWS test:c2lnbmF0dXJl",
        f"{ALGORITHM} Credential={ID}",
        f"{ALGORITHM} Credential={ID}/x, SignedHeaders=host, Signature={'0' * 64}",
        f"AWS4-ECDSA-P256-SHA256 Credential={ID}/a, SignedHeaders=host, Signature={'0' * 64}",
        "\0" * 1000,
    ],
)
def test_what_is_no_signature_is_refused(authorization: str) -> None:
    refused(with_header("authorization", authorization)(signed(AUTHS["S3"]())))


def test_nothing_signed_is_refused() -> None:
    head = Head("GET", "/", "", (("host", "127.0.0.1:4566"),))
    assert refused(head) == "AccessDenied"
    old = "AWSAccessKeyId=test&Signature=x&Expires=9999999999"
    assert refused(replace(head, query=old)) == "AccessDenied"


def test_an_unsigned_body_is_for_s3() -> None:
    class Unsigned(SigV4Auth):
        def _should_sha256_sign_payload(self, request: AWSRequest) -> bool:  # noqa: ARG002
            return False

        def _normalize_url_path(self, path: str) -> str:
            return path

    def unsigned(service: str) -> Head:
        auth = Unsigned(CREDENTIALS, service, REGION)
        return signed(auth, X_Amz_Content_SHA256="UNSIGNED-PAYLOAD")

    check(unsigned("s3"))
    assert refused(unsigned("states")) == "AccessDenied"


class TestChunks:
    """The two examples of Amazon S3's documentation, whose signatures are known."""

    KEY_ID = "AKIAIOSFODNN7EXAMPLE"  # pragma: allowlist secret
    SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # pragma: allowlist secret
    PLAIN = """
        4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9
        ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648
        0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497
        b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9
    """
    TRAILING = """
        106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e
        b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2
        1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7
        2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992
    """
    TRAILER = (
        b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
        b"x-amz-trailer-signature:"
        b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"
    )

    def body(self, signatures: list[str], trailer: bytes) -> bytes:
        chunks = [b"a" * 65536, b"a" * 1024, b""]
        framed = [
            f"{len(chunk):x};chunk-signature={signature}\r\n".encode() + chunk
            for chunk, signature in zip(chunks, signatures[1:], strict=True)
        ]
        return b"\r\n".join(framed) + trailer + b"\r\n"

    def check(self, kind: str, seed: str, body: bytes) -> None:
        scope = f"{self.KEY_ID}/20130524/us-east-1/s3/aws4_request"
        authorization = f"{ALGORITHM} Credential={scope}, SignedHeaders=host, Signature={seed}"
        headers = (
            ("authorization", authorization),
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-content-sha256", kind),
        )
        Verifier(self.KEY_ID, self.SECRET).check_body(
            read_claim(Head("PUT", "/", "", headers)), body
        )

    @pytest.mark.parametrize(
        ("kind", "documented", "trailer"),
        [(SIGNED_CHUNKS, PLAIN, b""), (SIGNED_CHUNKS_AND_TRAILER, TRAILING, TRAILER)],
    )
    def test_the_documented_examples_are_taken_and_nothing_else(
        self, kind: str, documented: str, trailer: bytes
    ) -> None:
        signatures = documented.split()
        body = self.body(signatures, trailer)
        self.check(kind, signatures[0], body)
        for changed in (
            body.replace(b"\r\na", b"\r\nb", 1),
            body[: len(body) // 2],
            body.replace(b"0;chunk-signature", b"1;chunk-signature"),
            body.replace(signatures[2].encode(), signatures[1].encode()),
            b"0;chunk-signature=" + signatures[3].encode() + b"\r\n" + trailer + b"\r\n",
            b"",
            b"\r\n",
            *([body.replace(b"sOO8", b"sOO9"), body.split(b"x-amz-tr")[0]] if trailer else []),
        ):
            assert changed != body
            with pytest.raises(Refused):
                self.check(kind, signatures[0], changed)

    def test_another_kind_is_refused(self) -> None:
        for kind in ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "anything", EMPTY_SHA256.upper()):
            with pytest.raises(Refused):
                self.check(kind, self.PLAIN.split()[0], b"")
