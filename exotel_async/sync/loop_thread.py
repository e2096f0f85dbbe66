"""The event loop that all synchronous sessions of this process share, in a separate thread.

It does not use an anyio portal, because there Ctrl-C would leave `call` without cancelling the
called function; a waiting thread could not read the input of a stream meanwhile (see
`SourceReader`); and a `SystemExit` in a listener would end the portal, and with it every session.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Lock, RLock, Thread, current_thread, main_thread
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar

from exotel_async.errors import ConfigurationError

if TYPE_CHECKING:
    from exotel_async.client import AsyncExotel

P = ParamSpec("P")
T = TypeVar("T")

_LONGEST_END: Final = 5.0
"""Seconds for which the interpreter's exit waits: dials in flight have the usual 1.5 of them."""
_LONGEST_REST: Final = 1.0
"""Seconds for which a fork waits until the loop is paused between two of its callbacks."""
_IN_A_LOOP: Final = (
    "this thread runs an event loop, which this call would block: await AsyncExotel instead, or "
    "call this in another thread, for example with asyncio.to_thread"
)

_ENDING: Final = "the interpreter is shutting down"
_AFTER_FORK: Final = 0.05
"""Seconds after which Python has run its callbacks after a fork, in which it drops exceptions."""

logger: Final = logging.getLogger("exotel_async")


class _Threads(ThreadPoolExecutor):
    """An executor with a daemon thread for each job: to look up a host, or to call a listener.

    asyncio's default pool accepts no work once the main thread has ended, though other threads may
    still dial; and the interpreter's exit waits for it, however long a name server takes.
    """

    def __init__(self) -> None:
        super().__init__()
        self._running: set[Thread] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run the function in a new thread."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                if future.set_running_or_notify_cancel():
                    future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                future.set_exception(error)
            finally:
                self._running.discard(current_thread())

        thread = Thread(target=work, name="exotel-sync-helper", daemon=True)
        self._running.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down, and starts no more threads
            self._running.discard(thread)
            work()
        return future

    def join(self, seconds: float) -> None:
        """Wait for the running threads, at most that long."""
        latest = monotonic() + seconds
        for thread in self._running.copy():
            thread.join(max(0.0, latest - monotonic()))


class Entered(Protocol):
    """A stream whose block was entered."""

    @property
    def pipeline(self) -> object:
        """The pipeline of its session, which identifies the session."""

    async def leave(self) -> None:
        """Leave its block."""

    async def close(self) -> None:
        """Leave its block before its session is closed, and let its reader raise an error."""


