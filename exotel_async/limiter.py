"""The account's budget: never more requests than the service allows, and nearly all of them.

A request passes, in this order: the turnstile (interactive before bulk, first come first served
within each, retries first), the window (one permit fewer than the budget, each coming back `per`
seconds after the *answer*, so that no delay on the way can put too many into one window), a pause
the service asked for, and the pacer (small bursts at the budget's rate).
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Hashable, Mapping
from types import MappingProxyType
from typing import Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from exotel_async.budget import LimiterStatistics, Outcome, Permit
from exotel_async.config import Priority, RateLimit
from exotel_async.errors import ConfigurationError, RateLimitTimeout
from exotel_async.pacer import Pacer
from exotel_async.turnstile import Turnstile

DEFAULT_IN_FLIGHT: Final = 64
_PROBE_HOLDS: Final = 1 / 30  # of `per`: 2 s of a minute


class _Permit:
    __slots__ = ("_bucket", "_open", "epoch")

    def __init__(self, bucket: TokenBucket, epoch: int) -> None:
        self._bucket = bucket
        self._open = True
        self.epoch = epoch

    def finish(self, outcome: Outcome) -> None:
        if self._open:
            self._open = False
            self._bucket._finish(self, outcome)  # noqa: SLF001

    def release(self) -> None:
        if self._open:
            self._open = False
            self._bucket._release(self)  # noqa: SLF001


class TokenBucket:
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
        self.rate: Final = rate or RateLimit()
        self._max_in_flight = max_in_flight or DEFAULT_IN_FLIGHT
        # One fewer than the budget: the service's clock and ours may differ on an edge.
        self._permits: Final = max(1, self.rate.limit - 1)
        self._kept: Final = 0 if self._permits == 1 else max(1, round(self._permits / 100))
        self._returns: list[float] = []
        self._return_timer: asyncio.TimerHandle | None = None
        self._in_flight = 0

        self._turnstile = Turnstile()
        self._pacing: asyncio.Task[None] | None = None

        # Cold, or after a pause, the gate is half open: one probe goes, the others wait for it.
        self._half_open = True
        self._probe_sent = False
        self._paused = False
        self._closed_until: float | None = None
        self._gate_timer: asyncio.TimerHandle | None = None
        self._epoch = 0
        self._pauses_in_a_row = 0

        self._started: float | None = None
        self._last_interactive = float("-inf")
        self._granted = 0
        self._refused = 0
        self._longest_wait = 0.0
        self._reported: Mapping[str, str] = MappingProxyType({})
        self._loop: asyncio.AbstractEventLoop | None = None

    def allow_in_flight(self, number: int) -> None:
        """Raise, never lower, the number of requests whose outcome may be open at once."""
        self._max_in_flight = max(self._max_in_flight, number)

    async def acquire(
        self,
        priority: Priority = Priority.INTERACTIVE,
        max_wait: float | None = None,
        *,
        retry: bool = False,
    ) -> Permit:
        """Wait for leave to send one request.

        Args:
            priority: interactive goes before bulk; first come first served within each.
            max_wait: seconds it may take; refused at once when the estimate is longer.
            retry: goes before the others of its priority: it has waited already.

        Raises:
            RateLimitTimeout: it would take, or took, longer than `max_wait`.
            ConfigurationError: the limiter belongs to another event loop.
        """
        loop = self._bound_loop()
        now = loop.time()
        if priority is Priority.INTERACTIVE:
            self._last_interactive = now
        clear = self._turnstile.is_clear(priority)
        if clear and self._admits(priority, now) and self._pacer.take_at_once(priority, now):
            return self._grant(now)

        if max_wait is not None:
            estimate = self._estimate(priority, now)
            if estimate > max_wait:
                raise RateLimitTimeout(wait=estimate, max_wait=max_wait)
        waiter: asyncio.Future[_Permit] = loop.create_future()
        line = self._turnstile.line(priority, retry=retry)
        line.join(waiter)
        if clear:
            self._serve()
        try:
            permit = await (waiter if max_wait is None else self._at_most(waiter, max_wait))
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()
            else:
                line.leave()
                self._stop_if_idle()
            raise
        self._longest_wait = max(self._longest_wait, loop.time() - now)
        return permit

    def statistics(self) -> LimiterStatistics:
        """Return what the limiter is doing at this moment."""
        now = self._loop.time() if self._loop else 0.0
        return LimiterStatistics(
            granted=self._granted,
            waiting_interactive=self._turnstile.waiting(Priority.INTERACTIVE),
            waiting_bulk=self._turnstile.waiting(Priority.BULK),
            in_flight=self._in_flight,
            window_used=self._in_flight + len(self._returns),
            window_size=self._permits,
            paused_for=self._closed_for(now) if self._paused else 0.0,
            refused=self._refused,
            strict=self._loop is not None and self._pacer.strict,
            pace=self._pacer.pace if self._loop else self.rate.limit / self.rate.per,
            longest_wait=self._longest_wait,
            reported=self._reported,
        )

    def _bound_loop(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            if self._loop is not None:
                raise ConfigurationError(
                    "this limiter belongs to another event loop: make one for each loop"
                )
            self._loop = loop
            self._pacer = Pacer(self.rate)
        return loop

    # The turnstile.

    def _serve(self) -> None:
        """Let through whoever may go now. Called whenever something has changed."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while (line := self._turnstile.first()) is not None and self._admits(line.priority, now):
            if not self._pacer.take_at_once(line.priority, now):
                if self._pacing is None or self._pacing.done():  # somebody may cancel all tasks
                    self._pacing = loop.create_task(self._pace())
                return
            line.pop().set_result(self._grant(now))

    async def _pace(self) -> None:
        """Let through one after the other, as long as there is nothing to wait for but tokens."""
        time = asyncio.get_running_loop().time
        while (line := self._turnstile.first()) is not None and self._admits(line.priority, time()):
            priority = line.priority
            if not await self._pacer.take(priority):
                continue
            # Who gets the token is decided now that it is here. A pause that began meanwhile, or
            # a waiter that left, costs no more than this token.
            line = self._turnstile.first()
            if line is not None and line.priority <= priority:
                now = time()
                if self._admits(line.priority, now):
                    line.pop().set_result(self._grant(now))
        self._pacing = None

    def _admits(self, priority: Priority, now: float) -> bool:
        if self._closed_until is not None or self._in_flight >= self._max_in_flight:
            return False
        # Without permits in hand interactive requests wait at the end of each window.
        keep = priority is Priority.BULK and now - self._last_interactive < self.rate.per
        return self._in_flight + len(self._returns) < self._permits - (self._kept if keep else 0)

    def _grant(self, now: float) -> _Permit:
        if self._started is None:
            self._started = now
        self._in_flight += 1
        self._granted += 1
        if self._half_open:
            per, limit = self.rate.per, self.rate.limit
            self._close_until(
                now + (per / limit if self._probe_sent else min(2.0, per * _PROBE_HOLDS))
            )
            self._probe_sent = True
        return _Permit(self, self._epoch)

    def _stop_if_idle(self) -> None:
        if self._pacing is not None and self._turnstile.first() is None:
            self._pacing.cancel()
            self._pacing = None

    async def _at_most(self, waiter: asyncio.Future[_Permit], max_wait: float) -> _Permit:
        def expire() -> None:
            if not waiter.done():
                waiter.set_exception(RateLimitTimeout(wait=max_wait, max_wait=max_wait))

        timer = waiter.get_loop().call_later(max_wait, expire)
        try:
            return await waiter
        finally:
            timer.cancel()

    def _estimate(self, priority: Priority, now: float) -> float:
        """Seconds until somebody joining this line now gets through, at the present pace."""
        ahead = self._turnstile.ahead_of(priority)
        # A probe holds the others for a time that is almost never used up: it is answered before.
        closed = 0.0 if self._probe_sent else self._closed_for(now)
        wait = max(closed, ahead / self._pacer.pace)
        short = ahead + 1 - (self._permits - self._in_flight - len(self._returns))
        if short > 0:
            rounds, place = divmod(short - 1, self._permits)
            known = place < len(self._returns)
            back = (
                heapq.nsmallest(place + 1, self._returns)[place] - now if known else self.rate.per
            )
            wait = max(wait, back + rounds * self.rate.per)
        return wait

    # The window: a permit comes back `per` after the answer.

    def _finish(self, permit: _Permit, outcome: Outcome) -> None:
        now = asyncio.get_running_loop().time()
        self._in_flight -= 1
        if outcome.written:
            back = now + self.rate.per + min(self.rate.per, outcome.late)
            heapq.heappush(self._returns, back)
            if self._returns[0] == back:
                self._arm_return_timer()
        if outcome.reported:
            self._reported = MappingProxyType(dict(outcome.reported))
        if outcome.status == 429:
            self._refused += 1
        if outcome.asks_for_pause:
            self._pause(permit, outcome, now)
        elif permit.epoch == self._epoch:
            if outcome.status is not None:
                self._pauses_in_a_row = 0
            if self._half_open:
                self._half_open = False
                self._open_gate()
        # A permit that is out as before lets nobody in.
        if not outcome.written or self._in_flight + 1 >= self._max_in_flight:
            self._serve()

    def _release(self, permit: _Permit) -> None:
        self._in_flight -= 1
        if self._half_open and permit.epoch == self._epoch:
            # It may have been the probe: the next one is.
            self._probe_sent = False
            self._open_gate()
        self._serve()

    def _arm_return_timer(self) -> None:
        # The timer also keeps the limiter alive: a session for each request must not forget
        # what the sessions before it have spent.
        if self._return_timer is not None:
            self._return_timer.cancel()
        loop = asyncio.get_running_loop()
        self._return_timer = loop.call_at(self._returns[0], self._take_back)

    def _take_back(self) -> None:
        self._return_timer = None
        now = asyncio.get_running_loop().time()
        while self._returns and self._returns[0] <= now:
            heapq.heappop(self._returns)
        if self._returns:
            self._arm_return_timer()
        self._serve()

    # The pause: what the service says.

    def _pause(self, permit: _Permit, outcome: Outcome, now: float) -> None:
        self._paused = True
        if permit.epoch != self._epoch:
            # Sent before the pause began: nothing new, but what it asks for counts.
            if outcome.retry_after is not None and outcome.retry_after > self._closed_for(now):
                self._close_until(now + outcome.retry_after)
            return
        per = self.rate.per
        delay = min(per, per / 60 * 2 ** min(self._pauses_in_a_row, 10))
        if outcome.retry_after is not None:
            # A probe that came when it was told to, and was refused again, waits longer than told.
            delay = max(outcome.retry_after, delay if self._pauses_in_a_row else 0.0)
        # In its first `per` the process before this one may have spent the budget. After that our
        # own window cannot explain a refusal: the account is shared, or is counted differently.
        if outcome.status == 429 and self._started is not None and now - self._started >= per:
            self._pacer.slow_down()
        self._epoch += 1
        self._pauses_in_a_row += 1
        self._half_open = True
        self._probe_sent = False
        self._close_until(now + delay)

    def _closed_for(self, now: float) -> float:
        return 0.0 if self._closed_until is None else max(0.0, self._closed_until - now)

    def _close_until(self, when: float) -> None:
        if self._gate_timer is not None:
            self._gate_timer.cancel()
        self._closed_until = when
        self._gate_timer = asyncio.get_running_loop().call_at(when, self._open_gate)

    def _open_gate(self) -> None:
        if self._gate_timer is not None:
            self._gate_timer.cancel()
        self._closed_until = None
        self._gate_timer = None
        self._paused = False
        self._serve()


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
