"""The calls of one `connect_many` that are in progress, and their ends."""

from __future__ import annotations

import asyncio
import logging
import weakref
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from attrs import evolve

from exotel_async.calls.intervals import FIRST_LOOK, FIRST_POLL
from exotel_async.calls.reconcile import CallFound, Reconciliation
from exotel_async.calls.wait import LONGEST_WATCH
from exotel_async.calls.wait_state import Waiter, WaitOptions, is_over
from exotel_async.config import Priority, SendOptions
from exotel_async.errors import CallOutcomeUnknown, ConfigurationError, ExotelError, NotFound
from exotel_async.models import Call

if TYPE_CHECKING:
    from exotel_async.calls.connect_many_plan import DialOrder
    from exotel_async.calls.parts import CallParts
    from exotel_async.calls.streams import Workers

logger: Final = logging.getLogger("exotel_async")


class CallEnds:
    """A stream of calls, each when it is over; it ends with the last of them."""

    def __init__(self) -> None:
        self._calls: asyncio.Queue[Call | None] = asyncio.Queue()
        self._error: Exception | None = None
        self._complete = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Call:
        call = await self._calls.get()
        if call is not None:
            return call
        self._calls.put_nowait(None)
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        raise StopAsyncIteration

    def add(self, call: Call) -> None:
        """Add a call that is over."""
        self._calls.put_nowait(call)

    def end(self, error: Exception | None = None) -> None:
        """End the stream: there are no more calls, or, with an error, they cannot be known."""
        if not self._complete:
            self._complete, self._error = True, error
            self._calls.put_nowait(None)


class LiveCalls:
    """Counts the legs in progress, or possibly in progress.

    A call is followed to its end if the number of legs is limited, or there is a reader of ends.
    """

    def __init__(
        self,
        parts: CallParts,
        workers: Workers,
        *,
        most: int | None,
        interval: float,
    ) -> None:
        self._pipeline = parts.pipeline
        self._watcher = parts.watcher
        self._reconciler = parts.reconciler
        self._workers = workers
        self._most = most
        self._interval = interval
        self.legs: int = 0
        """Legs in progress, of calls and of dials in flight."""
        self._changed = asyncio.Event()
        self._waiters: dict[str, Waiter] = {}
        # A weak reference: ends are collected only while a reader holds the stream.
        self._ends: weakref.ref[CallEnds] | None = None
        self._missed = False
        self._dialling = True

    def ends(self) -> CallEnds:
        """Return the stream of ends, the same for each caller.

        Raises:
            RuntimeError: it would be incomplete: a call was placed before.
        """
        ends = self._reader()
        if ends is None:
            if self._missed:
                raise RuntimeError("ask for the ends before the first call is placed, and keep it")
            ends = CallEnds()
            self._ends = weakref.ref(ends)
            self._end_if_complete()
        return ends

    def take(self, legs: int) -> bool:
        """Reserve room for a call. Return whether there was any."""
        if self._most is not None and self.legs + legs > self._most:
            self._changed.clear()
            return False
        self.legs += legs
        return True

    async def changed(self) -> None:
        """Wait until there may be more room, or `wake` was called."""
        await self._changed.wait()

    def wake(self) -> None:
        """Have those that wait for room check again."""
        self._changed.set()

    def free(self, legs: int) -> None:
        """Release the room of a call that is over, or was not placed."""
        self.legs -= legs
        self.wake()
        self._end_if_complete()

    def placed(self, call: Call, order: DialOrder) -> None:
        """Follow a call to its end, if that is needed."""
        self._missed |= self._reader() is None
        if is_over(call):
            self._over(call, order)
        elif self._is_followed:
            self._follow(call.sid, order)
        else:
            self.free(order.legs)

    def lost(self, error: CallOutcomeUnknown, order: DialOrder) -> None:
        """Search for a call that may be in progress. Until that is known, it keeps its room."""
        self._missed |= self._reader() is None
        if not self._is_followed:
            self.free(order.legs)
        elif error.sid is not None:
            self._follow(error.sid, order)
        else:
            self._workers.start(partial(self._search, error, order))

    def dialling_ended(self) -> None:
        """Record that nothing more will be dialled."""
        self._dialling = False
        self._end_if_complete()

    def end_stream(self, error: Exception) -> None:
        """End the stream of ends with an error, if there is a reader."""
        ends = self._reader()
        if ends is not None:
            ends.end(error)

    def drop(self) -> None:
        """Stop following calls."""
        for waiter in self._waiters.values():
            self._watcher.drop(waiter)

    @property
    def _is_followed(self) -> bool:
        return self._most is not None or self._reader() is not None

    def _reader(self) -> CallEnds | None:
        return None if self._ends is None else self._ends()

    def _end_if_complete(self) -> None:
        ends = self._reader()
        if ends is not None and not self._dialling and not self.legs:
            ends.end()

    def _over(self, call: Call, order: DialOrder) -> None:
        ends = self._reader()
        if ends is not None:
            ends.add(evolve(call, target=order.target))
        self.free(order.legs)

    def _closed(self, error: ConfigurationError, order: DialOrder) -> None:
        """End the stream, and free the call's room: the session is closed."""
        self.end_stream(error)
        self.free(order.legs)

    def _follow(self, sid: str, order: DialOrder, since: float | None = None) -> None:
        """Watch a call until the shared poll, or a callback, reports that it is over."""
        time = asyncio.get_running_loop().time
        began = time() if since is None else since

        def on_end(how: Call | ExotelError) -> None:
            self._waiters.pop(sid, None)
            if isinstance(how, Call):
                self._over(how, order)
            elif isinstance(how, ConfigurationError):
                self._closed(how, order)
            elif isinstance(how, NotFound) or time() - began >= LONGEST_WATCH:
                self.free(order.legs)
            else:  # it cannot be read now, but may be in progress
                self._follow(sid, order, began)

        terms = WaitOptions(interval=self._interval, priority=Priority.BULK)
        try:
            waiter = self._watcher.add(sid, terms, on_end)
        except ConfigurationError as error:
            self._closed(error, order)
            return
        if waiter is not None:
            self._waiters[sid] = waiter

    async def _search(self, error: CallOutcomeUnknown, order: DialOrder) -> None:
        """Search for the call of a lost dial until it is found, or certainly does not exist."""
        try:
            found = await self._reconciled(error)
        except ConfigurationError as closed:
            self._closed(closed, order)
            return
        if not isinstance(found, CallFound):
            self.free(order.legs)
        elif is_over(found.call):
            self._over(found.call, order)
        else:
            self._follow(found.call.sid, order)

    async def _reconciled(self, error: CallOutcomeUnknown) -> Reconciliation:
        interval = FIRST_LOOK * self._interval / FIRST_POLL
        options = SendOptions(priority=Priority.BULK)
        while True:
            try:
                return await self._reconciler.reconcile(
                    error, options, timeout=None, interval=interval
                )
            except ConfigurationError:
                raise
            except ExotelError as failure:
                logger.warning(
                    "Searching for a call of unknown outcome has failed. Trying again: %s",
                    failure,
                )
            await self._pipeline.sleep(interval)
