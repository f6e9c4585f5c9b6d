# ruff: noqa: SLF001  # the private functions of one pinned version of ministack
"""Objects uploaded in parts carry the time at which the upload began, as S3's do."""

from __future__ import annotations

from typing import Any

from ministack.services import s3


def install() -> None:
    """Make ministack give a completed upload the time of its beginning."""
    complete = s3._complete_multipart_upload

    def complete_with_beginning(bucket: str, key: str, body: bytes, query: Any, *rest: Any) -> Any:
        upload = s3._multipart_uploads.get(s3._qp(query, "uploadId"))
        answer = complete(bucket, key, body, query, *rest)
        if upload is not None and answer[0] == 200:
            record = s3._buckets[bucket]["objects"][key]
            record["last_modified"] = upload["created"]
            if s3.S3_PERSIST:
                s3._persist_object(bucket, key, record)
        return answer

    s3._complete_multipart_upload = complete_with_beginning
