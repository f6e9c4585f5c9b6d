"""The README's recorded session: what it shows, and when."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from devtools.terminal_session import Row, draw
from rich.text import Text

SVG = "{http://www.w3.org/2000/svg}"


def test_lines_appear_when_they_did_and_progress_makes_way_for_its_last_word() -> None:
    rows = [
        Row(0.0, Text("$ start")),
        Row(3.0, Text("2.0 s  Notify"), before=[(1.0, "0.0 s  Resolve <branch>"), (2.5, "1.5 s")]),
        Row(3.25, Text("SUCCEEDED")),
    ]
    drawn = {
        (text.text or "").replace("\xa0", " ").strip(): text
        for text in ET.fromstring(draw(rows)).iter(f"{SVG}text")
    }
    assert _style(drawn["SUCCEEDED"]) == "animation-duration: 3.25s"
    assert _style(drawn["2.0 s  Notify"]) == "animation-duration: 3.00s"
    first, second = drawn["0.0 s  Resolve <branch>"], drawn["1.5 s"]
    assert _style(first) == "animation-delay: 1.00s; animation-duration: 1.50s"
    assert _style(second) == "animation-delay: 2.50s; animation-duration: 0.50s"
    assert first.attrib["y"] == drawn["2.0 s  Notify"].attrib["y"]
    assert "frame" in first.attrib["class"]


def test_who_wants_no_motion_sees_how_it_ends() -> None:
    drawn = draw([Row(2.0, Text("the end"))])
    assert re.search(r"prefers-reduced-motion: reduce\) \{[^}]*animation: none", drawn)


def _style(text: ET.Element) -> str:
    return text.attrib["style"]
