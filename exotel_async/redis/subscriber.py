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
    """Listens from `start` on, reconnecting as needed, until stopped or not permitted."""

    def __init__(
        self,
        server: Server,
        receive: Callable[[Mapping[str, Any]], None],
        missed: Callable[[], None],
    ) -> None:
        """Create it; `receive` gets each message, `missed` is called when some may be lost."""
        self._server = server
        self._receive = receive
        self._missed = missed
        self._task: asyncio.Task[None] | None = None
        self._delay = _FIRST_RETRY
        self.settled: Final = asyncio.Event()
        """Set once it has begun to receive, or is known not to be permitted to."""
        self.problem: str = ""
        """Why it is not permitted to receive; "" if it is, or that is not known yet."""

    def start(self) -> None:
        """Start listening, unless it is running."""
        if self._task is None or self._task.done():
            self.settled.clear()
            self.problem = ""
            self._task = asyncio.get_running_loop().create_task(self._listen())

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _listen(self) -> None:
        while not is_cancelled():
            try:
                await self._server.listen(self._on_message, self._on_subscribed)
            except Unusable as error:
                if not self.settled.is_set():
                    self.problem = str(error)
                    self.settled.set()
                    return
            await asyncio.sleep(self._delay)
            self._delay = min(2 * self._delay, _LAST_RETRY)

    def _on_subscribed(self) -> None:
        self._delay = _FIRST_RETRY
        if self.settled.is_set():  # not the first time
            self._missed()
        self.settled.set()

    def _on_message(self, message: Mapping[str, Any]) -> None:
        try:
            self._receive(message)
        except (KeyError, TypeError, AttributeError):
            # Any client may publish there. The ledger's answers contain the same information.
            logger.warning("The channel of the shared limiter sent an unknown message")
            self._missed()
