"""Values as Athena writes them into its results: text, or nothing for NULL."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any


def as_text(value: Any) -> str | None:
    """The text of a Python value; text stays as it is, and NULL is None."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _java_double(value)
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(" ", "milliseconds")
        return text if value.tzinfo is None else f"{text} {value.tzname()}"
    if isinstance(value, bytes):
        return value.hex(" ")
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(as_text(item) or 'null' for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}={as_text(item)}' for name, item in value.items())}}}"
    return str(value)


def _java_double(value: float) -> str:
    """As Java writes it: the shortest digits, with an exponent below 0.001 and from 10^7 on."""
    if value != value:  # only NaN isn't itself
        return "NaN"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    minus = "-" if sign else ""
    if not isinstance(exponent, int):
        return f"{minus}Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    rest = "".join(map(str, digits[1:])) or "0"
    return f"{minus}{digits[0]}.{rest}E{exponent + len(digits) - 1}"
