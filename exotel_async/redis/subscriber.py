"""The task that receives what the ledger publishes to all processes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from exotel_async.redis.connection import Unusable
from exotel_async.redis.server import Server, is_cancelled

_FIRST_RETRY: Final = 0.05  # seconds; it doubles
_LAST_RETRY: Final = 0.5

logger: Final = logging.getLogger("exotel_async")


class Listener:
    """Listens from `start` on, again and again, until it is stopped or not permitted."""

    def __init__(
        self,
        server: Server,
        hear: Callable[[Mapping[str, Any]], None],
        missed: Callable[[], None],
    ) -> None:
        """Describe it; `missed` is called when messages may have been missed."""
        self._server = server
        self._hear = hear
        self._missed = missed
        self._task: asyncio.Task[None] | None = None
        self._delay = _FIRST_RETRY
        self.settled: Final = asyncio.Event()
        """Whether it has begun to receive once, or is not permitted to."""
        self.problem: str = ""
        """Why it is not permitted to; "" if it is, or nothing is known."""

    def start(self) -> None:
        """Begin, unless it is running."""
        if self._task is None or self._task.done():
            self.settled.clear()
            self.problem = ""
            self._task = asyncio.get_running_loop().create_task(self._listen())

    async def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _listen(self) -> None:
        while not is_cancelled():
            try:
                await self._server.listen(self._told, self._begun)
            except Unusable as error:
                if not self.settled.is_set():
                    self.problem = str(error)
                    self.settled.set()
                    return
            await asyncio.sleep(self._delay)
            self._delay = min(2 * self._delay, _LAST_RETRY)

    def _begun(self) -> None:
        self._delay = _FIRST_RETRY
        if self.settled.is_set():  # it is not the first time
            self._missed()
        self.settled.set()

    def _told(self, told: Mapping[str, Any]) -> None:
        try:
            self._hear(told)
        except (KeyError, TypeError, AttributeError):
            # Anybody may publish there. What the ledger says is also in its answers.
            logger.warning("The channel of the shared limiter sent an unknown message")
            self._missed()
