"""An async iterator that a failed step does not end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from types import AsyncGeneratorType, TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Steps(AsyncGenerator[T, None]):
    """The steps of an async generator. After one that failed or was cancelled, the next continues.

    A generator that has raised is over: its next step would say that there is no more, as if the
    list had been read to its end. So another is made, for what is left.
    """

    def __init__(self, make: Callable[[], AsyncGenerator[T, None]]) -> None:
        """Describe it; `make` is called by a step, and returns a generator of what is left."""
        self._make = make
        self._steps: AsyncGenerator[T, None] | None = None
        self._ended = False

    async def asend(self, value: None) -> T:
        """Return what comes next."""
        if self._ended:
            raise StopAsyncIteration
        if self._steps is None:
            self._steps = self._make()
        try:
            return await self._steps.asend(value)
        except StopAsyncIteration:
            self._ended = True
            raise
        finally:
            # A second step beside the first fails as well, but ends nothing.
            if isinstance(self._steps, AsyncGeneratorType) and self._steps.ag_frame is None:
                self._steps = None

    async def athrow(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> T:
        """Raise an error where it stands; after that there is no more."""
        self._ended = True
        error = typ if val is None else val
        if isinstance(error, type):
            error = error()
        # To pass all three is deprecated since Python 3.12.
        return await (self._steps or self._make()).athrow(error.with_traceback(tb))

    async def aclose(self) -> None:
        """End it, and what it has in progress."""
        self._ended = True
        if self._steps is not None:
            await self._steps.aclose()
