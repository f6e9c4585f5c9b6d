"""Verifies AWS Signature Version 4, recomputing it with botocore's own signing code."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import product
from urllib.parse import parse_qsl, quote

from botocore.auth import SIGV4_TIMESTAMP, SigV4Auth
from botocore.awsrequest import AWSRequest, HTTPHeaders
from botocore.credentials import Credentials
from botocore.utils import normalize_url_path

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=5)
MAX_EXPIRES = 7 * 24 * 3600
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
UNSIGNED = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
SIGNED_CHUNKS = f"STREAMING-{ALGORITHM}-PAYLOAD"
SIGNED_CHUNKS_AND_TRAILER = f"{SIGNED_CHUNKS}-TRAILER"
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} +Credential=(?P<credential>[^,\s]+),\s*"
    r"SignedHeaders=(?P<signed_headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SCOPE_PARTS = 5


class Refused(Exception):
    """A request is refused; ``code`` is S3's name for the reason."""

    def __init__(self, code: str, message: str, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class Head:
    """A request without its body, as received: path and query still encoded."""

    method: str
    raw_path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        """All values of a header, given in lower case."""
        return [value for other, value in self.headers if other == name]

    def value(self, name: str) -> str | None:
        """The value of a header that may occur once. Raises ``Refused`` if it is repeated."""
        values = self.values(name)
        if len(values) > 1:
            raise Refused("InvalidRequest", f"{name} came {len(values)} times, expected once")
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Claim:
    """Who signed a request, when, and what, as the request itself claims; unverified."""

    access_key_id: str
    date: str
    region: str
    service: str
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    presigned: bool
    expires: int | None
    payload: str | None
    """What was signed for the body; None when it is the body's hash and must be computed."""

    @property
    def wants_body(self) -> bool:
        """Whether the signature covers the body."""
        return self.payload not in UNSIGNED


def read_claim(head: Head) -> Claim:
    """The signature in the headers or the query. Raises ``Refused`` if there is none."""
    authorization = head.value("authorization")
    query = parse_qsl(head.query, keep_blank_values=True)
    if authorization is not None:
        matched = _AUTHORIZATION.fullmatch(authorization.strip())
        if matched is None:
            raise Refused("AccessDenied", f"Authorization isn't {ALGORITHM}: expected that")
        return _claim(head, matched.groupdict(), head.value("x-amz-date"), presigned=False)
    names = {"X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature"}
    parameters = {name: value for name, value in query if name.startswith("X-Amz-")}
    if names <= parameters.keys() and parameters.get("X-Amz-Algorithm") == ALGORITHM:
        fields = {
            "credential": parameters["X-Amz-Credential"],
            "signed_headers": parameters["X-Amz-SignedHeaders"],
            "signature": parameters["X-Amz-Signature"],
        }
        expires = parameters.get("X-Amz-Expires", "")
        return _claim(head, fields, parameters.get("X-Amz-Date"), presigned=True, expires=expires)
    raise Refused("AccessDenied", f"no signature was found, expected {ALGORITHM}")


def _claim(
    head: Head,
    fields: Mapping[str, str],
    timestamp: str | None,
    *,
    presigned: bool,
    expires: str = "",
) -> Claim:
    scope = fields["credential"].rsplit("/", _SCOPE_PARTS - 1)
    if len(scope) != _SCOPE_PARTS or scope[4] != "aws4_request" or not timestamp:
        raise Refused("AuthorizationHeaderMalformed", "the credential or the date is incomplete")
    payload = head.value("x-amz-content-sha256")
    if presigned:
        if not (expires.isascii() and expires.isdigit() and 0 < int(expires[:9]) <= MAX_EXPIRES):
            raise Refused("AuthorizationQueryParametersError", "X-Amz-Expires isn't 1 to 604800")
        if scope[3] == "s3" and payload is None:
            payload = "UNSIGNED-PAYLOAD"
    return Claim(
        access_key_id=scope[0],
        date=scope[1],
        region=scope[2],
        service=scope[3],
        timestamp=timestamp,
        signed_headers=tuple(fields["signed_headers"].split(";")),
        signature=fields["signature"],
        presigned=presigned,
        expires=int(expires) if presigned else None,
        payload=payload,
    )


class Verifier:
    """Checks requests against one key pair."""

    def __init__(self, access_key_id: str, secret_access_key: str) -> None:
        self._credentials = Credentials(access_key_id, secret_access_key)

    def check_claim(self, head: Head, claim: Claim, now: datetime) -> None:
        """Check everything but signature and body: the key, the time, and what must be signed.

        Raises ``Refused``.
        """
        expected = str(self._credentials.access_key)
        if not hmac.compare_digest(claim.access_key_id.encode(), expected.encode()):
            raise Refused(
                "InvalidAccessKeyId",
                f"the access key {claim.access_key_id[:20]!r} isn't this local cloud's: use the"
                " keys that `forecast-sync local up` prints for it",
            )
        _check_time(claim, now)
        present = {name for name, _ in head.headers if name.startswith("x-amz-")} | {"host"}
        if unsigned := sorted(present - set(claim.signed_headers)):
            raise Refused("AccessDenied", f"not signed, expected in it: {', '.join(unsigned)}")
        if claim.payload in UNSIGNED and claim.service != "s3":
            raise Refused("AccessDenied", f"{claim.payload} is for S3: sign the body")

    def check_signature(self, head: Head, claim: Claim, body_sha256: str | None) -> None:
        """Check the signature; ``body_sha256`` is needed if ``claim.payload`` is None.

        Raises ``Refused``.
        """
        payload = claim.payload or body_sha256
        if payload is None:
            raise AssertionError("a body whose hash wasn't sent has to be read first")
        for path, query in product(_canonical_paths(head, claim), _canonical_queries(head, claim)):
            recomputed = _Recomputation(self._credentials, head, claim, path, query, payload)
            if hmac.compare_digest(recomputed.request_signature(), claim.signature):
                return
        raise Refused(
            "SignatureDoesNotMatch",
            "the signature isn't of this request and this local cloud's secret access key: use the"
            " keys that `forecast-sync local up` prints for it",
        )

    def check_body(self, claim: Claim, body: bytes) -> None:
        """Check that the body's hash, or its chunks, were signed. Raises ``Refused``."""
        if claim.payload in {SIGNED_CHUNKS, SIGNED_CHUNKS_AND_TRAILER}:
            self._check_chunks(claim, body)
        elif claim.payload is not None and claim.wants_body:
            if not _SHA256.fullmatch(claim.payload):
                raise Refused(
                    "InvalidRequest", f"x-amz-content-sha256 can't be {claim.payload[:60]!r}"
                )
            if hashlib.sha256(body).hexdigest() != claim.payload:
                raise Refused(
                    "XAmzContentSHA256Mismatch",
                    "the body isn't the one that was signed: its hash differs",
                    HTTPStatus.BAD_REQUEST,
                )

    def _check_chunks(self, claim: Claim, body: bytes) -> None:
        """Check the trailer's signature and each chunk's, which covers the one before it."""
        chain = _Chain(self._credentials, claim)
        at, size = 0, -1
        while size != 0:
            end = body.find(b"\r\n", at)
            header = body[at : max(end, at)].decode("latin-1")
            length, _, signature = header.partition(";chunk-signature=")
            if end < 0 or not re.fullmatch("[0-9a-fA-F]{1,16}", length):
                raise Refused("IncompleteBody", "a chunk has no size", HTTPStatus.BAD_REQUEST)
            size, start = int(length, 16), end + 2
            chunk = body[start : start + size]
            chain.extend("PAYLOAD", f"{EMPTY_SHA256}\n{hashlib.sha256(chunk).hexdigest()}")
            chain.expect(signature)
            at = start + (size + 2 if size else 0)
        if claim.payload == SIGNED_CHUNKS_AND_TRAILER:
            lines = body[at:].decode("latin-1").split("\r\n")
            trailer, signature = "", ""
            for line in lines:
                name, _, value = line.strip().partition(":")
                if name.lower() == "x-amz-trailer-signature":
                    signature = value.strip()
                elif name:
                    trailer += f"{name.lower()}:{value.strip()}\n"
            chain.extend("TRAILER", hashlib.sha256(trailer.encode("latin-1")).hexdigest())
            chain.expect(signature)


class _Recomputation(SigV4Auth):
    """Botocore's signature over exactly what a request claims to have signed."""

    def __init__(
        self,
        credentials: Credentials,
        head: Head,
        claim: Claim,
        path: str,
        query: str,
        payload: str,
    ) -> None:
        super().__init__(credentials, claim.service, claim.region)
        self._head, self._claim = head, claim
        self._path, self._query, self._payload = path, query, payload

    def request_signature(self) -> str:
        """The signature in hexadecimal, from the request as received."""
        request = AWSRequest(method=self._head.method, url="http://received/")
        request.context["timestamp"] = self._claim.timestamp
        canonical = self.canonical_request(request)
        return str(self.signature(self.string_to_sign(request, canonical), request))

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:  # noqa: ARG002
        headers = HTTPHeaders()
        for name in self._claim.signed_headers:
            for value in self._head.values(name):
                headers[name] = value
        return headers

    def canonical_query_string(self, request: AWSRequest) -> str:  # noqa: ARG002
        return self._query

    def payload(self, request: AWSRequest) -> str:  # noqa: ARG002
        return self._payload

    def _normalize_url_path(self, path: str) -> str:  # noqa: ARG002
        return self._path


class _Chain:
    """The signatures of a body in chunks."""

    def __init__(self, credentials: Credentials, claim: Claim) -> None:
        self._auth = SigV4Auth(credentials, claim.service, claim.region)
        self._request = AWSRequest()
        self._request.context["timestamp"] = claim.timestamp
        self._last = claim.signature

    def extend(self, kind: str, hashes: str) -> None:
        """Sign the next link."""
        lines = [f"{ALGORITHM}-{kind}", self._request.context["timestamp"]]
        lines += [self._auth.credential_scope(self._request), self._last, hashes]
        self._last = str(self._auth.signature("\n".join(lines), self._request))

    def expect(self, signature: str) -> None:
        """Raises ``Refused`` if the link was signed differently."""
        if not hmac.compare_digest(self._last.encode(), signature.strip().encode()):
            raise Refused("SignatureDoesNotMatch", "a chunk isn't the one that was signed")


def _canonical_paths(head: Head, claim: Claim) -> Iterable[str]:
    """Encoded again, as specified, except for S3; curl leaves every path as it is."""
    if claim.service == "s3":
        return [head.raw_path]
    again = quote(normalize_url_path(head.raw_path), safe="/~")
    return dict.fromkeys([again, head.raw_path])


def _canonical_queries(head: Head, claim: Claim) -> Iterable[str]:
    """As botocore signs it, encoded as received; and as specified, encoded again."""
    raw = [pair.partition("=")[::2] for pair in head.query.split("&") if pair]
    again = [
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(head.query, keep_blank_values=True)
    ]
    forms = []
    for pairs in (raw, again):
        signed = sorted(
            (name, value)
            for name, value in pairs
            if not (claim.presigned and name == "X-Amz-Signature")
        )
        forms.append("&".join(f"{name}={value}" for name, value in signed))
    return dict.fromkeys(forms)


def _check_time(claim: Claim, now: datetime) -> None:
    try:
        signed_at = datetime.strptime(claim.timestamp, SIGV4_TIMESTAMP).replace(tzinfo=UTC)
    except ValueError:
        raise Refused(
            "AccessDenied", f"the date {claim.timestamp[:20]!r} isn't of the form 20260131T235959Z"
        ) from None
    if claim.timestamp[:8] != claim.date:
        raise Refused("AccessDenied", "the credential's date isn't the request's")
    valid_for = MAX_SKEW if claim.expires is None else timedelta(seconds=claim.expires)
    if not signed_at - MAX_SKEW <= now <= signed_at + valid_for:
        late = "AccessDenied" if claim.presigned else "RequestTimeTooSkewed"
        raise Refused(
            late,
            f"it was signed at {signed_at:%Y-%m-%d %H:%M:%S} UTC, here it is {now:%H:%M:%S} UTC:"
            " the signature has expired or isn't valid yet",
        )
