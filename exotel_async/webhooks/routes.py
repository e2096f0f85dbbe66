"""The routes of the application: for each URL the request, the handler and the response."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from datetime import tzinfo
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypeVar

from attrs import field, frozen

from exotel_async.errors import ConfigurationError
from exotel_async.webhooks.answers import (
    DialWhom,
    GatherPlan,
    Passthru,
    SmsText,
    VoicebotStream,
)
from exotel_async.webhooks.arguments import check_handler
from exotel_async.webhooks.body import HEARTBEAT_FACTOR
from exotel_async.webhooks.connect_plan import ConnectPlan
from exotel_async.webhooks.events import DialEvent, StatusCallback
from exotel_async.webhooks.heartbeat import Heartbeat
from exotel_async.webhooks.prompts import Play, Playback, Speak
from exotel_async.webhooks.requests import (
    AppletRequest,
    ConnectRequest,
    GatherRequest,
    GreetingRequest,
    PassthruRequest,
    SmsRequest,
    VoicebotRequest,
    WhisperRequest,
)
from exotel_async.webhooks.response import JSON, TEXT, Reply, Response, response

WebhookKind = Literal[
    "status_callback",
    "dial_event",
    "heartbeat",
    "passthru",
    "connect",
    "dial_whom",
    "gather",
    "greeting",
    "whisper",
    "sms",
    "voicebot",
]
"""A kind of request; the decorator and the part of the URL have the same name."""

T = TypeVar("T")
Or: TypeAlias = T | Awaitable[T]
"""The return type of a handler, which may be async or not."""

RECEIVED: Final = response()
"""The response to an event that was handled."""

_NAME: Final = r"(?!\.{1,2}$)[A-Za-z0-9._~-]{1,64}"


@frozen
class Route:
    """The route for one URL.

    Attributes:
        kind: the kind of request.
        name: the name among those of the same kind; None if there can be only one.
        read: parses the request: a query, or a body, its content type and the query.
        handler: called with the parsed request; None: there is none.
        reply: converts the handler's return value to a reply. None: the request is an event, and
            the response only acknowledges it.
        fallback: the response if the handler fails; None: a 500.
        head: the response to a HEAD request.
        body_factor: the maximum body size of a POST, as a multiple of `max_body`; 0: the route
            takes GETs, which have no body.
    """

    kind: WebhookKind
    name: str | None
    read: Callable[..., Any]
    handler: Callable[[Any], object] | None
    reply: Callable[[object], Reply] | None = None
    fallback: Response | None = None
    head: Response = field(factory=Response)
    body_factor: int = 0

    @property
    def methods(self) -> tuple[str, ...]:
        """The HTTP methods it accepts."""
        return ("POST",) if self.body_factor else ("GET", "HEAD")

    @property
    def tail(self) -> str:
        """The end of its URL, after the secret."""
        return tail(self.kind, self.name)

    async def call(self, event: object) -> object:
        """Call the handler, async or not.

        Raises:
            TypeError: an event handler returned a generator, which would never run.
        """
        if self.handler is None:
            return None
        result = self.handler(event)
        if inspect.isawaitable(result):
            result = await result
        if self.reply is None and (inspect.isgenerator(result) or inspect.isasyncgen(result)):
            raise TypeError("the handler returned a generator, so nothing ran: remove its yield")
        return result

    def respond(self, result: object) -> Response:
        """Return the response for the handler's return value.

        Raises:
            TypeError: it is not an answer to this kind of request.
            InvalidRequest: Exotel would refuse it.
        """
        return RECEIVED if self.reply is None else self.reply(result).render()


def tail(kind: str, name: str | None) -> str:
    """Return the end of a URL, after the secret."""
    return kind if name is None else f"{kind}/{name}"


def _one_of(
    *kinds: type[Reply], text: Callable[[str], Reply] | None = None
) -> Callable[[object], Reply]:
    wanted = " or ".join(kind.__name__ for kind in kinds)

    def read(result: object) -> Reply:
        if isinstance(result, kinds):
            return result
        if text is not None and isinstance(result, str):
            return text(result)
        raise TypeError(f"the answer must be {wanted}, not {type(result).__name__}")

    return read


def _passthru_reply(result: object) -> Reply:
    return Passthru.proceed() if result is None else _one_of(Passthru)(result)


_REPLIES: Final[dict[str, tuple[Callable[[object], Reply], str | None]]] = {
    "passthru": (_passthru_reply, None),
    "connect": (_one_of(ConnectPlan), JSON),
    "dial_whom": (_one_of(DialWhom, text=DialWhom), TEXT),
    "gather": (_one_of(GatherPlan), JSON),
    "greeting": (_one_of(Speak, Play, text=Speak), TEXT),
    "whisper": (_one_of(Playback), JSON),
    "sms": (_one_of(SmsText, text=SmsText), TEXT),
    "voicebot": (_one_of(VoicebotStream, text=VoicebotStream), JSON),
}
"""For each applet: the conversion of the handler's return value, and its media type."""


