"""The limiter's contract: what a session calls before it sends a request, and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from attrs import field, frozen

from exotel_async.config import Priority
from exotel_async.errors import LimiterUnavailable
from exotel_async.models.value import Value


@frozen(kw_only=True)
class RequestOutcome(Value):
    """How a request that was let through ended.

    Attributes:
        status: the HTTP status; None if no response came.
        written: whether a byte of the request may have reached the service.
        retry_after: seconds the service asks to wait.
        longest_pause: the longest pause this may cause, in seconds; None: three times `per`.
        late: seconds from now within which an abandoned request may still reach the service.
        reported: the service's own `x-ratelimit-*` headers, for display only.
    """

    status: int | None = None
    written: bool = True
    retry_after: float | None = None
    longest_pause: float | None = None
    late: float = 0.0
    reported: Mapping[str, str] = field(factory=dict)

    @property
    def asks_for_pause(self) -> bool:
        """Whether all requests have to wait: a 429, or a 503 that says for how long."""
        return self.status == 429 or (self.status == 503 and self.retry_after is not None)


@frozen(kw_only=True)
class LimiterStatistics(Value):
    """Snapshot of a limiter.

    Attributes:
        granted: requests let through so far.
        waiting_interactive: requests waiting at interactive priority.
        waiting_bulk: requests waiting at bulk priority.
        in_flight: requests let through whose outcome is not known yet.
        window_used: permits of the window that are in flight or not back yet.
        window_size: permits the window has.
        paused_for: seconds until the pause ends; 0 without one.
        refused: 429 responses so far.
        strict: whether refusals have made it use the smaller burst.
        pace: requests per second in the long run.
        longest_wait: the longest wait of a request let through so far, in seconds.
        reported: the service's last `x-ratelimit-*` headers.
        learned_limit: requests in `per` that the service was seen to accept from this account, if
            that is fewer than its `RateLimit`; None: there is no sign of that.
    """

    granted: int
    waiting_interactive: int
    waiting_bulk: int
    in_flight: int
    window_used: int
    window_size: int
    paused_for: float
    refused: int
    strict: bool
    pace: float
    longest_wait: float
    reported: Mapping[str, str] = field(hash=False)
    learned_limit: int | None = None


class Permit(Protocol):
    """Permission to send one request. Call either method to end it; a second call does nothing."""

    def finish(self, outcome: RequestOutcome) -> None:
        """Report how the request ended."""

    def release(self) -> None:
        """Give the permit back: the request was never attempted."""


@runtime_checkable
class RateLimiter(Protocol):
    """What a session asks for permits. `TokenBucket` is the one for a single process."""

    async def acquire(
        self,
        priority: Priority = Priority.INTERACTIVE,
        max_wait: float | None = None,
        *,
        retry: bool = False,
    ) -> Permit:
        """Wait for permission to send one request.

        Raises:
            RateLimitTimeout: it would take, or took, longer than `max_wait` seconds.
            LimiterUnavailable: the limiter is shared, and its server cannot be reached.
        """
        ...

    def statistics(self) -> LimiterStatistics:
        """Return a snapshot of the limiter."""
        ...


@runtime_checkable
class SharedBudget(Protocol):
    """What a session also needs from a limiter that several processes share."""

    @property
    def account_sid(self) -> str:
        """The account whose budget it is."""
        ...

    @property
    def category(self) -> str:
        """Which of the account's budgets it is."""
        ...

    def allow_exchange(self, seconds: float) -> None:
        """Raise, never lower, the longest time of an exchange, in seconds."""
        ...

    def outage(self, waited: float) -> LimiterUnavailable | None:
        """Return the error for a request that has waited `waited` seconds without a permit.

        None: the limiter's server is not the cause.
        """
        ...
