"""What a session reports of its operations and requests: without `on_event`, nothing.

Each request has one report, which is asked to say what happens to it.
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
    """An operation: `with` it, and have it note the result. As it is, it reports nothing."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        pass

    def returns(self, result: T) -> T:
        """Take note of what it returns."""
        return result


class RequestReport:
    """The report on a request. As it is, it reports nothing."""

    __slots__ = ()

    context: Context | None = None
    """The context in which what the user passed is called after the request; None: any."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        pass

    def queued(self, priority: Priority) -> None:
        """It begins to wait for the budget."""

    def granted(self) -> None:
        """It has a permit."""

    def sent(self) -> None:
        """It is handed to the HTTP client."""

    def ended(self, attempt: Attempt, seconds: float) -> None:
        """An attempt has ended."""

    def never_sent(self) -> None:
        """An attempt was cancelled before it began."""

    def paused(self, status: int, seconds: float) -> None:
        """The account's requests pause."""

    def retried(self, delay: float, failure: object) -> None:
        """It is going to be sent again."""

    def hand_over(self, permit: Permit) -> Permit:
        """Return the permit, with which another report on the same request continues."""
        return permit


# Static methods: a bound one would take memory with each of tens of thousands that wait.
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
    """What a session without a listener reports."""

    def operation(self, name: str) -> Operation:
        """Return the operation that begins, to be entered with `with`."""
        return _NULL_OPERATION

    def request(
        self,
        request: Request | None,
        permit: Permit | None = None,
    ) -> RequestReport:
        """Return the report on a request, to be entered with `with`.

        `request` is None where it is decided on when there is a permit.
        """
        return NULL_REPORT


def note_pause(limiter: RateLimiter, status: int, report: RequestReport) -> None:
    """Report that the requests of an account pause, in the log as well."""
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
    """Return the seconds that a limiter's pause still takes, as far as it tells; else 0."""
    try:
        seconds = float(limiter.statistics().paused_for)
    except Exception:  # noqa: BLE001 - a limiter of the user's own; the result must not be lost
        return 0.0
    return seconds if 0 < seconds < _LONGEST_PAUSE else 0.0
