"""The header `Range` (RFC 9110, 14), with one range: for several the whole body may be sent."""

from __future__ import annotations

import re

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,18})-([0-9]{0,18})\s*", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The content has none of the requested bytes."""


def read_range(header: str, size: int) -> range | None:
    """Return the positions of the requested bytes; None: all, as it is not one valid range.

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
