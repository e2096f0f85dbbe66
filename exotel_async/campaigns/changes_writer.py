"""Writes the outcomes of dials to the ledger, in batches, and retries until it takes them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from exotel_async.errors import ExotelError

if TYPE_CHECKING:
    from exotel_async.campaigns.entries import Change
    from exotel_async.campaigns.ledger import Ledger

_BATCH: Final = 0.05
"""Seconds for which changes are collected, so that they are durable within 100 ms."""
_AGAIN: Final = 0.5
"""Seconds until a failed write is retried."""

logger: Final = logging.getLogger("exotel_async")


class ChangesWriter:
    """Queues changes until they are written, in order."""

    def __init__(self, ledger: Ledger, on_written: Callable[[Sequence[Change]], object]) -> None:
        self._ledger = ledger
        self._on_written = on_written
        self._changes: list[Change] = []
        self._some = asyncio.Event()
        self._is_writing = False
        self.failure: ExotelError | None = None
        """The error of the last write; None: it succeeded."""

    @property
    def has_changes(self) -> bool:
        """Whether there are changes that are not written yet."""
        return bool(self._changes) or self._is_writing

    def add(self, change: Change) -> None:
        """Queue a change, to be written soon."""
        self._changes.append(change)
        self._some.set()

    async def run(self) -> None:
        """Write changes as they come, until this task is cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_BATCH)
            await self.write()

    async def write(self) -> None:
        """Try once to write all changes that are queued now."""
        self._some.clear()
        batch, self._changes = self._changes, []
        self._is_writing = True
        try:
            if batch:
                await self._ledger.record(batch)
        except ExotelError as error:
            self._changes[:0] = batch
            if self.failure is None:
                logger.warning(
                    "Results cannot be written to the ledger, and are kept until they can: %s",
                    error,
                )
            self.failure = error
            await asyncio.sleep(_AGAIN)
            self._some.set()
            return
        except BaseException:
            self._changes[:0] = batch
            raise
        finally:
            self._is_writing = False
        self.failure = None
        self._on_written(batch)
