"""The header `Range` (RFC 9110, 14), as far as one range goes: of several the whole may be sent."""

from __future__ import annotations

import re

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """None of the bytes asked for are there."""


def read_range(header: str, size: int) -> range | None:
    """The places of the bytes asked for; None: all, for it is no range, or more than one.

    Raises Unsatisfiable.
    """
    match = _RANGE.fullmatch(header)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        found = range(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        found = range(int(first), min(size, int(last) + 1) if last else size)
    if not found:
        raise Unsatisfiable
    return found
