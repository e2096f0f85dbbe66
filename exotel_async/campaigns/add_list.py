"""Adds a list of contacts in blocks: each is validated while the ledger writes the one before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, Callable, Iterable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from exotel_async.calls.streams import LazyInput
from exotel_async.campaigns.adding import AddResult, entry_of
from exotel_async.campaigns.outcome import BadContact
from exotel_async.errors import InvalidRequest

if TYPE_CHECKING:
    from exotel_async.campaigns.campaign import Campaign
    from exotel_async.campaigns.clock import Clock
    from exotel_async.campaigns.contact import Contact
    from exotel_async.campaigns.entries import NewContact
    from exotel_async.campaigns.ledger import Ledger

_CHECKED: Final = 250
"""Contacts that are validated at a time. That blocks the event loop for some milliseconds."""
_BLOCK_SECONDS: Final = 0.5
"""The time that writing a block should take: the intents of dials wait for it meanwhile."""
_LARGEST_BLOCK: Final = 8000
"""Contacts at most."""
_REASONS: Final = {
    "key": "its key is in the campaign already",
    "other number": "its key is in the campaign already, with another number",
    "number": "one of its numbers is in the campaign already",
}


@define(eq=False)
class _Block:
    """Contacts that were read, separated into valid and invalid ones."""

    position: int
    """The position of its first contact."""
    size: int = 0
    good: list[NewContact] = field(factory=list)
    passed: list[tuple[int, Contact | str]] = field(factory=list)
    """The valid contacts as they were passed, each with its position."""
    bad: list[BadContact] = field(factory=list)
    failure: Exception | None = None
    """The error that the source raised after these contacts."""
    is_last: bool = False

    async def read(self, source: LazyInput[Contact | str], campaign: Campaign) -> None:
        """Read and validate some more contacts."""
        try:
            more = await source.take(_CHECKED)
        except Exception as error:  # noqa: BLE001 - raised once what came before it is written
            self.failure = error
            more = []
        for place, one in enumerate(more, self.position + self.size):
            try:
                self.good.append(entry_of(one, campaign))
            except InvalidRequest as error:
                self.bad.append(BadContact(position=place, contact=one, reason=str(error)))
            else:
                self.passed.append((place, one))
        self.size += len(more)
        self.is_last = not more

    def duplicate(self, index: int, what: str) -> BadContact:
        """Return the `BadContact` of a duplicate; `what` is what `Ledger.add` returned for it."""
        place, one = self.passed[index]
        return BadContact(position=place, contact=one, reason=_REASONS[what], is_duplicate=True)


class AddList:
    """Adds contacts to one campaign, in blocks."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Clock,
        campaign_id: int,
        campaign: Campaign,
        on_bad: Callable[[Any], object] | None,
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._id = campaign_id
        self._campaign = campaign
        self._on_bad = on_bad
        self._block_size = _CHECKED
        self._added = self._duplicates = 0
        self._keys_with_other_number: list[str] = []
        self._bad: list[BadContact] = []

    async def add(
        self, contacts: Iterable[Contact | str] | AsyncIterable[Contact | str]
    ) -> AddResult:
        """Add all contacts.

        Raises:
            InvalidRequest: they cannot be iterated, or the campaign was cancelled.
            Exception: whatever the source raised, after all contacts before that were added.
        """
        source = LazyInput("contacts", contacts, ahead=_CHECKED)
        # Contacts of an async source are written as they arrive, not held back to fill a block.
        is_live = not isinstance(contacts, Iterable)
        writing: asyncio.Task[None] | None = None
        position = 0
        try:
            while True:
                block = await self._next(source, position, is_live=is_live)
                if writing is not None:
                    await writing
                if block.size:
                    writing = asyncio.create_task(self._write(block))
                    position += block.size
                if writing is not None and (is_live or block.is_last):
                    await writing
                if block.failure is not None:
                    raise block.failure
                if block.is_last:
                    return AddResult(
                        added=self._added,
                        duplicates=self._duplicates,
                        keys_with_other_number=tuple(self._keys_with_other_number),
                        bad=tuple(self._bad),
                    )
        finally:
            if writing is not None:
                writing.cancel()
                await asyncio.gather(writing, return_exceptions=True)
            await source.aclose()

    async def _next(
        self, source: LazyInput[Contact | str], position: int, *, is_live: bool
    ) -> _Block:
        block = _Block(position)
        while not block.is_last:
            await asyncio.sleep(0)  # lets other tasks run
            await block.read(source, self._campaign)
            if is_live or block.size >= self._block_size:
                break
        return block

    async def _write(self, block: _Block) -> None:
        began = time.monotonic()
        taken = await self._ledger.add(self._id, block.good, self._clock.now_ms())
        took = time.monotonic() - began
        # Each block has a fixed cost, equal to that of hundreds of rows.
        if took > _BLOCK_SECONDS:
            self._block_size = max(_CHECKED, self._block_size // 2)
        elif took < _BLOCK_SECONDS / 2:
            self._block_size = min(_LARGEST_BLOCK, self._block_size * 2)
        self._added += len(block.good) - len(taken)
        self._duplicates += len(taken)
        self._keys_with_other_number += [
            block.good[index].key for index, what in taken if what == "other number"
        ]
        if self._on_bad is None:
            self._bad += block.bad
            return
        duplicates = [block.duplicate(index, what) for index, what in taken]
        for one in sorted([*block.bad, *duplicates], key=attrgetter("position")):
            self._on_bad(one)
