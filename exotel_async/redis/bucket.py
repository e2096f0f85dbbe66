"""The limiter of one account in all its processes."""

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
    """The limiter of one account in all the processes and machines that use it.

    Each of them makes one, with the same server, account and rate. They lease permits of the one
    budget from each other, through a Valkey or Redis server, and otherwise do as `TokenBucket`
    does. It belongs to the event loop it is first used in, and who makes it closes it::

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
        """Describe the limiter; nothing is sent yet.

        Args:
            url_or_client: the server: ``redis://[[user]:password@]host[:port][/database]``, or
                ``rediss://``, ``unix://``, and with ``?timeout=1`` its `socket_timeout`; or a
                client of redis-py's asyncio, which stays yours and whose settings are used, for
                connections of the limiter's own. No cluster.
            rate: the account's budget; 200 a minute by default. Limit and `per` are the same in all
                processes, and the smallest `burst` is that of all.
            account: the account SID; else ``EXOTEL_ACCOUNT_SID``.
            category: which of the account's budgets it is: ``"voice"``, or ``"exophones"``.
            exchange: the longest time from the permit until a request has reached Exotel or never
                will, in seconds. A session that takes the limiter raises it to the sum of
                its `Timeouts` for an exchange and for reading. For so long, a lease and a window,
                the permits of a process that has died stay out.
            outage_wait: seconds a request waits while the server cannot be reached.
            on_outage: continue without the server instead.
            socket_timeout: seconds the server may take to answer, four times as long where it has
                to be connected to first; else ``?timeout=`` of the URL, else 0.25. About twice the
                time of a round trip will do.
            name: what this process is called in statistics; host and process number by default.
            max_in_flight: requests whose outcome may be open at once; 64 by default.

        Raises:
            ConfigurationError: something is missing, or does not fit.
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
            priority: interactive goes before bulk, in whatever process they wait; first come first
                served within each, in one process.
            max_wait: seconds it may take; refused at once when the estimate is longer.
            retry: goes before the others of its priority: it has waited already.

        Raises:
            RateLimitTimeout: by the budget it would take, or took, longer than `max_wait`.
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
            # It is back, and there may be time left.
            if max_wait is not None:
                left = max(0.0, max_wait - (loop.time() - began))
            retry = True

    @property
    def address(self) -> str:
        """Where the server is, for people to read: without credentials."""
        return self._server.address

    @property
    def account_sid(self) -> str:
        """The account it is for."""
        return self._account_sid

    @property
    def category(self) -> str:
        """Which of the account's budgets it is."""
        return self._category

    def allow_exchange(self, seconds: float) -> None:
        """Raise, never lower, the longest time of an exchange, in seconds (see `exchange`).

        Raises:
            ConfigurationError: that is no number of seconds.
        """
        check_seconds("seconds", seconds)
        if self._lease.allow_exchange(seconds) and self._lease.epoch:
            self._call()  # the others have to know before this process can die

    def outage(self, waited: float) -> LimiterUnavailable | None:
        """Return the error for a request that has waited so many seconds without a permit.

        None: the server is not to blame.

        Raises:
            ConfigurationError: the limiter belongs to another event loop, or is closed.
        """
        self._bound_loop()
        return self._unavailable(waited) if self._is_cut_off(at_once=False) else None

    async def account(self) -> AccountStatistics:
        """Ask how the whole account stands.

        Raises:
            LimiterUnavailable: the server cannot be reached.
            ConfigurationError: the server cannot hold the budget; the limiter belongs to another
                event loop, or is closed.
        """
        answer = await self._ask(self._lease.look())
        return read_account(answer["account"])

    async def clear_pause(self) -> float:
        """End the account's pause, in all processes: the next request is sent, as a probe.

        If it is refused as well, another pause begins.

        Returns:
            The seconds that were left of it, 0 if there was none.

        Raises:
            LimiterUnavailable: the server cannot be reached.
            ConfigurationError: the server cannot hold the budget; the limiter belongs to another
                event loop, or is closed.
        """
        answer = await self._ask(self._lease.clear_pause())
        return float(answer["cleared"]) / SECOND

    async def _ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Ask the ledger something that is no matter of this process's lease."""
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
        """Return what the limiter is doing at this moment."""
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
        """Give back what is held, for the others to use at once.

        Requests that wait fail with `ConfigurationError`. It takes half a second at most, or
        as long as the server may take to answer, if that is more.

        Raises:
            ConfigurationError: the limiter belongs to another event loop.
        """
        super()._bound_loop()
        self._closed = True
        self._fail_all(lambda: ConfigurationError("this limiter is closed"))
        self._end_starving()
        await self._keeper.aclose()

    async def __aenter__(self) -> Self:
        """Make contact with the server. One that cannot be reached may be back in time.

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
        # Of one that could not be made, something may be printed with the error.
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
            self._gate.wait_for_leave(loop.time())
        return loop
