"""What a limiter has spent and learned, for the limiter of the next event loop in this process.

An event loop for each task (`asyncio.run`) makes a limiter for each task, but the account has one
budget. A memory is plain data: it refers to no loop, no task and no session, and so keeps none of
them alive.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Hashable
from threading import Lock
from time import monotonic
from typing import Final

from exotel_async.config import RateLimit
from exotel_async.limiter.learned_limit import LearnedLimit, Tally
from exotel_async.limiter.pacer import PaceState
from exotel_async.limiter.window import Window

_MAX_ACCOUNTS: Final = 256  # a full window takes 8 KB
_RECENT: Final = 10.0  # times `per` after the last request: as long as a learned limit is kept
_MAX_CLOCK_LAG: Final = 60.0  # seconds: some loops read their clock once in an iteration

logger: Final = logging.getLogger("exotel_async")


class Memory:
    """The state of one limiter. Times are those of its loop's clock."""

    __slots__ = (
        "ahead", "learned", "pace", "paused_by", "paused_until", "pauses", "rate", "started",
        "superseded", "tally", "used_at", "window",
    )  # fmt: skip

    def __init__(
        self, rate: RateLimit, window: Window, tally: Tally, learned: LearnedLimit
    ) -> None:
        self.rate: Final = rate
        self.window: Final = window
        self.tally: Tally = tally
        self.learned: LearnedLimit = learned
        self.ahead: float = 0.0
        """Seconds by which `time.monotonic` is ahead of the loop's clock."""
        self.started: float | None = None
        """When the account was first used."""
        self.used_at: float = float("-inf")
        """When it was last used."""
        self.pace: PaceState | None = None
        self.paused_until: float = float("-inf")
        self.pauses: int = 0
        """Consecutive pauses, without a good response between them."""
        self.paused_by: int | None = None
        self.superseded: bool = False
        """Whether another loop's limiter has continued from here. That one does not know what is
        spent here afterwards."""

    def note_clock(self, loop: asyncio.AbstractEventLoop) -> None:
        """Record how far `time.monotonic` is ahead of the loop's clock."""
        now = loop.time()
        ahead = monotonic() - now
        # uvloop's is the same clock, read when the iteration began: counted as an offset, that
        # could return permits too soon.
        self.ahead = 0.0 if 0 <= ahead < _MAX_CLOCK_LAG else ahead

    def is_recent(self, now: float) -> bool:
        """Return whether it was used so recently that what was learned still holds."""
        return now - self.used_at < _RECENT * self.rate.per


class Memories:
    """The newest memory of each account in this process."""

    def __init__(self) -> None:
        self.lock: Final = Lock()
        """Held from `replace_newest` until the state is taken over; never across an `await`."""
        self._newest: dict[Hashable, Memory] = {}
        self._has_warned = False

    def replace_newest(self, key: Hashable, memory: Memory) -> Memory | None:
        """Make a memory the newest of an account, and return the previous one."""
        before = self._newest.pop(key, None)
        if before is not None:
            # First of all: what the old limiter lets through meanwhile, it or the new one sees.
            before.superseded = True
        self._newest[key] = memory
        if len(self._newest) > _MAX_ACCOUNTS:
            del self._newest[next(iter(self._newest))]
        return before

    def forget(self) -> None:
        """Make the next limiter of each account start from nothing."""
        with self.lock:
            self._newest.clear()

    def warn(self, memory: Memory) -> None:
        """Warn, once per process, that a limiter is in use beside the one that continues it."""
        memory.superseded = False
        with self.lock:
            first, self._has_warned = not self._has_warned, True
        if first:
            logger.warning(
                "Several event loops of this process send requests for one account, and each of "
                "them uses the whole rate limit: use one event loop, or set EXOTEL_RATE_LIMIT_URL, "
                "through which they share it"
            )


MEMORIES: Final = Memories()

if hasattr(os, "register_at_fork"):  # not on Windows
    # The child inherits what was spent before, and the lock unlocked, whatever thread held it.
    os.register_at_fork(
        before=MEMORIES.lock.acquire,
        after_in_parent=MEMORIES.lock.release,
        after_in_child=MEMORIES.lock.release,
    )
