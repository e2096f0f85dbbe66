"""Input of any length, read no further than it is needed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Sized
from itertools import islice
from typing import Final, Generic, TypeVar, cast

from exotel_async.crew import Crew
from exotel_async.errors import InvalidRequest

T = TypeVar("T")

_LINGER: Final = 0.1  # seconds: a source that has run dry is not waited for with items in hand
_END: Final = object()


class Feed(Generic[T]):
    """An iterable or async iterable, taken a few items at a time."""

    def __init__(
        self, argument: str, source: Iterable[T] | AsyncIterable[T], *, ahead: int
    ) -> None:
        """Describe it; nothing is read.

        Args:
            argument: what an error calls the source.
            source: the items.
            ahead: items of an async source that may be read before they are taken.

        Raises:
            InvalidRequest: it cannot be iterated, or is a single text.
        """
        if isinstance(source, str | bytes) or not isinstance(source, Iterable | AsyncIterable):
            rule = "must be an iterable or async iterable of several"
            raise InvalidRequest(argument, type(source).__name__, rule)
        self._source = source
        self._ahead = ahead
        self._items = iter(source) if isinstance(source, Iterable) else None
        self._queue: asyncio.Queue[object] = asyncio.Queue(ahead)
        self._error: Exception | None = None
        self._crew = Crew()
        self._pumping = False
        self._ended = False
        self.total: Final = len(source) if isinstance(source, Sized) else None
        """How many items there are; None where the source does not say."""

    async def take(self, most: int) -> list[T]:
        """Return the next items, one at least; an empty list at the end.

        Raises:
            Exception: what the source raised, once all before it was taken.
        """
        if self._items is not None:
            return list(islice(self._items, most))
        if not self._pumping:
            self._pumping = True
            self._crew.start(self._pump)
        taken: list[T] = []
        while not self._ended and len(taken) < most:
            if taken and self._queue.empty():
                try:
                    async with asyncio.timeout(_LINGER):
                        item = await self._queue.get()
                except TimeoutError:
                    break
            else:
                item = await self._queue.get()
            if item is _END:
                self._ended = True
            else:
                taken.append(cast("T", item))
        if not taken and self._error is not None:
            raise self._error
        return taken

    async def aclose(self) -> None:
        """Read no more."""
        await self._crew.aclose()

    async def _pump(self) -> None:
        assert isinstance(self._source, AsyncIterable)  # noqa: S101 - else it has an iterator
        try:
            async for item in self._source:
                await self._queue.put(item)
        except Exception as error:  # noqa: BLE001 - raised again where the items are taken
            self._error = error
        await self._queue.put(_END)
