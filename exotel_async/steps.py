"""An async iterator that can continue after a failed step."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from types import AsyncGeneratorType, TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class Steps(AsyncGenerator[T, None]):
    """An async generator whose next step continues after one that failed or was cancelled.

    A plain generator ends when it raises: its next step would raise StopAsyncIteration, as if the
    list had been read to its end. So a new generator is made for the remaining items.
    """

    def __init__(self, make: Callable[[], AsyncGenerator[T, None]]) -> None:
        """Prepare; `make`, called by a step, returns a generator of the remaining items."""
        self._make = make
        self._steps: AsyncGenerator[T, None] | None = None
        self._ended = False

    async def asend(self, value: None) -> T:
        """Return the next item."""
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
            # A concurrent second step fails as well, but leaves the generator running.
            if isinstance(self._steps, AsyncGeneratorType) and self._steps.ag_frame is None:
                self._steps = None

    async def athrow(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> T:
        """Raise an error in the generator; after that there are no more items."""
        self._ended = True
        error = typ if val is None else val
        if isinstance(error, type):
            error = error()
        # Passing all three is deprecated since Python 3.12.
        return await (self._steps or self._make()).athrow(error.with_traceback(tb))

    async def aclose(self) -> None:
        """Close the generator, and what it has in progress."""
        self._ended = True
        if self._steps is not None:
            await self._steps.aclose()
