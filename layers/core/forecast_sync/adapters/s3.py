"""S3: reads and writes whole objects, streams large ones, lists and reads ranges."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from forecast_sync.errors import ResultInvalid, StorageUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BLOCK_BYTES = 64 * 1024


class Listed(NamedTuple):
    """An object as a listing shows it; ``size`` in bytes, ``etag`` another for other content."""

    key: str
    size: int
    modified: datetime
    etag: str = ""


class Storage:
    """S3's API, with its failures sorted by what the workflow does about them."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def read(self, bucket: str, key: str) -> bytes:
        """A whole, small object; raises ``ResultInvalid`` when it isn't there."""
        with _translated(bucket, key):
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def find(self, bucket: str, key: str) -> bytes | None:
        """A whole, small object; None when it isn't there."""
        with _translated(bucket, key):
            try:
                return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()
            except self._client.exceptions.NoSuchKey:
                return None

    def read_tail(self, bucket: str, key: str, size: int) -> bytes:
        """The last ``size`` bytes of an object, or all of a shorter one."""
        with _translated(bucket, key):
            try:
                answer = self._client.get_object(Bucket=bucket, Key=key, Range=f"bytes=-{size}")
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "InvalidRange":
                    return b""  # An object without bytes has no last ones.
                raise
            return answer["Body"].read(size)

    def stream(self, bucket: str, key: str) -> Iterator[bytes]:
        """An object's bytes in blocks of at most 64 KiB."""
        with _translated(bucket, key):
            body = self._client.get_object(Bucket=bucket, Key=key)["Body"]
            while block := body.read(BLOCK_BYTES):
                yield block

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Put a small object; writing the same again changes nothing."""
        with _translated(bucket, key):
            self._client.put_object(Bucket=bucket, Key=key, Body=content)

    def list(self, bucket: str, prefix: str) -> Iterator[Listed]:
        """Every object under ``prefix``, in the order of their keys."""
        with _translated(bucket, prefix):
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


@contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        message = f"s3://{bucket}/{key}: S3 answered {code}."
        if status >= 500 or status == 429 or code in ("SlowDown", "RequestTimeout"):
            raise StorageUnavailable(message) from error
        raise ResultInvalid(f"{message} Check the bucket, the object and the role.") from error
    except (BotoCoreError, HTTPClientError) as error:
        raise StorageUnavailable(
            f"s3://{bucket}/{key}: no whole answer from S3 ({type(error).__name__})."
        ) from error
