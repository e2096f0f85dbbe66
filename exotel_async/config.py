"""The values a session is configured with: region, budget, retries, timeouts.

And those a single request is.
"""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Callable, Hashable
from datetime import timedelta, timezone, tzinfo
from typing import Any, Final, Self, TypedDict, TypeGuard

from attrs import Attribute, Factory, evolve, field, frozen
from attrs.validators import optional

from exotel_async.errors import ConfigurationError, InvalidRequest, RateLimitTimeout
from exotel_async.masking import shown

IST: Final = timezone(timedelta(hours=5, minutes=30), "IST")
"""Indian Standard Time. Exotel's clock, though its documentation never says so."""

_LONGEST_WAIT: Final = 366 * 86_400.0  # seconds
_SHORTEST_WINDOW: Final = 0.001  # seconds
_MOST: Final = 10**9


def refused(what: str, value: object, right: str) -> ConfigurationError:
    """Return the error for a setting that does not fit."""
    return ConfigurationError(f"{what}={shown(value)}: must be {right}")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _seconds(instance: object, attribute: Attribute[Any], value: float) -> None:
    if not _is_number(value) or not 0 < value <= _LONGEST_WAIT:
        what = f"{type(instance).__name__}({attribute.name})"
        raise refused(what, value, "seconds, more than 0 and at most a year")


def _count_from(least: int) -> Any:
    def check(instance: object, attribute: Attribute[Any], value: int) -> None:
        if not _is_whole(value) or not least <= value <= _MOST:
            what = f"{type(instance).__name__}({attribute.name})"
            raise refused(what, value, f"a whole number from {least} to {_MOST}")

    return check


def check_grace(value: object) -> None:
    """Refuse what is no time to wait until what is in flight has ended.

    Raises:
        ConfigurationError: it is negative, longer than a year, or no number.
    """
    if not _is_number(value) or not 0 <= value <= _LONGEST_WAIT:
        raise refused("grace", value, "seconds, from 0 to a year")


class Region(enum.StrEnum):
    """Exotel's two regions by the host of their API. An account lives in one of them only."""

    SINGAPORE = "api.exotel.com"
    MUMBAI = "api.in.exotel.com"

    @classmethod
    def _missing_(cls, value: object) -> Region | None:
        """Find one by its name, too, in any case."""
        word = value.strip().casefold() if isinstance(value, str) else None
        return next((one for one in cls if word in {one.name.casefold(), one.value}), None)


def find_base_url(region: Region | None, base_url: str | None) -> tuple[str, str]:
    """Return the service's address as it is given, or found in the environment, or Singapore's.

    And what it was given by: the name of an argument or a variable.

    Raises:
        ConfigurationError: both are given.
    """
    if base_url is not None:
        if region is not None:
            raise ConfigurationError("region= and base_url= say the same thing: pass one of them")
        return base_url, "base_url"
    if region is not None:
        return f"https://{region.value}", "region"
    # Exotel's own examples write the host as `@api.exotel.com`.
    host = os.environ.get("EXOTEL_SUBDOMAIN", "").strip().lstrip("@")
    address = host if "://" in host else f"https://{host or Region.SINGAPORE.value}"
    return address, "EXOTEL_SUBDOMAIN"


class Priority(enum.IntEnum):
    """Which request goes first when several wait."""

    INTERACTIVE = 0
    """Somebody is waiting for this one request. The default of single calls."""
    BULK = 1
    """One of many: batches, exports, campaigns. Sent when no interactive request waits."""


def _usual_burst(limit: object) -> int:
    # What is no number is refused after this.
    return min(10, limit) if _is_whole(limit) else 1


@frozen
class RateLimit:
    """A budget of requests: at most `limit` in any `per` seconds.

    Exotel documents 200 a minute for all Voice APIs of an account, and HTTP 429 past it
    (developer.exotel.com/api/).

    Attributes:
        limit: requests the account may make in any `per` seconds.
        per: length of the window, in seconds.
        burst: requests that may leave at once after a quiet time. Small by default, because how
            the service counts is not documented; 20 to 50 shortens the waits of a web application.
    """

    limit: int = field(default=200, validator=_count_from(1))
    per: float = field(default=60.0, kw_only=True)
    burst: int = field(
        default=Factory(lambda self: _usual_burst(self.limit), takes_self=True), kw_only=True
    )

    @per.validator
    def _per_fits(self, _: Attribute[float], value: float) -> None:
        if not _is_number(value) or not _SHORTEST_WINDOW <= value <= _LONGEST_WAIT:
            right = f"seconds, from {_SHORTEST_WINDOW} to a year"
            raise refused("RateLimit(per)", value, right)

    @burst.validator
    def _burst_fits(self, _: Attribute[int], value: int) -> None:
        if not _is_whole(value) or not 1 <= value <= self.limit:
            right = f"a whole number from 1 to the limit, {self.limit}"
            raise refused("RateLimit(burst)", value, right)


