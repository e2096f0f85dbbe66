"""What is waited for of a call, and whether it has come."""

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
"""From a call's end until what comes after it has come: its record, its numbers, its recording. The
longest that Exotel says; a few minutes are usual."""
LONGEST_CALL: Final = timedelta(seconds=validation.LONGEST_CALL)
"""From the dial, ringing included, until a call that was given no limit is over."""

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
"""Called with a call's end, or with the error."""


@frozen(kw_only=True)
class WaitOptions:
    """What is waited for, and how.

    Attributes:
        settled: wait for length, price and end as well, not for the status alone.
        details: wait for legs and talk time as well, and read them.
        interval: seconds until the first poll; it grows from there.
        is_over: whether the call is known to be over. One that is not known to be in progress is
            asked for at once, unless it is said here that nothing new can be there yet.
        priority: which request goes first when several wait.
    """

    settled: bool = False
    details: bool = False
    interval: float = FIRST_POLL
    is_over: bool = False
    priority: Priority = Priority.INTERACTIVE


@define(eq=False)
class Waiter:
    """One call that somebody waits for."""

    sid: str
    terms: WaitOptions
    deliver: Deliver
    began: float
    """By the clock of the event loop, as the other moments here."""
    due: float
    interval: float
    seen: bool
    """Whether the service has shown that there is such a call."""
    ended: float | None
    """When it was seen to be over, where more is waited for than that."""
    told: bool = False
    """Whether it was delivered, or is not wanted any more."""
    asking: asyncio.Task[None] | None = None
    """What asks for it at this moment."""
    lacking: bool = False
    """Whether nothing but its details is missing."""
    rounds: int = 0
    check_after: int = _CHECKED_AFTER
    missing: int = 0
    failures: int = 0


def urgency(waiting: Iterable[Waiter]) -> Priority:
    """How urgent a request for them is."""
    return min(one.terms.priority for one in waiting)


def may_check(waiting: Iterable[Waiter]) -> bool:
    """Whether a call has not been heard of for so long that a request is worth it."""
    return any(one.rounds >= one.check_after for one in waiting)


def is_passing(error: ExotelError) -> bool:
    """Whether a poll that has failed so may succeed the next time."""
    timed_out = isinstance(error, APIError) and error.status == 408
    return timed_out or isinstance(error, _PASSING)


def has_come(call: Call, terms: WaitOptions) -> bool:
    """Whether what is waited for has come of a call that is over; it may have to be read yet."""
    return (not terms.settled or call_is_settled(call)) and (
        not terms.details or _details_have_come(call)
    )


def is_enough(call: Call, terms: WaitOptions) -> bool:
    """Whether a call that is over has all that is waited for."""
    return has_come(call, terms) and (not terms.details or call.details is not None)


def defect_of(error: BaseException) -> ExotelError:
    """Return the error for those that waited when a defect of this package ended the wait."""
    return ExotelError(f"waiting for calls has failed: {type(error).__name__}")


def not_over(timeout: float) -> RequestTimeout:
    """Return the error for those whose call was not over in time."""
    return RequestTimeout(f"the call was not over within timeout={timeout:g} s")


def is_over(call: Call) -> bool:
    """Whether a call has ended: by its status, or by its end where the word is a new one."""
    status = call.status
    return call.is_final or (call.ended_at is not None and (status is None or not status.is_known))


def call_is_settled(call: Call) -> bool:
    """Whether what comes after a call's end has come: its length, price and end."""
    return is_over(call) and None not in {call.duration, call.price, call.ended_at}


def _details_have_come(call: Call) -> bool:
    """Whether the legs and the talk time are known of a call that is over.

    They come with its end. Before, the second leg has no status (VOICE_V1 2), as if nobody had been
    dialled second; unless the first party was not reached, and nobody was.
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
