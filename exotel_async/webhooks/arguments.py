"""Checks of the arguments that `ExotelWebhooks` and its decorators are given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exotel_async.config import refused
from exotel_async.errors import ConfigurationError, InvalidRequest
from exotel_async.listeners import has_yield, is_async, takes
from exotel_async.webhooks.prompts import Speak


def check_handler(kind: str, handler: object) -> Callable[[Any], object]:
    """Return the handler if it is a valid one.

    Raises:
        ConfigurationError: it is not a function, contains `yield`, or does not take one argument.
    """
    if not callable(handler):
        raise ConfigurationError(f"{kind}: a handler must be a function, as a rule an async one")
    if has_yield(handler):
        raise ConfigurationError(f"{kind}: a handler must not contain yield: it would never run")
    # A decorator may add arguments of its own, such as a database session.
    if not takes(handler, 1):
        raise ConfigurationError(f"{kind}: a handler must take one argument")
    return handler


def check_callback_receiver(calls: object) -> None:
    """Raise ConfigurationError unless callbacks can be forwarded to it in the event loop."""
    # The layering of the package does not allow importing the class here.
    if any(base.__module__.startswith("exotel_async.sync.") for base in type(calls).__mro__):
        right = (
            "the calls of an AsyncExotel: those of an Exotel would block the server's event loop"
        )
        raise refused("forward_to(calls)", calls, right)
    notify = getattr(calls, "notify", None)
    fits = callable(notify) and takes(notify, 1)
    if not fits or is_async(notify):
        right = "the calls of an AsyncExotel, or have a method notify(event) that is not async"
        raise refused("forward_to(calls)", calls, right)


def check_apology(apology: str) -> None:
    """Raise ConfigurationError if the text cannot be spoken."""
    try:
        Speak(apology)
    except InvalidRequest as error:
        raise ConfigurationError(f"apology: {error.rule}") from None


def check_claims(claims: object) -> None:
    """Raise ConfigurationError unless it is an instance of a claim store."""
    methods = (getattr(claims, name, None) for name in ("claim", "done", "release"))
    if isinstance(claims, type) or not all(map(callable, methods)):
        right = "an object with the methods claim, done and release, such as MemoryClaims()"
        raise refused("claims", claims, right)


def check_max_body(max_body: object) -> None:
    """Raise ConfigurationError unless it is a positive number of bytes."""
    if type(max_body) is not int or max_body < 1:
        raise refused("max_body", max_body, "a whole number of bytes, 1 or more")
