"""Who waits within a session, so that closing it can end all of them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from exotel_async.errors import ConfigurationError

CLOSED: Final = "this session is closed"


class CloseGuard:
    """Who waits for something that is not worth waiting for once the session is closed.

    One for all, entered by each: tens of thousands may wait.
    """

    def __init__(self) -> None:
        # With how often each was being cancelled when it entered.
        self._tasks: dict[asyncio.Task[Any], int] = {}
        self._closed = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks[task] = task.cancelling()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        before = self._tasks.pop(task)
        if self._closed and kind is asyncio.CancelledError and task.uncancel() <= before:
            raise ConfigurationError(CLOSED) from None

    def close(self) -> None:
        """Let all that wait end with an error. Nobody may enter any more."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
