"""The limiter of a single process: all permits of the account's budget are its own."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from exotel_async.config import Priority, RateLimit
from exotel_async.errors import ConfigurationError
from exotel_async.limiter.learned_limit import LearnedLimit
from exotel_async.limiter.limiter import IssuedPermit, Limiter
from exotel_async.limiter.protocol import RequestOutcome
from exotel_async.limiter.window import Window


class TokenBucket(Limiter):
    """The limiter of one account within one event loop.

    Sessions make it from their `rate_limit` and share it; make one yourself only to read its
    statistics from elsewhere or to share it on purpose.
    """

    def __init__(self, rate: RateLimit | None = None, *, max_in_flight: int | None = None) -> None:
        """Describe the limiter; it belongs to the loop it is first used in.

        Args:
            rate: the budget; Exotel's documented 200 a minute by default.
            max_in_flight: requests whose outcome may be open at once; 64 by default.
        """
        rate = rate or RateLimit()
        # One fewer than the budget: the service's clock and ours may differ on an edge.
        permits = max(1, rate.limit - 1)
        super().__init__(rate, Window(permits), max_in_flight)
        self._learned: Final = LearnedLimit(rate)
        self._paused_by: int | None = None

    def _keeps(self, priority: Priority, now: float) -> int:
        # Without permits in hand interactive requests wait at the end of each window.
        if priority is not Priority.BULK or now - self._last_interactive >= self.rate.per:
            return 0
        permits = self._window.size
        return 0 if permits == 1 else max(1, round(permits / 100))

    def _pause(self, permit: IssuedPermit, outcome: RequestOutcome, now: float) -> None:
        again = self._gate.pauses > 0 and self._paused_by == 429
        if not self._gate.pause(permit.epoch, outcome, now):
            return
        self._paused_by = outcome.status
        if outcome.status != 429:
            return
        # In its first `per` the process before this one may have spent the budget. After that our
        # own window cannot explain a refusal: the account is shared, or is counted differently, or
        # has another budget.
        early = self._started is None or now - self._started < self.rate.per
        count = self._tally.count(now)
        if self._is_pressed(now) and self._learned.refused(count, now, early=early, again=again):
            self._keep_to_learned()
        if not again and (count or not early):
            self._pacer.slow_down(strict=not early)

    def _took(self, now: float) -> None:
        if self._learned.took(self._tally.count(now), now):
            self._keep_to_learned()

    def _keep_to_learned(self) -> None:
        limit = self._learned.limit
        self._window.size = max(1, (limit or self.rate.limit) - 1)
        self._pacer.keep_to(limit or self.rate.limit)
        self._note_learned(limit)


_shared: WeakKeyDictionary[
    asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, TokenBucket]
] = WeakKeyDictionary()


def shared_bucket(key: Hashable, rate: RateLimit, max_in_flight: int) -> TokenBucket:
    """Return the limiter of `key` in the running loop, making it at the first call.

    Raises:
        ConfigurationError: the key is in use with another rate.
    """
    buckets = _shared.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    bucket = buckets.get(key)
    if bucket is None:
        bucket = buckets[key] = TokenBucket(rate, max_in_flight=max_in_flight)
    elif bucket.rate != rate:
        raise ConfigurationError(
            f"rate_limit={rate!r}: an account has one budget in an event loop, and this one's is "
            f"{bucket.rate!r}, until a window after its last request"
        )
    # Each session keeps to its own number besides.
    bucket.allow_in_flight(max_in_flight)
    return bucket
