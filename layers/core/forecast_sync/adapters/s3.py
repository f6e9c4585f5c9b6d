"""S3: reads and writes small objects, streams large ones, lists prefixes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from forecast_sync.adapters.aws_errors import error_code, translate_errors
from forecast_sync.errors import ResultInvalid, StorageUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BLOCK_BYTES = 64 * 1024


class Listed(NamedTuple):
    """An object as S3 lists it: ``size`` in bytes, ``etag`` changes with the content."""

    key: str
    size: int
    modified: datetime
    etag: str = ""


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

    def read_tail(self, bucket: str, key: str, size: int) -> bytes:
        """The last ``size`` bytes of an object, or all of a shorter one."""
        with _translated("read", bucket, key):
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{size}")
            except ClientError as error:
                if error_code(error) == "InvalidRange":
                    return b""  # An empty object has no last bytes.
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
        """Every object under ``prefix``, in the order of their keys."""
        with _translated("list", bucket, prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=bucket, Prefix=prefix
            )
            for page in pages:
                for item in page.get("Contents", []):
                    yield Listed(item["Key"], item["Size"], item["LastModified"], item["ETag"])


def split_location(location: str) -> tuple[str, str]:
    """``s3://bucket/key`` as (bucket, key)."""
    bucket, _, key = location.removeprefix("s3://").partition("/")
    return bucket, key


def _translated(verb: str, bucket: str, key: str) -> AbstractContextManager[None]:
    return translate_errors(
        f"S3 couldn't {verb} s3://{bucket}/{key}",
        unavailable=StorageUnavailable,
        refused=ResultInvalid,
        advice="Check the bucket, the object and the role.",
    )
