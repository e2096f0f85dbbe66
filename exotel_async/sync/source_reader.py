"""The input of a stream: an iterable that is read in the thread that reads the stream."""

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

_EMPTY: Final[dict[object, object]] = {}
_VIEWS: Final = (type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items()))
_IN_MEMORY: Final = (
    *(str, bytes, list, tuple, set, frozenset, dict, deque, range, array),
    *_VIEWS,
)
_LONGEST_READ: Final = 0.05  # seconds after which a batch of items is cut short


class _Request(Generic[T]):
    """A request of the loop for items: either the thread claims it, or the loop withdraws it."""

    def __init__(self) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self.answer: Final[asyncio.Future[None]] = self.loop.create_future()
        self.items: Final[list[T]] = []
        self.ended = True
        """Whether there are no more items; also true if Ctrl-C interrupts the reading."""
        self.error: Exception | None = None
        self.read = False
        """Whether the thread has finished reading."""
        self._unclaimed: Final = [None]

    def claim(self) -> bool:
        """Claim it, and return whether it was unclaimed so far."""
        try:
            del self._unclaimed[0]  # atomic: Ctrl-C comes before it or after this method
        except IndexError:
            return False
        return True

    def settle(self) -> None:
        """Wake the waiting loop if the thread has finished reading. Called in the loop."""
        if self.read and not self.answer.done():
            self.answer.set_result(None)


class SourceReader(Generic[T]):
    """Reads an iterable in the thread that reads the stream, while that waits for a result.

    So a database cursor is used in the thread that opened it, an iterable that blocks does not
    block the event loop, and Ctrl-C interrupts it. Collections in memory are read in the loop.
    """

    def __init__(self, given: Iterable[T], *, ahead: int) -> None:
        """Prepare; nothing is read yet. `ahead` is the maximum number of items read at a time."""
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
        """The input for the stream in the loop. The stream refuses what is not iterable."""
        if isinstance(self._given, _IN_MEMORY) or not isinstance(self._given, Iterable):
            return self._given
        return cast("Iterable[T]", self)  # an asynchronous iterable

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        """Return the next item, once the thread has read it."""
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

    def set_inbox(self, inbox: SimpleQueue[Any] | None) -> None:
        """Set the inbox of the thread that can read now; None: none can. Called in the loop."""
        self._inbox = inbox
        if inbox is not None and self._request is not None:
            self._request.settle()  # Ctrl-C may have come just before the thread posted this
            inbox.put(self._serve_request)

    def end(self) -> None:
        """Stop waiting for the thread. Called in the loop."""
        self._closed = True

    def close(self) -> None:
        """Stop reading. The source does its cleanup in the calling thread."""
        self._closed = True
        self._items, self._given = None, ()

    async def _ask(self) -> _Request[T]:
        request = self._request = _Request[T]()
        if self._inbox is not None:
            self._inbox.put(self._serve_request)
        try:
            await asyncio.shield(request.answer)
        except asyncio.CancelledError:
            if request.claim() or self._closed:
                raise
            # The stream was stopped. An item that is just being read must not be lost.
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
            await request.answer
        finally:
            self._request = None
        return request

    def _serve_request(self) -> None:
        """Serve the request. Called in the thread."""
        request = self._request
        if request is None or not request.claim():
            return
        try:
            request.ended = self._fill(request.items)
        except Exception as raised:  # noqa: BLE001 - raised by the stream, after earlier items
            request.error = raised
        finally:
            request.read = True
            post(request.loop, request.settle)

    def _fill(self, items: list[T]) -> bool:
        """Read a batch of items, and return whether there are no more."""
        if self._items is None:
            self._items = iter(self._given)
        latest = time.monotonic() + _LONGEST_READ
        for item in islice(self._items, self._ahead):
            items.append(item)
            if time.monotonic() > latest:
                return False
        return len(items) < self._ahead