class LoopThread:
    """An event loop that runs in a daemon thread until the interpreter exits."""

    def __init__(self) -> None:
        """Start it.

        Raises:
            ConfigurationError: threads are patched in this process, for example by gevent.
        """
        if patcher := _patcher():
            raise ConfigurationError(
                f"{patcher} has patched the standard library, and exotel_async.sync needs threads: "
                f"use it in a process that {patcher} does not patch"
            )
        self.loop: Final = asyncio.new_event_loop()
        self._helpers = _Threads()
        self.loop.set_default_executor(self._helpers)
        self.sessions: Final[set[AsyncExotel]] = set()
        """Sessions to be closed at the end. Used only in the loop."""
        self.blocks: Final[set[Entered]] = set()
        """Streams with an entered block, which is left before. Used only in the loop."""
        self._started: set[asyncio.Task[None]] = set()
        self._ending = False
        self._may_run = RLock()
        self._interrupted = False
        self._thread = Thread(target=self._run, name="exotel-sync", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Leave the blocks of all streams, close all sessions, and end the thread."""
        closed: SimpleQueue[None] = SimpleQueue()

        async def close() -> None:
            left = (one.leave() for one in self.blocks)
            await asyncio.gather(*left, return_exceptions=True)
            ended = (one.aclose() for one in self.sessions)
            await asyncio.gather(*ended, return_exceptions=True)
            closed.put(None)

        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(close()))
        # A second Ctrl-C ends the wait.
        with suppress(Empty, KeyboardInterrupt):
            closed.get(timeout=_LONGEST_END)
            self._ending = True
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(_LONGEST_END)
            # A thread that prints while the interpreter exits would crash it.
            self._helpers.join(_LONGEST_REST)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task that no thread waits for. Called in the loop."""
        task = self.loop.create_task(work)
        self._started.add(task)
        task.add_done_callback(self._started.discard)

    async def leave(self, block: Entered) -> None:
        """Leave the block of a stream. Called in the loop."""
        try:
            await block.leave()
        finally:
            self.blocks.discard(block)

    async def close(self, session: AsyncExotel, grace: float) -> None:
        """Leave the blocks of a session's streams, and close it. Called in the loop."""
        pipeline = session.calls.parts().pipeline
        ended = [one for one in self.blocks if one.pipeline is pipeline]
        try:
            await asyncio.gather(*(one.close() for one in ended), return_exceptions=True)
        finally:
            self.blocks.difference_update(ended)
            try:
                await session.aclose(grace)
            finally:
                self.sessions.discard(session)

    def pause_for_fork(self) -> None:
        """Pause the loop, so that none of its locks is held while the process is forked."""
        if current_thread() is self._thread:
            return
        self._may_run.acquire()
        rests = Lock()
        rests.acquire()

        def rest() -> None:
            rests.release()
            # With a timeout, because a signal handler of the forking thread may use a session.
            if self._may_run.acquire(timeout=_LONGEST_REST):
                self._may_run.release()

        self.loop.call_soon_threadsafe(rest)
        # With a timeout, because the loop may be waiting for a lock that the forking thread holds.
        try:
            rests.acquire(timeout=_LONGEST_REST)
        except KeyboardInterrupt:  # which Python would drop here
            self._interrupted = True
            rests.acquire(timeout=_LONGEST_REST)

    def resume_after_fork(self) -> None:
        """Let the loop continue. A Ctrl-C that came meanwhile is sent again."""
        if current_thread() is self._thread:
            return
        with suppress(RuntimeError):  # it was not held
            self._may_run.release()
        if self._interrupted:
            self._interrupted = False
            again = partial(self.loop.call_later, _AFTER_FORK, _interrupt_main)
            self.loop.call_soon_threadsafe(again)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not self._ending:
            try:
                self.loop.run_forever()
            except BaseException:
                # From a listener, such as a SystemExit: it must not affect other sessions.
                logger.exception(
                    "An exception such as SystemExit stopped the event loop of exotel_async.sync; "
                    "it was restarted"
                )
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        for _ in range(2):  # the second time for the reports that those started
            if left := asyncio.all_tasks(self.loop):
                self.loop.run_until_complete(asyncio.wait(left, timeout=_LONGEST_REST))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class _Process:
    """The loop of this process, which a forked child does not take over."""

    def __init__(self) -> None:
        self.thread: LoopThread | None = None
        """The thread of this process, if it has one."""
        self._starting = RLock()
        self._ended = False

    def started(self) -> LoopThread:
        """Return the thread of this process, started if necessary."""
        thread = self.thread
        if thread is None:
            with self._starting:
                if self._ended:
                    raise ConfigurationError(_ENDING)
                thread = self.thread
                if thread is None:
                    thread = self._keep_or_end(LoopThread())
        return thread

    def _keep_or_end(self, made: LoopThread) -> LoopThread:
        if self.thread is None:
            self.thread = made
        else:  # a signal handler has started one meanwhile
            made.end()
        return self.thread

    def end(self) -> None:
        with self._starting:
            self._ended = True
            thread, self.thread = self.thread, None
        if thread is not None:
            thread.end()

    def before_fork(self) -> None:
        self._starting.acquire()
        if self.thread is not None:
            self.thread.pause_for_fork()

    def after_in_parent(self) -> None:
        if self.thread is not None:
            self.thread.resume_after_fork()
        with suppress(RuntimeError):  # it was not acquired: Ctrl-C came first
            self._starting.release()

    def after_in_child(self) -> None:
        # The parent's loop is neither closed nor garbage-collected: the frames of its thread, which
        # does not run here, refer to it. Closing it would remove the parent's sockets from the
        # selector that both share.
        self.thread = None
        self._starting = RLock()  # uWSGI forks without calling `before_fork`


PROCESS: Final = _Process()
atexit.register(PROCESS.end)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=PROCESS.before_fork,
        after_in_parent=PROCESS.after_in_parent,
        after_in_child=PROCESS.after_in_child,
    )


def loop_thread() -> LoopThread:
    """Return the loop's thread, if the current thread may wait for it.

    Raises:
        ConfigurationError: as `check_may_block`; or the interpreter is shutting down.
    """
    check_may_block()
    return PROCESS.started()


def check_may_block() -> None:
    """Check that the current thread may block.

    Raises:
        ConfigurationError: it runs an event loop, which would be blocked.
    """
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    thread = PROCESS.thread
    # The cells of a notebook run in a loop, and may block it. Our own loop must never be blocked.
    if not _is_notebook() or (thread is not None and running is thread.loop):
        raise ConfigurationError(_IN_A_LOOP)


def post(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Have the loop call something soon, if it is this process's loop and still running.

    For use where nothing may block: during garbage collection, in any thread.
    """
    thread = PROCESS.thread
    if thread is not None and thread.loop is loop:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(callback)


def _interrupt_main() -> None:
    """Interrupt the main thread as Ctrl-C does: with a real signal, which also ends a sleep."""
    ident = main_thread().ident
    if ident is not None and callable(signal.getsignal(signal.SIGINT)):
        signal.pthread_kill(ident, signal.SIGINT)


def _is_notebook() -> bool:
    """Return whether this may be a notebook's cell: it runs IPython, in the main thread."""
    ipython = sys.modules.get("IPython")
    return (
        ipython is not None
        and ipython.get_ipython() is not None
        and current_thread() is main_thread()
    )


def _patcher() -> str | None:
    """Return the library that has patched threads, or what an event loop waits with."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent and any(map(gevent.is_module_patched, ("threading", "queue", "select", "socket"))):
        return "gevent"
    if eventlet and any(map(eventlet.is_monkey_patched, ("thread", "select", "socket"))):
        return "eventlet"
    return None
