"""One thing that is done in the event loop for a thread that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from typing import Final, Generic, TypeVar

from exotel_async.errors import ConfigurationError
from exotel_async.sync.loop_thread import LoopThread, loop_thread

T = TypeVar("T")

MADE_BEFORE_FORK: Final = (
    "this was made before the process was forked, and belongs to the parent process: make it in "
    "the process that uses it"
)


class LoopCall(Generic[T]):
    """Something that is awaited in the loop, and the thread that waits for it.

    The thread sleeps in a `SimpleQueue`, into which the loop puts without blocking: a
    signal handler may use a session in the middle of another call of its own thread.
    """

    def __init__(
        self,
        thread: LoopThread,
        work: Callable[[], Awaitable[T]],
        abandon: Callable[[T], object] | None = None,
    ) -> None:
        """Describe it.

        `work` is called in the loop, and so is `abandon`, with a result that the thread has not
        taken because an exception came there, as by Ctrl-C.
        """
        self.loop: Final = thread.loop
        self.inbox: Final[SimpleQueue[Callable[[], object] | None]] = SimpleQueue()
        """What the waiting thread is to do; None: there is a result."""
        self.task: asyncio.Task[None] | None = None
        self._work = work
        self._abandon = abandon
        self._value: T
        self._has_value = False
        self._left = False
        self._error: BaseException | None = None

    def wait(self) -> T:
        """Have it done, and return its result.

        An exception that comes here, as by Ctrl-C, cancels it, and is not kept waiting by that.

        Raises:
            BaseException: what it raises, the very same object.
        """
        try:
            self.loop.call_soon_threadsafe(self._begin)
            while (asked := self.inbox.get()) is not None:
                asked()
            if self._error is None:
                # Up to the user nothing is called behind this, not even `cast`: Python handles
                # signals where a function begins, and the result would be lost.
                return self._value
        except BaseException:
            self._left = True
            try:
                self.loop.call_soon_threadsafe(self._leave)
            except BaseException:  # Ctrl-C once more
                self.loop.call_soon_threadsafe(self._leave)
                raise
            raise
        error, self._error = self._error, None
        try:
            raise error
        finally:
            del error, self  # its traceback has this frame: no circle

    def _begin(self) -> None:
        if self._left:
            return
        self.task = self.loop.create_task(self._see_through())

    async def _see_through(self) -> None:
        try:
            self._value = await self._work()
            self._has_value = True
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
        self.inbox.put(None)
        if self._left:
            self._drop()

    def _leave(self) -> None:
        if self.task is None:  # it has not begun
            return
        if not self.task.done():
            self.task.cancel()
        else:
            self._drop()

    def _drop(self) -> None:
        if self._has_value and self._abandon is not None:
            self._has_value = False
            self._abandon(self._value)


def run_in_loop(
    work: Callable[[], Awaitable[T]],
    *,
    abandon: Callable[[T], object] | None = None,
) -> T:
    """Await something in the loop of this process.

    Raises:
        ConfigurationError: as `loop_thread`.
        BaseException: what it raises.
    """
    return LoopCall(loop_thread(), work, abandon).wait()


def thread_of(loop: asyncio.AbstractEventLoop) -> LoopThread:
    """Return the thread of a loop that something belongs to.

    Raises:
        ConfigurationError: as `loop_thread`; or the loop is that of a parent process.
    """
    thread = loop_thread()
    if thread.loop is not loop:
        raise ConfigurationError(MADE_BEFORE_FORK)
    return thread
