"""Checks of what goes into answers; each raises `InvalidRequest`, as those in `checks` do."""

from __future__ import annotations

import re
from datetime import timedelta

from exotel_async.errors import InvalidRequest
from exotel_async.wire.validation import CONTROL, url, whole_seconds


def some_text(argument: str, value: object) -> str:
    """Return a text that says something, as it is."""
    if isinstance(value, str) and value.strip() and not re.search(CONTROL, value):
        return value
    # The value itself stays out of the message: it may be meant for one person's ears.
    shown = length(value) if isinstance(value, str) else type(value).__name__
    raise InvalidRequest(argument, shown, "must be text, not empty, without control characters")


def web_address(argument: str, value: object) -> str:
    """Return an http(s) URL as it is."""
    found = url(argument, value)
    if found is None:
        raise InvalidRequest(argument, value, "must be a whole URL")
    return found


def whole(argument: str, value: object, least: int, most: int | None = None) -> int | None:
    """Return a whole number. None stays None."""
    if value is None:
        return None
    number = value if isinstance(value, int) and not isinstance(value, bool) else None
    if number is not None and least <= number and (most is None or number <= most):
        return number
    limits = f"from {least} on" if most is None else f"from {least} to {most}"
    raise InvalidRequest(argument, value, f"must be a whole number {limits}")


def length_of_time(argument: str, value: timedelta | float | None) -> timedelta | None:
    """Return a length in whole seconds, up to that of the longest call. None stays None."""
    written = whole_seconds(argument, value)
    return None if written is None else timedelta(seconds=int(written))


def length(value: str) -> str:
    """Show a text in a repr by nothing but its length."""
    return f"<{len(value)} characters>"
