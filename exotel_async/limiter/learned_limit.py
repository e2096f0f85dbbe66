"""What the account takes, where that is less than the budget it is said to have.

An account that has been given its whole budget before has another user for a while, and the pace
alone answers to that. One that has not, and refuses again at what it refused at before, has less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from exotel_async.config import RateLimit

_WHOLE: Final = 0.95  # of the stated limit: an account that gets as much has no smaller one
_SAME: Final = 1.25  # times the count at the last refusal, at most: it is refused for the same
_APART: Final = 0.5  # `per` between two refusals that are not one
_ROUGH: Final = 0.75  # of the limit: what one refusal may lower it to
_MEMORY: Final = 3.0  # `per` after which a refusal is forgotten
_USED: Final = 0.9  # of the limit: good answers to less say nothing of it
_REST: Final = 10.0  # `per` from a refusal to a trial
_STEP: Final = 0.1  # of the limit, by which a trial begins; it doubles with each good `per`


class Tally:
    """How many good answers came in the last `per`. Moments are those of the loop's clock."""

    __slots__ = ("_moments", "_per")

    def __init__(self, per: float, moments: Iterable[float] = ()) -> None:
        self._per = per
        self._moments: deque[float] = deque(moments)

    def add(self, now: float) -> None:
        """Count one."""
        self._moments.append(now)
        self.count(now)

    def moved(self, seconds: float) -> Tally:
        """Return a copy for a clock that is so many seconds ahead."""
        return Tally(self._per, [moment + seconds for moment in self._moments.copy()])

    def count(self, now: float) -> int:
        """Return how many there were."""
        moments = self._moments
        while moments and moments[0] <= now - self._per:
            moments.popleft()
        return len(moments)


class LearnedLimit:
    """The limit learned from refusals, and the trials for more after it has held.

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
        """Requests in `per`, below the stated budget; None: nothing says that it is less."""

    def move(self, seconds: float) -> None:
        """Go by a clock that is so many seconds ahead."""
        if self._full_since is not None:
            self._full_since += seconds
        self._refused_first += seconds
        self._refused_at += seconds
        self._high_at += seconds
        self._next_step += seconds

    def took(self, count: int, now: float) -> bool:
        """Take note of a good answer, the last of so many in `per`. Return whether it changes."""
        limit = self.limit
        if limit is None:
            if count < _WHOLE * self._stated:
                self._full_since = None
            elif self._full_since is None:
                self._full_since = now
            # Twice a `per`: the first may have had a bucket that was full.
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
        """Take note of a refusal after `count` good answers in `per`, while others waited.

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
            # After many pauses there are few, and the service has shown to take more.
            self.limit = max(count, int(_ROUGH * self._high))
        elif self._trying:  # the last step was one too many
            self._trying, self._fell = False, True
            self.limit = max(self._base, min(count, self._held))
        elif self._fell:  # and what it came to was too much as well
            self.limit, self._fell = self._base, False
        else:
            # After far fewer requests the refusal has another reason.
            less = self.limit - max(1, self.limit // 20)
            self.limit = max(1, min(less, max(count, int(_ROUGH * self.limit))))
        self._next_step = now + _REST * self._per
        return True

    def _confirms(self, count: int, now: float, *, early: bool) -> bool:
        """Whether a refusal is for the same reason as one before."""
        per = self._per
        if now - self._refused_at > _MEMORY * per or count > _SAME * self._seen:
            self._refused_first, self._seen = now, count
        self._refused_at = now
        self._seen = min(self._seen, count)
        apart = _MEMORY if self._proven else _APART
        return not early and now - self._refused_first >= apart * per
