"""Streams of any length: lazily read input, results, and the worker tasks between them."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Sequence,
    Sized,
)
from datetime import timedelta
from functools import partial
from itertools import islice
from typing import Any, Final, Generic, Self, TypeVar, cast

from exotel_async.errors import ConfigurationError, InvalidRequest


class Workers:
    """A few tasks that work for one consumer, which may leave at any moment.

    This is not a task group, which would wrap the consumer's own error, and cannot be left from a
    generator.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[Any]] = set()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], number: int = 1) -> None:
        """Start `number` tasks. They must handle their own exceptions."""
        for _ in range(number):
            task = asyncio.get_running_loop().create_task(work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """Cancel the tasks, and wait until their clean-up has ended."""
        # Each task is cancelled only once, even if the task that waits here is cancelled and calls
        # this again: it may be cleaning up.
        for task in self._tasks - self._ending:
            task.cancel()
        self._ending |= self._tasks
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # retrieve it, or asyncio logs it


LINGER: Final = 0.1
"""Seconds after which a source that yields nothing counts as dry for the moment."""

T = TypeVar("T")

_MAX_LINGERED: Final = 1.0  # seconds to hold items back for a source that yields one at a time
_END: Final = object()


def pace(done: int, total: int | None, started: float) -> tuple[float, timedelta | None]:
    """Return how many are done per second, and how long the rest will take; None if unknown.

    `started` is a time of `time.monotonic`.
    """
    elapsed = time.monotonic() - started
    rate = done / elapsed if elapsed > 0 else 0.0
    if total is None or rate <= 0:
        return rate, None
    return rate, timedelta(seconds=max(0, total - done) / rate)


class LazyInput(Generic[T]):
    """An iterable or async iterable, read a few items at a time."""

    def __init__(
        self, argument: str, source: Iterable[T] | AsyncIterable[T], *, ahead: int
    ) -> None:
        """Prepare; nothing is read. Up to `ahead` items of an async source are read in advance.

        Raises:
            InvalidRequest: the source cannot be iterated, or is a single string.
        """
        if isinstance(source, str | bytes) or not isinstance(source, Iterable | AsyncIterable):
            rule = "must be an iterable or async iterable of several"
            raise InvalidRequest(argument, type(source).__name__, rule)
        self._source = source
        self._items = iter(source) if isinstance(source, Iterable) else None
        self._queue: asyncio.Queue[object] = asyncio.Queue()
        self._room = asyncio.Semaphore(ahead)
        self._error: Exception | None = None
        self._workers = Workers()
        self._pumping = False
        self._reading: asyncio.Task[Any] | None = None
        self._ended = False
        self._stopped = False
        self._closed = False
        self.total: Final = len(source) if isinstance(source, Sized) else None
        """The number of items; None if the source has no length."""

    @property
    def ended(self) -> bool:
        """Whether the source is known to have no more items, and no error to raise."""
        return self._ended and self._error is None

    async def take(self, most: int) -> list[T]:
        """Return the next items, at least one; an empty list at the end.

        There are fewer than `most` only if the source has run dry, for the moment or for good.

        Raises:
            Exception: the error of the source, after all items before it were taken.
        """
        taken: list[T] = []
        try:
            if not self._ended:
                await self._fill(taken, most)
        except Exception as error:  # noqa: BLE001 - raised after the items before it
            self._error = error
            self._ended = True
        if not taken and self._error is not None:
            raised, self._error = self._error, None
            raise raised
        return taken

    def stop(self) -> None:
        """Stop reading. Items that were read already can still be taken; then the input ends.

        If an async source is being waited for, its step is cancelled.
        """
        self._stopped = True
        if self._reading is not None:
            self._reading.cancel()

    async def aclose(self) -> None:
        """Stop reading. An async generator that was read is closed: its clean-up runs now."""
        self._closed = True
        await self._workers.aclose()

    async def _fill(self, taken: list[T], most: int) -> None:
        if self._items is not None:
            for item in islice(self._items, 0 if self._stopped else most):
                # One by one: items before an error are not lost.
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
                latest = min(latest, loop.time() + _MAX_LINGERED)
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
            self._room.release()
            taken.append(cast("T", came))

    async def _pump(self) -> None:
        try:
            await self._read_source()
        except asyncio.CancelledError:
            # Raised by the source, too, if it awaits a task that was cancelled.
            self._error = ConfigurationError("the source of this stream was cancelled")
        except Exception as error:  # noqa: BLE001 - raised again by `take`
            self._error = error
        finally:
            self._queue.put_nowait(_END)

    async def _read_source(self) -> None:
        assert isinstance(self._source, AsyncIterable)  # noqa: S101 - else it has an iterator
        items: AsyncIterator[T] | None = None
        try:
            items = aiter(self._source)
            while not self._stopped:
                item = await self._next(items)
                if item is _END or self._closed:  # a source may ignore its cancellation
                    break
                await self._room.acquire()
                self._queue.put_nowait(item)
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    async def _next(self, items: AsyncIterator[T]) -> T | object:
        """Wait for the next item of an async source, or until `stop`."""
        task = self._reading = asyncio.current_task()
        try:
            return await anext(items, _END)
        except asyncio.CancelledError:
            if task is None or self._closed or not self._stopped:
                raise
            task.uncancel()
            return _END
        finally:
            self._reading = None


class ResultStream(Generic[T]):
    """A stream of results, in the order they come, for one consumer that may leave at any moment.

    A subclass starts its tasks in `_begin`, and they hand over results with `_give`. The stream
    ends with the last of the tasks.
    """

    def __init__(self, source: LazyInput[Any], *, places: int) -> None:
        """Prepare. `places` is how many batches of results may wait until they are taken."""
        self._input = source
        self._workers = Workers()
        self._working = 0
        self._places = asyncio.Semaphore(places)
        self._out: asyncio.Queue[Sequence[T] | None] = asyncio.Queue()
        self._ready: deque[T] = deque()
        self._error: Exception | None = None
        self._entered = False
        self._ended = False

    async def __aenter__(self) -> Self:
        if self._entered:
            raise RuntimeError("a stream can be read once: ask for another one")
        self._entered = True
        self._begin()
        return self

    async def __aexit__(self, *_: object) -> None:
        if not self._ended:
            # A reader in another task must not wait for ever.
            self._error = self._error or RuntimeError("the block of this stream was left")
        try:
            await self._workers.aclose()
        finally:
            # Report all results that no reader got: because it was cancelled while waiting, or
            # because `_taken` raised.
            self._abandon(self._ready)
            self._ready.clear()
            while not self._out.empty():
                self._abandon(self._out.get_nowait() or ())
            self._out.put_nowait(None)
            await self._input.aclose()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        """Return the next result.

        Raises:
            ConfigurationError: the session is closed, or the tasks of the stream were cancelled.
            ExotelError: nothing can be requested. The error of a single item is in its result.
            Exception: the error of the input, after the results of all items before it; or the
                error of the consumer's `on_progress`.
        """
        if not self._entered:
            raise RuntimeError("use it in `async with`")
        if not self._ready:
            results = await self._out.get()
            if results is None:
                self._ended = True
                self._out.put_nowait(None)
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopAsyncIteration
            self._places.release()
            self._ready.extend(results)
            self._taken(results)
        return self._ready.popleft()

    def _begin(self) -> None:
        """Start the tasks."""
        raise NotImplementedError

    def _finished(self) -> None:
        """Handle the end of the last task."""

    def _taken(self, results: Sequence[T]) -> None:
        """Handle results that the consumer has taken."""

    def _abandon(self, results: Sequence[T]) -> None:
        """Handle results that no consumer will take."""

    def _start(self, work: Callable[[], Coroutine[Any, Any, None]], number: int = 1) -> None:
        """Start `number` tasks. An exception of one ends the stream."""
        self._working += number
        self._workers.start(partial(self._run_task, work), number)

    async def _run_task(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except asyncio.CancelledError:
            # If all tasks were cancelled, the consumer must not wait for ever.
            self._error = self._error or ConfigurationError(
                "the tasks of this stream were cancelled"
            )
            raise
        except Exception as error:  # noqa: BLE001 - raised to the consumer
            self._error = self._error or error
        finally:
            self._working -= 1
            if not self._working:
                self._out.put_nowait(None)
                self._finished()

    async def _give(self, *results: T) -> None:
        """Hand over a batch of results, as soon as there is a place for it."""
        try:
            await self._places.acquire()
        except asyncio.CancelledError:
            self._abandon(results)
            raise
        self._out.put_nowait(results)
