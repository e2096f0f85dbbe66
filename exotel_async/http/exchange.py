"""Exchanges with the service, each in its own task, which belongs to the session.

A cancelled caller returns at once; the exchange continues to its end, so that no connection is
leaked and no dial goes unnoticed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from exotel_async.http.attempt import Attempt
from exotel_async.http.reports import RequestReport, note_pause
from exotel_async.limiter.protocol import Permit, RateLimiter, RequestOutcome
from exotel_async.listeners import call_listener
from exotel_async.logs import log_fields

if TYPE_CHECKING:
    from exotel_async.config import SendOptions
    from exotel_async.http.closing import Lifetime
    from exotel_async.http.server_clock import ServerClock
    from exotel_async.http.transport import Transport
    from exotel_async.wire.request import Request

logger: Final = logging.getLogger("exotel_async")


class Exchanges:
    """The exchanges of a session."""

    def __init__(
        self,
        transport: Transport,
        lifetime: Lifetime,
        server_clock: ServerClock,
        *,
        longest_pause: float | None,
    ) -> None:
        self._transport = transport
        self._lifetime = lifetime
        self._server_clock = server_clock
        self._longest_pause = longest_pause

    def start(
        self,
        permit: Permit,
        request: Request,
        options: SendOptions,
        report: RequestReport,
        *,
        limiter: RateLimiter,
    ) -> asyncio.Future[Attempt]:
        """Start an exchange; return its future, which is cancelled only if it never began."""
        report.sent()
        ended: asyncio.Future[Attempt] = asyncio.get_running_loop().create_future()
        work = self._run(
            permit, request, options=options, report=report, limiter=limiter, ended=ended
        )
        task = self._lifetime.start(work)

        def end(task: asyncio.Task[None]) -> None:
            # A task may be cancelled after the result was set, for example by a listener.
            if ended.done():
                return
            if task.cancelled():  # before it began
                permit.release()
                report.never_sent()
                ended.cancel()
            else:
                ended.set_exception(task.exception() or RuntimeError())

        task.add_done_callback(end)
        if options.on_send is not None:
            call_listener(options.on_send)
        return ended

    async def _run(
        self,
        permit: Permit,
        request: Request,
        *,
        options: SendOptions,
        report: RequestReport,
        limiter: RateLimiter,
        ended: asyncio.Future[Attempt],
    ) -> None:
        began = time.perf_counter()
        # Used if the exchange raises: nothing is known then, but the permit must be returned.
        outcome, stopped = RequestOutcome(late=self._transport.may_arrive_for), False
        try:
            attempt = await self._transport.exchange(request, options.before_send)
            took = time.perf_counter() - began
            outcome, stopped = self._outcome_of(attempt, took), attempt.stopped_by is not None
        finally:
            # A stopped request proves nothing: if it was a probe, the next request takes its place.
            if stopped:
                call_listener(permit.release)
            else:
                call_listener(permit.finish, outcome)
        pauses = outcome.asks_for_pause
        # Set before user code is called, which must not affect the result.
        ended.set_result(attempt)
        report.ended(attempt, took)
        if pauses:
            note_pause(limiter, outcome.status or 0, report)
        if logger.isEnabledFor(logging.DEBUG):
            path = request.shown_path
            logger.debug(
                "%s %s: %s in %.3f s",
                request.method,
                path,
                outcome.status or attempt.problem,
                took,
                extra=log_fields(
                    method=request.method, path=path, status=outcome.status, seconds=took
                ),
            )

    def _outcome_of(self, attempt: Attempt, took: float) -> RequestOutcome:
        """Return what the limiter needs to know about an exchange."""
        headers: Mapping[str, str] = {} if attempt.response is None else attempt.response.headers
        self._server_clock.saw(headers.get("date"), took=took)
        return RequestOutcome(
            status=attempt.status,
            written=attempt.written,
            retry_after=attempt.retry_after(),
            longest_pause=self._longest_pause,
            late=self._transport.may_arrive_for if attempt.timed_out else 0.0,
            reported={name: headers[name] for name in headers if name.startswith("x-ratelimit-")},
        )


async def wait_until(deadline: float, exchange: asyncio.Future[Attempt]) -> Attempt:
    """Wait for an exchange, which continues regardless of what happens here.

    Raises:
        TimeoutError: it has not ended by the deadline.
    """
    if deadline == math.inf:
        return await asyncio.shield(exchange)
    try:
        async with asyncio.timeout_at(deadline):
            return await asyncio.shield(exchange)
    except TimeoutError:
        # It may have ended in the same iteration of the loop.
        if exchange.done() and not exchange.cancelled():
            return exchange.result()
        raise
