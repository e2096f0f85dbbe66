"""`ExotelWebhooks`: one ASGI application that serves all the URLs Exotel requests."""

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
from exotel_async.listeners import call_listener, check_event_listener
from exotel_async.logs import follow_environment, log_fields
from exotel_async.webhooks.arguments import (
    check_apology,
    check_callback_receiver,
    check_claims,
    check_max_body,
)
from exotel_async.webhooks.asgi import (
    BODY_SECONDS,
    MAX_BODY,
    ClientGone,
    Receive,
    Refused,
    Scope,
    Send,
    Target,
    body_chunks,
    read_callback,
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


class CallbackReceiver(Protocol):
    """An object that status callbacks can be forwarded to, such as `exotel.calls`."""

    def notify(self, event: Any) -> object:
        """Receive a `StatusCallback` before Exotel gets its response: it must not block.

        Raises:
            ConfigurationError: it is closed and receives no more callbacks.
        """
        ...


class ExotelWebhooks(Registry):
    """An ASGI application that serves Exotel's webhooks, mounted in another one or on its own::

        hooks = ExotelWebhooks(os.environ["HOOKS_SECRET"], base_url="https://shop.example")

        @hooks.status_callback
        async def ended(event: StatusCallback) -> None: ...

        @hooks.passthru("crm-check")
        async def check(request: PassthruRequest) -> Passthru: ...

        app.mount("/exotel", hooks)  # FastAPI or Starlette
        hooks.mounted_in(app)  # so that `hooks.url` knows the prefix

    A request that cannot be Exotel's gets an empty error response and reaches no handler: 404 if
    the secret or the client's address is wrong or the URL is not registered; 405 for its method,
    415 for its content type, 413 or 414 for its size; 408 if the body does not arrive in time; 400
    if the request cannot be read.

    Each event is handled once, even if Exotel sends it more than once. The response is 200 when it
    was handled, and 500 when the handler failed or timed out, so that Exotel sends it again;
    concurrent requests for one event are handled once and get the same response. A HEAD request
    calls no handler.

    The secret and the query are removed from the ASGI scope, which servers write their access log
    from. A proxy or a middleware in front of the application still sees them.
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
        max_body: int = MAX_BODY,
        body_timeout: float = BODY_SECONDS,
        event_timeout: float = _EVENT_SECONDS,
        answer_timeout: float = _ANSWER_SECONDS,
        apology: str = APOLOGY,
        time_zone: tzinfo = IST,
        on_event: OnWebhook | None = None,
    ) -> None:
        """Make an application without handlers.

        Args:
            secret: the secret in the path of the URLs, at least 16 characters; or several valid
                ones, the first of which is used in new URLs.
            base_url: the public URL of the server, including any path prefix that a proxy removes.
            mount_path: the prefix the application is mounted at, such as "/exotel". `mounted_in`
                finds it in Starlette and FastAPI applications.
            allowed_addresses: addresses and networks that requests may come from. None: from
                anywhere. Exotel names its own on request. They give no protection where the server
                trusts X-Forwarded-For from every client, as with uvicorn's
                `--forwarded-allow-ips='*'`: any client can then choose its address.
            trusted_proxies: addresses and networks of your own proxies, whose X-Forwarded-For is
                trusted. Not needed if the server already trusts them (uvicorn's
                `--forwarded-allow-ips` with their addresses).
            claims: the store of handled events. None: in this process, for a day. Several
                processes need a shared store, or each of them may handle a duplicate:
                `exotel_async.redis.ValkeyClaims`.
            max_body: the maximum size of a body, or of a query, in bytes. A heartbeat, which lists
                the account's ExoPhones, may be sixteen times as large.
            body_timeout: seconds within which the whole body must arrive.
            event_timeout: seconds for an event handler. Exotel is reported to wait 15.
            answer_timeout: seconds for any other handler. Exotel is reported to wait 5.
            apology: what a caller hears by default when the handler of a Greeting or Gather fails.
            time_zone: the time zone in which Exotel writes times, and that of the times in events.
            on_event: called with a `WebhookAnswered` of `exotel_async.events` for each request, in
                the event loop: it must not block. Its exceptions are logged. The `Telemetry` of
                `exotel_async.otel` can be passed here.

        Raises:
            ConfigurationError: an argument is invalid, or the extra `webhooks` is not installed.
            InvalidRequest: a timeout is not a valid number of seconds.
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
        self._max_body = max_body
        self._body_seconds = positive_seconds("body_timeout", body_timeout)
        self._runner = HandlerRunner(
            MemoryClaims() if claims is None else claims,
            event_seconds=positive_seconds("event_timeout", event_timeout),
            answer_seconds=positive_seconds("answer_timeout", answer_timeout),
        )
        self._sessions: list[CallbackReceiver] = []

    def __copy__(self) -> Self:
        return self  # Litestar copies what it mounts; handlers may be added after that

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("ExotelWebhooks are not pickled: the secret would be in the pickle")

    def forward_to(self, calls: CallbackReceiver) -> None:
        """Forward each status callback to a session, so that `calls.wait` ends without polling::

            hooks.forward_to(exotel.calls)

        Any object with a `notify` method will do, and several can be registered. Every callback
        that has a status is forwarded, duplicates included, before any handler runs. Forwarding
        stops when the session is closed. Any other exception from `notify` is logged: the other
        objects and the handler still get the callback, and the response does not depend on it.

        Raises:
            ConfigurationError: it has no such `notify`, or belongs to `exotel_async.sync.Exotel`,
                which must not be called in an event loop: a handler can call its `notify` in a
                thread instead.
        """
        check_callback_receiver(calls)
        self._sessions.append(calls)
        if "status_callback" not in self._routes:
            self._add_callback(None)

    def mounted_in(self, app: object) -> None:
        """Find the prefix this is mounted at, for `url` to use: the first if there are several.

        Args:
            app: the Starlette or FastAPI application in which this is already mounted, directly or
                in an application mounted there.

        Raises:
            ConfigurationError: it is not mounted there, or only under a path with parameters.
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
            kind: the kind of request it is registered for, such as `"passthru"`.
            name: the name it is registered under, if it has one.

        Raises:
            ConfigurationError: there is no such handler, or `base_url` was not passed.
        """
        route = self._route_to(kind, name)
        public = self._public()
        if public is None:
            raise ConfigurationError("ExotelWebhooks needs base_url= to build its URLs")
        return f"{public}/{self._secrets.current}/{route.tail}"

    def rotate(self, secret: str | Iterable[str]) -> None:
        """Replace the secrets, starting with the next request.

        Args:
            secret: as for the constructor: the new secret, together with the old one for as long as
                flows and calls in progress use URLs with the old one.

        Raises:
            ConfigurationError: one is too short, cannot be part of a URL, or is not a string.
        """
        self._secrets = PathSecrets(secret)

    async def aclose(self, grace: float = 5.0) -> None:
        """Wait for running handlers, then cancel those that are left.

        Served on its own, the application does this when the server shuts down. Mounted in another
        one, it is not told of the shutdown: call this at the end of your own lifespan. Requests
        are still served afterwards.

        Args:
            grace: seconds to wait.

        Raises:
            ConfigurationError: `grace` is not a valid number of seconds.
        """
        check_grace(grace)
        await self._runner.drain(grace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "http":
            with suppress(ClientGone):
                await send_response(await self._answer(scope, receive), send)
        elif scope["type"] == "lifespan":
            await self._run_lifespan(receive, send)
        elif scope["type"] == "websocket":
            take_target(scope)  # servers log refused handshakes, too
            with suppress(OSError):  # a client that has disconnected is not an error
                await send({"type": "websocket.close"})

    def _public(self) -> str | None:
        """Return the part of our URLs before the secret; None if there is no base_url."""
        return None if self._base_url is None else self._base_url + self._mount_path

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        began = time.perf_counter()
        target = take_target(scope)
        route: Route | None = None
        try:
            route = self._admit(scope, target)
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
            call_listener(self._on_event, answered)
        return answer

    def _admit(self, scope: Scope, target: Target) -> Route:
        client = scope.get("client")
        is_allowed = self._addresses.admit(client[0] if client else None, scope["headers"])
        knows = self._secrets.admit(target.secret)
        route = self._routes.get(target.tail)
        if route is None or not (knows and is_allowed):
            if is_allowed:
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
        if len(query) > self._max_body:
            raise Refused(414)
        if route.body_factor:
            most, chunks = self._max_body * route.body_factor, body_chunks(receive)
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
        """Parse a request. Raises Refused if it is not one of Exotel's."""
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

    async def _run_lifespan(self, receive: Receive, send: Send) -> None:
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
