"""The asynchronous session behind an `Exotel`, which is made anew after a fork."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Any

from exotel_async.client import AsyncExotel
from exotel_async.config import check_grace
from exotel_async.errors import ConfigurationError
from exotel_async.http.closing import CLOSED
from exotel_async.limiter.protocol import RateLimiter
from exotel_async.sync.loop_call import run_in_loop
from exotel_async.sync.loop_thread import PROCESS, LoopThread, post

if TYPE_CHECKING:
    from exotel_async.config import RequestOptions


class ForkSafeSession:
    """A session that is made anew from the same arguments in a forked process."""

    def __init__(self, **arguments: Any) -> None:
        """Make the session of this process.

        Raises:
            ConfigurationError: as `AsyncExotel`.
        """
        self._arguments = arguments
        self._session = AsyncExotel(**arguments)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def current(self) -> AsyncExotel:
        """Return the current session, for uses that need no loop."""
        return self._session

    def in_loop(self) -> AsyncExotel:
        """Return the session of this process. Called in the loop.

        Raises:
            ConfigurationError: it is closed, or cannot be used in this process.
        """
        # No lock: this runs only in the loop's own thread.
        if self._closed:
            raise ConfigurationError(CLOSED)
        thread = PROCESS.started()
        if self._loop is not thread.loop:
            if self._loop is not None:
                self._session = self._recreate()
            self._loop = thread.loop
            thread.sessions.add(self._session)
            # If it is never closed explicitly, it is closed when this is garbage-collected.
            dropped = weakref.finalize(self, _close_dropped, thread, self._session)
            dropped.atexit = False
            if self._closed:  # by another thread, meanwhile
                raise ConfigurationError(CLOSED)
        return self._session

    def close(self, grace: float) -> None:
        """Close the session. If no loop was started, nothing is open.

        Raises:
            ConfigurationError: as `AsyncExotel.aclose`.
        """
        check_grace(grace)
        self._closed = True
        thread = PROCESS.thread
        if thread is not None:
            run_in_loop(lambda: self._close(thread, grace))

    async def _close(self, thread: LoopThread, grace: float) -> None:
        if self._loop is thread.loop:
            await thread.close(self._session, grace)

    def _recreate(self) -> AsyncExotel:
        for argument, value in self._arguments.items():
            is_client = argument == "http_client" and not isinstance(value, str | None)
            if is_client or isinstance(value, RateLimiter):
                raise ConfigurationError(
                    f"{argument}: it was used before the process was forked, and belongs to the "
                    "parent process: make the session in the process that uses it"
                )
        return AsyncExotel(**self._arguments)


class SessionWithOptions:
    """A session with other default options. Its methods are those of `ForkSafeSession`."""

    def __init__(self, of: Session, options: RequestOptions) -> None:
        """Make a view of the session `of`.

        Raises:
            InvalidRequest: as `AsyncExotel.with_options`.
        """
        self._of = of
        self._options = options
        self._base = of.current()
        self._view = self._base.with_options(**options)

    def current(self) -> AsyncExotel:
        return self._view

    def in_loop(self) -> AsyncExotel:
        base = self._of.in_loop()
        if base is not self._base:
            self._base, self._view = base, base.with_options(**self._options)
        return self._view

    def close(self, grace: float) -> None:
        self._of.close(grace)


Session = ForkSafeSession | SessionWithOptions
"""The ways in which the resources of an `Exotel` get the session in the loop."""


def _close_dropped(thread: LoopThread, session: AsyncExotel) -> None:
    post(thread.loop, lambda: thread.start(thread.close(session, 1.5)))
