"""Follows the calls of attempts to their ends, and until Exotel has reported all details."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from exotel_async.calls.wait import LONGEST_WATCH
from exotel_async.calls.wait_state import SETTLED_AFTER, WaitOptions, is_over
from exotel_async.campaigns.words import AttemptState
from exotel_async.config import Priority
from exotel_async.errors import ConfigurationError, ExotelError, NotFound
from exotel_async.models import Call

if TYPE_CHECKING:
    from exotel_async.calls.parts import CallParts
    from exotel_async.campaigns.attempts import Attempts, LiveAttempt

_DETAILS: Final = 4.0
"""Poll intervals until the first poll for the details of a call."""

logger: Final = logging.getLogger("exotel_async")


class Following:
    """Learns from the session's shared poll, and from callbacks, how calls end."""

    def __init__(
        self,
        parts: CallParts,
        attempts: Attempts,
        interval: float,
        closed: Callable[[ConfigurationError], object],
    ) -> None:
        self._parts = parts
        self._attempts = attempts
        self._interval = interval
        self.on_session_closed: Final = closed
        """To be called when the session is closed: the next run does what is left."""
        self._retry_timers: dict[str, asyncio.TimerHandle] = {}

    def placed(self, attempt: LiveAttempt, call: Call) -> None:
        """Write that a call was placed, and follow it to its end."""
        self._parts.seen.dialled(call)
        self._attempts.placed(attempt, call)
        if is_over(call):
            self._ended(attempt, call)
        else:
            self.follow(attempt)

    def follow(self, attempt: LiveAttempt) -> None:
        """Follow a call that is in the ledger: to its end, or until it is settled."""
        self._follow(attempt, asyncio.get_running_loop().time())

    def _follow(self, attempt: LiveAttempt, began: float) -> None:
        self._retry_timers.pop(attempt.id, None)
        if attempt.state is AttemptState.PLACED and not attempt.is_over:
            options = WaitOptions(interval=self._interval, priority=Priority.BULK)
        else:
            options = WaitOptions(
                settled=True,
                details=True,
                is_over=True,
                interval=self._interval * _DETAILS,
                priority=Priority.BULK,
            )
        assert attempt.sid is not None  # noqa: S101 - it was placed
        try:
            waiter = self._parts.watcher.add(
                attempt.sid, options, partial(self._on_result, attempt, began)
            )
            if waiter is not None:  # None: the result came at once, and was handled already
                attempt.waiter = waiter
        except ConfigurationError as error:
            self.on_session_closed(error)

    def drop(self) -> None:
        """Stop following calls."""
        for attempt in self._attempts.all():
            self._parts.watcher.drop(attempt.waiter)
            attempt.waiter = None
        for timer in self._retry_timers.values():
            timer.cancel()
        self._retry_timers.clear()

    def _on_result(self, attempt: LiveAttempt, began: float, result: Call | ExotelError) -> None:
        attempt.waiter = None
        if isinstance(result, Call):
            if not attempt.is_over:
                self._ended(attempt, result)
            else:
                self._attempts.settled(attempt, result)
            return
        if isinstance(result, ConfigurationError):
            self.on_session_closed(result)
            return
        loop = asyncio.get_running_loop()
        lasted = loop.time() - began
        if attempt.is_over:
            if isinstance(result, NotFound) or lasted >= SETTLED_AFTER.total_seconds():
                self._attempts.settled(attempt, None)
                return
        elif isinstance(result, NotFound) or lasted >= LONGEST_WATCH:
            reason = f"how the call ended is not known: {result}"
            self._attempts.unresolved(attempt, reason, [attempt.sid or ""])
            return
        logger.info("A call of a campaign could not be read. Trying again: %s", result)
        self._retry_timers[attempt.id] = loop.call_later(
            self._interval, self._follow, attempt, began
        )

    def _ended(self, attempt: LiveAttempt, call: Call) -> None:
        self._attempts.ended(attempt, call)
        self.follow(attempt)
