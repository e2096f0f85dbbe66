"""Handlers, registered by what they handle."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from exotel_async.errors import ConfigurationError
from exotel_async.webhooks.answers import DialWhom, Passthru, SmsText
from exotel_async.webhooks.connect_plan import ConnectPlan
from exotel_async.webhooks.dialevent import DialEvent
from exotel_async.webhooks.events import StatusCallback
from exotel_async.webhooks.flowrequests import ConnectRequest, GatherRequest, PassthruRequest
from exotel_async.webhooks.gatherplan import GatherPlan
from exotel_async.webhooks.prompts import Play, Playback, Speak
from exotel_async.webhooks.requests import GreetingRequest, SmsRequest, WhisperRequest
from exotel_async.webhooks.routes import Route, WebhookKind, applet_route, event_route, tail

if TYPE_CHECKING:
    from exotel_async.webhooks.routes import Or

APOLOGY: Final = "Sorry, something went wrong. Please stay on the line."

_OnCallback = TypeVar("_OnCallback", bound="Callable[[StatusCallback], object]")
_OnDial = TypeVar("_OnDial", bound="Callable[[DialEvent], object]")
_OnPassthru = TypeVar("_OnPassthru", bound="Callable[[PassthruRequest], Or[Passthru | None]]")
_OnConnect = TypeVar("_OnConnect", bound="Callable[[ConnectRequest], Or[ConnectPlan]]")
_OnDialWhom = TypeVar("_OnDialWhom", bound="Callable[[ConnectRequest], Or[DialWhom | str]]")
_OnGather = TypeVar("_OnGather", bound="Callable[[GatherRequest], Or[GatherPlan]]")
_OnGreeting = TypeVar("_OnGreeting", bound="Callable[[GreetingRequest], Or[Speak | Play | str]]")
_OnWhisper = TypeVar("_OnWhisper", bound="Callable[[WhisperRequest], Or[Playback]]")
_OnSms = TypeVar("_OnSms", bound="Callable[[SmsRequest], Or[SmsText | str]]")
_Handler = TypeVar("_Handler", bound="Callable[[Any], object]")


class Registry:
    """The handlers of an application.

    Each method but `status_callback` and `dial_event` takes the name that the handler's URL ends
    with, and gives a decorator. A handler is an async function of one argument; one that is not
    async is called in the event loop. All of them raise `ConfigurationError` for a name that is
    taken or cannot stand in a URL, and for a fall-back that is no answer to the request.

    The fall-back is what is answered when the handler raises, outlasts its time, or gives back
    what is no answer.
    """

    def __init__(self, time_zone: tzinfo, apology: str) -> None:
        self._time_zone = time_zone
        self._apology = apology
        self._routes: dict[str, Route] = {}

    def status_callback(self, handler: _OnCallback) -> _OnCallback:
        """Register what is called for each status callback, once.

        One that fails or outlasts its time is answered 500, so that Exotel sends it again.
        """
        self._add_callback(handler)
        return handler

    def dial_event(self, handler: _OnDial) -> _OnDial:
        """Register what is called for each dial event of Connect applets, once; else as above."""
        read = partial(DialEvent.from_query, time_zone=self._time_zone)
        self._add(event_route("dial_event", read, handler))
        return handler

    def passthru(
        self, name: str, *, fallback: Passthru | None = None
    ) -> Callable[[_OnPassthru], _OnPassthru]:
        """Register what decides which way a call goes; None goes on by "URL returns OK (200)".

        Args:
            name: the end of its URL.
            fallback: None: `Passthru.divert()`, the branch for when there is no proper answer.
        """
        read = partial(PassthruRequest.from_query, time_zone=self._time_zone)
        return self._named("passthru", name, read, fallback or Passthru.divert())

    def connect(
        self, name: str, *, fallback: ConnectPlan | None = None
    ) -> Callable[[_OnConnect], _OnConnect]:
        """Register what decides whom a Connect applet dials.

        Args:
            name: the end of its URL.
            fallback: None: `ConnectPlan.nobody()`, which leads to "We didn't dial anyone".
        """
        read = partial(ConnectRequest.from_query, time_zone=self._time_zone)
        return self._named("connect", name, read, fallback or ConnectPlan.nobody())

    def dial_whom(
        self, name: str, *, fallback: DialWhom | str | None = None
    ) -> Callable[[_OnDialWhom], _OnDialWhom]:
        """Register what answers the older "dial whom" URL of a Connect applet with one number.

        Args:
            name: the end of its URL.
            fallback: None: 500, upon which nobody is dialled.
        """
        read = partial(ConnectRequest.from_query, time_zone=self._time_zone)
        return self._named("dial_whom", name, read, fallback)

    def gather(
        self, name: str, *, fallback: GatherPlan | None = None
    ) -> Callable[[_OnGather], _OnGather]:
        """Register what says how a Gather applet takes the caller's input.

        Args:
            name: the end of its URL.
            fallback: None: the `apology` is spoken, and no key is waited for longer than a second.
        """
        read = partial(GatherRequest.from_query, time_zone=self._time_zone)
        spare = fallback or GatherPlan(self._apology, timeout=1)
        return self._named("gather", name, read, spare)

    def greeting(
        self, name: str, *, fallback: Speak | Play | str | None = None
    ) -> Callable[[_OnGreeting], _OnGreeting]:
        """Register what a Greeting or Menu applet says; a plain text is spoken.

        Args:
            name: the end of its URL.
            fallback: None: the `apology` is spoken.
        """
        spare = self._apology if fallback is None else fallback
        return self._named("greeting", name, GreetingRequest.from_query, spare)

    def whisper(
        self, name: str, *, fallback: Playback | None = None
    ) -> Callable[[_OnWhisper], _OnWhisper]:
        """Register what is played when a dialled party picks up.

        Args:
            name: the end of its URL.
            fallback: None: 500, upon which nothing is played.
        """
        return self._named("whisper", name, WhisperRequest.from_query, fallback)

    def sms(
        self, name: str, *, fallback: SmsText | str | None = None
    ) -> Callable[[_OnSms], _OnSms]:
        """Register what an SMS applet writes.

        Args:
            name: the end of its URL.
            fallback: None: 500, upon which nothing is sent.
        """
        return self._named("sms", name, SmsRequest.from_query, fallback)

    def _add_callback(self, handler: Callable[[StatusCallback], object] | None) -> None:
        read = partial(StatusCallback.from_request, time_zone=self._time_zone)
        self._add(event_route("status_callback", read, handler))

    def _named(
        self, kind: WebhookKind, name: str, read: Callable[..., Any], fallback: object
    ) -> Callable[[_Handler], _Handler]:
        # What is wrong with the fall-back is told where it stands, not where its handler does.
        applet_route(kind, name, read, str, fallback)

        def register(handler: _Handler) -> _Handler:
            self._add(applet_route(kind, name, read, handler, fallback))
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
