"""A call that runs in the event loop while another thread waits for its result."""

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
    """A call that runs in the loop, and the thread that waits for its result.

    The thread waits on a `SimpleQueue`, to which the loop adds without blocking: a signal handler
    may use a session in the middle of another call of the same thread.
    """

    def __init__(
        self,
        thread: LoopThread,
        work: Callable[[], Awaitable[T]],
        abandon: Callable[[T], object] | None = None,
    ) -> None:
        """Prepare the call.

        `work` is called in the loop, and so is `abandon`, with a result that the thread could not
        take because it was interrupted by an exception, such as Ctrl-C.
        """
        self.loop: Final = thread.loop
        self.inbox: Final[SimpleQueue[Callable[[], object] | None]] = SimpleQueue()
        """Functions for the waiting thread to call; None: there is a result."""
        self.task: asyncio.Task[None] | None = None
        self._work = work
        self._abandon = abandon
        self._value: T
        self._has_value = False
        self._interrupted = False
        self._error: BaseException | None = None

    def wait(self) -> T:
        """Run the call, and return its result.

        An exception that interrupts this thread, such as Ctrl-C, cancels the call, and is raised
        without waiting for its end.

        Raises:
            BaseException: the exception of the call, the very same object.
        """
        try:
            self.loop.call_soon_threadsafe(self._begin)
            while (asked := self.inbox.get()) is not None:
                asked()
            if self._error is None:
                # From here to the user's code nothing must be called, not even `cast`: Python
                # handles signals when a function begins, and the result would be lost.
                return self._value
        except BaseException:
            self._interrupted = True
            try:
                self.loop.call_soon_threadsafe(self._on_interrupt)
            except BaseException:  # a second Ctrl-C
                self.loop.call_soon_threadsafe(self._on_interrupt)
                raise
            raise
        error, self._error = self._error, None
        try:
            raise error
        finally:
            del error, self  # its traceback refers to this frame: avoid a reference cycle

    def _begin(self) -> None:
        if self._interrupted:
            return
        self.task = self.loop.create_task(self._run())

    async def _run(self) -> None:
        try:
            self._value = await self._work()
            self._has_value = True
        except BaseException as error:  # noqa: BLE001 - raised in the waiting thread
            self._error = error
        self.inbox.put(None)
        if self._interrupted:
            self._abandon_value()

    def _on_interrupt(self) -> None:
        if self.task is None:  # not started
            return
        if not self.task.done():
            self.task.cancel()
        else:
            self._abandon_value()

    def _abandon_value(self) -> None:
        if self._has_value and self._abandon is not None:
            self._has_value = False
            self._abandon(self._value)


def run_in_loop(
    work: Callable[[], Awaitable[T]],
    *,
    abandon: Callable[[T], object] | None = None,
) -> T:
    """Await something in the loop of this process, and return its result.

    Raises:
        ConfigurationError: as `loop_thread`.
        BaseException: the exception of `work`.
    """
    return LoopCall(loop_thread(), work, abandon).wait()


def thread_of(loop: asyncio.AbstractEventLoop) -> LoopThread:
    """Return the thread that runs a loop.

    Raises:
        ConfigurationError: as `loop_thread`; or the loop is that of a parent process.
    """
    thread = loop_thread()
    if thread.loop is not loop:
        raise ConfigurationError(MADE_BEFORE_FORK)
    return thread
