"""S3: reads and writes small objects, streams large ones, lists prefixes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from forecast_sync.adapters.aws_errors import error_code, translate_errors
from forecast_sync.errors import (
    ConfigurationInvalid,
    ForecastSyncError,
    ResultInvalid,
    SourceInvalid,
    StorageUnavailable,
)

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BLOCK_BYTES = 64 * 1024

PASSING_CODES = frozenset(
    {
        "BadDigest",  # The content was altered on its way.
        "ConditionalRequestConflict",
        "IncompleteBody",  # The connection broke while the content was sent.
        "OperationAborted",  # A conflicting operation is in progress.
        "TemporaryRedirect",  # DNS doesn't know a new bucket's region yet.
    }
)
REFUSING_CODES = frozenset(
    {
        "AccountProblem",
        "AllAccessDisabled",
        "AuthorizationHeaderMalformed",
        "EncryptionTypeMismatch",
        "EntityTooLarge",
        "EntityTooSmall",
        "IllegalLocationConstraintException",
        "InvalidAccessKeyId",
        "InvalidArgument",
        "InvalidBucketName",
        "InvalidBucketState",
        "InvalidDigest",
        "InvalidEncryptionAlgorithmError",
        "InvalidPayer",
        "InvalidRequest",
        "InvalidSecurity",
        "InvalidStorageClass",
        "InvalidToken",
        "InvalidURI",
        "InvalidWriteOffset",
        "KMS.DisabledException",
        "KMS.InvalidStateException",
        "KMS.NotFoundException",
        "KeyTooLongError",
        "MetadataTooLarge",
        "MethodNotAllowed",
        "MissingContentLength",
        "NoSuchBucket",
        "NoSuchVersion",
        "NotImplemented",
        "NotSignedUp",
        "PermanentRedirect",
        "PreconditionFailed",
        "Redirect",
        "RequestHeaderSectionTooLarge",
        "SignatureDoesNotMatch",
        "TooManyParts",
        "UnexpectedContent",
        "UserKeyMustBeSpecified",
    }
)
"""Of S3's error codes (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html), those
that reading, writing and listing can get, besides ``HANDLED_CODES``."""

HANDLED_CODES = frozenset({"InvalidObjectState", "InvalidRange", "NoSuchKey"})
"""What an object's own state answers: archived, empty (416 to a range of its bytes), or gone."""

LAKE_ADVICE = "Let the functions' role read the object and its KMS key, then redrive."
LIST_ADVICE = "Check that the bucket exists and that the functions' role may list it, then redrive."


class Listed(NamedTuple):
    """An object as S3 lists it: ``size`` in bytes, ``etag`` changes with the content."""

    key: str
    size: int
    modified: datetime
    etag: str = ""
    storage_class: str = "STANDARD"


class ObjectArchived(Exception):
    """An object is in a storage class or tier from which it must be restored to be read."""


class Storage:
    """S3's API; its failures are raised as the errors that the workflow knows."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def read(self, bucket: str, key: str) -> bytes:
        """A whole, small object; raises ``ResultInvalid`` when it isn't there."""
        with _translated("read", bucket, key):
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def find(self, bucket: str, key: str) -> bytes | None:
        """A whole, small object; None when it isn't there."""
        with _translated("read", bucket, key):
            try:
                return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
            except self._client.exceptions.NoSuchKey:
                return None

    def read_tail(self, bucket: str, key: str, size: int) -> bytes | None:
        """The last ``size`` bytes of an object of the lake, or all of a shorter one.

        None when the object isn't there. Raises ``SourceInvalid`` when it may not be read, and
        ``ObjectArchived`` when it is archived.
        """
        with _translated("read", bucket, key, refused=SourceInvalid, advice=LAKE_ADVICE):
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{size}")
            except ClientError as error:
                match error_code(error):
                    case "NoSuchKey":
                        return None
                    case "InvalidRange":
                        return b""
                    case "InvalidObjectState":
                        raise ObjectArchived(
                            f"s3://{bucket}/{key} is archived, and Athena skips archived objects. "
                            "Restore it or move it out of the lake, then redrive."
                        ) from error
                raise
            return answer["Body"].read(size)

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        """An object's bytes in blocks of at most 64 KiB."""
        with _translated("read", bucket, key):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
            while block := body.read(BLOCK_BYTES):
                yield block

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Put a small object; the same content again changes nothing."""
        with _translated("write", bucket, key):
            self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def list(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """Every object under ``prefix``, in the order of their keys.

        Raises ``ConfigurationInvalid`` when the bucket doesn't exist or may not be listed.
        """
        for page in self.list_pages(bucket, prefix):
            yield from page

    def list_pages(
        self, bucket: str, prefix: str, after: str = "", last: str | None = None
    ) -> Iterator[tuple[Listed, ...]]:
        """The objects under ``prefix`` whose keys come after ``after``, up to 1,000 at a time.

        They end with the key ``last``, if it is given. Raises as ``list`` does.
        """
        with _translated("list", bucket, prefix, refused=ConfigurationInvalid, advice=LIST_ADVICE):
            paginator = self._client.get_paginator("list_objects_v2")
            pages = (
                paginator.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after)
                if after
                else paginator.paginate(Bucket=bucket, Prefix=prefix)
            )
            for page in pages:
                objects = tuple(
                    Listed(
                        item["Key"],
                        item["Size"],
                        item["LastModified"],
                        item["ETag"],
                        item.get("StorageClass", "STANDARD"),
                    )
                    for item in page.get("Contents", [])
                )
                if last is not None and objects and objects[-1].key >= last:
                    yield tuple(item for item in objects if item.key <= last)
                    return
                yield objects

    def find_listed(self, bucket: str, key: str) -> Listed | None:
        """One object as a listing has it; None when it isn't there. Raises as ``list`` does."""
        with _translated("list", bucket, key, refused=ConfigurationInvalid, advice=LIST_ADVICE):
            answer = self._client.list_objects_v2(Bucket=bucket, Prefix=key, MaxKeys=1)
        # Of all keys that begin with this one, it is the first.
        for item in answer.get("Contents", []):
            if item["Key"] == key:
                return Listed(key, item["Size"], item["LastModified"], item["ETag"])
        return None


def split_location(location: str) -> tuple[str, str]:
    """``s3://bucket/key`` as (bucket, key)."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


def _translated(
    verb: str,
    bucket: str,
    key: str,
    *,
    refused: type[ForecastSyncError] = ResultInvalid,
    advice: str = "Check the bucket, the object and the role.",
) -> AbstractContextManager[None]:
    return translate_errors(
        f"S3 couldn't {verb} s3://{bucket}/{key}",
        unavailable=StorageUnavailable,
        refused=refused,
        passing=PASSING_CODES,
        advice=advice,
    )
