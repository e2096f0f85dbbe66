"""The event loop that all synchronous sessions of this process share, in a thread of its own.

Not a portal of anyio. Ctrl-C would leave its `call` without cancelling what was called; a thread
that waits in it could not read the input of a stream meanwhile (see `SourceReader`); and what is no
`Exception`, such as a SystemExit in a listener, would end it, and with it every session.
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
"""Seconds for which the interpreter's end waits: dials in flight have the usual 1.5 of them."""
_LONGEST_REST: Final = 1.0
"""Seconds for which a fork waits until the loop rests between two of its callbacks."""
_IN_A_LOOP: Final = (
    "this thread runs an event loop, which this call would block: await AsyncExotel instead, or "
    "call this in another thread, for example with asyncio.to_thread"
)

_ENDING: Final = "the interpreter is shutting down"
_AFTER_FORK: Final = 0.05
"""Seconds in which Python has done what it does after a fork, where it drops exceptions."""

logger: Final = logging.getLogger("exotel_async")


class _Threads(ThreadPoolExecutor):
    """A daemon thread for each piece of work: to look up a host, or to call a listener.

    The pool of asyncio takes no work once the main thread has ended, though other threads may still
    dial, and the interpreter's end waits for it, however long a name server does not answer.
    """

    def __init__(self) -> None:
        super().__init__()
        self._running: set[Thread] = set()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start a thread for it."""
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
        except RuntimeError:  # the interpreter ends, and starts no more threads
            self._running.discard(thread)
            work()
        return future

    def join(self, seconds: float) -> None:
        """Wait for those that run, that long at most."""
        latest = monotonic() + seconds
        for thread in self._running.copy():
            thread.join(max(0.0, latest - monotonic()))


class Entered(Protocol):
    """A stream whose block was entered."""

    @property
    def pipeline(self) -> object:
        """What its session sends by, which tells it from those of others."""

    async def leave(self) -> None:
        """Leave it."""

    async def close(self) -> None:
        """Leave it before its session is closed, and have its reader hear of that."""


class LoopThread:
    """An event loop that runs in a daemon thread, until the interpreter ends."""

    def __init__(self) -> None:
        """Begin it.

        Raises:
            ConfigurationError: threads are none in this process.
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
        """Those that are to be closed at the end. Used in the loop alone."""
        self.blocks: Final[set[Entered]] = set()
        """Streams whose block was entered, and is to be left first. Used in the loop alone."""
        self._started: set[asyncio.Task[None]] = set()
        self._ending = False
        self._go = RLock()
        self._interrupted = False
        self._thread = Thread(target=self._run, name="exotel-sync", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Leave all streams, close all sessions, and end the thread."""
        closed: SimpleQueue[None] = SimpleQueue()

        async def close() -> None:
            left = (one.leave() for one in self.blocks)
            await asyncio.gather(*left, return_exceptions=True)
            ended = (one.aclose() for one in self.sessions)
            await asyncio.gather(*ended, return_exceptions=True)
            closed.put(None)

        self.loop.call_soon_threadsafe(lambda: self.loop.create_task(close()))
        # A second Ctrl-C ends the waiting.
        with suppress(Empty, KeyboardInterrupt):
            closed.get(timeout=_LONGEST_END)
            self._ending = True
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(_LONGEST_END)
            # One that printed while the interpreter ends would crash it.
            self._helpers.join(_LONGEST_REST)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done that no thread waits for. Called in the loop."""
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
        """Leave the streams of a session, and close it. Called in the loop."""
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
        """Let the loop rest, so that none of its locks is held while the process is forked."""
        if current_thread() is self._thread:
            return
        self._go.acquire()
        rests = Lock()
        rests.acquire()

        def rest() -> None:
            rests.release()
            # Not for ever: a signal handler of the forking thread may use a session.
            if self._go.acquire(timeout=_LONGEST_REST):
                self._go.release()

        self.loop.call_soon_threadsafe(rest)
        # It may be that it waits for a lock that the forking thread holds.
        try:
            rests.acquire(timeout=_LONGEST_REST)
        except KeyboardInterrupt:  # which Python would drop here
            self._interrupted = True
            rests.acquire(timeout=_LONGEST_REST)

    def resume_after_fork(self) -> None:
        """Let the loop continue. Ctrl-C that came meanwhile comes again."""
        if current_thread() is self._thread:
            return
        with suppress(RuntimeError):  # it was not held
            self._go.release()
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
                # Of a listener, as a SystemExit: the other sessions have nothing to do with it.
                logger.exception(
                    "An exception such as SystemExit stopped the event loop of exotel_async.sync; "
                    "it was restarted"
                )
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        for _ in range(2):  # the second time, for what those have reported
            if left := asyncio.all_tasks(self.loop):
                self.loop.run_until_complete(asyncio.wait(left, timeout=_LONGEST_REST))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


class _Process:
    """The loop of this process, which a fork leaves to its parent."""

    def __init__(self) -> None:
        self.thread: LoopThread | None = None
        """The thread of this process, if it has one."""
        self._starting = RLock()
        self._ended = False

    def started(self) -> LoopThread:
        """Return the thread that runs here."""
        thread = self.thread
        if thread is None:
            with self._starting:
                if self._ended:
                    raise ConfigurationError(_ENDING)
                thread = self.thread
                if thread is None:
                    thread = self._kept(LoopThread())
        return thread

    def _kept(self, made: LoopThread) -> LoopThread:
        if self.thread is None:
            self.thread = made
        else:  # a signal handler has made one meanwhile
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
        # The parent's loop is neither closed nor collected: its thread's frames, which do not run
        # here, hold it. Closing it would take the parent's sockets out of the selector they share.
        self.thread = None
        self._starting = RLock()  # uWSGI forks without asking before


PROCESS: Final = _Process()
atexit.register(PROCESS.end)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(
        before=PROCESS.before_fork,
        after_in_parent=PROCESS.after_in_parent,
        after_in_child=PROCESS.after_in_child,
    )


def loop_thread() -> LoopThread:
    """Return the thread whose loop does the work of this one, which may wait for it.

    Raises:
        ConfigurationError: as `check_may_block`; or the interpreter ends.
    """
    check_may_block()
    return PROCESS.started()


def check_may_block() -> None:
    """Check that this thread may wait for something.

    Raises:
        ConfigurationError: it runs an event loop, which waiting would hold up.
    """
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        return
    thread = PROCESS.thread
    # The cells of a notebook run in a loop, and are to wait. In the loop itself nothing can.
    if not _is_notebook() or (thread is not None and running is thread.loop):
        raise ConfigurationError(_IN_A_LOOP)


def post(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Have the loop call something soon, if it is this process's, and runs.

    To be used where nothing may wait: while objects are collected, in any thread.
    """
    thread = PROCESS.thread
    if thread is not None and thread.loop is loop:
        with suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(callback)


def _interrupt_main() -> None:
    """Have Ctrl-C come to the main thread: by a real signal, which ends a sleep as well."""
    ident = main_thread().ident
    if ident is not None and callable(signal.getsignal(signal.SIGINT)):
        signal.pthread_kill(ident, signal.SIGINT)


def _is_notebook() -> bool:
    """Whether this may be a cell: they run in the main thread, but not each loop is theirs."""
    ipython = sys.modules.get("IPython")
    return (
        ipython is not None
        and ipython.get_ipython() is not None
        and current_thread() is main_thread()
    )


def _patcher() -> str | None:
    """Return what has replaced threads, or what a loop waits by."""
    gevent, eventlet = sys.modules.get("gevent.monkey"), sys.modules.get("eventlet.patcher")
    if gevent and any(map(gevent.is_module_patched, ("threading", "queue", "select", "socket"))):
        return "gevent"
    if eventlet and any(map(eventlet.is_monkey_patched, ("thread", "select", "socket"))):
        return "eventlet"
    return None
