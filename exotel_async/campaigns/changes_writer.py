"""Writes what has become of dials into the ledger, in batches, until the ledger takes it."""

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
"""Seconds in which changes are collected: within 100 ms they are durable."""
_AGAIN: Final = 0.5
"""Seconds until what the ledger did not take is given to it again."""

logger: Final = logging.getLogger("exotel_async")


class ChangesWriter:
    """Keeps changes until they are written, and in the order they came."""

    def __init__(self, ledger: Ledger, on_written: Callable[[Sequence[Change]], object]) -> None:
        self._ledger = ledger
        self._on_written = on_written
        self._changes: list[Change] = []
        self._some = asyncio.Event()
        self._is_writing = False
        self.failure: ExotelError | None = None
        """Why the ledger did not take them the last time; None: it did."""

    @property
    def has_changes(self) -> bool:
        """Whether there is something that is not written yet."""
        return bool(self._changes) or self._is_writing

    def add(self, change: Change) -> None:
        """Have a change written soon."""
        self._changes.append(change)
        self._some.set()

    async def run(self) -> None:
        """Write what there is, until this task is cancelled."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_BATCH)
            await self.write()

    async def write(self) -> None:
        """Write all that is there now, once."""
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
