"""The values that configure a session: region, budget, retries, timeouts.

And those that configure a single request.
"""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Callable, Hashable
from contextlib import suppress
from datetime import timedelta, timezone, tzinfo
from typing import Any, Final, Self, TypedDict, TypeGuard

from attrs import Attribute, Factory, evolve, field, frozen
from attrs.validators import optional

from exotel_async.errors import ConfigurationError, InvalidRequest, RateLimitTimeout
from exotel_async.masking import shown

IST: Final = timezone(timedelta(hours=5, minutes=30), "IST")
"""Indian Standard Time: the time zone of Exotel's times, though its documentation never says so."""

_LONGEST_WAIT: Final = 366 * 86_400.0  # seconds
_SHORTEST_WINDOW: Final = 0.001  # seconds
_MOST: Final = 10**9


def refused(what: str, value: object, right: str) -> ConfigurationError:
    """Return the error for an invalid setting."""
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
    """Check a time to wait for requests in flight.

    Raises:
        ConfigurationError: it is negative, longer than a year, or not a number.
    """
    if not _is_number(value) or not 0 <= value <= _LONGEST_WAIT:
        raise refused("grace", value, "seconds, from 0 to a year")


class Region(enum.StrEnum):
    """Exotel's two regions, by the host of their API. An account exists in one of them only."""

    SINGAPORE = "api.exotel.com"
    MUMBAI = "api.in.exotel.com"

    @classmethod
    def _missing_(cls, value: object) -> Region | None:
        """Find a region by its name as well, in upper or lower case."""
        word = value.strip().casefold() if isinstance(value, str) else None
        return next((one for one in cls if word in {one.name.casefold(), one.value}), None)


def find_base_url(region: Region | None, base_url: str | None) -> tuple[str, str]:
    """Return the service's address: as given, else from the environment, else Singapore's.

    And its source: the name of the argument or the environment variable.

    Raises:
        ConfigurationError: both arguments are given.
    """
    if base_url is not None:
        if region is not None:
            raise ConfigurationError("region= and base_url= say the same thing: pass one of them")
        return base_url, "base_url"
    if region is not None:
        return f"https://{region.value}", "region"
    # Exotel's own examples write the host as `@api.exotel.com`.
    host = os.environ.get("EXOTEL_SUBDOMAIN", "").strip().lstrip("@") or Region.SINGAPORE.value
    with suppress(ValueError):
        host = Region(host).value
    return host if "://" in host else f"https://{host}", "EXOTEL_SUBDOMAIN"


class Priority(enum.IntEnum):
    """Which request goes first when several wait."""

    INTERACTIVE = 0
    """Somebody is waiting for this one request. The default of single requests."""
    BULK = 1
    """One of many: batches, exports, campaigns. Sent when no interactive request is waiting."""


def _usual_burst(limit: object) -> int:
    # Anything that is not a number is refused later.
    return min(10, limit) if _is_whole(limit) else 1


