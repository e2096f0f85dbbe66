"""The shared limiters of sessions whose environment names a server for the account's budget.

All sessions of an account in one event loop share one limiter, and count as one process for the
server. The last session to close closes the limiter, so that others get its permits at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final
from weakref import WeakKeyDictionary, WeakValueDictionary

from exotel_async.config import RateLimit
from exotel_async.errors import ConfigurationError
from exotel_async.redis.bucket import SharedTokenBucket

VARIABLE: Final = "EXOTEL_RATE_LIMIT_URL"


class _Common:
    """A limiter, and the number of sessions that use it."""

    def __init__(self, limiter: SharedTokenBucket, url: str) -> None:
        self.limiter: Final = limiter
        self.url: Final = url
        self.users = 0


# Only the sessions hold strong references: a limiter never closed does not keep its loop alive.
_common: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, _Common]] = (
    WeakKeyDictionary()
)


class SharedBudgets:
    """The limiters of one session, on the server that the environment names."""

    def __init__(self, url: str, *, account: str, exchange: float, max_in_flight: int) -> None:
        """Prepare them; nothing is sent.

        `exchange` is the longest time of an exchange in seconds, `max_in_flight` the number of
        requests of this process that may be in flight.

        Raises:
            ConfigurationError: the URL is not valid.
        """
        self._url = url
        self._account = account
        self._exchange = exchange
        self._max_in_flight = max_in_flight
        self._used: dict[str, _Common] = {}
        self._describe("voice", RateLimit())  # to report a bad URL early

    def limiter(self, category: str, rate: RateLimit) -> SharedTokenBucket:
        """Return the limiter of one of the account's budgets in the running loop.

        Raises:
            ConfigurationError: another session of the account in this loop uses another rate or
                server.
        """
        limiters = _common.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        common = limiters.get((self._account, category))
        if common is None:
            common = _Common(self._describe(category, rate), self._url)
            limiters[self._account, category] = common
        elif common.limiter.rate != rate:
            raise ConfigurationError(
                f"rate_limit={rate!r}: an account has one budget in an event loop, and this one's "
                f"is {common.limiter.rate!r}, until the last of its sessions is closed"
            )
        elif common.url != self._url:
            raise ConfigurationError(
                f"{VARIABLE}: the account's other sessions in this event loop share its budget on "
                "another server"
            )
        # The shared limiter allows the most that any session needs; each keeps to its own limits.
        common.limiter.allow_in_flight(self._max_in_flight)
        common.limiter.allow_exchange(self._exchange)
        common.users += 1
        self._used[category] = common
        return common.limiter

    async def aclose(self) -> None:
        """Release the limiters, and close those that no other session uses."""
        limiters = _common.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        last: list[SharedTokenBucket] = []
        for category, common in self._used.items():
            common.users -= 1
            if common.users == 0:
                # Before any await: a session that starts meanwhile must get a new limiter.
                limiters.pop((self._account, category), None)
                last.append(common.limiter)
        self._used.clear()
        await asyncio.gather(*(limiter.aclose() for limiter in last))

    def _describe(self, category: str, rate: RateLimit) -> SharedTokenBucket:
        try:
            return SharedTokenBucket(
                self._url,
                rate,
                account=self._account,
                category=category,
                exchange=self._exchange,
                max_in_flight=self._max_in_flight,
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"{VARIABLE}: {error}") from None