APOLOGY: Final = "Sorry, something went wrong. Please stay on the line."

_OnCallback = TypeVar("_OnCallback", bound="Callable[[StatusCallback], object]")
_OnDial = TypeVar("_OnDial", bound="Callable[[DialEvent], object]")
_OnHeartbeat = TypeVar("_OnHeartbeat", bound="Callable[[Heartbeat], object]")
_OnPassthru = TypeVar("_OnPassthru", bound="Callable[[PassthruRequest], Or[Passthru | None]]")
_OnConnect = TypeVar("_OnConnect", bound="Callable[[ConnectRequest], Or[ConnectPlan]]")
_OnDialWhom = TypeVar("_OnDialWhom", bound="Callable[[ConnectRequest], Or[DialWhom | str]]")
_OnGather = TypeVar("_OnGather", bound="Callable[[GatherRequest], Or[GatherPlan]]")
_OnGreeting = TypeVar("_OnGreeting", bound="Callable[[GreetingRequest], Or[Speak | Play | str]]")
_OnWhisper = TypeVar("_OnWhisper", bound="Callable[[WhisperRequest], Or[Playback]]")
_OnSms = TypeVar("_OnSms", bound="Callable[[SmsRequest], Or[SmsText | str]]")
_OnVoicebot = TypeVar("_OnVoicebot", bound="Callable[[VoicebotRequest], Or[VoicebotStream | str]]")
_Handler = TypeVar("_Handler", bound="Callable[[Any], object]")


