"""Listeners that users pass, and the threads they are called in."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from functools import wraps
from typing import Any, Generic, TypeVar

from exotel_async.listeners import check_progress_listener, has_yield, takes

T = TypeVar("T")


def run_in_thread(listener: Any) -> Any:
    """Wrap a function of two arguments so that it is called in a thread, where it may block.

    A coroutine that it returns is awaited in the loop. An invalid listener is returned unchanged,
    for the session to refuse.
    """
    if not (callable(listener) and takes(listener, 2)) or has_yield(listener):
        return listener

    @wraps(listener)
    async def called(ended: object, target: object) -> object:
        result = await asyncio.get_running_loop().run_in_executor(None, listener, ended, target)
        return await result if inspect.isawaitable(result) else result

    return called


class Progress(Generic[T]):
    """An `on_progress` that is called in the thread that reads the stream."""

    def __init__(self, on_progress: Callable[[T], object] | None) -> None:
        """Wrap the listener.

        Raises:
            InvalidRequest: it is not a function of one argument.
        """
        check_progress_listener(on_progress)
        self._on_progress = on_progress
        self._noted: deque[T] = deque()

    @property
    def listener(self) -> Callable[[T], object] | None:
        """The function for the stream to call in the loop."""
        return None if self._on_progress is None else self._noted.append

    def tell(self) -> None:
        """Call the listener with what was collected. Its exceptions are raised here."""
        while self._noted:
            noted = self._noted.popleft()
            if self._on_progress is not None:
                try:
                    self._on_progress(noted)
                except StopIteration as error:  # it would silently end the `for`
                    raise RuntimeError("on_progress raised StopIteration") from error
