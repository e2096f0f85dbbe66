"""What a wait for a call needs, and whether it is available."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from attrs import define, frozen

from exotel_async.calls.intervals import FIRST_POLL
from exotel_async.config import Priority
from exotel_async.errors import (
    APIError,
    Conflict,
    ConnectionFailed,
    DecodeError,
    ExotelError,
    LimiterUnavailable,
    RateLimited,
    RateLimitTimeout,
    RequestTimeout,
    ServerError,
)
from exotel_async.models import Call, CallStatus
from exotel_async.wire import validation

SETTLED_AFTER: Final = timedelta(minutes=15)
"""Time from a call's end until its record, its numbers and its recording are available: the longest
that Exotel documents; a few minutes are usual."""
LONGEST_CALL: Final = timedelta(seconds=validation.LONGEST_CALL)
"""The longest that a call without a time limit lasts, from the dial on, ringing included."""

_CHECKED_AFTER: Final = 8  # rounds without news; then after twice as many, and so on
_PASSING: Final = (
    Conflict,
    ConnectionFailed,
    DecodeError,
    LimiterUnavailable,
    RateLimited,
    RateLimitTimeout,
    RequestTimeout,
    ServerError,
)

Deliver = Callable[[Call | ExotelError], object]
"""Called with the call when it is over, or with the error."""


@frozen(kw_only=True)
class WaitOptions:
    """What to wait for, and how.

    Attributes:
        settled: wait for duration, price and end time as well, not for the final status alone.
        details: wait for legs and talk time as well, and read them.
        interval: seconds until the first poll; it grows from there.
        is_over: whether the call is known to be over, so that nothing new is expected before the
            first interval. Otherwise a call that is not known to be in progress is read at once.
        priority: which request goes first when several wait.
    """

    settled: bool = False
    details: bool = False
    interval: float = FIRST_POLL
    is_over: bool = False
    priority: Priority = Priority.INTERACTIVE


@define(eq=False)
class Waiter:
    """One wait for the end of one call."""

    sid: str
    terms: WaitOptions
    deliver: Deliver
    began: float
    """By the clock of the event loop, as all times here."""
    due: float
    interval: float
    seen: bool
    """Whether the call is known to exist."""
    ended: float | None
    """When the call was first seen to be over, if more is waited for."""
    done: bool = False
    """Whether the result was delivered, or is no longer wanted."""
    asking: asyncio.Task[None] | None = None
    """The task with the request for it that is in progress."""
    lacks_details: bool = False
    """Whether only the details are still missing."""
    rounds: int = 0
    check_after: int = _CHECKED_AFTER
    missing: int = 0
    failures: int = 0


def urgency(waiting: Iterable[Waiter]) -> Priority:
    """Return the priority of a request for several waiters: that of the most urgent."""
    return min(one.terms.priority for one in waiting)


def may_check(waiting: Iterable[Waiter]) -> bool:
    """Return whether a call has had no news for so long that it is worth a single request."""
    return any(one.rounds >= one.check_after for one in waiting)


def is_transient(error: ExotelError) -> bool:
    """Return whether a failed poll may succeed next time, judging by its error."""
    timed_out = isinstance(error, APIError) and error.status == 408
    return timed_out or isinstance(error, _PASSING)


def is_available(call: Call, terms: WaitOptions) -> bool:
    """Return whether Exotel has all that is waited for of a call that is over.

    The details may still have to be read.
    """
    return (not terms.settled or call_is_settled(call)) and (
        not terms.details or _has_final_details(call)
    )


def satisfies(call: Call, terms: WaitOptions) -> bool:
    """Return whether a call that is over has all that is waited for."""
    return is_available(call, terms) and (not terms.details or call.details is not None)


def internal_error(error: BaseException) -> ExotelError:
    """Return the error for waiters whose wait failed because of a bug in this package."""
    return ExotelError(f"waiting for calls has failed: {type(error).__name__}")


def not_over(timeout: float) -> RequestTimeout:
    """Return the error for a call that was not over in time."""
    return RequestTimeout(f"the call was not over within timeout={timeout:g} s")


def is_over(call: Call) -> bool:
    """Return whether a call has ended: by status, or by end time if the status is not known."""
    status = call.status
    return call.is_final or (call.ended_at is not None and (status is None or not status.is_known))


def call_is_settled(call: Call) -> bool:
    """Return whether a call is over and its duration, price and end time are known."""
    return is_over(call) and None not in {call.duration, call.price, call.ended_at}


def _has_final_details(call: Call) -> bool:
    """Return whether the legs and the talk time of a call that is over are final.

    They are filled in with its end time. Before that the second leg has no status (VOICE_V1 2), as
    if it had not been dialled; which is true only if the first party was not reached.
    """
    details = call.details
    if call.ended_at is not None:
        return True
    if details is None:
        return False
    if details.leg2_status is not None:
        return details.leg2_status.is_final
    first = details.leg1_status
    return first is not None and first.is_final and first is not CallStatus.COMPLETED
