"""The life cycle of a request: permit, exchange, verdict, and then its result or a retry."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from contextvars import Context
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

from exotel_async.config import Priority, RetryPolicy, SendOptions
from exotel_async.errors import (
    CallOutcomeUnknown,
    ConfigurationError,
    ExotelError,
    LimiterUnavailable,
    RateLimitTimeout,
    RequestTimeout,
)
from exotel_async.http.attempt import Attempt
from exotel_async.http.closing import CLOSED, Lifetime
from exotel_async.http.exchange import Exchanges, wait_until
from exotel_async.http.in_flight import DialsInFlight
from exotel_async.http.orphans import OnOrphanedCall, Orphans
from exotel_async.http.outcome import Sending, with_request
from exotel_async.http.reports import Reports, RequestReport
from exotel_async.http.retry import Retry
from exotel_async.http.server_clock import ServerClock
from exotel_async.http.transport import Transport
from exotel_async.http.waiting_dials import WaitingDials, waiting_dials_of
from exotel_async.limiter.protocol import Permit, RateLimiter
from exotel_async.wire.request import Category, Request
from exotel_async.wire.responses import Response

if TYPE_CHECKING:
    from exotel_async.events import OnEvent

T = TypeVar("T")
_NOT_COUNTED: Final = nullcontext()  # one object for all: tens of thousands may wait
_OTHER_LOOP: Final = (
    "this session belongs to another event loop: make one AsyncExotel for each loop"
)


class Pipeline:
    """Sends all requests of a session."""

    def __init__(
        self,
        *,
        transport: Transport,
        make_limiter: Callable[[Category], RateLimiter],
        retry: RetryPolicy,
        on_orphaned_call: OnOrphanedCall | None,
        on_event: OnEvent | None = None,
        release_limiters: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.transport: Final = transport
        """The transport itself, for downloads, which bypass the limiter."""
        self.account: Final = (transport.host, transport.account_sid)
        """The host of the service, and the account."""
        self.retry: Final = retry
        """The default retry policy."""
        self._make_limiter = make_limiter
        self._release_limiters = release_limiters
        self._limiters: dict[Category, RateLimiter] = {}
        self._waiting_dials = WaitingDials()
        self.orphans: Final = Orphans(on_orphaned_call)
        self.reports: Final = _reports_to(on_event)
        """The reports about operations and requests."""
        self.server_clock: Final = ServerClock()
        self.dials: Final = DialsInFlight(self.orphans)
        """The dials that await their response."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lifetime = Lifetime(self.orphans.reports, self._release)
        self._exchanges = Exchanges(
            transport, self._lifetime, self.server_clock, longest_pause=retry.longest_pause
        )

    @property
    def limiter(self) -> RateLimiter:
        """The limiter of the account's calls.

        Raises:
            ConfigurationError: as `limiter_of`.
        """
        return self.limiter_of(Category.VOICE)

    def limiter_of(self, category: Category) -> RateLimiter:
        """Return the limiter of a part of the API.

        Raises:
            ConfigurationError: the session is closed or belongs to another event loop, or no event
                loop is running; or the limiter is in use with another rate.
        """
        self.check_loop()
        return self._limiter_of(category)

    def run_task(
        self, work: Callable[[], Coroutine[Any, Any, T]], *, shared: bool = False
    ) -> asyncio.Task[T]:
        """Run a task that continues if its caller is cancelled, and ends with the session.

        A shared task works for several callers, so it runs in an empty context: in no one's trace.

        Raises:
            ConfigurationError: as `limiter`.
        """
        self.check_loop()
        return self._lifetime.start(work(), Context() if shared else None)

    def check_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running event loop if requests can be sent in it.

        Raises:
            ConfigurationError: as `limiter_of`.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ConfigurationError("no event loop is running") from None
        if self._lifetime.guard.closed:
            raise ConfigurationError(CLOSED)
        if self._loop is None:
            self._limiter_of(Category.VOICE)
            self._loop = loop
        elif self._loop is not loop:
            raise ConfigurationError(_OTHER_LOOP)
        self.transport.prepare()
        return loop

    async def sleep(self, seconds: float) -> None:
        """Wait that long, or until the session is closed.

        Raises:
            ConfigurationError: as `wait`.
        """
        await self.wait(asyncio.sleep(seconds))

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Wait for something, but not beyond the closing of the session.

        Raises:
            ConfigurationError: it was closed meanwhile.
        """
        with self._lifetime.guard:
            return await awaitable

    async def acquire(
        self, options: SendOptions, *, first: bool = False, at_once: bool = False
    ) -> Permit:
        """Wait for a permit for a request about calls that is chosen only afterwards: see `send`.

        Args:
            options: how it is sent; their `timeout` also limits this wait.
            first: whether it goes before all others of its priority, like a retry.
            at_once: whether not to wait; a failure is not reported to the listener then.

        Raises:
            RateLimitTimeout: the wait would exceed, or exceeded, the limit.
            ConfigurationError: the session is closed, or belongs to another event loop.
        """
        limiter = self.limiter
        max_wait = None if options.patience == math.inf else options.patience
        with self._lifetime.guard:
            permit = await limiter.acquire(options.priority, 0.0) if at_once else None
            with self.reports.request(None) as report:
                report.queued(options.priority)
                if permit is None:
                    permit = await limiter.acquire(options.priority, max_wait, retry=first)
                report.granted()
                return report.hand_over(permit)

    async def send(
        self,
        request: Request,
        read: Callable[[Response], T],
        options: SendOptions,
        *,
        permit: Permit | None = None,
        retry: RetryPolicy | None = None,
    ) -> T:
        """Send a request, retry it where that is safe, and read its response.

        Args:
            request: the request.
            read: the parser of its response.
            options: how it is sent.
            permit: the permit to send it once, if there is one already.
            retry: the retry policy; None: the session's. The longest pause of the account's
                requests is in any case the session's.

        Raises:
            ExotelError: a class from `errors`. The only other exceptions are those of the
                `before_send` of its options.
        """
        with self.reports.request(request, permit) as report:
            deadline = self._deadline(options, permit)
            if permit is None:
                permit = await self._permit(request, options, deadline, report)
            # A separate coroutine, so that the many waiters for a permit need no memory for it.
            return await self._send(
                request,
                read,
                options,
                permit=permit,
                policy=self.retry if retry is None else retry,
                deadline=deadline,
                report=report,
            )

    async def _send(
        self,
        request: Request,
        read: Callable[[Response], T],
        options: SendOptions,
        *,
        permit: Permit,
        policy: RetryPolicy,
        deadline: float,
        report: RequestReport,
    ) -> T:
        time = asyncio.get_running_loop().time
        sending = Sending(
            request,
            read,
            sent_at=datetime.now(UTC),
            account_sid=self.transport.account_sid,
            clock=self.server_clock,
        )
        began = time()
        latest = min(deadline, began + policy.total)
        while True:
            sending.attempts += 1
            self.dials.add(sending)
            exchange = self._exchanges.start(
                permit, request, options, report, limiter=self._limiter_of(request.category)
            )
            try:
                attempt = await wait_until(deadline, exchange)
            except TimeoutError:
                waited = f"no answer within timeout={options.timeout:g} s"
                raise self._late(sending, exchange, waited, report.context) from None
            except asyncio.CancelledError:
                if exchange.cancelled() and not _is_cancelled():
                    self.dials.discard(sending)
                    raise ConfigurationError(CLOSED) from None
                self.dials.adopt(exchange, sending, context=report.context)
                raise
            now = time()
            try:
                judged = sending.judge(
                    attempt, policy, elapsed=now - began, remaining=deadline - now
                )
            except CallOutcomeUnknown as error:
                self.dials.note_lost(error)
                raise
            finally:
                self.dials.discard(sending)
            if not isinstance(judged, Retry):
                return judged
            self.check_loop()
            report.retried(judged.after, sending.failure)
            await self.sleep(judged.after)
            permit = await self._permit(request, options, latest, report, sending.failure)

    def _late(
        self,
        sending: Sending[Any],
        exchange: asyncio.Future[Attempt],
        waited: str,
        context: Context | None,
    ) -> ExotelError:
        """Return the error for a caller whose `timeout` is over before the exchange."""
        if sending.request.must_not_repeat:
            return self.dials.give_up(exchange, sending, waited, context)
        return with_request(RequestTimeout(waited, attempts=sending.attempts), sending.request)

    async def aclose(self, grace: float) -> None:
        """Close the session: nothing new is sent, and what is in flight has `grace` seconds to end.

        Raises:
            ConfigurationError: it belongs to another event loop.
        """
        if self._loop not in {None, asyncio.get_running_loop()}:
            raise ConfigurationError(_OTHER_LOOP)
        await self._lifetime.aclose(grace)

    async def _release(self) -> None:
        try:
            await self.transport.aclose()
        finally:
            # Only after the last request has ended and reported its outcome.
            if self._release_limiters is not None:
                await self._release_limiters()

    def _limiter_of(self, category: Category) -> RateLimiter:
        limiter = self._limiters.get(category)
        if limiter is None:
            limiter = self._limiters[category] = self._make_limiter(category)
            if category is Category.VOICE:
                self._waiting_dials = waiting_dials_of(limiter)
        return limiter

    def _deadline(self, options: SendOptions, permit: Permit | None) -> float:
        """Return the deadline of a request; release its permit if it cannot be sent here."""
        try:
            now = self.check_loop().time()
        except ConfigurationError:
            if permit is not None:
                permit.release()
            raise
        return math.inf if options.timeout is None else now + options.timeout

    def _counted(self, request: Request, options: SendOptions) -> AbstractContextManager[None]:
        """Return the context manager that counts the request if it is an interactive dial."""
        is_single = request.dials and options.priority is Priority.INTERACTIVE
        return self._waiting_dials if is_single else _NOT_COUNTED

    async def _permit(
        self,
        request: Request,
        options: SendOptions,
        latest: float,
        report: RequestReport,
        failure: ExotelError | None = None,
    ) -> Permit:
        """Wait for a permit, until a time of the loop; `failure` is the last attempt's error."""
        max_wait = _max_wait_until(latest, options.max_wait)
        limiter = self._limiter_of(request.category)
        report.queued(options.priority)
        try:
            with self._lifetime.guard, self._counted(request, options):
                permit = await limiter.acquire(
                    options.priority, max_wait, retry=failure is not None
                )
        except (RateLimitTimeout, LimiterUnavailable) as error:
            # The previous error is more useful than the lack of a permit for a retry.
            if failure is not None:
                raise failure from None
            if isinstance(error, RateLimitTimeout):
                raise with_request(options.refusal(error), request) from None
            with_request(error, request)
            raise
        if latest < math.inf and asyncio.get_running_loop().time() >= latest:
            permit.release()
            raise failure or with_request(
                options.refusal(RateLimitTimeout(wait=0.0, max_wait=0.0)), request
            )
        report.granted()
        return permit


def _reports_to(listener: OnEvent | None) -> Reports:
    if listener is None:
        return Reports()
    # The event classes take a tenth of the import time of a session.
    from exotel_async.http.listener_reports import ListenerReports  # noqa: PLC0415

    return ListenerReports(listener)


def _max_wait_until(latest: float, max_wait: float | None) -> float | None:
    """Return `max_wait`, in seconds, limited so that the wait ends by `latest`; None: no limit."""
    if latest == math.inf:
        return max_wait
    remaining = max(0.0, latest - asyncio.get_running_loop().time())
    return remaining if max_wait is None else min(max_wait, remaining)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
