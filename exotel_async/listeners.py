"""Functions of the user's, a limiter's included, whose failure must change nothing."""

from __future__ import annotations

import _thread
import functools
import inspect
import logging
from collections.abc import Callable
from typing import Final, TypeVar

from exotel_async.errors import ConfigurationError, InvalidRequest

T = TypeVar("T")

_PLAIN: Final = "must be a plain function: it is called, not awaited"

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


def takes(listener: Callable[..., object], number: int) -> bool:
    """Whether a function takes that number of arguments, or does not say what it takes."""
    try:
        # One that wraps another may call it with more, or with less.
        inspect.signature(listener, follow_wrapped=False).bind(*[None] * number)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


def check_event_listener(listener: object) -> None:
    """Refuse an `on_event` that cannot be called with an event, or whose result is to be awaited.

    Raises:
        ConfigurationError: it is no function of one argument, or a coroutine function.
    """
    if is_async(listener) or has_yield(listener):
        raise ConfigurationError(f"on_event: {_PLAIN}")
    if not _takes_one(listener):
        raise ConfigurationError("on_event: must be a function that takes one argument, the event")


def check_progress_listener(listener: object) -> None:
    """Refuse an `on_progress` as `check_event_listener` refuses an `on_event`.

    Raises:
        InvalidRequest: it is no function of one argument, or a coroutine function.
    """
    if is_async(listener) or has_yield(listener):
        raise InvalidRequest("on_progress", listener, _PLAIN, shown=_name_of(listener))
    if not _takes_one(listener):
        rule = "must be a function that takes one argument, the statistics"
        raise InvalidRequest("on_progress", listener, rule, shown=_name_of(listener))


def is_async(function: object) -> bool:
    """Whether what is called is a coroutine function."""
    return _is(function, inspect.iscoroutinefunction)


def has_yield(function: object) -> bool:
    """Whether what is called contains `yield`: a call of it only makes a generator."""
    return _is(function, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def _is(function: object, *tests: Callable[[object], bool]) -> bool:
    """Whether a test holds for a function, for that of a partial, or for an object's `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    return any(test(called) for test in tests for called in (function, type(function).__call__))


def _takes_one(listener: object) -> bool:
    return listener is None or (callable(listener) and takes(listener, 1))
