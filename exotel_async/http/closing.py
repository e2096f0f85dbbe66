"""What runs and waits within a session, so that closing the session can end all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Any, Final, TypeVar

import anyio

from exotel_async.errors import ConfigurationError

CLOSED: Final = "this session is closed"

_LAST_WORDS: Final = 1.0  # seconds

T = TypeVar("T")


class Lifetime:
    """The tasks of a session, which outlive their callers but not the session, and its end."""

    def __init__(
        self, reports: Collection[asyncio.Future[Any]], leave: Callable[[], Awaitable[None]]
    ) -> None:
        """Begin it. The reports tell the user how tasks have ended, and are waited for as well.

        `leave` is awaited when all of them have ended.
        """
        self._reports = reports
        self._leave = leave
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._cut_at = 0.0
        self.guard: Final = CloseGuard()
        """To be entered by what waits for something that is useless after the end."""

    def start(
        self, work: Coroutine[Any, Any, T], context: Context | None = None
    ) -> asyncio.Task[T]:
        """Run something that continues if its caller is cancelled.

        In a context of its own, or else in the caller's.
        """
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self, grace: float) -> None:
        """End it: what waits fails at once, and what runs has `grace` seconds to end."""
        if self._closing is None or self._closing.cancelled():
            loop = asyncio.get_running_loop()
            self._cut_at = loop.time() + grace
            self._closing = loop.create_task(self._close())
        # Not even a cancelled scope around it leaves connections open.
        with anyio.CancelScope(shield=True):
            try:
                await asyncio.shield(self._closing)
            except asyncio.CancelledError:
                self._cut_at = 0.0
                _cut_off(self._tasks)
                await _outlast(self._closing)
                raise

    async def _close(self) -> None:
        self.guard.close()
        try:
            now = asyncio.get_running_loop().time
            await _end(self._tasks, self._cut_at)
            # A task that ends may begin a report. Reports have time of their own, or a dial that
            # was cancelled in the end would not be reported.
            await _end(self._reports, max(self._cut_at, now() + _LAST_WORDS))
        finally:
            await self._leave()


class CloseGuard:
    """Ends what waits for something that is useless once the session is closed.

    One for all, entered by each: tens of thousands may wait.
    """

    def __init__(self) -> None:
        # With how often each was being cancelled when it entered.
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
        """Let all that wait end with an error. Nobody may enter any more."""
        self.closed = True
        for task in self._tasks:
            task.cancel()


async def _outlast(closing: asyncio.Task[None]) -> None:
    """Wait for the end however often the task that waits is cancelled: whoever is impatient."""
    while not closing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({closing})


async def _end(pending: Collection[asyncio.Future[Any]], cut_at: float) -> None:
    """Wait for what is running, and at a moment cancel it."""
    while pending:
        left = cut_at - asyncio.get_running_loop().time()
        if left <= 0:
            late = set(pending)
            _cut_off(late)
            # Ours end at once; a report of the user's own may refuse to.
            await asyncio.wait(late, timeout=_LAST_WORDS)
            return
        await asyncio.wait(pending, timeout=left)


def _cut_off(tasks: Collection[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
