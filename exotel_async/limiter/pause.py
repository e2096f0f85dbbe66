"""A pause that the service asks for: no request is sent, and then one probe decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from exotel_async.config import RateLimit
from exotel_async.limiter.protocol import RequestOutcome

_PROBE_HOLDS: Final = 1 / 30  # of `per`: 2 s if that is a minute
_LONGEST_PAUSE: Final = 3.0  # times `per`, whatever the service asks for: a probe is cheap


class PauseGate:
    """Open, shut until a moment, or half open: one probe goes, and the others wait for it.

    It is half open at first, and after each pause. A request belongs to the epoch in which it was
    let through; each pause begins a new one.
    """

    def __init__(self, rate: RateLimit, opened: Callable[[], None]) -> None:
        """Create the gate; `opened` is called whenever requests may go again."""
        self._rate = rate
        self._per = rate.per
        self._opened = opened
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0
        self.pauses: int = 0
        """Consecutive pauses, without a good response between them."""
        self.until: float | None = None
        """When it opens, by the loop's clock; None: it is not shut."""
        self.half_open: bool = True
        self.probe_sent: bool = False
        self.paused: bool = False
        self.epoch: int = 0

    def resume(self, until: float, pauses: int, now: float) -> None:
        """Continue a pause that began in another event loop, or only the count of pauses."""
        self.pauses = pauses
        if until > now:
            self.paused = True
            self._began = now
            self.shut(until)

    def let_through(self, now: float) -> None:
        """Record that a request goes while the gate is half open: it is the probe."""
        hold = min(2.0, self._per * _PROBE_HOLDS)
        self.shut(now + (self._per / self._rate.limit if self.probe_sent else hold))
        self.probe_sent = True

    def answer(self, epoch: int, outcome: RequestOutcome) -> None:
        """Handle an outcome that asks for no pause."""
        if epoch != self.epoch:
            return
        if outcome.status is not None:
            self.pauses = 0
        if self.half_open:
            self.half_open = False
            self.open()

    def give_up(self, epoch: int) -> None:
        """Record that a request was never attempted. If it was the probe, the next one is."""
        if self.half_open and epoch == self.epoch:
            self.probe_sent = False
            self.open()

    def pause(self, epoch: int, outcome: RequestOutcome, now: float) -> bool:
        """Handle an outcome that asks for a pause. Return whether a new pause begins."""
        self.paused = True
        longest = self.longest_pause(outcome)
        if epoch != self.epoch:
            # Sent before the pause began: no new pause, but it may extend the current one.
            until = min(now + (outcome.retry_after or 0.0), self._began + longest)
            if until > now + self.shut_for(now):
                self.shut(until)
            return False
        delay = min(self._per, self._per / 60 * 2 ** min(self.pauses, 10))
        if outcome.retry_after is not None:
            # If a probe sent at the requested time was refused as well, the next waits longer.
            delay = max(outcome.retry_after, delay if self.pauses else 0.0)
        self.epoch += 1
        self.pauses += 1
        self.half_open = True
        self.probe_sent = False
        self._began = now
        self.shut(now + min(delay, longest))
        return True

    def longest_pause(self, outcome: RequestOutcome) -> float:
        """Return the longest pause that an outcome may cause, in seconds."""
        if outcome.longest_pause is None:
            return _LONGEST_PAUSE * self._per
        return outcome.longest_pause

    def shut_for(self, now: float) -> float:
        """Return the seconds until it opens, unless a response opens it before."""
        return 0.0 if self.until is None else max(0.0, self.until - now)

    def paused_for(self, now: float) -> float:
        """Return the seconds that are left of the pause."""
        return self.shut_for(now) if self.paused else 0.0

    def shut(self, until: float) -> None:
        """Let no request through until a moment."""
        if self._timer is not None:
            self._timer.cancel()
        self.until = until
        self._timer = asyncio.get_running_loop().call_at(until, self._elapse)

    def _elapse(self) -> None:
        self.open()

    def open(self) -> None:
        """Let requests through: all, or one probe if the gate is half open."""
        if self._timer is not None:
            self._timer.cancel()
        self.until = None
        self._timer = None
        self.paused = False
        self._opened()
