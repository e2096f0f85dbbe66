"""Functions of the user's, a limiter's included, whose failure must change nothing."""

from __future__ import annotations

import _thread
import functools
import inspect
import logging
from collections.abc import Callable
from typing import Final, TypeVar

from exotel_async.errors import ConfigurationError

T = TypeVar("T")
_NO_LISTENER: Final = "on_event: must be a function that takes one argument, the event"

logger: Final = logging.getLogger("exotel_async")


def tell(listener: Callable[..., T], *what: object) -> T | None:
    """Call a listener, and return its result. What it raises is logged, and None is returned."""
    try:
        return listener(*what)
    # Nor does a CancelledError, be it that of another task, or a SystemExit change what is told: a
    # call that was placed would not be known to its caller.
    except BaseException as error:
        logger.exception("The listener %s has failed", _name_of(listener))
        if isinstance(error, KeyboardInterrupt):
            _thread.interrupt_main()
        return None


def _name_of(listener: object) -> str:
    # Its repr may show anything: that of a partial has its arguments.
    if isinstance(listener, functools.partial):
        return _name_of(listener.func)
    name = getattr(listener, "__qualname__", None)
    return name if isinstance(name, str) else type(listener).__qualname__


def check_event_listener(listener: object) -> None:
    """Refuse an `on_event` that cannot be called with an event, or whose result is to be awaited.

    Raises:
        ConfigurationError: it is no function of one argument, or a coroutine function.
    """
    if listener is None:
        return
    if not callable(listener):
        raise ConfigurationError(_NO_LISTENER)
    if inspect.iscoroutinefunction(listener) or inspect.iscoroutinefunction(
        getattr(listener, "__call__", None)  # noqa: B004 - of an object that is called
    ):
        raise ConfigurationError("on_event: must be a plain function: it is called, not awaited")
    if not takes(1, listener):
        raise ConfigurationError(_NO_LISTENER)


def takes(number: int, listener: Callable[..., object]) -> bool:
    """Whether a function can be called with so many arguments, as far as it says what it takes."""
    try:
        inspect.signature(listener).bind(*[None] * number)
    except ValueError:  # it does not say
        return True
    except TypeError:
        return False
    return True
