"""The rate limiter that all processes of one account share."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from attrs import fields

from exotel_async.config import Priority, RateLimit
from exotel_async.credentials import given
from exotel_async.errors import ConfigurationError, LimiterUnavailable, RateLimitTimeout
from exotel_async.limiter.protocol import LimiterStatistics, Permit
from exotel_async.masking import shown
from exotel_async.redis.connection import Unreachable, Unusable, check_seconds, check_word
from exotel_async.redis.process import LeasedBucket
from exotel_async.redis.server import Server
from exotel_async.redis.statistics import (
    SECOND,
    AccountStatistics,
    Fallback,
    SharedStatistics,
    read_account,
)

if TYPE_CHECKING:
    from types import TracebackType

    from redis.asyncio import Redis


class SharedTokenBucket(LeasedBucket):
    """A rate limiter shared by all the processes and machines that use one account.

    Each process creates one, with the same server, account and rate. They lease permits of the
    shared budget through a Valkey or Redis server, and otherwise behave like `TokenBucket`. It
    belongs to the event loop in which it is first used, and its creator closes it::

        async with SharedTokenBucket("redis://localhost", account="acme1") as limiter:
            async with AsyncExotel(rate_limit=limiter) as exotel:
                ...
    """

    def __init__(
        self,
        url_or_client: str | Redis,
        rate: RateLimit | None = None,
        *,
        account: str | None = None,
        category: str = "voice",
        exchange: float = 90.0,
        outage_wait: float = 30.0,
        on_outage: Fallback | None = None,
        socket_timeout: float | None = None,
        name: str | None = None,
        max_in_flight: int | None = None,
    ) -> None:
        """Create the limiter; nothing is sent yet.

        Args:
            url_or_client: the server: ``redis://[[user]:password@]host[:port][/database]``,
                ``rediss://`` or ``unix://``, where ``?timeout=1`` sets `socket_timeout`; or a
                redis-py asyncio client, which you still close yourself: the limiter opens its own
                connections with the client's settings. Redis Cluster is not supported.
            rate: the account's budget; 200 a minute by default. Limit and `per` must be the same in
                all processes; the smallest `burst` applies to all.
            account: the account SID; by default ``EXOTEL_ACCOUNT_SID``.
            category: which of the account's budgets it is: ``"voice"``, or ``"exophones"``.
            exchange: the longest time, in seconds, from the permit until a request has reached
                Exotel or no longer can. A session that uses the limiter raises it to the sum of
                its `Timeouts` for an exchange and for reading. The permits of a process that has
                died stay reserved for this time plus a lease and a window.
            outage_wait: seconds a request waits while the server cannot be reached.
            on_outage: how to continue without the server instead of waiting.
            socket_timeout: seconds the server may take to answer, four times as long if it must be
                connected to first; by default ``?timeout=`` of the URL, else 0.25. About twice the
                round-trip time is enough.
            name: the name of this process in statistics; host and process ID by default.
            max_in_flight: how many requests may be without an outcome at once; 64 by default.

        Raises:
            ConfigurationError: an argument is missing or not valid.
        """
        if rate is None:
            rate = RateLimit()
        for argument, value, kind in (
            ("rate", rate, RateLimit),
            ("on_outage", on_outage, Fallback),
            ("name", name, str),
        ):
            if value is not None and not isinstance(value, kind):
                raise ConfigurationError(f"{argument}={shown(value)}: must be a {kind.__name__}")
        if max_in_flight is not None and (type(max_in_flight) is not int or max_in_flight < 1):
            raise ConfigurationError(f"max_in_flight={shown(max_in_flight)}: must be 1 or more")
        check_seconds("exchange", exchange)
        check_seconds("outage_wait", outage_wait)
        if socket_timeout is not None:
            check_seconds("socket_timeout", socket_timeout)
        self._account_sid: Final = check_word("account", given("account", account))
        self._category: Final = check_word("category", category)
        super().__init__(
            rate,
            Server(
                url_or_client,
                account=self._account_sid,
                category=self._category,
                timeout=socket_timeout,
            ),
            exchange=exchange,
            outage_wait=outage_wait,
            on_outage=on_outage,
            name=name,
            max_in_flight=max_in_flight,
        )
        self._closed = False

    async def acquire(
        self,
        priority: Priority = Priority.INTERACTIVE,
        max_wait: float | None = None,
        *,
        retry: bool = False,
    ) -> Permit:
        """Wait for permission to send one request.

        Args:
            priority: interactive requests go before bulk ones, across all processes; within a
                priority and a process, the order is first come, first served.
            max_wait: seconds it may wait; it is refused at once if the estimate is longer.
            retry: whether it goes before others of its priority, because it has waited before.

        Raises:
            RateLimitTimeout: the budget would require, or required, a wait above `max_wait`.
            LimiterUnavailable: the server could not be reached for `outage_wait` seconds, or for
                `max_wait` if that is less; or it has not answered yet.
            ConfigurationError: the server cannot hold the budget, or the processes do not agree on
                it; the limiter belongs to another event loop, or is closed.
        """
        loop = self._bound_loop()
        began, left = loop.time(), max_wait
        while True:
            starving = self._starving
            wait = min(self._outage_wait, math.inf if left is None else left) if starving else left
            try:
                return await super().acquire(priority, wait, retry=retry)
            except RateLimitTimeout as refusal:
                at_once = refusal.wait > refusal.max_wait
                if self._is_cut_off(at_once=at_once):
                    whole = wait if left is None or wait != left else max_wait
                    raise self._unavailable(0.0 if at_once else whole or 0.0) from None
                if not starving or wait == left:
                    raise
            # The server is back, and there may be time left.
            if max_wait is not None:
                left = max(0.0, max_wait - (loop.time() - began))
            retry = True

    @property
    def address(self) -> str:
        """The server's address for display, without credentials."""
        return self._server.address

    @property
    def account_sid(self) -> str:
        """The SID of the account."""
        return self._account_sid

    @property
    def category(self) -> str:
        """The category of the account's budget."""
        return self._category

    def allow_exchange(self, seconds: float) -> None:
        """Raise (never lower) the longest time of an exchange, in seconds (see `exchange`).

        Raises:
            ConfigurationError: `seconds` is not a positive number.
        """
        check_seconds("seconds", seconds)
        if self._lease.allow_exchange(seconds) and self._lease.epoch:
            self._call()  # the ledger must know it before this process can die

    def outage(self, waited: float) -> LimiterUnavailable | None:
        """Return the error for a request that has waited `waited` seconds without a permit.

        Return None if the server is not the cause.

        Raises:
            ConfigurationError: the limiter belongs to another event loop, or is closed.
        """
        self._bound_loop()
        return self._unavailable(waited) if self._is_cut_off(at_once=False) else None

    async def account(self) -> AccountStatistics:
        """Fetch the statistics of the whole account.

        Raises:
            LimiterUnavailable: the server cannot be reached.
            ConfigurationError: the server cannot hold the budget; the limiter belongs to another
                event loop, or is closed.
        """
        answer = await self._ask(self._lease.look())
        return read_account(answer["account"])

    async def clear_pause(self) -> float:
        """End the account's pause in all processes; the next request is sent as a probe.

        If the probe is refused as well, another pause begins.

        Returns:
            The seconds that were left of the pause, 0 if there was none.

        Raises:
            LimiterUnavailable: the server cannot be reached.
            ConfigurationError: the server cannot hold the budget; the limiter belongs to another
                event loop, or is closed.
        """
        answer = await self._ask(self._lease.clear_pause())
        return float(answer["cleared"]) / SECOND

    async def _ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send the ledger a message that does not concern this process's lease."""
        self._bound_loop()
        try:
            answer = await self._server.ask(message, concurrent=True)
        except Unreachable as problem:
            raise LimiterUnavailable(
                f"the server of the shared limiter, {self._server.address}, cannot be reached: "
                f"{problem}"
            ) from None
        except Unusable as problem:
            raise self._unusable(str(problem)) from None
        if not {"account", "cleared"} & answer.keys():
            raise self._unusable("its data was written by another version of exotel_async")
        return answer

    def statistics(self) -> SharedStatistics:
        """Return the current state of the limiter."""
        own = super().statistics()
        values = {field.name: getattr(own, field.name) for field in fields(LimiterStatistics)}
        return SharedStatistics(
            **(values | {"strict": self._strict}),
            in_contact=bool(self._lease.epoch) and self._keeper.lost_at is None,
            valid_for=self._lease.valid_for,
            round_trips=self._keeper.round_trips,
            account=self._known,
        )

    async def aclose(self) -> None:
        """Give back the permits held, so that other processes can use them at once.

        Waiting requests fail with `ConfigurationError`. It takes at most half a second, or
        `socket_timeout` if that is more.

        Raises:
            ConfigurationError: the limiter belongs to another event loop.
        """
        super()._bound_loop()
        self._closed = True
        self._fail_all(lambda: ConfigurationError("this limiter is closed"))
        self._end_starving()
        await self._keeper.aclose()

    async def __aenter__(self) -> Self:
        """Contact the server. It is no error if it cannot be reached yet: it may be back in time.

        Raises:
            ConfigurationError: the server cannot hold the budget.
        """
        self._bound_loop()
        self._problem = ""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.aclose)
            await self._keeper.begin()
            if not self._problem:
                stack.pop_all()
                return self
        raise self._unusable(self._problem)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # If `__init__` failed, the half-made object may be printed with the error.
        server, account = getattr(self, "_server", None), getattr(self, "_account_sid", None)
        return f"<SharedTokenBucket {server and server.address}, account={account!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("a shared limiter is not pickled: it holds connections and a password")

    def _bound_loop(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise ConfigurationError("this limiter is closed")
        new = self._loop is None
        loop = super()._bound_loop()
        if new:
            self._gate.await_ledger(loop.time())
        return loop