class Registry:
    """The handlers of an application.

    Each method except `status_callback`, `dial_event` and `heartbeat` takes the name at the end of
    the handler's URL, and returns a decorator. A handler is an async function of one argument; one
    that is not async is called in the event loop. All methods raise `ConfigurationError` if the
    handler is not a function, contains `yield` or does not take one argument, if the name is taken
    or cannot be part of a URL, and if the fall-back is not an answer to this kind of request.

    The fall-back is the response if the handler raises, times out, or returns an invalid answer.
    """

    def __init__(self, time_zone: tzinfo, apology: str) -> None:
        self._time_zone = time_zone
        self._apology = apology
        self._routes: dict[str, Route] = {}

    def status_callback(self, handler: _OnCallback) -> _OnCallback:
        """Register the handler that is called once for each status callback.

        If it fails or times out, the response is a 500, so that Exotel sends the callback again.
        """
        self._add_callback(check_handler("status_callback", handler))
        return handler

    def dial_event(self, handler: _OnDial) -> _OnDial:
        """Register the handler that is called once for each dial event of Connect applets.

        See `status_callback`.
        """
        read = partial(DialEvent.from_query, time_zone=self._time_zone)
        self._add(Route("dial_event", None, read, check_handler("dial_event", handler)))
        return handler

    def heartbeat(self, handler: _OnHeartbeat) -> _OnHeartbeat:
        """Register the handler that is called for each heartbeat: see `status_callback`."""

        def read(body: bytes, content_type: str, _query: bytes) -> Heartbeat:
            return Heartbeat.from_request(body, content_type, time_zone=self._time_zone)

        known = check_handler("heartbeat", handler)
        self._add(Route("heartbeat", None, read, known, body_factor=HEARTBEAT_FACTOR))
        return handler

    def passthru(
        self, name: str, *, fallback: Passthru | None = None
    ) -> Callable[[_OnPassthru], _OnPassthru]:
        """Register a handler that selects a call's branch; None selects "URL returns OK (200)".

        Args:
            name: the end of its URL.
            fallback: None: `Passthru.divert()`, the branch for when there is no proper answer.
        """
        return self._named("passthru", name, PassthruRequest, fallback or Passthru.divert())

    def connect(
        self, name: str, *, fallback: ConnectPlan | None = None
    ) -> Callable[[_OnConnect], _OnConnect]:
        """Register a handler that decides which numbers a Connect applet dials.

        Args:
            name: the end of its URL.
            fallback: None: `ConnectPlan.nobody()`, which leads to "We didn't dial anyone".
        """
        return self._named("connect", name, ConnectRequest, fallback or ConnectPlan.nobody())

    def dial_whom(
        self, name: str, *, fallback: DialWhom | str | None = None
    ) -> Callable[[_OnDialWhom], _OnDialWhom]:
        """Register a handler that answers the older "dial whom" URL of a Connect applet.

        Args:
            name: the end of its URL.
            fallback: None: a 500, which makes the applet dial nobody.
        """
        return self._named("dial_whom", name, ConnectRequest, fallback)

    def gather(
        self, name: str, *, fallback: GatherPlan | None = None
    ) -> Callable[[_OnGather], _OnGather]:
        """Register a handler that decides how a Gather applet collects the caller's input.

        Args:
            name: the end of its URL.
            fallback: None: the `apology` is spoken, with a `timeout` of one second.
        """
        spare = fallback or GatherPlan(self._apology, timeout=1)
        return self._named("gather", name, GatherRequest, spare)

    def greeting(
        self, name: str, *, fallback: Speak | Play | str | None = None
    ) -> Callable[[_OnGreeting], _OnGreeting]:
        """Register a handler that decides what a Greeting or Menu says; a plain string is spoken.

        Args:
            name: the end of its URL.
            fallback: None: the `apology` is spoken.
        """
        spare = self._apology if fallback is None else fallback
        return self._named("greeting", name, GreetingRequest, spare)

    def whisper(
        self, name: str, *, fallback: Playback | None = None
    ) -> Callable[[_OnWhisper], _OnWhisper]:
        """Register a handler that decides what is played when a dialled party picks up.

        Args:
            name: the end of its URL.
            fallback: None: a 500, which makes the applet play nothing.
        """
        return self._named("whisper", name, WhisperRequest, fallback)

    def sms(
        self, name: str, *, fallback: SmsText | str | None = None
    ) -> Callable[[_OnSms], _OnSms]:
        """Register a handler that decides what an SMS applet sends.

        Args:
            name: the end of its URL.
            fallback: None: a 500, which makes the applet send nothing.
        """
        return self._named("sms", name, SmsRequest, fallback)

    def voicebot(
        self, name: str, *, fallback: VoicebotStream | str | None = None
    ) -> Callable[[_OnVoicebot], _OnVoicebot]:
        """Register a handler that answers the dynamic URL of a Voicebot applet with a bot's URL.

        Args:
            name: the end of its URL.
            fallback: None: a 500. What Exotel does then is not known.
        """
        return self._named("voicebot", name, VoicebotRequest, fallback)

    def _add_callback(self, handler: Callable[[StatusCallback], object] | None) -> None:
        zone = self._time_zone

        def read(body: bytes, content_type: str, query: bytes) -> StatusCallback:
            return StatusCallback.from_request(body, content_type, query=query, time_zone=zone)

        self._add(Route("status_callback", None, read, handler, body_factor=1))

    def _named(
        self,
        kind: WebhookKind,
        name: str,
        request: type[AppletRequest | VoicebotRequest],
        fallback: object,
    ) -> Callable[[_Handler], _Handler]:
        if not isinstance(name, str) or not re.fullmatch(_NAME, name):
            raise ConfigurationError(
                f"{kind}: name it with 1 to 64 letters, digits and ._~- of ASCII, "
                f'as in @hooks.{kind}("main")'
            )
        read = partial(request.from_query, time_zone=self._time_zone)
        reply, content_type = _REPLIES[kind]
        head = Response(headers=(("content-type", content_type),) if content_type else ())
        # Checked here, so that an error in the fall-back is raised where it is passed.
        try:
            spare = None if fallback is None else reply(fallback).render()
        except TypeError as error:
            raise ConfigurationError(f"fallback: {error}") from None

        def register(handler: _Handler) -> _Handler:
            self._add(Route(kind, name, read, check_handler(kind, handler), reply, spare, head))
            return handler

        return register

    def _add(self, route: Route) -> None:
        known = self._routes.get(route.tail)
        if known is not None and known.handler is not None:
            raise ConfigurationError(f"there is a handler for {route.tail} already")
        self._routes[route.tail] = route

    def _route_to(self, kind: WebhookKind, name: str | None) -> Route:
        wanted = tail(kind, name)
        found = self._routes.get(wanted)
        if found is None:
            raise ConfigurationError(f"nothing is registered for {wanted}")
        return found
