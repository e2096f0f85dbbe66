"""Checks of what an application is passed, before it is used."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from exotel_async.errors import ConfigurationError
from exotel_async.listeners import takes


def check_handler(kind: str, handler: object) -> Callable[[Any], object]:
    """Return a handler, if it can be one.

    Raises:
        ConfigurationError: it is no function, contains `yield`, or does not take one argument.
    """
    if not callable(handler):
        raise ConfigurationError(f"{kind}: a handler must be a function, as a rule an async one")
    # To call it only makes the generator.
    if _is(inspect.isgeneratorfunction, handler) or _is(inspect.isasyncgenfunction, handler):
        raise ConfigurationError(f"{kind}: a handler must not contain yield: it would never run")
    # A decorator may add arguments of its own, as a session of a database.
    if not takes(handler, 1, follow_wrapped=False):
        raise ConfigurationError(f"{kind}: a handler must take one argument")
    return handler


def _is(test: Callable[[object], bool], function: object) -> bool:
    """Whether a function is of a kind, or that of a partial, or the `__call__` of an object."""
    while isinstance(function, partial):
        function = function.func
    return test(function) or test(type(function).__call__)