@frozen(kw_only=True)
class RetryPolicy:
    """How often a request that Exotel provably did not act on is sent again.

    A dial whose outcome is not known is never sent again, whatever is set here.

    Attributes:
        attempts: times one request is sent at most, refusals by the rate limit not counted.
        refusals: answers 429 one request bears before it fails with `RateLimited`.
        total: seconds from the first sending after which none is begun.
        backoff: upper bound of the first random delay, in seconds; it doubles each time.
        backoff_cap: upper bound of any delay, in seconds.
        longest_pause: seconds for which a `Retry-After` holds up the account's requests at most,
            whatever it asks for; then one of them goes, and its answer decides. None: three
            windows of the budget.
    """

    attempts: int = field(default=4, validator=_count_from(1))
    refusals: int = field(default=8, validator=_count_from(0))
    total: float = field(default=180.0, validator=_seconds)
    backoff: float = field(default=0.5, validator=_seconds)
    backoff_cap: float = field(default=8.0, validator=_seconds)
    longest_pause: float | None = field(default=None, validator=optional(_seconds))

    @classmethod
    def never(cls) -> Self:
        """Return a policy that sends each request once."""
        return cls(attempts=1, refusals=0)


@frozen(kw_only=True)
class Timeouts:
    """Bounds on one exchange with the service, in seconds. Waiting for the budget is not in them.

    Attributes:
        connect: to open a connection, TLS included.
        write: for each piece of the request.
        read: for each piece of the answer.
        exchange: for the whole exchange, however slowly the pieces come. Waiting until fewer than
            `max_in_flight` are in flight is a part of it.
    """

    connect: float = field(default=5.0, validator=_seconds)
    write: float = field(default=10.0, validator=_seconds)
    read: float = field(default=30.0, validator=_seconds)
    exchange: float = field(default=60.0, validator=_seconds)


# What a session takes for these values, as other SDKs do.


def timeouts_of(value: Timeouts | float | None) -> Timeouts:
    """Return the bounds that `timeout=` means.

    A number is the seconds of each step: to connect, to write, to read, as in httpx and what is
    made with it. The whole exchange may take as long as the three of them.

    Raises:
        ConfigurationError: it is neither, or the whole would take no time or more than a year.
    """
    if value is None or isinstance(value, Timeouts):
        return value or Timeouts()
    if not _is_number(value) or not 0 < 3 * value <= _LONGEST_WAIT:
        raise refused("timeout", value, "seconds, such as timeout=10, or Timeouts(read=10)")
    return Timeouts(connect=value, write=value, read=value, exchange=3 * value)


def rate_limit_of(argument: str, value: object) -> RateLimit:
    """Return the budget that `rate_limit=` means: a whole number is requests a minute.

    Raises:
        ConfigurationError: it is neither, or below 1.
    """
    if isinstance(value, RateLimit):
        return value
    if type(value) is not int or not 1 <= value <= _MOST:
        rule = (
            f"requests a minute, such as {argument}=200, RateLimit(200, per=60), or a RateLimiter"
        )
        raise refused(argument, value, rule)
    return RateLimit(value)


def retry_of(value: RetryPolicy | int | None) -> RetryPolicy:
    """Return the policy that `retry=` means.

    A number is how often a request is sent again, after the first time: what other SDKs call
    `max_retries`. 0, like False, is `RetryPolicy.never()`: a 429 is not answered with another try,
    either. True is the policy by default.

    Raises:
        ConfigurationError: it is neither, or below 0.
    """
    if value is None or value is True or isinstance(value, RetryPolicy):
        return value if isinstance(value, RetryPolicy) else RetryPolicy()
    if not isinstance(value, int) or not 0 <= value < _MOST:
        rule = "how often to send again, such as retry=3 or retry=False, or RetryPolicy(attempts=4)"
        raise refused("retry", value, rule)
    return RetryPolicy(attempts=value + 1) if value else RetryPolicy.never()


