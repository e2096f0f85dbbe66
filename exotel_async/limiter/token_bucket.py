"""The limiter for a single process: it has all permits of the account's budget."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from copy import copy
from typing import Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from exotel_async.config import Priority, RateLimit
from exotel_async.errors import ConfigurationError
from exotel_async.limiter.learned_limit import LearnedLimit
from exotel_async.limiter.limiter import IssuedPermit, Limiter
from exotel_async.limiter.memory import MEMORIES, Memory
from exotel_async.limiter.protocol import RequestOutcome
from exotel_async.limiter.window import Window


class TokenBucket(Limiter):
    """The limiter of one account within one event loop.

    Sessions make it from their `rate_limit` and share it; make one yourself only to read its
    statistics from elsewhere or to share it deliberately.
    """

    def __init__(self, rate: RateLimit | None = None, *, max_in_flight: int | None = None) -> None:
        """Create the limiter; it belongs to the event loop in which it is first used.

        Args:
            rate: the budget; Exotel's documented 200 a minute by default.
            max_in_flight: requests that may be in flight at once; 64 by default.
        """
        rate = rate or RateLimit()
        # One fewer than the budget: the service's clock and ours may differ on an edge.
        permits = max(1, rate.limit - 1)
        super().__init__(rate, Window(permits), max_in_flight)
        self._learned = LearnedLimit(rate)
        self._paused_by: int | None = None
        self._memory: Final = Memory(rate, self._window, self._tally, self._learned)

    def _resume(self, before: Memory | None) -> None:
        """Start in the running event loop, with the state of another loop's limiter, if any."""
        loop = self._bound_loop()
        memory, now, rate = self._memory, loop.time(), self.rate
        memory.note_clock(loop)
        if before is None:
            return
        ahead = before.ahead - memory.ahead
        is_recent = before.is_recent(now - ahead)
        # In this order: its own thread may still move a permit from the first to the second.
        in_flight = before.window.in_flight
        longer = ahead + rate.per - before.rate.per
        back = [moment + longer for moment in before.window.returns.copy()]
        # How those in flight end is not known here: assume the worst, a timeout at this moment.
        back += [now + 2 * rate.per] * in_flight
        self._window.receive(self._window.size, (moment for moment in back if moment > now))
        if self._window.returns:
            self._arm_return_timer()
        self._paused_by = before.paused_by
        self._gate.resume(before.paused_until + ahead, before.pauses if is_recent else 0, now)
        if is_recent and before.rate == rate:
            self._started = None if before.started is None else before.started + ahead
            self._tally = memory.tally = before.tally.moved(ahead)
            self._learned = memory.learned = copy(before.learned)
            self._learned.move(ahead)
            self._learned_limit = limit = self._learned.limit
            self._window.size = max(1, (limit or rate.limit) - 1)
            if before.pace is not None:
                self._pacer.resume(before.pace, limit or rate.limit, ahead)
        self._remember(before.used_at + ahead)

    def _remember(self, now: float) -> None:
        memory, gate = self._memory, self._gate
        memory.used_at = now
        memory.started, memory.pace = self._started, self._pacer.state
        memory.pauses, memory.paused_by = gate.pauses, self._paused_by
        if gate.paused and gate.until is not None:
            memory.paused_until = gate.until
        if memory.superseded:
            MEMORIES.warn(memory)

    def _reserved_permits(self, priority: Priority, now: float) -> int:
        # Without permits kept for them, interactive requests wait at the end of each window.
        if priority is not Priority.BULK or now - self._last_interactive >= self.rate.per:
            return 0
        permits = self._window.size
        return 0 if permits == 1 else max(1, round(permits / 100))

    def _pause(self, permit: IssuedPermit, outcome: RequestOutcome, now: float) -> None:
        self._slow_down(permit, outcome, now)
        self._remember(now)

    def _slow_down(self, permit: IssuedPermit, outcome: RequestOutcome, now: float) -> None:
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
        if self._budget_is_short(now) and self._learned.refused(
            count, now, early=early, again=again
        ):
            self._keep_to_learned()
        if not again and (count or not early):
            self._pacer.slow_down(strict=not early)

    def _request_accepted(self, now: float) -> None:
        if self._learned.accepted(self._tally.count(now), now):
            self._keep_to_learned()
        self._remember(now)

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

    It continues from the limiter of this process's previous loop: permits spent there stay spent.

    Raises:
        ConfigurationError: the key is in use with another rate.
    """
    with MEMORIES.lock:
        buckets = _shared.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        bucket = buckets.get(key)
        if bucket is None:
            bucket = buckets[key] = TokenBucket(rate, max_in_flight=max_in_flight)
            bucket._resume(MEMORIES.replace_newest(key, bucket._memory))  # noqa: SLF001
            return bucket
    if bucket.rate != rate:
        raise ConfigurationError(
            f"rate_limit={rate!r}: an account has one budget in an event loop, and this one's is "
            f"{bucket.rate!r}, until a window after its last request"
        )
    # In addition, each session keeps to its own number.
    bucket.allow_in_flight(max_in_flight)
    return bucket
