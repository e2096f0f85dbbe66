"""The tasks that run or wait within a session, which closing the session ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, TypeVar

import anyio

from exotel_async.errors import ConfigurationError

CLOSED: Final = "this session is closed"

_REPORT_SECONDS: Final = 1.0  # seconds

T = TypeVar("T")


class Lifetime:
    """The tasks of a session, which outlive their callers but not the session."""

    def __init__(
        self, reports: Collection[asyncio.Future[Any]], on_closed: Callable[[], Awaitable[None]]
    ) -> None:
        """Start without tasks.

        `reports` are running reports of results to the user, which are also waited for at the end;
        `on_closed` is awaited after all of them have ended.
        """
        self._reports = reports
        self._on_closed = on_closed
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._cancel_at = 0.0
        self.guard: Final = CloseGuard()
        """To be entered around waits that are useless once the session is closed."""

    def start(
        self, work: Coroutine[Any, Any, T], context: Context | None = None
    ) -> asyncio.Task[T]:
        """Run a task that continues if its caller is cancelled.

        It runs in the given context, or in a copy of the caller's.
        """
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self, grace: float) -> None:
        """End all tasks: guarded waits fail at once, other tasks have `grace` seconds to end."""
        if self._closing is None or self._closing.cancelled():
            loop = asyncio.get_running_loop()
            self._cancel_at = loop.time() + grace
            self._closing = loop.create_task(self._close())
        # Shielded, so that connections get closed even within a cancelled scope.
        with anyio.CancelScope(shield=True):
            try:
                await asyncio.shield(self._closing)
            except asyncio.CancelledError:
                self._cancel_at = 0.0
                _cancel_all(self._tasks)
                await _wait_despite_cancel(self._closing)
                raise

    async def _close(self) -> None:
        self.guard.close()
        try:
            now = asyncio.get_running_loop().time
            await _end(self._tasks, self._cancel_at)
            # A task that ends may start a report. Reports have extra time, otherwise a dial that
            # was cancelled at the deadline would not be reported.
            await _end(self._reports, max(self._cancel_at, now() + _REPORT_SECONDS))
        finally:
            await self._on_closed()


class CloseGuard:
    """A context manager that ends the waits in its block when the session is closed.

    One object for all waiters, as there may be tens of thousands.
    """

    def __init__(self) -> None:
        # Each task with its number of pending cancellations when it entered.
        self._tasks: dict[asyncio.Task[Any], int] = {}
        self.closed: bool = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks[task] = task.cancelling()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        before = self._tasks.pop(task)
        if self.closed and kind is asyncio.CancelledError and task.uncancel() <= before:
            raise ConfigurationError(CLOSED) from None

    def close(self) -> None:
        """Make all waits end with an error. It must not be entered afterwards."""
        self.closed = True
        for task in self._tasks:
            task.cancel()


async def _wait_despite_cancel(closing: asyncio.Task[None]) -> None:
    """Wait for the end even if the waiting task is cancelled, any number of times."""
    while not closing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({closing})


async def _end(pending: Collection[asyncio.Future[Any]], cancel_at: float) -> None:
    """Wait for what is running, and cancel it at a time of the loop."""
    while pending:
        left = cancel_at - asyncio.get_running_loop().time()
        if left <= 0:
            late = set(pending)
            _cancel_all(late)
            # Our tasks end at once, but a user's report may ignore the cancellation.
            await asyncio.wait(late, timeout=_REPORT_SECONDS)
            return
        await asyncio.wait(pending, timeout=left)


def _cancel_all(tasks: Collection[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
