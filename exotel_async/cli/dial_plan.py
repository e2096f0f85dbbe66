"""Finds out what dialling a file would do, without dialling or writing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field

from exotel_async.campaigns import Campaign, CampaignState, Ledger
from exotel_async.campaigns.adding import entry_of
from exotel_async.campaigns.admin import do_not_call_identities, settings_of
from exotel_async.cli.campaign_ledger import ledger_at
from exotel_async.cli.campaign_words import command
from exotel_async.cli.contact_files import ContactFile, Rejected, Taken
from exotel_async.cli.dial_assumed import Assumed
from exotel_async.cli.dial_campaign import other_settings, was_cancelled
from exotel_async.cli.dial_dry_run import DryRun, Rejection
from exotel_async.cli.dial_forecast import forecast
from exotel_async.phone import identity_of

if TYPE_CHECKING:
    from exotel_async.campaigns.entries import CampaignEntry, NewContact
    from exotel_async.cli.dial_arguments import DialArguments

_BLOCK: Final = 1000
"""How many contacts are looked up in the ledger at once."""
_FIRST_LINES: Final = 5


@define(eq=False, repr=False)
class Plan:
    """Counts the rows of a file by what would be done with them."""

    arguments: DialArguments
    campaign: Campaign
    contacts: ContactFile
    do_not_call: Sequence[str]
    _taken: int = field(init=False, default=0)
    _known: int = field(init=False, default=0)
    _keys_with_other_number: list[str] = field(init=False, factory=list)
    _listed: int = field(init=False, default=0)
    _duplicates: int = field(init=False, default=0)
    _rejected: Counter[str] = field(init=False, factory=Counter)
    _lines: dict[str, list[int]] = field(init=False, factory=dict)
    _zones: Counter[str | None] = field(init=False, factory=Counter)
    _not_to_call: frozenset[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._not_to_call = frozenset(do_not_call_identities(self.do_not_call))

    async def make(self) -> DryRun:
        """Read the file, and the ledger if there is one.

        Raises:
            Misuse: the campaign is there with other settings, or was cancelled.
            ExotelError: the ledger cannot be read.
        """
        arguments, ledger = self.arguments, ledger_at(self.arguments.ledger)
        async with AsyncExitStack() as stack:
            is_made = await ledger.exists()
            if is_made:
                await stack.enter_async_context(ledger)
            there = await ledger.campaign(self.campaign.name) if is_made else None
            if there is not None:
                self._check_can_continue(there)
            statistics = await ledger.statistics(there.id) if there is not None else None
            for block in _blocks(self._rows(), _BLOCK):
                left = block
                if there is not None:
                    known = dict(await ledger.known(there.id, block))
                    left = [one for index, one in enumerate(block) if index not in known]
                    self._known += len(known)
                    self._keys_with_other_number += [
                        block[index].key for index, by in known.items() if by == "other number"
                    ]
                await self._count(ledger if is_made else None, left)
        pending = 0 if statistics is None else statistics.pending
        zones = dict(self._zones)
        if pending:  # they are dialled first
            zones = {None: pending + zones.pop(None, 0), **zones}
        assumed = Assumed() if statistics is None else Assumed.learned(statistics)
        if arguments.call_length is not None:
            assumed = evolve(assumed, talk=arguments.call_length)
        return DryRun(
            path=str(arguments.file),
            column=self.contacts.number_column.title,
            found_by=self.contacts.found_by,
            notes=self.contacts.notes,
            taken=self._taken,
            duplicates=self._duplicates,
            in_campaign=self._known,
            keys_with_other_number=tuple(self._keys_with_other_number),
            do_not_call=self._listed,
            rejected=[
                Rejection(reason=reason, count=count, lines=self._lines[reason])
                for reason, count in self._rejected.most_common()
            ],
            campaign=self.campaign,
            pending=pending,
            resume=_resume(there, arguments),
            forecast=forecast(
                zones,
                self.campaign,
                budget=arguments.service.rate,
                now=datetime.now(UTC),
                channels=arguments.channels,
                assumed=assumed,
                price=arguments.price,
            ),
        )

    def _check_can_continue(self, there: CampaignEntry) -> None:
        made = settings_of(there)
        if made.to_dict() != self.campaign.to_dict():
            raise other_settings(made, self.campaign, self.contacts.path)
        if there.state is CampaignState.CANCELED:
            raise was_cancelled(there.name)

    def _rows(self) -> Iterator[NewContact]:
        """Yield the contacts that would be added, and count the other rows."""
        for row in self.contacts.read(self.campaign):
            if isinstance(row, Taken):
                yield entry_of(row.contact, self.campaign)
            elif row.is_duplicate:
                self._duplicates += 1
            else:
                self._reject(row)

    def _reject(self, row: Rejected) -> None:
        self._rejected[row.reason] += 1
        lines = self._lines.setdefault(row.reason, [])
        if len(lines) < _FIRST_LINES:
            lines.append(row.line)

    async def _count(self, ledger: Ledger | None, contacts: Sequence[NewContact]) -> None:
        """Count the new contacts, and separately those with a number on the do-not-call list."""
        listed, numbers = self._not_to_call, [_numbers(one) for one in contacts]
        if ledger is not None:
            listed = listed | await ledger.listed([one for some in numbers for one in some])
        for one, its_numbers in zip(contacts, numbers, strict=True):
            if not listed.isdisjoint(its_numbers):
                self._listed += 1
            else:
                self._taken += 1
                self._zones[one.zone or None] += 1


def _numbers(contact: NewContact) -> tuple[str, ...]:
    """Return the identities of the numbers that must not be on the do-not-call list."""
    agent = contact.agent and (identity_of(contact.agent) or contact.agent)
    return (contact.identity, *contact.others, *((agent,) if agent else ()))


def _resume(there: CampaignEntry | None, arguments: DialArguments) -> str | None:
    """Return the command that a paused or failed campaign needs; None: it needs none."""
    if there is None or there.state not in {CampaignState.PAUSED, CampaignState.FAILED}:
        return None
    return command("resume", there.name, arguments.ledger_argument)


def _blocks(contacts: Iterable[NewContact], size: int) -> Iterator[list[NewContact]]:
    each = iter(contacts)
    while block := list(islice(each, size)):
        yield block
