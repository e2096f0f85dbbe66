"""The rate limit, in each form it may have: which one Exotel uses is unknown (VOICE_V1 5.3)."""

from __future__ import annotations

import abc
import math
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class RateWindow(StrEnum):
    """How requests are counted against the rate. Times are the emulator's seconds."""

    SLIDING_LOG = "sliding-log"
    """At most `rate` in any `per` seconds, by a log of arrivals."""
    SLIDING_COUNTER = "sliding-counter"
    """The last window's count, weighted by how much of it still overlaps, plus this window's."""
    FIXED = "fixed"
    """At most `rate` in each window of `per` seconds, counted from the emulator's start."""
    TOKEN_BUCKET = "token-bucket"  # noqa: S105 - no secret
    """A bucket of `rate` tokens, refilled at `rate / per`."""
    LEAKY = "leaky"
    """One request per `per / rate` seconds, with a burst of `leaky_burst`."""


class Window(abc.ABC):
    """Counts requests. Times are emulator seconds, and never go back."""

    def __init__(self, rate: int, per: float, *, count_refusals: bool) -> None:
        if rate < 1 or per <= 0:
            raise ValueError(f"a rate of {rate} per {per} seconds admits nothing")
        self.rate = rate
        self.per = per
        self.count_refusals = count_refusals

    def admit(self, now: float) -> bool:
        """Count a request that arrives now. Return False if it is refused."""
        free = self.wait(now) <= 0
        if free or self.count_refusals:
            self._count(now)
        return free

    @abc.abstractmethod
    def wait(self, now: float) -> float:
        """Return the emulator seconds until a request is admitted, if none comes before; 0: now."""

    @abc.abstractmethod
    def remaining(self, now: float) -> int:
        """Return how many requests would be admitted if they all came now."""

    @abc.abstractmethod
    def _count(self, now: float) -> None:
        """Use up one request's budget, as far as there is any."""


class _SlidingLog(Window):
    def __init__(self, rate: int, per: float, *, count_refusals: bool) -> None:
        super().__init__(rate, per, count_refusals=count_refusals)
        self._log: deque[float] = deque()

    def _prune(self, now: float) -> None:
        while self._log and self._log[0] + self.per <= now:
            self._log.popleft()

    def wait(self, now: float) -> float:
        self._prune(now)
        if len(self._log) < self.rate:
            return 0.0
        return self._log[len(self._log) - self.rate] + self.per - now

    def remaining(self, now: float) -> int:
        self._prune(now)
        return max(0, self.rate - len(self._log))

    def _count(self, now: float) -> None:
        self._log.append(now)


class _Aligned(Window):
    """Consecutive windows since time zero, with the counts of the current one and the last."""

    def __init__(self, rate: int, per: float, *, count_refusals: bool) -> None:
        super().__init__(rate, per, count_refusals=count_refusals)
        self._index = 0
        self._last = 0
        self._this = 0

    def _roll_over(self, now: float) -> float:
        """Move on to the window of this moment; return the seconds since that window began."""
        index = math.floor(now / self.per)
        if index != self._index:
            self._last = self._this if index == self._index + 1 else 0
            self._this = 0
            self._index = index
        return now - index * self.per

    def _count(self, now: float) -> None:
        self._roll_over(now)
        self._this += 1


class _Fixed(_Aligned):
    def wait(self, now: float) -> float:
        since = self._roll_over(now)
        return 0.0 if self._this < self.rate else self.per - since

    def remaining(self, now: float) -> int:
        self._roll_over(now)
        return max(0, self.rate - self._this)


class _SlidingCounter(_Aligned):
    def wait(self, now: float) -> float:
        since = self._roll_over(now)
        room = self.rate - 1 - self._this
        if self._estimate(since) + 1 <= self.rate:
            return 0.0
        if room >= 0:
            # last * (1 - share) <= room, and `last` is above zero: otherwise there would be room
            return self.per * (1 - room / self._last) - since
        share = max(0.0, 1 - (self.rate - 1) / self._this)
        return self.per - since + self.per * share

    def remaining(self, now: float) -> int:
        return max(0, math.floor(self.rate - self._estimate(self._roll_over(now))))

    def _estimate(self, since: float) -> float:
        return self._last * (1 - since / self.per) + self._this


class _TokenBucket(Window):
    def __init__(self, rate: int, per: float, *, count_refusals: bool) -> None:
        super().__init__(rate, per, count_refusals=count_refusals)
        self._tokens = float(rate)
        self._at = 0.0

    def _fill(self, now: float) -> float:
        self._tokens = min(self.rate, self._tokens + (now - self._at) * self.rate / self.per)
        self._at = now
        return self._tokens

    def wait(self, now: float) -> float:
        return max(0.0, (1 - self._fill(now)) * self.per / self.rate)

    def remaining(self, now: float) -> int:
        return math.floor(self._fill(now))

    def _count(self, now: float) -> None:
        # a refused request finds less than one token: that remainder is lost
        self._tokens = max(0.0, self._fill(now) - 1)


class _Leaky(Window):
    """GCRA: the theoretical arrival time may run ahead by `burst` requests."""

    def __init__(self, rate: int, per: float, burst: int, *, count_refusals: bool) -> None:
        super().__init__(rate, per, count_refusals=count_refusals)
        if burst < 1:
            raise ValueError(f"a leaky burst of {burst} admits nothing")
        self._gap = per / rate
        self._burst = burst
        self._theoretical = 0.0

    def wait(self, now: float) -> float:
        return max(0.0, self._theoretical - (self._burst - 1) * self._gap - now)

    def remaining(self, now: float) -> int:
        ahead = max(0.0, self._theoretical - now)
        return math.floor(self._burst - ahead / self._gap)

    def _count(self, now: float) -> None:
        ahead = max(self._theoretical, now) + self._gap
        self._theoretical = min(ahead, now + self._burst * self._gap)


def new_window(
    kind: RateWindow, rate: int, per: float, *, leaky_burst: int, count_refusals: bool
) -> Window:
    """Return a new window of that kind."""
    match kind:
        case RateWindow.SLIDING_LOG:
            return _SlidingLog(rate, per, count_refusals=count_refusals)
        case RateWindow.SLIDING_COUNTER:
            return _SlidingCounter(rate, per, count_refusals=count_refusals)
        case RateWindow.FIXED:
            return _Fixed(rate, per, count_refusals=count_refusals)
        case RateWindow.TOKEN_BUCKET:
            return _TokenBucket(rate, per, count_refusals=count_refusals)
        case RateWindow.LEAKY:
            return _Leaky(rate, per, leaky_burst, count_refusals=count_refusals)


def busiest(arrivals: Sequence[float], per: float) -> int:
    """Return the most arrivals in any `per` seconds, which exclude one exactly `per` later."""
    most = first = 0
    for last, moment in enumerate(arrivals):
        while arrivals[first] + per <= moment:
            first += 1
        most = max(most, last - first + 1)
    return most