@frozen
class RateLimit:
    """A budget of requests: at most `limit` in any `per` seconds.

    Exotel documents 200 a minute for all Voice APIs of an account, and HTTP 429 beyond that
    (developer.exotel.com/api/).

    Attributes:
        limit: requests the account may make in any `per` seconds.
        per: length of the window, in seconds.
        burst: requests that may be sent at once after a quiet time. Small by default, because it is
            not documented how the service counts; 20 to 50 shorten the waits of a web application.
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

    A dial whose outcome is unknown is never sent again, whatever is set here.

    Attributes:
        attempts: how often one request is sent at most, not counting 429 responses.
        refusals: 429 responses that one request tolerates; the next one fails it with
            `RateLimited`.
        total: seconds after the first attempt within which another one may start.
        backoff: upper bound of the first random delay, in seconds; it doubles each time.
        backoff_cap: upper bound of any delay, in seconds.
        longest_pause: seconds for which a `Retry-After` pauses the account's requests at most,
            however long it asks for; then one request is sent, and its response decides. None:
            three windows of the budget.
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
    """Time limits of one exchange with the service, in seconds, without the wait for the budget.

    Attributes:
        connect: to open a connection, TLS included.
        write: for each chunk of the request.
        read: for each chunk of the response.
        exchange: for the whole exchange, however slowly the chunks come. It includes the wait until
            fewer than `max_in_flight` requests are in flight.
    """

    connect: float = field(default=5.0, validator=_seconds)
    write: float = field(default=10.0, validator=_seconds)
    read: float = field(default=30.0, validator=_seconds)
    exchange: float = field(default=60.0, validator=_seconds)


# The short forms that a session accepts for these values, as other SDKs do.


def timeouts_of(value: Timeouts | float | None) -> Timeouts:
    """Return the time limits that `timeout=` means.

    A number is the seconds of each step: to connect, to write, to read, as in httpx and clients
    based on it. The whole exchange may take as long as the three together.

    Raises:
        ConfigurationError: it is neither, or the exchange would get no time or more than a year.
    """
    if value is None or isinstance(value, Timeouts):
        return value or Timeouts()
    if not _is_number(value) or not 0 < 3 * value <= _LONGEST_WAIT:
        raise refused("timeout", value, "seconds, such as timeout=10, or Timeouts(read=10)")
    return Timeouts(connect=value, write=value, read=value, exchange=3 * value)


def rate_limit_of(argument: str, value: object) -> RateLimit:
    """Return the budget that `rate_limit=` means: an integer is requests a minute.

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

    A number is the number of retries, which other SDKs call `max_retries`. 0, like False, is
    `RetryPolicy.never()`, which does not retry after a 429 either. True is the default policy.

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
    """Check a time zone. Raises ConfigurationError if it is not one."""
    # A pytz zone used directly in a datetime means the local mean time of the nineteenth century.
    fits = isinstance(time_zone, tzinfo) and isinstance(time_zone, Hashable)
    if not fits or hasattr(time_zone, "localize"):
        rule = "a datetime.timezone or a zoneinfo.ZoneInfo, such as ZoneInfo('Asia/Kolkata')"
        raise refused("time_zone", time_zone, rule)


class RequestOptions(TypedDict, total=False):
    """How to send a request. None, or leaving an option out, means the session's default.

    Attributes:
        priority: which request goes first when several wait.
        max_wait: seconds it may wait for the budget, without a limit by default. If that is not
            enough, `RateLimitTimeout` is raised.
        timeout: seconds it may take in all: waiting, retries, exchange. If that is not enough,
            `RateLimitTimeout` is raised if the request was not sent; `CallOutcomeUnknown` if it is
            a dial that was sent; `RequestOutcomeUnknown` if it is another request that must not be
            sent twice; else `RequestTimeout`.
    """

    priority: Priority | None
    max_wait: float | None
    timeout: float | None


@frozen(kw_only=True)
class SendOptions:
    """How to send a request: `RequestOptions` with all defaults filled in.

    Attributes:
        priority: which request goes first when several wait.
        max_wait: seconds it may wait for the budget; None: no limit.
        timeout: seconds it may take in all; None: no limit.
        on_send: called each time it is sent.
        before_send: a last check, called each time before it is sent: once before a connection is
            acquired and, with httpx's own transport, once more immediately before the first byte.
            `send` raises what it raises: then nothing was sent, and the permit is given back. It
            must not block, and must raise an ExotelError, such as `NotDialled`. If more than a
            second passes between the headers and the body, because the process was suspended, the
            body is not sent.
        patience: seconds it may wait for the budget: the less of `max_wait` and `timeout`; may be
            infinite.
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
        """Return a limiter's error, changed to name the limit that the caller has set."""
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
        """Return the options, with those changed that are not None.

        Raises:
            InvalidRequest: a time is negative or not a number, or the priority is not a `Priority`.
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