def region_of(value: Region | str | None) -> Region | None:
    """Return the region that `region=` means: one by its name, in any case, or by its host.

    Raises:
        ConfigurationError: there is no such region.
    """
    try:
        return None if value is None else Region(value)
    except ValueError:
        rule = "region='mumbai', region='singapore', or a Region; base_url= takes any other address"
        raise refused("region", value, rule) from None


def check_time_zone(time_zone: object) -> None:
    """Refuse what is no zone. Raises ConfigurationError."""
    # A zone of pytz, put into a datetime as it is, means the local time of the nineteenth century.
    fits = isinstance(time_zone, tzinfo) and isinstance(time_zone, Hashable)
    if not fits or hasattr(time_zone, "localize"):
        rule = "a datetime.timezone or a zoneinfo.ZoneInfo, such as ZoneInfo('Asia/Kolkata')"
        raise refused("time_zone", time_zone, rule)


class RequestOptions(TypedDict, total=False):
    """How a request is to be sent. None, like leaving it out, means the session's own default.

    Attributes:
        priority: which request goes first when several wait.
        max_wait: seconds it may wait for the budget; without it as long as that takes. If it takes
            longer, `RateLimitTimeout` is raised.
        timeout: seconds it may take with everything: waiting, retries, exchange. If it takes
            longer, `RateLimitTimeout` is raised if the request was not sent, `CallOutcomeUnknown`
            if a dial was, `RequestOutcomeUnknown` if another one was that must not be done twice,
            else `RequestTimeout`.
    """

    priority: Priority | None
    max_wait: float | None
    timeout: float | None


@frozen(kw_only=True)
class SendOptions:
    """How a request is sent: `RequestOptions`, with nothing left open.

    Attributes:
        priority: which request goes first when several wait.
        max_wait: seconds it may wait for the budget; None: as long as it takes.
        timeout: seconds it may take with everything; None: as long as it takes.
        on_send: called each time it is sent.
        before_send: a last check, called each time before it is sent: once before a connection is
            taken for it and, with httpx's own transport, once more in the last step before its
            first byte. What it raises, `send` raises: nothing was sent then, and the permit is
            given back. It must not block, and is to raise an ExotelError, such as `NotDialled`.
            Where more than a second passes between the headers and the body, because the process
            was suspended, the body is not sent.
        patience: seconds it may wait for the budget, its `timeout` counted in; may be infinite.
    """

    priority: Priority = Priority.INTERACTIVE
    max_wait: float | None = None
    timeout: float | None = None
    on_send: Callable[[], object] | None = None
    before_send: Callable[[], None] | None = None
    patience: float = field(init=False, repr=False, eq=False)

    @patience.default
    def _patience(self) -> float:
        limits = (self.max_wait, self.timeout)
        return min((limit for limit in limits if limit is not None), default=math.inf)

    def refusal(self, error: RateLimitTimeout) -> RateLimitTimeout:
        """Return what a limiter has raised with the limit that the caller set, and its name."""
        if self.patience == math.inf:
            return error
        argument = "max_wait" if self.patience == self.max_wait else "timeout"
        refusal = RateLimitTimeout(argument, wait=error.wait, max_wait=self.patience)
        refusal.method, refusal.path = error.method, error.path
        return refusal

    def with_changes(
        self,
        *,
        priority: Priority | None = None,
        max_wait: float | None = None,
        timeout: float | None = None,
    ) -> SendOptions:
        """Return the options with what is not None put in place.

        Raises:
            InvalidRequest: a time is negative or no number, or the priority is none.
        """
        if priority is None and max_wait is None and timeout is None:
            return self
        for argument, seconds in (("max_wait", max_wait), ("timeout", timeout)):
            if seconds is None:
                continue
            if not _is_number(seconds) or not 0 <= seconds <= _LONGEST_WAIT:
                raise InvalidRequest(argument, seconds, "must be seconds, from 0 to a year")
        chosen = self.priority if priority is None else priority
        # True equals 1, and so do 1.0 and 1+0j.
        if not _is_whole(chosen) or chosen not in tuple(Priority):
            raise InvalidRequest("priority", priority, "must be a Priority")
        return evolve(
            self,
            priority=Priority(chosen),
            max_wait=self.max_wait if max_wait is None else max_wait,
            timeout=self.timeout if timeout is None else timeout,
        )
