"""The vendored files of the dashboard against the list of what they are."""

from __future__ import annotations

import hashlib
import re

from tests.contract.stack import ROOT

VENDOR = ROOT / "scripts/forecast_sync_cli/dashboard/static/vendor"


def test_each_file_is_the_one_that_is_listed_and_has_its_licence() -> None:
    listed = dict(
        re.findall(
            r"^\| (\S+) \| .* \| ([0-9a-f]{64}) \|$",
            (VENDOR / "README.md").read_text(),
            re.MULTILINE,
        )
    )
    files = [path for path in VENDOR.iterdir() if path.suffix in (".js", ".css")]
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files} == listed
    assert len(list(VENDOR.glob("*.LICENSE"))) == len(files)
