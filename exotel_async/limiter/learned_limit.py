"""The limit of an account that accepts fewer requests than its stated budget.

If an account that has had its whole budget before refuses, another client uses it for a while, and
a slower pace is enough. One that has not, and refuses again at about the same count, has less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from exotel_async.config import RateLimit

_WHOLE: Final = 0.95  # of the stated limit: an account that gets as much has no smaller one
_SAME: Final = 1.25  # times the count at the last refusal, at most: the reason is the same
_APART: Final = 0.5  # times `per` between two refusals that do not count as one
_ROUGH: Final = 0.75  # of the limit: what one refusal may lower it to
_MEMORY: Final = 3.0  # times `per`, after which a refusal is forgotten
_USED: Final = 0.9  # of the limit: good responses at a lower count say nothing about it
_REST: Final = 10.0  # times `per`, from a refusal to a trial
_STEP: Final = 0.1  # of the limit, by which a trial begins; it doubles with each good `per`


class Tally:
    """The good responses of the last `per`. Times are those of the loop's clock."""

    __slots__ = ("_moments", "_per")

    def __init__(self, per: float, moments: Iterable[float] = ()) -> None:
        self._per = per
        self._moments: deque[float] = deque(moments)

    def add(self, now: float) -> None:
        """Count one response."""
        self._moments.append(now)
        self.count(now)

    def moved(self, seconds: float) -> Tally:
        """Return a copy for a clock that is `seconds` ahead."""
        return Tally(self._per, [moment + seconds for moment in self._moments.copy()])

    def count(self, now: float) -> int:
        """Return how many responses there were."""
        moments = self._moments
        while moments and moments[0] <= now - self._per:
            moments.popleft()
        return len(moments)


class LearnedLimit:
    """The limit learned from refusals, and the trials of a higher one after it has held.

    The ledger of a shared limiter does the same, in `redis/ledger.lua`.
    """

    def __init__(self, rate: RateLimit) -> None:
        self._per = rate.per
        self._stated = rate.limit
        self._full_since: float | None = None
        self._proven = False
        self._refused_first = self._refused_at = float("-inf")
        self._seen = 0
        self._high, self._high_at = 0, float("-inf")
        self._base = self._held = 0
        self._steps = 0  # of the trial
        self._trying = self._fell = False
        self._next_step = float("inf")
        self.limit: int | None = None
        """Requests in `per`, below the stated limit; None: there is no sign of a lower one."""

    def move(self, seconds: float) -> None:
        """Shift all times to a clock that is `seconds` ahead."""
        if self._full_since is not None:
            self._full_since += seconds
        self._refused_first += seconds
        self._refused_at += seconds
        self._high_at += seconds
        self._next_step += seconds

    def accepted(self, count: int, now: float) -> bool:
        """Record the last of `count` good responses in `per`. Return whether the limit changes."""
        limit = self.limit
        if limit is None:
            if count < _WHOLE * self._stated:
                self._full_since = None
            elif self._full_since is None:
                self._full_since = now
            # Over two `per`: the first may have started with a full bucket.
            elif now - self._full_since >= self._per:
                self._proven = True
            return False
        if now < self._next_step or count < _USED * max(1, limit - 2):
            return False
        if not self._trying:
            self._trying, self._fell = True, False
            self._base, self._steps = limit, 0
        self._held = limit
        limit += max(1, round(self._base * _STEP * 2**self._steps))
        self._steps += 1
        self._next_step = now + self._per
        self.limit = limit
        if limit >= self._stated:
            self.limit, self._trying = None, False
            self._refused_at = float("-inf")
        return True

    def refused(self, count: int, now: float, *, early: bool, again: bool) -> bool:
        """Record a refusal after `count` good responses in `per`, while others waited.

        It is `early` if an unknown client may have spent the budget before, and `again` if it
        refused the probe after another refusal. Return whether the limit changes.
        """
        self._full_since = None
        count = max(1, count)
        if count >= self._high or now - self._high_at > self._per:
            self._high, self._high_at = count, now
        if again:  # many came before, or nothing would be let through just now
            if self.limit is None or self._fell or not self.limit * _ROUGH <= count < self.limit:
                return False
            self.limit = count
        elif self.limit is None:
            if count >= _WHOLE * self._stated or not self._confirms(count, now, early=early):
                return False
            self._proven = False
            # After many pauses the count is low, but the service was seen to accept more.
            self.limit = max(count, int(_ROUGH * self._high))
        elif self._trying:  # the last step was one too many
            self._trying, self._fell = False, True
            self.limit = max(self._base, min(count, self._held))
        elif self._fell:  # and the limit after that was too high as well
            self.limit, self._fell = self._base, False
        else:
            # After far fewer requests the refusal has another reason.
            less = self.limit - max(1, self.limit // 20)
            self.limit = max(1, min(less, max(count, int(_ROUGH * self.limit))))
        self._next_step = now + _REST * self._per
        return True

    def _confirms(self, count: int, now: float, *, early: bool) -> bool:
        """Return whether a refusal has the same reason as an earlier one."""
        per = self._per
        if now - self._refused_at > _MEMORY * per or count > _SAME * self._seen:
            self._refused_first, self._seen = now, count
        self._refused_at = now
        self._seen = min(self._seen, count)
        apart = _MEMORY if self._proven else _APART
        return not early and now - self._refused_first >= apart * per
