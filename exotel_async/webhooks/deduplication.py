"""Who handles an event: each once, though it may come twice, and to several processes."""

from __future__ import annotations

import enum
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

from exotel_async.errors import ConfigurationError

MOST_REMEMBERED: Final = 100_000
REMEMBERED_FOR: Final = timedelta(days=1)


class Claim(enum.Enum):
    """What comes of an attempt to claim an event."""

    TAKEN = "taken"
    """It is yours: handle it, then say `done` or `release`."""
    HELD = "held"
    """Somebody else is handling it."""
    DONE = "done"
    """It was handled."""


class ClaimStore(Protocol):
    """Where `ExotelWebhooks` keeps what was handled. Several processes may share one.

    `exotel_async.redis.ValkeyClaims` is one on a server.

    What `claim` raises counts as "not known": the event is answered 500, so that it comes again.
    `done` and `release` are called again where they raise, until the claim has expired; `done` for
    a minute more.
    """

    async def claim(self, key: str, owner: str, lease: float) -> Claim:
        """Claim an event, in one atomic step.

        Args:
            key: what names the event, below 300 characters.
            owner: what names this attempt among all others of all processes.
            lease: seconds until the claim is over by itself, should its owner have died.
        """
        ...

    async def done(self, key: str) -> None:
        """Remember that the event was handled, for longer than Exotel sends it again.

        It is right from any process: a lease that has expired makes no difference.
        """
        ...

    async def release(self, key: str, owner: str) -> None:
        """Give up the claim of this owner; another's claim, and `done`, stay as they are."""
        ...


class MemoryClaims:
    """Claims in the memory of one process, of which there is a bounded number."""

    def __init__(
        self,
        *,
        most: int = MOST_REMEMBERED,
        remember: timedelta = REMEMBERED_FOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty store. A hundred thousand handled events take about 45 MB.

        Args:
            most: how many handled events are remembered; the oldest ones are forgotten.
            remember: how long each is remembered.
            clock: seconds that only grow.

        Raises:
            ConfigurationError: `most` is no whole number above 0, or `remember` no timedelta.
        """
        is_length = isinstance(remember, timedelta) and remember > timedelta()
        if type(most) is not int or most < 1 or not is_length:
            raise ConfigurationError(
                "MemoryClaims: most must be a whole number and remember a timedelta, both above 0"
            )
        self._most = most
        self._remember = remember.total_seconds()
        self._clock = clock
        # Both by the order of their ends, more or less: what is over is first. To find the first
        # of a dict means to pass by all that were deleted before it.
        self._held: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._done: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many events are known, those being handled included."""
        return len(self._held) + len(self._done)

    async def claim(self, key: str, owner: str, lease: float) -> Claim:
        """Claim an event."""
        now = self._clock()
        self._forget(now)
        if key in self._done:
            return Claim.DONE
        until, _ = self._held.get(key, (now, ""))
        if until > now:
            return Claim.HELD
        self._held[key] = (now + lease, owner)
        return Claim.TAKEN

    async def done(self, key: str) -> None:
        """Remember that the event was handled."""
        now = self._clock()
        self._forget(now)
        self._held.pop(key, None)
        self._done.pop(key, None)  # or it would keep its place in the order
        self._done[key] = now + self._remember
        if len(self._done) > self._most:
            self._done.popitem(last=False)

    async def release(self, key: str, owner: str) -> None:
        """Give up the claim of this owner."""
        _, holder = self._held.get(key, (0.0, None))
        if holder == owner:
            del self._held[key]

    def _forget(self, now: float) -> None:
        """Forget what has been over for a while."""
        while self._held and next(iter(self._held.values()))[0] <= now:
            self._held.popitem(last=False)
        while self._done and next(iter(self._done.values())) <= now:
            self._done.popitem(last=False)
