"""Dials in flight, and the results of those whose caller no longer waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextvars import Context
from typing import Any, Final

from exotel_async.config import RetryPolicy
from exotel_async.errors import CallOutcomeUnknown, RequestOutcomeUnknown
from exotel_async.http.attempt import Attempt
from exotel_async.http.orphans import Orphans
from exotel_async.http.outcome import Sending
from exotel_async.listeners import call_listener
from exotel_async.models import Call

logger: Final = logging.getLogger("exotel_async")


class DialsInFlight:
    """The dials of a session that await their response."""

    def __init__(self, orphans: Orphans) -> None:
        self._orphans = orphans
        self._sendings: set[Sending[Any]] = set()
        self.on_lost: Callable[[CallOutcomeUnknown], object] | None = None
        """Called with each dial whose outcome is unknown, before its caller gets the error."""
        self.on_late_answer: Callable[[CallOutcomeUnknown, Call], object] | None = None
        """Called with a call whose outcome was reported as unknown before its response came."""

    def add(self, sending: Sending[Any]) -> None:
        """Add a request that is being sent, if it is a dial."""
        if sending.request.dials:
            self._sendings.add(sending)

    def discard(self, sending: Sending[Any]) -> None:
        """Remove a dial whose response is no longer awaited."""
        self._sendings.discard(sending)

    def as_lost(self) -> Iterator[CallOutcomeUnknown]:
        """Yield the error of each dial for the case that its response is lost now."""
        for sending in self._sendings:
            yield sending.lost("its answer has not come yet")

    def note_lost(self, error: CallOutcomeUnknown) -> None:
        """Report a dial whose outcome is unknown."""
        if self.on_lost is not None:
            call_listener(self.on_lost, error)

    def give_up(
        self,
        exchange: asyncio.Future[Attempt],
        sending: Sending[Any],
        waited: str,
        context: Context | None = None,
    ) -> CallOutcomeUnknown | RequestOutcomeUnknown:
        """Return the error for a request that must not be repeated and is no longer awaited.

        For a dial, the error is reported, and later its outcome, in the given context.
        """
        lost = sending.unknown(waited)
        if isinstance(lost, CallOutcomeUnknown):
            self.note_lost(lost)
            self.discard(sending)
            self.adopt(exchange, sending, lost, context)
        return lost

    def adopt(
        self,
        exchange: asyncio.Future[Attempt],
        sending: Sending[Any],
        lost: CallOutcomeUnknown | None = None,
        context: Context | None = None,
    ) -> None:
        """Report the outcome of a dial whose caller no longer waits.

        `lost` is the error that the caller got, if any. The default context is the current one.
        """
        if not sending.request.dials:
            return

        def report(exchange: asyncio.Future[Attempt]) -> None:
            if exchange.cancelled():  # before it began: nothing was sent
                self.discard(sending)
                return
            ended: object
            try:
                ended = sending.judge(exchange.result(), RetryPolicy.never())
            except Exception as error:  # noqa: BLE001 - a last check may have raised anything
                ended = error
            if isinstance(ended, Call) and lost is not None and self.on_late_answer is not None:
                call_listener(self.on_late_answer, lost, ended)
            if isinstance(ended, CallOutcomeUnknown):
                self.note_lost(ended)
            self.discard(sending)
            if isinstance(ended, Call | CallOutcomeUnknown):
                target = ended.target if isinstance(ended, Call) else None
                self._orphans.report(ended, target or sending.request.target)
            else:
                logger.info(
                    "No call was placed for a dial whose task was cancelled or timed out: %s", ended
                )

        exchange.add_done_callback(report, context=context)
