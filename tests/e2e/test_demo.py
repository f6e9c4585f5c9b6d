"""The demo tells the whole story, checks it, and leaves nothing behind."""

from __future__ import annotations

from tests.e2e.cli import as_installed, our_processes


def test_the_demo_shows_upload_change_failure_and_redrive() -> None:
    before = our_processes()
    output = as_installed("demo").stdout
    for scene in (
        "uploading it",
        "23,998 rows in forecast_data",
        "Postgres wrote 200 row versions",
        "BatchRefused",
        "which had failed, ran again",
        "nothing is left running",
    ):
        assert scene in output
    assert our_processes() <= before
