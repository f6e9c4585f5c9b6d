"""Why rows are rejected, from a sample of the extract's lines, for a run that stops at them."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence

from forecast_sync.adapters.s3 import Storage
from forecast_sync.errors import ForecastSyncError
from forecast_sync.plan.result_files import ResultFile
from forecast_sync.text.size_limits import shorten

SAMPLED_FILES = 4
SAMPLED_BYTES = 256 * 1024
NAMED_REASONS = 3
REASON_CHARACTERS = 200
GZIP = 31


def name_reasons(storage: Storage, list_files: Callable[[], Sequence[ResultFile]]) -> str:
    """The most frequent reasons in the sample, each with a file that has such a row; a sentence.

    ``list_files()`` are the extract's. Empty when nothing can be read: whatever fails here must not
    hide that rows are rejected.
    """
    reasons: Counter[str] = Counter()
    examples: dict[str, str] = {}
    try:
        for file in [file for file in list_files() if file.kind == "reject"][:SAMPLED_FILES]:
            for line in _first_lines(storage, file):
                # A COPY line of source file, reason and row; what is escaped in it stays so.
                source_file, _, rest = line.partition("\t")
                reason = rest.partition("\t")[0]
                reasons[reason] += 1
                examples.setdefault(reason, source_file)
    except (ForecastSyncError, zlib.error):
        return ""
    named = [
        f"{shorten(reason, REASON_CHARACTERS)} in {examples[reason]}"
        for reason, _ in reasons.most_common(NAMED_REASONS)
    ]
    more = ", and other reasons" if len(reasons) > NAMED_REASONS else ""
    return f"For example: {'; '.join(named)}{more}." if named else ""


def _first_lines(storage: Storage, file: ResultFile) -> list[str]:
    """The whole lines at a gzip file's beginning."""
    chunk = next(storage.stream(file.bucket, file.key), b"")
    text = zlib.decompressobj(GZIP).decompress(chunk, SAMPLED_BYTES)
    return text[: text.rfind(b"\n") + 1].decode(errors="replace").split("\n")[:-1]
