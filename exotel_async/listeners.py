"""Calling and checking functions of the user, whose failure must not affect the session."""

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


def call_listener(listener: Callable[..., T], *what: object) -> T | None:
    """Call a listener, and return its result. What it raises is logged, and None is returned."""
    try:
        return listener(*what)
    # Including CancelledError, perhaps of another task, and SystemExit: they must not replace the
    # result of the operation, or the caller would not learn of a call that was placed.
    except BaseException as error:
        logger.exception("The listener %s has failed", _name_of(listener))
        if isinstance(error, KeyboardInterrupt):
            _thread.interrupt_main()
        return None


def _name_of(listener: object) -> str:
    # Not its repr, which may show anything: that of a partial shows its arguments.
    if isinstance(listener, functools.partial):
        return _name_of(listener.func)
    name = getattr(listener, "__qualname__", None)
    return name if isinstance(name, str) else type(listener).__qualname__


def takes(listener: Callable[..., object], number: int) -> bool:
    """Return whether a function takes that number of arguments, or has no known signature."""
    try:
        # The signature of a wrapper counts, not that of the function it wraps.
        inspect.signature(listener, follow_wrapped=False).bind(*[None] * number)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


def check_event_listener(listener: object) -> None:
    """Check that an `on_event` can be called with an event, and need not be awaited.

    Raises:
        ConfigurationError: it does not take one argument, or is a coroutine or generator function.
    """
    if is_async(listener) or has_yield(listener):
        raise ConfigurationError(f"on_event: {_PLAIN}")
    if not _takes_one(listener):
        raise ConfigurationError("on_event: must be a function that takes one argument, the event")


def check_progress_listener(listener: object) -> None:
    """Check an `on_progress` in the same way as `check_event_listener` an `on_event`.

    Raises:
        InvalidRequest: it does not take one argument, or is a coroutine or generator function.
    """
    if is_async(listener) or has_yield(listener):
        raise InvalidRequest("on_progress", listener, _PLAIN, shown=_name_of(listener))
    if not _takes_one(listener):
        rule = "must be a function that takes one argument, the statistics"
        raise InvalidRequest("on_progress", listener, rule, shown=_name_of(listener))


def is_async(function: object) -> bool:
    """Return whether a callable is a coroutine function."""
    return _is(function, inspect.iscoroutinefunction)


def has_yield(function: object) -> bool:
    """Return whether a callable contains `yield`, so that a call only makes a generator."""
    return _is(function, inspect.isgeneratorfunction, inspect.isasyncgenfunction)


def _is(function: object, *tests: Callable[[object], bool]) -> bool:
    """Return whether a test holds for a function, that of a partial, or an object's `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    return any(test(called) for test in tests for called in (function, type(function).__call__))


def _takes_one(listener: object) -> bool:
    return listener is None or (callable(listener) and takes(listener, 1))
