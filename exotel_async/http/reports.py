"""Reports about a session's operations and requests: without `on_event`, they do nothing.

Each request has one report, whose methods are called for what happens to the request.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Self, TypeVar

from exotel_async.logs import log_fields

if TYPE_CHECKING:
    from contextvars import Context

    from exotel_async.config import Priority
    from exotel_async.http.attempt import Attempt
    from exotel_async.limiter.protocol import Permit, RateLimiter
    from exotel_async.wire.request import Request

T = TypeVar("T")
_LONGEST_PAUSE: Final = 366 * 86_400.0  # seconds

logger: Final = logging.getLogger("exotel_async")


class Operation:
    """A context manager for an operation, which records its result. This one reports nothing."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        pass

    def returns(self, result: T) -> T:
        """Record the result of the operation, and return it."""
        return result


class RequestReport:
    """The report on a request. This one reports nothing."""

    __slots__ = ()

    context: Context | None = None
    """The context in which the user's callbacks are called after the request; None: any."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        pass

    def queued(self, priority: Priority) -> None:
        """Report that the request starts waiting for a permit."""

    def granted(self) -> None:
        """Report that it has a permit."""

    def sent(self) -> None:
        """Report that it is passed to the HTTP client."""

    def ended(self, attempt: Attempt, seconds: float) -> None:
        """Report that an attempt has ended."""

    def never_sent(self) -> None:
        """Report that an attempt was cancelled before it began."""

    def paused(self, status: int, seconds: float) -> None:
        """Report that the account's requests are paused."""

    def retried(self, delay: float, failure: object) -> None:
        """Report that the request will be sent again."""

    def hand_over(self, permit: Permit) -> Permit:
        """Return the permit, marked so that the request sent with it continues this report."""
        return permit


# Static methods: a bound one would cost memory for each of tens of thousands of waiters.
class _NullOperation(Operation):
    __slots__ = ()

    @staticmethod
    def __exit__(kind: type[BaseException] | None, *_: object) -> None:
        pass


class _NullReport(RequestReport):
    __slots__ = ()

    @staticmethod
    def __exit__(kind: type[BaseException] | None, *_: object) -> None:
        pass


NULL_REPORT: Final = _NullReport()
"""The report on each request where there is no listener."""
_NULL_OPERATION: Final = _NullOperation()


class Reports:
    """The reports of a session without a listener."""

    def operation(self, name: str) -> Operation:
        """Return the context manager for an operation."""
        return _NULL_OPERATION

    def request(
        self,
        request: Request | None,
        permit: Permit | None = None,
    ) -> RequestReport:
        """Return the report on a request, to be entered with `with`.

        `request` is None if it is chosen only after the permit is granted.
        """
        return NULL_REPORT


def note_pause(limiter: RateLimiter, status: int, report: RequestReport) -> None:
    """Report that the requests of an account are paused, and log it."""
    seconds = _pause_of(limiter)
    until = f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S} UTC"
    logger.warning(
        "HTTP %s from Exotel: the account's requests pause%s",
        status,
        f" for {seconds:.1f} s, until {until}" if seconds else "",
        extra=log_fields(status=status, seconds=seconds),
    )
    report.paused(status, seconds)


def _pause_of(limiter: RateLimiter) -> float:
    """Return the remaining seconds of a limiter's pause; 0 if it does not provide them."""
    try:
        seconds = float(limiter.statistics().paused_for)
    except Exception:  # noqa: BLE001 - a custom limiter; the result must not be lost
        return 0.0
    return seconds if 0 < seconds < _LONGEST_PAUSE else 0.0
