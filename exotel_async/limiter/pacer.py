"""How fast requests may follow one another: aiolimiter, and three things it cannot do.

It cannot reserve a part of its burst for one kind of request, expose how long a wait would be, or
change its rate.
"""

from __future__ import annotations

import asyncio
from typing import Final

from aiolimiter import AsyncLimiter

from exotel_async.config import Priority, RateLimit

_STRICT_BURST: Final = 2
_BULK_BURST: Final = 2  # or a fifth of a larger burst
# Additive increase, multiplicative decrease: how the pace reacts to unexplained refusals.
_DECREASE: Final = 0.7
_RECOVERY: Final = 0.3  # of the full pace, in each `per`
_SLOWEST: Final = 0.05
_STEPS: Final = 20  # in each `per`: a change of pace costs the burst saved up so far


class PaceState:
    """The state of a pacer. Times are those of its loop's clock."""

    __slots__ = ("empty_at", "factor", "factor_since", "strict")

    def __init__(self) -> None:
        self.strict: bool = False
        self.factor: float = 1.0
        self.factor_since: float = 0.0
        # When the bucket will be empty again: its level, which aiolimiter does not expose, as a
        # time. Bulk waits until the level is low, so that bulk is paced and others find a burst. An
        # interactive burst slows bulk down, so that the window is not spent too soon.
        self.empty_at: float = 0.0


class Pacer:
    """Small bursts at the budget's own rate; slower, and with a smaller burst, after refusals.

    It belongs to one event loop, and only one task at a time may wait in `take`.
    """

    def __init__(self, rate: RateLimit) -> None:
        self._rate = rate
        self._limit = rate.limit
        self.state: Final = PaceState()
        self._decided: tuple[float, float] | None = None
        self._ahead = 0
        self.owed: int = 0
        """Tokens still owed for requests that were let ahead elsewhere."""
        self._build()

    @property
    def strict(self) -> bool:
        """Whether the service has shown that it counts more strictly than documented."""
        return self.state.strict

    def resume(self, state: PaceState, limit: int, ahead: float) -> None:
        """Continue from another pacer's state, with the budget's limit or a learned one.

        `ahead` is the seconds by which this loop's clock is ahead of that one's.
        """
        now, own = asyncio.get_running_loop().time(), self.state
        self._limit, own.strict, own.factor = limit, state.strict, state.factor
        own.factor_since = state.factor_since + ahead
        self._build()
        self._fill((state.empty_at + ahead - now) / self._interval, now)

    @property
    def pace(self) -> float:
        """Requests per second that it lets through in the long run."""
        if self._decided is not None:
            return self._decided[0]
        limit = max(self._limit - 2, 1) if self.state.strict else self._limit
        return limit / self._rate.per * self.state.factor

    def take_at_once(self, priority: Priority, now: float) -> bool:
        """Take a token if there is one. Return whether the request may go."""
        if self._ahead and priority is Priority.INTERACTIVE:
            self._ahead -= 1
            return True
        if priority is Priority.BULK and self.state.empty_at - now > self._bulk_level:
            return False
        while self._bucket.has_capacity():
            _draw(self._bucket, 1)
            self._count_drawn(now)
            if not self._pays_debt():
                return True
        return False

    async def take(self, priority: Priority) -> bool:
        """Wait for a token; return False after a token's time without one, to re-check who goes."""
        time = asyncio.get_running_loop().time
        if priority is Priority.BULK:
            early = self.state.empty_at - time() - self._bulk_level
            if early > 0:
                await asyncio.sleep(min(early, self._interval))
                return False
        await self._bucket.acquire()
        self._count_drawn(time())
        return not self._pays_debt()

    def set_pace(self, pace: float, burst: float) -> bool:
        """Keep to a pace and a burst decided elsewhere; tokens saved up stay.

        The pace is above zero, in requests per second; the burst is at least 1.

        Returns:
            Whether that is a change: a task that waits in `take` still does so at the old pace.
        """
        if self._decided == (pace, burst):
            return False
        now = asyncio.get_running_loop().time()
        level = (self.state.empty_at - now) / self._interval
        self._decided = pace, burst
        self._build()
        self._fill(level, now)
        return True

    def allow_without_token(self, number: int) -> None:
        """Let the next `number` interactive requests, and no more, go without a token."""
        self._ahead = number

    def add_debt(self, number: int) -> None:
        """Spend the next `number` tokens on requests that were let ahead elsewhere."""
        self.owed += number

    def slow_down(self, *, strict: bool) -> None:
        """Go at a slower pace, which recovers within a few `per`.

        If strict, use the smaller burst for good: our own requests do not explain the refusal.
        """
        now = asyncio.get_running_loop().time()
        self.state.strict = self.state.strict or strict
        self.state.factor = max(self._recovered(now) * _DECREASE, _SLOWEST)
        self.state.factor_since = now
        self._build()

    def keep_to(self, limit: int) -> None:
        """Go at the pace of a limit other than the budget's."""
        self._limit = limit
        self._build()
        _draw(self._bucket, self._bucket.max_rate)

    def _fill(self, level: float, now: float) -> None:
        """Draw `level` tokens from a new bucket, as far as it has them."""
        level = min(self._bucket.max_rate, max(0.0, level))
        self.state.empty_at = now + level * self._interval
        _draw(self._bucket, level)

    def _pays_debt(self) -> bool:
        """Return whether the token just taken pays for a request let ahead elsewhere."""
        if self.owed <= 0:
            return False
        self.owed -= 1
        return True

    def _count_drawn(self, now: float) -> None:
        state = self.state
        state.empty_at = max(state.empty_at, now) + self._interval
        if state.factor < 1 and now - state.factor_since >= self._rate.per / _STEPS:
            state.factor = self._recovered(now)
            state.factor_since = now
            self._build()
            # A token was just taken, but a new bucket is full of them.
            _draw(self._bucket, self._bucket.max_rate)

    def _recovered(self, now: float) -> float:
        elapsed = (now - self.state.factor_since) / self._rate.per
        return min(1.0, self.state.factor + _RECOVERY * elapsed)

    def _build(self) -> None:
        burst: float = self._rate.burst
        if self.state.strict:
            burst = min(_STRICT_BURST, burst)
        if self._decided is not None:
            burst = self._decided[1]
        self._bucket = AsyncLimiter(burst, burst / self.pace)
        self._interval = 1 / self.pace
        self._bulk_level = (min(burst, max(_BULK_BURST, burst // 5)) - 1) * self._interval


def _draw(bucket: AsyncLimiter, amount: float) -> None:
    """Take tokens that are there: `acquire` then does not wait, but ends with its first step."""
    try:
        bucket.acquire(amount).send(None)
    except StopIteration:
        return
    raise AssertionError("drawn from a bucket that had less")
