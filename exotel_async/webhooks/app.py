"""`ExotelWebhooks`: the URLs Exotel calls, as one ASGI application."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import tzinfo
from typing import Any, Final, NoReturn, Protocol, Self
from urllib.parse import unquote

from exotel_async.config import IST, check_grace, check_time_zone
from exotel_async.errors import ConfigurationError, InvalidRequest, InvalidWebhook
from exotel_async.events import OnWebhook, WebhookAnswered
from exotel_async.listeners import check_event_listener, tell
from exotel_async.logs import follow_environment, log_fields
from exotel_async.webhooks.arguments import (
    check_apology,
    check_claims,
    check_max_body,
    check_notified,
)
from exotel_async.webhooks.asgi import (
    BODY_SECONDS,
    MOST_BODY,
    ClientGone,
    Receive,
    Refused,
    Scope,
    Send,
    Target,
    read_callback,
    received,
    refusal,
    send_response,
    show_tail,
    take_target,
)
from exotel_async.webhooks.auth import AllowedAddresses, PathSecrets
from exotel_async.webhooks.body import require_parser
from exotel_async.webhooks.deduplication import ClaimStore, MemoryClaims
from exotel_async.webhooks.events import StatusCallback
from exotel_async.webhooks.handlers import HandlerRunner
from exotel_async.webhooks.mounting import PrefixWatch, in_urls, mount_path_of, prefixes_in
from exotel_async.webhooks.response import Response, response
from exotel_async.webhooks.routes import APOLOGY, RECEIVED, Registry, Route, WebhookKind
from exotel_async.wire.validation import positive_seconds, url

logger: Final = logging.getLogger("exotel_async")

_EVENT_SECONDS: Final = 8.0
_ANSWER_SECONDS: Final = 4.0
_FAILED: Final = response(status=500)


class Notified(Protocol):
    """What takes status callbacks, as `exotel.calls` does."""

    def notify(self, event: Any) -> object:
        """Take a `StatusCallback`, before it is answered: it must not block.

        Raises:
            ConfigurationError: it takes none any more, as it is closed.
        """
        ...


class ExotelWebhooks(Registry):
    """The URLs Exotel calls, as an ASGI application to mount in another one or to serve alone::

        hooks = ExotelWebhooks(os.environ["HOOKS_SECRET"], base_url="https://shop.example")

        @hooks.status_callback
        async def ended(event: StatusCallback) -> None: ...

        @hooks.passthru("crm-check")
        async def check(request: PassthruRequest) -> Passthru: ...

        app.mount("/exotel", hooks)  # FastAPI or Starlette
        hooks.mounted_in(app)  # so that `hooks.url` knows the prefix

    What is no request of Exotel's gets a bare answer and reaches no handler: 404 without the right
    secret, from a wrong address, or for a URL nobody has registered; then 405, 415, 413 and 414;
    408 for a body that does not come; 400 for what cannot be read.

    An event is handled once, though Exotel may send it more than once. It is answered 200 when it
    was handled, and 500 when that has failed or took too long, so that it comes again; what comes
    twice at a time is handled once and answered alike. A HEAD calls no handler.

    Neither the secret nor the query is left in the ASGI scope, where servers find what they write
    into their access log. What stands before the application, be it a proxy or a middleware, has
    seen them.
    """

    def __init__(
        self,
        secret: str | Iterable[str],
        *,
        base_url: str | None = None,
        mount_path: str = "",
        allowed_addresses: Iterable[str] | None = None,
        trusted_proxies: Iterable[str] = (),
        claims: ClaimStore | None = None,
        max_body: int = MOST_BODY,
        body_timeout: float = BODY_SECONDS,
        event_timeout: float = _EVENT_SECONDS,
        answer_timeout: float = _ANSWER_SECONDS,
        apology: str = APOLOGY,
        time_zone: tzinfo = IST,
        on_event: OnWebhook | None = None,
    ) -> None:
        """Make an application without handlers.

        Args:
            secret: what stands in the path of its URLs, 16 characters at least; or several that are
                all valid, the first of which goes into new URLs.
            base_url: the public URL of the server, including a path prefix that a proxy removes, if
                there is one.
            mount_path: the prefix it is mounted at, as in "/exotel". `mounted_in` finds it in
                applications of Starlette and FastAPI.
            allowed_addresses: addresses and networks requests may come from. None: from anywhere.
                Exotel names its own on request. They protect nothing where the server trusts
                everybody's X-Forwarded-For, as with uvicorn's `--forwarded-allow-ips='*'`: any
                client can then set its own address.
            trusted_proxies: addresses and networks of your own proxies, whose X-Forwarded-For is
                believed. Not needed where the server believes them already (uvicorn's
                `--forwarded-allow-ips` with their addresses).
            claims: the store of handled events. None: in this process, for a day. Several
                processes need one they share, or a duplicate may be handled by each:
                `exotel_async.redis.ValkeyClaims`.
            max_body: bytes of a body, or of a query. A heartbeat, which lists the account's
                ExoPhones, may have sixteen times as many.
            body_timeout: seconds for a body to come, all in all.
            event_timeout: seconds for a handler of events. Exotel is said to wait 15.
            answer_timeout: seconds for any other handler. Exotel is said to wait 5.
            apology: what a caller hears by default when the handler of a Greeting or Gather fails.
            time_zone: the clock Exotel writes times by, and the zone of the times in events.
            on_event: called with a `WebhookAnswered` of `exotel_async.events` for each request, in
                the event loop: it must not block. What it raises is logged. The `Telemetry` of
                `exotel_async.otel` is such a function.

        Raises:
            ConfigurationError: an argument that makes no sense, or the extra `webhooks` is missing.
            InvalidRequest: a timeout is no length of time.
        """
        check_time_zone(time_zone)
        check_apology(apology)
        check_max_body(max_body)
        check_event_listener(on_event)
        if claims is not None:
            check_claims(claims)
        super().__init__(time_zone, apology)
        follow_environment()
        require_parser()
        self._on_event = on_event
        self._secrets = PathSecrets(secret)
        self._base_url = None if base_url is None else _base(base_url)
        self._mount_path = mount_path_of(mount_path)
        self._mounted = {unquote(self._mount_path)}
        if any(map(self._secrets.admit, f"{self._base_url}{self._mount_path}".split("/"))):
            raise ConfigurationError(
                "base_url and mount_path must not hold the secret: url() adds it"
            )
        self._watch = PrefixWatch()
        self._addresses = AllowedAddresses(allowed_addresses, trusted_proxies)
        self._most = max_body
        self._body_seconds = positive_seconds("body_timeout", body_timeout)
        self._runner = HandlerRunner(
            MemoryClaims() if claims is None else claims,
            event_seconds=positive_seconds("event_timeout", event_timeout),
            answer_seconds=positive_seconds("answer_timeout", answer_timeout),
        )
        self._sessions: list[Notified] = []

    def __copy__(self) -> Self:
        return self  # Litestar copies what it mounts; handlers may be added after that

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("ExotelWebhooks are not pickled: the secret would be in the pickle")

    def forward_to(self, calls: Notified) -> None:
        """Forward each status callback to a session, so that `calls.wait` ends without a poll::

            hooks.forward_to(exotel.calls)

        Or to anything else with a `notify`, and to any number of them. Every callback that has a
        status is forwarded, repeated ones as well, before any handler runs. Forwarding stops when
        the session is closed. What else a `notify` raises is logged: the others and the handler get
        the callback all the same, and the answer is theirs.

        Raises:
            ConfigurationError: it has no such `notify`, or is of `exotel_async.sync.Exotel`, which
                cannot be called in an event loop: a handler may call its `notify` in a thread.
        """
        check_notified(calls)
        self._sessions.append(calls)
        if "status_callback" not in self._routes:
            self._add_callback(None)

    def mounted_in(self, app: object) -> None:
        """Find the prefix it is mounted at, for the URLs that `url` returns: the first of several.

        Args:
            app: an application of Starlette's or FastAPI's in which it is mounted, or in one that
                is mounted in that. It is mounted already.

        Raises:
            ConfigurationError: it is not mounted there, or under a path that has parameters.
        """
        found = list(prefixes_in(app, self))
        if not found:
            raise ConfigurationError(
                "ExotelWebhooks is not mounted in this application, or this one does not show "
                "where: pass mount_path= instead"
            )
        self._mount_path = in_urls(found[0])
        self._mounted = {unquote(prefix) for prefix in found}

    def url(self, kind: WebhookKind, name: str | None = None) -> str:
        """Return the URL of a handler: for `status_callback=`, or for the dashboard.

        Args:
            kind: what it is registered for, as `"passthru"`.
            name: the name it is registered with, if it has one.

        Raises:
            ConfigurationError: there is no such handler, or no `base_url`.
        """
        route = self._route_to(kind, name)
        public = self._public()
        if public is None:
            raise ConfigurationError("ExotelWebhooks needs base_url= to build its URLs")
        return f"{public}/{self._secrets.current}/{route.tail}"

    def rotate(self, secret: str | Iterable[str]) -> None:
        """Put other secrets in the place of those there are, from the next request on.

        Args:
            secret: as when it was made: the new one, and the old one with it as long as flows and
                calls in progress have URLs with that.

        Raises:
            ConfigurationError: one is not long enough, cannot stand in a URL or is no text.
        """
        self._secrets = PathSecrets(secret)

    async def aclose(self, grace: float = 5.0) -> None:
        """Wait for handlers under way, then cancel them.

        When it is served alone, the server's shutdown does this. Mounted, it gets no shutdown: call
        it at the end of your own lifespan. It takes requests even after.

        Args:
            grace: seconds to wait.

        Raises:
            ConfigurationError: `grace` is no length of time.
        """
        check_grace(grace)
        await self._runner.drain(grace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        if scope["type"] == "http":
            with suppress(ClientGone):
                await send_response(await self._answer(scope, receive), send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            take_target(scope)  # refused handshakes are logged, too
            with suppress(OSError):  # a client that has gone is no error
                await send({"type": "websocket.close"})

    def _public(self) -> str | None:
        """Return what our URLs begin with, before the secret; None: there is no base_url."""
        return None if self._base_url is None else self._base_url + self._mount_path

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        began = time.perf_counter()
        target = take_target(scope)
        route: Route | None = None
        try:
            route = self._enter(scope, target)
            answer = await self._serve(route, scope, receive, target.query)
        except Refused as refused:
            answer = refusal(refused, scope)
        if self._on_event is not None:
            answered = WebhookAnswered(
                kind=None if route is None else route.kind,
                name=None if route is None else route.name,
                status=answer.status,
                failed=answer is _FAILED or (route is not None and answer is route.fallback),
                seconds=time.perf_counter() - began,
            )
            tell(self._on_event, answered)
        return answer

    def _enter(self, scope: Scope, target: Target) -> Route:
        client = scope.get("client")
        may_enter = self._addresses.admit(client[0] if client else None, scope["headers"])
        knows = self._secrets.admit(target.secret)
        route = self._routes.get(target.tail)
        if route is None or not (knows and may_enter):
            if may_enter:
                self._watch.missed(
                    target, self._public(), is_secret=self._secrets.admit, tails=self._routes
                )
            raise Refused(404)
        self._watch.served(target, self._public(), self._mounted)
        show_tail(scope, target.tail)
        return route

    async def _serve(self, route: Route, scope: Scope, receive: Receive, query: bytes) -> Response:
        if scope["method"] not in route.methods:
            raise Refused(405, ("allow", ", ".join(route.methods)))
        if scope["method"] == "HEAD":
            return route.head
        if len(query) > self._most:
            raise Refused(414)
        if route.body_factor:
            most, chunks = self._most * route.body_factor, received(receive)
            body, content_type = await read_callback(
                scope["headers"], chunks, most=most, seconds=self._body_seconds
            )
            request = self._read(route, body, content_type, query)
        else:
            request = self._read(route, query)
        if isinstance(request, StatusCallback):
            self._forward(request)
        if route.reply is not None:
            return await self._runner.answer(route, request) or _FAILED
        if route.handler is None or await self._runner.handle(route, request):
            return RECEIVED
        return _FAILED

    def _read(self, route: Route, *request: object) -> Any:
        """Make a value of a request. Raises Refused: it is none of Exotel's."""
        try:
            return route.read(*request)
        except InvalidWebhook as error:
            logger.warning(
                "A request for %s is not one of Exotel's: %s",
                route.tail,
                error,
                extra=log_fields(handler=route.tail),
            )
        raise Refused(400)

    def _forward(self, event: StatusCallback) -> None:
        if event.status is None:
            return
        for calls in tuple(self._sessions):
            try:
                calls.notify(event)
            except ConfigurationError as error:
                logger.warning("no longer forwarding status callbacks: %s", error)
                self._sessions.remove(calls)
            except Exception:
                logger.exception("A status callback could not be forwarded")

    async def _live(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def _base(address: str) -> str:
    try:
        url("base_url", address)
    except InvalidRequest as error:
        raise ConfigurationError(str(error)) from None
    if any(sign in address for sign in "?#@"):
        raise ConfigurationError("base_url must end with its path, and hold no credentials")
    return address.rstrip("/")
