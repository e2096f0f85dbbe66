"""Counts the dials that wait at interactive priority, and warns if there are many."""

from __future__ import annotations

import logging
from typing import Final
from weakref import WeakKeyDictionary

from exotel_async.limiter.protocol import RateLimiter

_MANY: Final = 100

_by_limiter: WeakKeyDictionary[RateLimiter, WaitingDials] = WeakKeyDictionary()

logger: Final = logging.getLogger("exotel_async")


class WaitingDials:
    """The dials that wait at interactive priority in one limiter. Warns once if there are many.

    Reads are not counted: where there are many, they share requests, or have bulk priority anyway.
    """

    def __init__(self) -> None:
        self._waiting = 0
        self._has_warned = False

    def __enter__(self) -> None:
        self._waiting += 1
        if self._waiting > _MANY and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "More than %d dials wait at Priority.INTERACTIVE, and each new one goes behind "
                "them: dial many by exotel.with_options(priority=Priority.BULK), and single calls "
                "go before all of them",
                _MANY,
            )

    def __exit__(self, *_: object) -> None:
        self._waiting -= 1


def waiting_dials_of(limiter: RateLimiter) -> WaitingDials:
    """Return the waiting dials of a limiter, shared by its sessions."""
    try:
        return _by_limiter.setdefault(limiter, WaitingDials())
    except TypeError:  # a custom limiter that cannot be hashed or weakly referenced
        return WaitingDials()
