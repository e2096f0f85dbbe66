"""AsyncExotel: one session for each account and event loop."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, Self, Unpack

from exotel_async.calls.resource import Calls
from exotel_async.config import (
    IST,
    RateLimit,
    Region,
    RequestOptions,
    RetryPolicy,
    SendOptions,
    Timeouts,
    check_grace,
    check_time_zone,
    find_base_url,
    rate_limit_of,
    refused,
    region_of,
    retry_of,
    timeouts_of,
)
from exotel_async.credentials import Credentials, source_of
from exotel_async.errors import ConfigurationError
from exotel_async.http.base_url import service_root
from exotel_async.http.http_client import HttpClient, HttpLibrary
from exotel_async.http.orphans import OnOrphanedCall
from exotel_async.http.pipeline import Pipeline
from exotel_async.http.transport import Transport
from exotel_async.keywords import check_options
from exotel_async.limiter.limiter import DEFAULT_IN_FLIGHT
from exotel_async.limiter.protocol import RateLimiter, SharedBudget
from exotel_async.limiter.token_bucket import shared_bucket
from exotel_async.listeners import check_event_listener, has_yield, takes
from exotel_async.logs import follow_environment
from exotel_async.resources.account import Account
from exotel_async.resources.exophones import EXOPHONE_RATE, ExoPhones
from exotel_async.resources.numbers import Numbers
from exotel_async.wire.raw_request import raw_request
from exotel_async.wire.request import Category
from exotel_async.wire.responses import read_raw

if TYPE_CHECKING:
    from types import TracebackType

    from exotel_async.events import OnEvent
    from exotel_async.models import RawResponse
    from exotel_async.redis.environment import SharedBudgets


class AsyncExotel:
    """A session with one Exotel account.

    Make one for the lifetime of the program and close it at the end, preferably with ``async
    with``; making it is cheap and sends nothing. It belongs to the event loop it is first used in.
    All sessions of an account in one loop share the account's budget.

    Attributes:
        calls: dial, and read calls.
        numbers: look up phone numbers.
        account: the account itself.
        exophones: the account's ExoPhones, and the flows of their incoming calls.
    """

    calls: Calls
    numbers: Numbers
    account: Account
    exophones: ExoPhones

    def __init__(
        self,
        *,
        account_sid: str | None = None,
        api_key: str | None = None,
        api_token: str | None = None,
        region: Region | str | None = None,
        base_url: str | None = None,
        allow_http: bool = False,
        rate_limit: RateLimit | RateLimiter | int | None = None,
        exophone_rate_limit: RateLimit | RateLimiter | int | None = None,
        retry: RetryPolicy | int | None = None,
        timeout: Timeouts | float | None = None,
        max_in_flight: int = DEFAULT_IN_FLIGHT,
        http_client: HttpClient | HttpLibrary | None = None,
        time_zone: tzinfo = IST,
        coalesce: bool = True,
        on_orphaned_call: OnOrphanedCall | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        """Create the session.

        Args:
            account_sid: the account; by default the value of ``EXOTEL_ACCOUNT_SID``.
            api_key: the API key; by default the value of ``EXOTEL_API_KEY``.
            api_token: the API token; by default the value of ``EXOTEL_API_TOKEN``.
            region: the region of the account: a `Region`, or ``"mumbai"`` or ``"singapore"``, or
                its host; else the one in ``EXOTEL_SUBDOMAIN``, else Singapore.
            base_url: any other address, such as a local emulator: ``http(s)://host[:port]``. The
                path that Exotel documents, ``/v1/Accounts/...``, may follow.
            allow_http: whether to accept an ``http://`` address that is not this computer's. The
                API token is then sent unencrypted.
            rate_limit: the account's budget, or a limiter; 200 requests a minute by default. A
                number is requests a minute. A budget is shared with other processes through the
                server in ``EXOTEL_RATE_LIMIT_URL``, if that is set; a limiter is used as it is.
            exophone_rate_limit: the same for `exophones`, which have a budget of their own: 50
                requests a minute by default.
            retry: how often a request is sent again if that is safe. A number is the number of
                retries; 0 or False: never, not even after a 429.
            timeout: time limits of one exchange with the service. A number is the seconds each step
                may take (to connect, to write, to read); the exchange may take three times as long.
            max_in_flight: requests that may be in flight at once; less than the size of the
                connection pool.
            http_client: an `httpx.AsyncClient` or `httpx2.AsyncClient` to use instead of the
                session's own. It is not closed with the session. Neither of them keeps or sends
                cookies. Give it a `keepalive_expiry` of a second or so: a dial on a connection that
                the service has dropped is lost. ``"httpx"`` or ``"httpx2"``: a client of the
                session's own from that library; else the one in ``EXOTEL_HTTP``, else httpx.
            time_zone: the time zone of Exotel's times; that of India by default.
            coalesce: whether calls that are read at the same time may share a request.
            on_orphaned_call: called as ``on_orphaned_call(ended, target)`` with the outcome of a
                dial whose task was cancelled or timed out: the `Call`, or `CallOutcomeUnknown`; and
                with its `DialTarget`, as passed or made from the arguments. Called in the event
                loop, it must not block. It may be a coroutine function; closing the session
                waits one second for it. What it raises is logged.
            on_event: called with each event of `exotel_async.events` that the session reports, in
                its event loop: it must not block. What it raises is logged. A `Telemetry` of
                `exotel_async.otel` can be passed.

        Raises:
            ConfigurationError: an argument is missing or invalid.
        """
        follow_environment()
        credentials = Credentials.find(account_sid, api_key, api_token)
        if type(max_in_flight) is not int or max_in_flight < 1:
            raise refused("max_in_flight", max_in_flight, "1 or more, such as max_in_flight=64")
        budgets = {
            Category.VOICE: _budget("rate_limit", rate_limit, RateLimit()),
            Category.EXOPHONES: _budget("exophone_rate_limit", exophone_rate_limit, EXOPHONE_RATE),
        }
        policy = retry_of(retry)
        if not isinstance(coalesce, bool):
            raise refused("coalesce", coalesce, "coalesce=True or coalesce=False")
        if not isinstance(allow_http, bool):
            raise refused("allow_http", allow_http, "allow_http=True or allow_http=False")
        if on_orphaned_call is not None and not callable(on_orphaned_call):
            raise refused(
                "on_orphaned_call", on_orphaned_call, "a function, such as on_orphaned_call=note"
            )
        # Check now: later an error would lose a call.
        if on_orphaned_call is not None and not takes(on_orphaned_call, 2):
            raise ConfigurationError(
                "on_orphaned_call: must take two arguments, how the dial ended and its DialTarget"
            )
        if has_yield(on_orphaned_call):
            raise ConfigurationError("on_orphaned_call: must not contain yield, or it never runs")
        check_event_listener(on_event)
        check_time_zone(time_zone)
        transport = Transport(
            base_url=service_root(
                *find_base_url(region_of(region), base_url),
                credentials.account_sid,
                source_of("account_sid", account_sid),
                allow_http=allow_http,
            ),
            credentials=credentials,
            timeouts=timeouts_of(timeout),
            max_in_flight=max_in_flight,
            http_client=http_client,
        )

        shared = None
        if any(isinstance(budget, RateLimit) for budget in budgets.values()):
            shared = _find_server(credentials, transport, max_in_flight)

        def make_limiter(category: Category) -> RateLimiter:
            budget = budgets[category]
            if not isinstance(budget, RateLimit):
                if isinstance(budget, SharedBudget):
                    _check_shared(budget, credentials.account_sid, category)
                    budget.allow_exchange(transport.longest)
                return budget
            if shared is not None:
                return shared.limiter(category, budget)
            key = (transport.host, credentials.account_sid, category)
            return shared_bucket(key, budget, max_in_flight)

        self._pipeline = Pipeline(
            transport=transport,
            make_limiter=make_limiter,
            retry=policy,
            on_orphaned_call=on_orphaned_call,
            on_event=on_event,
            release_limiters=None if shared is None else shared.aclose,
        )
        self._account_sid = credentials.account_sid
        self._time_zone = time_zone
        self.calls = Calls(self._pipeline, self._account_sid, time_zone, coalesce=coalesce)
        self._use(SendOptions())

    def with_options(self, **options: Unpack[RequestOptions]) -> Self:
        """Return a view of this session with other defaults for requests.

        It is the same session: closing either closes both.

        Args:
            **options: see `RequestOptions`.

        Raises:
            InvalidRequest: a time is negative, or the priority is not a `Priority`.
        """
        check_options("with_options", self.with_options, options, RequestOptions)
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._use(self._defaults.with_changes(**options))
        return view

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        category: str = "voice",
        **options: Unpack[RequestOptions],
    ) -> RawResponse:
        """Send a request to an endpoint of the API that this SDK has no method for.

        Like every request, it respects the rate limit, and its errors and log lines are masked. A
        GET is retried. Any other method is sent again only if it is certain that Exotel did not act
        on it: nothing was written, or the response was a 429. ``Calls/connect`` is refused: use
        `calls` to dial.

        Args:
            method: GET, POST, PUT or DELETE.
            path: the path below ``/v1/Accounts/{account_sid}/``, such as ``"Balance.json"``:
                without ``.json`` most endpoints respond in XML. Encode values in it with
                `urllib.parse.quote`.
            params: the query: names and values.
            form: the form of a POST or PUT, sent urlencoded: names and values.
            category: the part of the API: ``"voice"``, or ``"exophones"``, whose paths are below
                ``/v2_beta/Accounts/{account_sid}/`` and count in the budget of `exophones`.
            **options: see `RequestOptions`.

        Returns:
            The response as it came, if its status is 2xx.

        Raises:
            InvalidRequest: it is a dial, the path leads out of the account, or an argument is
                malformed; nothing was sent.
            RequestOutcomeUnknown: it is not a GET, and it is unknown whether Exotel acted on it.
            APIError: Exotel refused, by HTTP status.
            ExotelError: any other error of this package except `CallOutcomeUnknown`.
        """
        check_options("request", self.request, options, RequestOptions)
        request = raw_request(method, path, params=params, form=form, category=category)
        chosen = self._defaults.with_changes(**options)
        with self._pipeline.reports.operation("request"):
            return await self._pipeline.send(request, read_raw, chosen)

    @property
    def limiter(self) -> RateLimiter:
        """The account's rate limiter; `limiter.statistics()` returns its current state.

        Requests about ExoPhones have another: `exophones.limiter`.

        Raises:
            ConfigurationError: outside the session's event loop, or when it is closed.
        """
        return self._pipeline.limiter

    async def aclose(self, grace: float = 1.5) -> None:
        """Close the session.

        Waiting requests fail with `ConfigurationError`. Requests in flight have `grace` seconds to
        finish; a dial that is cut off after that is reported as `CallOutcomeUnknown`.

        Raises:
            ConfigurationError: `grace` is not between 0 seconds and a year; nothing is closed.
        """
        check_grace(grace)
        await self._pipeline.aclose(grace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        # A traceback may show a session whose `__init__` has failed.
        return f"<AsyncExotel account_sid={getattr(self, '_account_sid', None)!r}>"

    def __reduce__(self) -> Any:
        raise TypeError("a session is not pickled: it holds connections and the API token")

    def _use(self, defaults: SendOptions) -> None:
        self._defaults = defaults
        self.calls = self.calls.with_defaults(defaults)
        self.numbers = Numbers(self._pipeline, defaults)
        self.account = Account(self._pipeline, defaults, self._time_zone)
        self.exophones = ExoPhones(self._pipeline, defaults, self._account_sid)


def _check_shared(budget: SharedBudget, account_sid: str, category: Category) -> None:
    if (budget.account_sid, budget.category) != (account_sid, category):
        raise ConfigurationError(
            f"the limiter is for account={budget.account_sid!r}, category={budget.category!r}: "
            f"must be for account={account_sid!r}, category={category.value!r}"
        )


def _find_server(
    credentials: Credentials, transport: Transport, max_in_flight: int
) -> SharedBudgets | None:
    """Return the budgets on the server that the environment names; None if it names none."""
    url = os.environ.get("EXOTEL_RATE_LIMIT_URL", "").strip()
    if not url:
        return None
    # Imported on demand: it needs an extra, and takes time to import.
    from exotel_async.redis.environment import SharedBudgets  # noqa: PLC0415

    return SharedBudgets(
        url,
        account=credentials.account_sid,
        exchange=transport.longest,
        max_in_flight=max_in_flight,
    )


def _budget(argument: str, value: object, usual: RateLimit) -> RateLimit | RateLimiter:
    if value is None:
        return usual
    return value if isinstance(value, RateLimiter) else rate_limit_of(argument, value)
