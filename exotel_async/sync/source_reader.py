"""What a stream reads: an iterable, in the thread that reads the stream."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import islice
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar, cast

from exotel_async.sync.loop_thread import post

T = TypeVar("T")

_NONE: Final[dict[object, object]] = {}
_VIEWS: Final = (type(_NONE.keys()), type(_NONE.values()), type(_NONE.items()))
_IN_MEMORY: Final = (
    *(str, bytes, list, tuple, set, frozenset, dict, deque, range, array),
    *_VIEWS,
)
_LONGEST_READ: Final = 0.05  # seconds in which several items are read at a time


class _Request(Generic[T]):
    """The loop waits for items. Either the thread claims it, to answer it, or the loop gives up."""

    def __init__(self) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self.answer: Final[asyncio.Future[None]] = self.loop.create_future()
        self.items: Final[list[T]] = []
        self.ended = True
        """Whether there are no more; so it is if Ctrl-C interrupts the reading."""
        self.error: Exception | None = None
        self.read = False
        """Whether the thread has read them."""
        self._unclaimed: Final = [None]

    def claim(self) -> bool:
        """Return whether it was unclaimed so far."""
        try:
            del self._unclaimed[0]  # one step: Ctrl-C comes before it, or behind this method
        except IndexError:
            return False
        return True

    def settle(self) -> None:
        """Let the loop go on, if the thread has read. Called in the loop."""
        if self.read and not self.answer.done():
            self.answer.set_result(None)


class SourceReader(Generic[T]):
    """An iterable that is read in the thread that reads the stream, while that waits for a result.

    So the cursor of a database is used in the thread that opened it, one that blocks does not block
    the event loop, and Ctrl-C interrupts it. What is in memory is read in the loop.
    """

    def __init__(self, given: Iterable[T], *, ahead: int) -> None:
        """Describe it; nothing is read. As many items as `ahead` may be read at a time."""
        self._given: Iterable[T] = given
        self._ahead = ahead
        self._items: Iterator[T] | None = None
        self._read: deque[T] = deque()
        self._request: _Request[T] | None = None
        self._inbox: SimpleQueue[Any] | None = None
        self._error: Exception | None = None
        self._ended = False
        self._closed = False

    @property
    def source(self) -> Iterable[T]:
        """What the stream is to read, in the loop. What cannot be iterated, the stream refuses."""
        if isinstance(self._given, _IN_MEMORY) or not isinstance(self._given, Iterable):
            return self._given
        return cast("Iterable[T]", self)  # one for `async for`

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        """Wait until the thread has read on."""
        while not self._read:
            if self._error is not None:
                error, self._error, self._ended = self._error, None, True
                raise error
            if self._ended:
                raise StopAsyncIteration
            request = await self._ask()
            self._read.extend(request.items)
            self._error, self._ended = request.error, request.ended
        return self._read.popleft()

    def attend(self, inbox: SimpleQueue[Any] | None) -> None:
        """Take note in which thread can be read now; None: in none. Called in the loop."""
        self._inbox = inbox
        if inbox is not None and self._request is not None:
            self._request.settle()  # Ctrl-C may have come as the thread was about to have it done
            inbox.put(self._read_on)

    def end(self) -> None:
        """Wait for the thread no more. Called in the loop."""
        self._closed = True

    def close(self) -> None:
        """Read no more. What the source has to clean up, it does in the thread that calls this."""
        self._closed = True
        self._items, self._given = None, ()

    async def _ask(self) -> _Request[T]:
        request = self._request = _Request[T]()
        if self._inbox is not None:
            self._inbox.put(self._read_on)
        try:
            await asyncio.shield(request.answer)
        except asyncio.CancelledError:
            if request.claim() or self._closed:
                raise
            # The stream was stopped. An item that is being read now is not lost.
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            await request.answer
        finally:
            self._request = None
        return request

    def _read_on(self) -> None:
        """Read, in the thread."""
        request = self._request
        if request is None or not request.claim():
            return
        try:
            request.ended = self._fill(request.items)
        except Exception as raised:  # noqa: BLE001 - raised by the stream, behind what came before
            request.error = raised
        finally:
            request.read = True
            post(request.loop, request.settle)

    def _fill(self, items: list[T]) -> bool:
        """Read some, and return whether there are no more."""
        if self._items is None:
            self._items = iter(self._given)
        latest = time.monotonic() + _LONGEST_READ
        for item in islice(self._items, self._ahead):
            items.append(item)
            if time.monotonic() > latest:
                return False
        return len(items) < self._ahead
