"""What there is at each URL: what comes, who handles it, and what goes back."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, TypeAlias, TypeVar

from attrs import field, frozen

from exotel_async.errors import ConfigurationError
from exotel_async.webhooks.answers import DialWhom, Passthru, SmsText
from exotel_async.webhooks.connect_plan import ConnectPlan
from exotel_async.webhooks.gatherplan import GatherPlan
from exotel_async.webhooks.prompts import Play, Playback, Speak
from exotel_async.webhooks.response import JSON, TEXT, Answer, Reply, reply

WebhookKind = Literal[
    "status_callback",
    "dial_event",
    "passthru",
    "connect",
    "dial_whom",
    "gather",
    "greeting",
    "whisper",
    "sms",
]
"""A kind of request; the decorator, and the part of the URL, are called the same."""

T = TypeVar("T")
Or: TypeAlias = T | Awaitable[T]
"""What a handler gives back: it may be async, or not."""

RECEIVED: Final = reply()
"""What an event is answered once it is handled."""

_NAME: Final = r"(?!\.{1,2}$)[A-Za-z0-9._~-]{1,64}"


@frozen
class Route:
    """One URL.

    Attributes:
        kind: what comes.
        name: which of that kind; None where there is one only.
        read: makes a value of what comes.
        handler: what is called with it; None: nothing is.
        answer: makes an answer of what the handler gives back. None: it is an event, and nothing
            but its receipt is answered.
        fallback: what is answered when the handler fails; None: 500.
        head: what is answered to HEAD.
    """

    kind: WebhookKind
    name: str | None
    read: Callable[..., Any]
    handler: Callable[[Any], object] | None
    answer: Callable[[object], Answer] | None = None
    fallback: Reply | None = None
    head: Reply = field(factory=Reply)

    @property
    def tail(self) -> str:
        """The end of its URL, behind the secret."""
        return tail(self.kind, self.name)

    async def call(self, event: object) -> object:
        """Call the handler, be it async or not."""
        if self.handler is None:
            return None
        result = self.handler(event)
        return await result if inspect.isawaitable(result) else result

    def reply(self, result: object) -> Reply:
        """Return what is answered, by what the handler gave back.

        Raises:
            TypeError: that is no answer to this.
            InvalidRequest: Exotel would refuse it.
        """
        return RECEIVED if self.answer is None else self.answer(result).render()


def tail(kind: str, name: str | None) -> str:
    """Return the end of a URL, behind the secret."""
    return kind if name is None else f"{kind}/{name}"


def event_route(
    kind: WebhookKind, read: Callable[..., Any], handler: Callable[[Any], object] | None
) -> Route:
    """Describe the URL of an event.

    Raises:
        ConfigurationError: the handler is none.
    """
    return Route(kind, None, read, None if handler is None else _callable(kind, handler))


def applet_route(
    kind: WebhookKind,
    name: str,
    read: Callable[..., Any],
    handler: Callable[[Any], object],
    fallback: object,
) -> Route:
    """Describe the URL of an applet.

    Raises:
        ConfigurationError: the name is none, the handler is none, or the fall-back is no answer of
            that kind.
        InvalidRequest: the fall-back says what Exotel would refuse.
    """
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        raise ConfigurationError(
            f"{kind}: name it with 1 to 64 letters, digits and ._~- of ASCII, "
            f'as in @hooks.{kind}("main")'
        )
    answer, content_type = _ANSWERS[kind]
    head = Reply(headers=(("content-type", content_type),) if content_type else ())
    spare = None
    if fallback is not None:
        try:
            spare = answer(fallback).render()
        except TypeError as error:
            raise ConfigurationError(f"fallback: {error}") from None
    return Route(kind, name, read, _callable(kind, handler), answer, spare, head)


def _callable(kind: str, handler: object) -> Callable[[Any], object]:
    if not callable(handler):
        raise ConfigurationError(f"{kind}: a handler must be a function, as a rule an async one")
    return handler


def _one_of(
    *kinds: type[Answer], text: Callable[[str], Answer] | None = None
) -> Callable[[object], Answer]:
    wanted = " or ".join(kind.__name__ for kind in kinds)

    def read(result: object) -> Answer:
        if isinstance(result, kinds):
            return result
        if text is not None and isinstance(result, str):
            return text(result)
        raise TypeError(f"the answer must be {wanted}, not {type(result).__name__}")

    return read


def _way(result: object) -> Answer:
    return Passthru.proceed() if result is None else _one_of(Passthru)(result)


_ANSWERS: Final[dict[str, tuple[Callable[[object], Answer], str | None]]] = {
    "passthru": (_way, None),
    "connect": (_one_of(ConnectPlan), JSON),
    "dial_whom": (_one_of(DialWhom, text=DialWhom), TEXT),
    "gather": (_one_of(GatherPlan), JSON),
    "greeting": (_one_of(Speak, Play, text=Speak), TEXT),
    "whisper": (_one_of(Playback), JSON),
    "sms": (_one_of(SmsText, text=SmsText), TEXT),
}
"""What each applet's handler may give back, and the media type of that."""
