"""How fast requests may follow one another: aiolimiter, with the two things it cannot do.

It cannot keep a part of its burst for one kind of request, and it cannot change its rate.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiolimiter import AsyncLimiter

from exotel_async.config import Priority, RateLimit

_STRICT_BURST: Final = 2
_BULK_BURST: Final = 2  # or a fifth of a larger burst
# Additive increase, multiplicative decrease: how the pace answers to refusals nobody can explain.
_DECREASE: Final = 0.7
_RECOVERY: Final = 0.3  # of the full pace, in each `per`
_SLOWEST: Final = 0.05
_STEPS: Final = 20  # in each `per`: a change of pace costs the burst saved up so far


class Pacer:
    """Small bursts at the budget's own rate; slower, and with a smaller burst, once it must be.

    It belongs to one event loop, and only one task at a time may wait in `take`.
    """

    def __init__(self, rate: RateLimit) -> None:
        self._rate = rate
        self._strict = False
        self._factor = 1.0
        self._factor_since = 0.0
        self._owed = 0
        self._build()

    @property
    def strict(self) -> bool:
        """Whether the service has shown that it counts more strictly than documented."""
        return self._strict

    @property
    def pace(self) -> float:
        """Requests per second it lets through in the long run."""
        limit = max(self._rate.limit - 2, 1) if self._strict else self._rate.limit
        return limit / self._rate.per * self._factor

    def ready(self, priority: Priority) -> bool:
        """Whether `take` would return at once."""
        return self._all.has_capacity() and (
            priority is Priority.INTERACTIVE or (self._bulk.has_capacity() and not self._owed)
        )

    async def take(self, priority: Priority) -> bool:
        """Wait for a token; False if it paid for an interactive request that went before."""
        if priority is Priority.BULK:
            await self._bulk.acquire()
            if self._owed:
                self._owed -= 1
                return False
        elif self._bulk.has_capacity():
            await self._bulk.acquire()
        else:
            # What bursts ahead of bulk comes out of bulk's pace. Else the window would be spent
            # before its end, and the next interactive request would meet a gap there.
            self._owed = min(self._owed + 1, self._rate.burst)
        await self._all.acquire()
        if self._factor < 1:
            await self._recover()
        return True

    def slow_down(self) -> None:
        """Learn from a refusal our own requests do not explain.

        The pace comes back by itself within a few `per`; the strictness is for good.
        """
        now = asyncio.get_running_loop().time()
        self._strict = True
        self._factor = max(self._recovered(now) * _DECREASE, _SLOWEST)
        self._factor_since = now
        self._build()

    def _recovered(self, now: float) -> float:
        elapsed = (now - self._factor_since) / self._rate.per
        return min(1.0, self._factor + _RECOVERY * elapsed) if self._factor < 1 else 1.0

    async def _recover(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._factor_since < self._rate.per / _STEPS:
            return
        self._factor = self._recovered(now)
        self._factor_since = now
        self._build()
        # A token was just taken, and a new bucket is full of them: empty it.
        await self._all.acquire(self._all.max_rate)
        await self._bulk.acquire(self._bulk.max_rate)

    def _build(self) -> None:
        burst = min(_STRICT_BURST, self._rate.burst) if self._strict else self._rate.burst
        bulk = min(burst, max(_BULK_BURST, burst // 5))
        self._all = AsyncLimiter(burst, burst / self.pace)
        self._bulk = AsyncLimiter(bulk, bulk / self.pace)
