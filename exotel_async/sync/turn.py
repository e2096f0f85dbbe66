"""One thing that is done in the event loop for a thread that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
from typing import Final, Generic, TypeVar, cast

from exotel_async.errors import ConfigurationError
from exotel_async.sync.loop_thread import LoopThread, loop_thread

T = TypeVar("T")

PARENTS: Final = (
    "this was made before the process was forked, and is its parent's: make it in the process that "
    "uses it"
)


class Turn(Generic[T]):
    """Something that is awaited in the loop, and the thread that waits for it.

    The thread sleeps in a `SimpleQueue`, into which the loop puts without waiting for anybody: a
    signal handler may use a session in the middle of another call of its own thread.
    """

    def __init__(
        self,
        thread: LoopThread,
        work: Callable[[], Awaitable[T]],
        abandon: Callable[[T], object] | None = None,
    ) -> None:
        """Describe it.

        Args:
            thread: where it is done.
            work: what is awaited; it is called in the loop.
            abandon: called in the loop with a result that the thread does not wait for any more.
        """
        self.loop: Final = thread.loop
        self.inbox: Final[SimpleQueue[Callable[[], object] | None]] = SimpleQueue()
        """What the waiting thread is to do; None: there is a result."""
        self.task: asyncio.Task[None] | None = None
        self._work = work
        self._abandon = abandon
        self._value: T | None = None
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
        except BaseException:
            self.loop.call_soon_threadsafe(self._leave)
            raise
        error, self._error = self._error, None
        if error is None:
            return cast("T", self._value)
        try:
            raise error
        finally:
            del error, self  # its traceback has this frame: no circle

    def _begin(self) -> None:
        self.task = self.loop.create_task(self._see_through())

    async def _see_through(self) -> None:
        try:
            self._value = await self._work()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
        self.inbox.put(None)

    def _leave(self) -> None:
        if self.task is None:  # it has not begun
            return
        if not self.task.done():
            self.task.cancel()
            self.task.add_done_callback(self._left)
        else:
            self._left(self.task)

    def _left(self, _: asyncio.Task[None]) -> None:
        if self._error is None and self._abandon is not None:
            self._abandon(cast("T", self._value))


def wait_for(
    work: Callable[[], Awaitable[T]],
    *,
    abandon: Callable[[T], object] | None = None,
) -> T:
    """Await something in the loop of this process.

    Raises:
        ConfigurationError: as `loop_thread`.
        BaseException: what it raises.
    """
    return Turn(loop_thread(), work, abandon).wait()


def thread_of(loop: asyncio.AbstractEventLoop) -> LoopThread:
    """Return the thread of a loop that something belongs to.

    Raises:
        ConfigurationError: as `loop_thread`; or the loop is that of a parent process.
    """
    thread = loop_thread()
    if thread.loop is not loop:
        raise ConfigurationError(PARENTS)
    return thread
