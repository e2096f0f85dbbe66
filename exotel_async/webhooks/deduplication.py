"""Deduplication: each event is handled once, even if it arrives twice or at several processes."""

from __future__ import annotations

import enum
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from typing import Final, Protocol

from exotel_async.errors import ConfigurationError

MAX_REMEMBERED: Final = 100_000
REMEMBERED_FOR: Final = timedelta(days=1)


class Claim(enum.Enum):
    """The result of an attempt to claim an event."""

    TAKEN = "taken"
    """The event is claimed: handle it, then call `done` or `release`."""
    HELD = "held"
    """Another owner is handling it."""
    DONE = "done"
    """It was already handled."""


class ClaimStore(Protocol):
    """The store in which `ExotelWebhooks` records handled events. Several processes may share it.

    `exotel_async.redis.ValkeyClaims` is one on a server.

    If `claim` raises, the response to the event is a 500, so that Exotel sends it again. If `done`
    or `release` raises, it is called again until the claim has expired; `done` for a minute longer.
    """

    async def claim(self, key: str, owner: str, lease: float) -> Claim:
        """Claim an event, in one atomic step.

        Args:
            key: the identifier of the event, shorter than 300 characters.
            owner: the identifier of this attempt, unique across all processes.
            lease: seconds after which the claim expires, in case its owner has died.
        """
        ...

    async def done(self, key: str) -> None:
        """Record that the event was handled, for longer than Exotel keeps sending it.

        Any process may call it, even if the lease has expired.
        """
        ...

    async def release(self, key: str, owner: str) -> None:
        """Release this owner's claim; another owner's claim, and `done`, are unaffected."""
        ...


class MemoryClaims:
    """A bounded number of claims in the memory of one process."""

    def __init__(
        self,
        *,
        most: int = MAX_REMEMBERED,
        remember: timedelta = REMEMBERED_FOR,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make an empty store. A hundred thousand handled events take about 45 MB.

        Args:
            most: how many handled events are remembered; the oldest are dropped.
            remember: how long each is remembered.
            clock: a monotonic clock, in seconds.

        Raises:
            ConfigurationError: `most` is not a positive int or `remember` a positive timedelta.
        """
        is_length = isinstance(remember, timedelta) and remember > timedelta()
        if type(most) is not int or most < 1 or not is_length:
            raise ConfigurationError(
                "MemoryClaims: most must be a whole number and remember a timedelta, both above 0"
            )
        self._most = most
        self._remember = remember.total_seconds()
        self._clock = clock
        # Both are ordered by expiry, more or less: expired entries come first. Not plain dicts: to
        # find its first entry, a dict has to skip all that were deleted before it.
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
        """Record that the event was handled."""
        now = self._clock()
        self._forget(now)
        self._held.pop(key, None)
        self._done.pop(key, None)  # otherwise it would keep its old place in the order
        self._done[key] = now + self._remember
        if len(self._done) > self._most:
            self._done.popitem(last=False)

    async def release(self, key: str, owner: str) -> None:
        """Release this owner's claim."""
        _, holder = self._held.get(key, (0.0, None))
        if holder == owner:
            del self._held[key]

    def _forget(self, now: float) -> None:
        """Remove expired claims and handled events that are no longer remembered."""
        while self._held and next(iter(self._held.values()))[0] <= now:
            self._held.popitem(last=False)
        while self._done and next(iter(self._done.values())) <= now:
            self._done.popitem(last=False)
