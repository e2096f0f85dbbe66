"""The session in the loop that is behind an `Exotel`: another one after a fork."""

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
    """A session that is made again from the same arguments in a forked process."""

    def __init__(self, **arguments: Any) -> None:
        """Make it.

        Raises:
            ConfigurationError: as `AsyncExotel`.
        """
        self._arguments = arguments
        self._session = AsyncExotel(**arguments)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def current(self) -> AsyncExotel:
        """Return the session as it is now, for what needs no loop."""
        return self._session

    def in_loop(self) -> AsyncExotel:
        """Return the session of this process. Called in the loop.

        Raises:
            ConfigurationError: it is closed, or cannot be used in this process.
        """
        # No lock: only the loop's own thread comes here.
        if self._closed:
            raise ConfigurationError(CLOSED)
        thread = PROCESS.started()
        if self._loop is not thread.loop:
            if self._loop is not None:
                self._session = self._recreate()
            self._loop = thread.loop
            thread.sessions.add(self._session)
            # One that is not closed is, when it is not used any more.
            dropped = weakref.finalize(self, _close_dropped, thread, self._session)
            dropped.atexit = False
            if self._closed:  # by another thread, meanwhile
                raise ConfigurationError(CLOSED)
        return self._session

    def close(self, grace: float) -> None:
        """Close it. Where no loop runs, nothing is open.

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
    """A session with other defaults. Its methods do what those of `ForkSafeSession` do."""

    def __init__(self, of: Session, options: RequestOptions) -> None:
        """Make it.

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
"""What the resources of an `Exotel` get at the session in the loop by."""


def _close_dropped(thread: LoopThread, session: AsyncExotel) -> None:
    post(thread.loop, lambda: thread.start(thread.close(session, 1.5)))
