"""The limiters of sessions whose environment names a server for the account's budget.

All sessions of an account in one event loop are one process to the server, and share one limiter.
The last of them to be closed closes it, so that others have at once what it held.
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
    """A limiter, and how many sessions use it."""

    def __init__(self, limiter: SharedTokenBucket, url: str) -> None:
        self.limiter: Final = limiter
        self.url: Final = url
        self.users = 0


# Held by the sessions: one that is never closed ends with its loop, and does not keep that.
_common: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[Hashable, _Common]] = (
    WeakKeyDictionary()
)


class SharedBudgets:
    """The limiters of one session, on the server that the environment names."""

    def __init__(self, url: str, *, account: str, exchange: float, max_in_flight: int) -> None:
        """Describe them; nothing is sent.

        `exchange` is the longest time of a request in seconds, `max_in_flight` how many requests
        of this process may be in flight.

        Raises:
            ConfigurationError: the URL is not valid.
        """
        self._url = url
        self._account = account
        self._exchange = exchange
        self._max_in_flight = max_in_flight
        self._used: dict[str, _Common] = {}
        self._describe("voice", RateLimit())  # it is better to hear of a bad URL now

    def limiter(self, category: str, rate: RateLimit) -> SharedTokenBucket:
        """Return the limiter of one of the account's budgets in the running loop.

        Raises:
            ConfigurationError: another session of the account in this loop has named another rate
                or server.
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
        # Each session keeps to its own numbers besides.
        common.limiter.allow_in_flight(self._max_in_flight)
        common.limiter.allow_exchange(self._exchange)
        common.users += 1
        self._used[category] = common
        return common.limiter

    async def aclose(self) -> None:
        """Leave the limiters. Those that no other session uses are closed."""
        limiters = _common.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
        last: list[SharedTokenBucket] = []
        for category, common in self._used.items():
            common.users -= 1
            if common.users == 0:
                # Before anything is awaited: a session that begins now gets another.
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
