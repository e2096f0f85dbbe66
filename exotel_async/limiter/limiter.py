"""The account's budget: never more requests than the service allows, and nearly all of them.

A request passes, in this order: the queue (interactive before bulk, first come first served
within each, retries first), the window (one permit fewer than the budget, each coming back `per`
seconds after the *response*, so that no delay on the way can put too many into one window), a pause
the service asked for, and the pacer (small bursts at the budget's rate).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from exotel_async.config import Priority, RateLimit
from exotel_async.errors import ConfigurationError, RateLimitTimeout
from exotel_async.limiter.learned_limit import Tally
from exotel_async.limiter.pacer import Pacer
from exotel_async.limiter.pause import PauseGate
from exotel_async.limiter.protocol import LimiterStatistics, Permit, RequestOutcome
from exotel_async.limiter.queue import PriorityQueue
from exotel_async.limiter.window import Window
from exotel_async.logs import log_fields

DEFAULT_IN_FLIGHT: Final = 64

logger: Final = logging.getLogger("exotel_async")


class IssuedPermit:
    __slots__ = ("_limiter", "_open", "epoch")

    def __init__(self, limiter: Limiter, epoch: int) -> None:
        self._limiter = limiter
        self._open = True
        self.epoch: int = epoch

    def finish(self, outcome: RequestOutcome) -> None:
        if self._open:
            self._open = False
            self._limiter._finish(self, outcome)  # noqa: SLF001

    def release(self) -> None:
        if self._open:
            self._open = False
            self._limiter._release(self)  # noqa: SLF001


class Limiter:
    """Queue, window, pause gate and pacer combined. Subclasses say where permits come from."""

    def __init__(self, rate: RateLimit, window: Window, max_in_flight: int | None) -> None:
        self.rate: Final = rate
        self._max_in_flight = max_in_flight or DEFAULT_IN_FLIGHT
        self._window: Final = window
        self._return_timer: asyncio.TimerHandle | None = None

        self._queue: Final = PriorityQueue()
        self._gate: PauseGate = PauseGate(rate, self._serve)
        self._pacing: asyncio.Task[None] | None = None
        self._tally = Tally(rate.per)
        self._learned_limit: int | None = None

        self._started: float | None = None
        self._last_interactive = float("-inf")
        self._last_held_up = float("-inf")
        self._last_clear = float("-inf")
        self._granted = 0
        self._refused = 0
        self._longest_wait = 0.0
        self._reported: Mapping[str, str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def allow_in_flight(self, number: int) -> None:
        """Raise, never lower, the number of requests that may be in flight at once."""
        self._max_in_flight = max(self._max_in_flight, number)

    async def acquire(
        self,
        priority: Priority = Priority.INTERACTIVE,
        max_wait: float | None = None,
        *,
        retry: bool = False,
    ) -> Permit:
        """Wait for permission to send one request.

        Args:
            priority: interactive goes before bulk; first come first served within each.
            max_wait: seconds it may take; refused at once when the estimate is longer.
            retry: whether it goes before the others of its priority, as it has waited already.

        Raises:
            RateLimitTimeout: it would take, or took, longer than `max_wait`.
            ConfigurationError: the limiter belongs to another event loop.
        """
        loop = self._bound_loop()
        now = loop.time()
        if priority is Priority.INTERACTIVE:
            self._last_interactive = now
        clear = self._queue.is_clear(priority)
        if clear and self._admits(priority, now) and self._pacer.take_at_once(priority, now):
            # The very first request never has another one before it.
            if self._started is not None and self._queue.first() is None:
                self._last_clear = now
            return self._grant(now)

        if max_wait is not None:
            self._refuse_long_wait(priority, now, max_wait)
        waiter: asyncio.Future[IssuedPermit] = loop.create_future()
        if self._gate.until is None:
            self._last_held_up = now
        lane = self._queue.lane(priority, retry=retry)
        lane.join(waiter)
        if clear:
            self._serve()
        try:
            permit = await (waiter if max_wait is None else self._at_most(waiter, max_wait))
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                waiter.result().release()
            else:
                lane.leave()
                self._stop_if_idle()
            raise
        self._longest_wait = max(self._longest_wait, loop.time() - now)
        return permit

    def statistics(self) -> LimiterStatistics:
        """Return a snapshot of the limiter."""
        now = self._loop.time() if self._loop else 0.0
        return LimiterStatistics(
            granted=self._granted,
            waiting_interactive=self._queue.waiting(Priority.INTERACTIVE),
            waiting_bulk=self._queue.waiting(Priority.BULK),
            in_flight=self._window.in_flight,
            window_used=self._window.used,
            window_size=self._window.size,
            paused_for=self._gate.paused_for(now),
            refused=self._refused,
            strict=self._loop is not None and self._pacer.strict,
            pace=self._pacer.pace if self._loop else self.rate.limit / self.rate.per,
            longest_wait=self._longest_wait,
            reported=dict(self._reported),
            learned_limit=self._learned_limit,
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

    # For subclasses.

    def _reserved_permits(self, priority: Priority, now: float) -> int:
        """Return how many free permits are kept from requests of this priority."""
        raise NotImplementedError

    def _next_must_wait(self, priority: Priority) -> None:
        """Handle that the next request of this priority has to wait."""

    def _pause(self, permit: IssuedPermit, outcome: RequestOutcome, now: float) -> None:
        """Handle an outcome that asks for a pause."""
        raise NotImplementedError

    def _request_accepted(self, now: float) -> None:
        """Handle that the service has accepted a request."""

    # The queue.

    def _serve(self) -> None:
        """Let through the requests that may go now. Called whenever something has changed."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        while (lane := self._queue.first()) is not None and self._admits(lane.priority, now):
            if not self._pacer.take_at_once(lane.priority, now):
                if self._pacing is None or self._pacing.done():  # it may be cancelled from outside
                    self._pacing = loop.create_task(self._pace())
                break
            lane.pop().set_result(self._grant(now))
        if lane is not None:
            self._next_must_wait(lane.priority)

    async def _pace(self) -> None:
        """Let requests through one by one, as long as tokens are all they have to wait for."""
        time = asyncio.get_running_loop().time
        while (lane := self._queue.first()) is not None and self._admits(lane.priority, time()):
            priority = lane.priority
            if not await self._pacer.take(priority):
                continue
            # Which request gets the token is decided now that it is here. A pause that began
            # meanwhile, or a waiter that left, costs no more than this token.
            lane = self._queue.first()
            if lane is not None and lane.priority <= priority:
                now = time()
                if self._admits(lane.priority, now):
                    lane.pop().set_result(self._grant(now))
        self._pacing = None
        if lane is not None:
            self._next_must_wait(lane.priority)

    def _admits(self, priority: Priority, now: float) -> bool:
        window = self._window
        if self._gate.until is not None or window.in_flight >= self._max_in_flight:
            return False
        return window.free > self._reserved_permits(priority, now)

    def _grant(self, now: float) -> IssuedPermit:
        if self._started is None:
            self._started = now
        self._window.in_flight += 1
        self._granted += 1
        gate = self._gate
        if gate.half_open:
            gate.let_through(now)
        return IssuedPermit(self, gate.epoch)

    def _stop_if_idle(self) -> None:
        if self._pacing is not None and self._queue.first() is None:
            self._pacing.cancel()
            self._pacing = None

    async def _at_most(self, waiter: asyncio.Future[IssuedPermit], max_wait: float) -> IssuedPermit:
        def expire() -> None:
            if not waiter.done():
                waiter.set_exception(RateLimitTimeout(wait=max_wait, max_wait=max_wait))

        timer = waiter.get_loop().call_later(max_wait, expire)
        try:
            return await waiter
        finally:
            timer.cancel()

    def _refuse_long_wait(self, priority: Priority, now: float, max_wait: float) -> None:
        estimate = self._estimate(priority, now)
        if not estimate <= max_wait:  # NaN is refused, too: it would upset the loop's timers
            raise RateLimitTimeout(wait=estimate, max_wait=max_wait)

    def _estimate(self, priority: Priority, now: float) -> float:
        """Return the seconds until a request that joins now gets through, at the current pace."""
        ahead = self._queue.ahead_of(priority)
        # The time for which a probe holds the others is almost never used up: its response ends it.
        closed = 0.0 if self._gate.probe_sent else self._gate.shut_for(now)
        wait = max(closed, ahead / self._pacer.pace)
        return max(wait, self._until_free(ahead + 1, now))

    def _until_free(self, number: int, now: float) -> float:
        """Return the seconds until `number` of the permits held here have become free."""
        window = self._window
        short = number - window.free
        if short <= 0:
            return 0.0
        # Permits in use beyond the size return first, and only once.
        beyond = max(0, window.used - window.size)
        rounds, place = divmod(short - 1 - beyond, window.size)
        moment = window.moment(beyond + place)
        back = self.rate.per if moment is None else moment - now
        return back + rounds * self.rate.per

    # The window: a permit comes back `per` after the response.

    def _finish(self, permit: IssuedPermit, outcome: RequestOutcome) -> None:
        now = asyncio.get_running_loop().time()
        window = self._window
        if outcome.written:
            if window.spend(now + self.rate.per + min(self.rate.per, outcome.late)):
                self._arm_return_timer()
        else:
            window.in_flight -= 1
        if outcome.reported:
            self._reported = dict(outcome.reported)
        if outcome.status == 429:
            self._refused += 1
        if outcome.asks_for_pause:
            self._pause(permit, outcome, now)
        else:
            self._gate.answer(permit.epoch, outcome)
            if outcome.status is not None:
                self._tally.add(now)
                self._request_accepted(now)
        # A spent permit is not free yet: it lets a waiter in only if too many were in flight.
        if not outcome.written or window.in_flight + 1 >= self._max_in_flight:
            self._serve()

    def _release(self, permit: IssuedPermit) -> None:
        self._window.in_flight -= 1
        self._gate.give_up(permit.epoch)
        self._serve()

    def _budget_is_short(self, now: float) -> bool:
        """Return whether requests had to wait for the budget, that is, it was fully used."""
        if self._learned_limit is None and now - self._last_clear < self.rate.per / 2:
            return False  # a burst may wait for tokens while there are permits for all of it
        held_up = now - self._last_held_up < self.rate.per
        return held_up or self._queue.first() is not None

    def _note_learned(self, limit: int | None) -> None:
        """Store the learned limit, and log how it has changed."""
        before, self._learned_limit = self._learned_limit, limit
        if limit is None:
            if before is not None:
                logger.info("Exotel takes RateLimit(%d) from this account again", self.rate.limit)
        elif before is None or limit < before:
            logger.warning(
                "Exotel takes about %d requests in %g s from this account, fewer than "
                "RateLimit(%d): keeping below that",
                limit,
                self.rate.per,
                self.rate.limit,
                extra=log_fields(limit=limit, per=self.rate.per),
            )
        elif limit > before:
            logger.info("Trying whether Exotel takes %d requests in %g s", limit, self.rate.per)

    def _arm_return_timer(self) -> None:
        # The timer also keeps the limiter alive: where each request has a session of its own,
        # what the earlier sessions have spent must not be forgotten.
        if self._return_timer is not None:
            self._return_timer.cancel()
        loop = asyncio.get_running_loop()
        self._return_timer = loop.call_at(self._window.returns[0], self._take_back)

    def _take_back(self) -> None:
        self._return_timer = None
        self._window.take_back(asyncio.get_running_loop().time())
        if self._window.returns:
            self._arm_return_timer()
        self._serve()
