"""Input of any length, read no further than it is needed, and the tasks that read it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Sized,
)
from itertools import islice
from typing import Any, Final, Generic, TypeVar, cast

from exotel_async.errors import InvalidRequest


class Workers:
    """A few tasks working for one consumer, who may leave at any moment.

    Not a task group: that would wrap the consumer's own error, and it cannot be left from a
    generator.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[Any]] = set()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], number: int = 1) -> None:
        """Start that many tasks of a kind. What they raise must be dealt with by themselves."""
        for _ in range(number):
            task = asyncio.get_running_loop().create_task(work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """End them and wait until they have ended, which takes no time but their own clean-up."""
        # Each is cancelled once, and not by whoever is cancelled while it waits here: it may be
        # cleaning up.
        for task in self._tasks - self._ending:
            task.cancel()
        self._ending |= self._tasks
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # not for the log of asyncio


LINGER: Final = 0.1
"""Seconds: a source that gives nothing for so long has run dry."""

T = TypeVar("T")

_MOST_LINGERED: Final = 1.0  # seconds, with items in hand, for a source that gives one at a time
_END: Final = object()


class LazyInput(Generic[T]):
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
        self._items = iter(source) if isinstance(source, Iterable) else None
        self._queue: asyncio.Queue[object] = asyncio.Queue(ahead)
        self._error: Exception | None = None
        self._workers = Workers()
        self._pumping = False
        self._ended = False
        self._closed = False
        self.total: Final = len(source) if isinstance(source, Sized) else None
        """How many items there are; None where the source does not say."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to be taken, as far as is known."""
        return self._ended and self._error is None

    async def take(self, most: int) -> list[T]:
        """Return the next items, one at least; an empty list at the end.

        They are fewer than wanted only where the source has run dry, for the moment or for good.

        Raises:
            Exception: what the source raised, once all before it was taken.
        """
        taken: list[T] = []
        try:
            if not self._ended:
                await self._fill(taken, most)
        except Exception as error:  # noqa: BLE001 - raised when all is taken
            self._error = error
            self._ended = True
        if not taken and self._error is not None:
            raised, self._error = self._error, None
            raise raised
        return taken

    async def aclose(self) -> None:
        """Read no more. An async generator that was read is closed: its own clean-up runs now."""
        self._closed = True
        await self._workers.aclose()

    async def _fill(self, taken: list[T], most: int) -> None:
        if self._items is not None:
            for item in islice(self._items, most):
                # One by one: what came before an error is not lost.
                taken.append(item)  # noqa: PERF402
            self._ended = len(taken) < most
            return
        if not self._pumping:
            self._pumping = True
            self._workers.start(self._pump)
        loop = asyncio.get_running_loop()
        latest = math.inf
        while len(taken) < most:
            if taken and self._queue.empty():
                latest = min(latest, loop.time() + _MOST_LINGERED)
                try:
                    async with asyncio.timeout_at(min(latest, loop.time() + LINGER)):
                        came = await self._queue.get()
                except TimeoutError:
                    return
            else:
                came = await self._queue.get()
            if came is _END:
                self._ended = True
                return
            taken.append(cast("T", came))

    async def _pump(self) -> None:
        assert isinstance(self._source, AsyncIterable)  # noqa: S101 - else it has an iterator
        items: AsyncIterator[T] | None = None
        try:
            items = aiter(self._source)
            async for item in items:
                if self._closed:  # a source may not mind being cancelled
                    break
                await self._queue.put(item)
        except Exception as error:  # noqa: BLE001 - raised again where the items are taken
            self._error = error
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()
        if not self._closed:
            await self._queue.put(_END)
