"""Tasks that belong together and end together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Crew:
    """A few tasks working for one consumer, who may leave at any moment.

    Not a task group: that would wrap the consumer's own error, and it cannot be left from a
    generator.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[Any]] = set()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]], number: int = 1) -> None:
        """Start that many tasks of a kind. What they raise must be dealt with by themselves."""
        for _ in range(number):
            task = asyncio.get_running_loop().create_task(work())
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def aclose(self) -> None:
        """End them and wait until they have ended, which takes no time but their own clean-up."""
        # Each is cancelled once, and not by whoever is cancelled while it waits here: it may be
        # cleaning up.
        for task in self._tasks - self._ending:
            task.cancel()
        self._ending |= self._tasks
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # not for the log of asyncio
