"""Campaigns and their contacts in a ledger, without dialling: created, paused, read, forgotten."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from exotel_async.campaigns.add_list import AddList
from exotel_async.campaigns.campaign import Campaign
from exotel_async.campaigns.clock import Clock, to_ms
from exotel_async.campaigns.contact import Contact
from exotel_async.campaigns.dnd import REMEMBERED
from exotel_async.campaigns.entries import SINGLE_CALLS
from exotel_async.campaigns.errors import no_such
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.words import CampaignState, ContactState
from exotel_async.errors import InvalidRequest
from exotel_async.phone import identity_of, normalize_party
from exotel_async.wire.validation import short_text

if TYPE_CHECKING:
    from types import TracebackType

    from exotel_async.campaigns.adding import AddResult
    from exotel_async.campaigns.entries import CampaignEntry, Holder
    from exotel_async.campaigns.outcome import CampaignStatistics, ContactOutcome
    from exotel_async.campaigns.state import DialerState

_LONGEST_REASON: Final = 500
_CHUNK: Final = 500
_LONGEST_AGE: Final = timedelta(days=36_525)
"""Outcomes that are read together."""


class CampaignAdmin:
    """Administers the campaigns of a ledger. It dials nobody, and needs no session.

    Use it as ``async with CampaignAdmin("campaigns.db") as admin``, also while a `Dialer` in
    another process runs the campaigns.

    Args:
        ledger: the path of a SQLite file, which is made if it is not there; the URL of a PostgreSQL
            database; or a `Ledger`.
    """

    def __init__(self, ledger: Ledger | str | os.PathLike[str] = "campaigns.db") -> None:
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        self._clock = Clock()

    @property
    def _state(self) -> DialerState | None:
        """What runs the campaigns in this process, and is to be told; None: nothing does."""
        return None

    async def __aenter__(self) -> Self:
        """Open the ledger, and bring its schema up to date.

        Raises:
            ConfigurationError: it cannot be opened, or a newer version has made it.
        """
        await self._ledger.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._ledger.close()

    async def create(self, campaign: Campaign) -> None:
        """Create a campaign. Does nothing if it is there already, with the same settings.

        Raises:
            InvalidRequest: there is one of this name with other settings, or its name begins
                with "call:", which is for single calls.
        """
        if campaign.name.startswith(SINGLE_CALLS):
            raise InvalidRequest("name", campaign.name, f'must not begin with "{SINGLE_CALLS}"')
        settings = json.dumps(campaign.to_dict(), ensure_ascii=False, sort_keys=True)
        await self._ledger.create(campaign.name, settings, self._clock.now_ms())

    async def add(
        self,
        name: str,
        contacts: Iterable[Contact | str] | AsyncIterable[Contact | str],
        *,
        on_bad: Callable[[Any], object] | None = None,
    ) -> AddResult:
        """Add contacts to a campaign, also while it runs.

        One person is taken once, by the key and by all numbers in whatever spelling: adding a list
        again adds what is new in it. What is wrong with one contact keeps none of the others out.

        Args:
            name: the campaign.
            contacts: each a `Contact`, or a number alone. Any iterable or async iterable, read as
                they are written.
            on_bad: called with a `BadContact` for each that is not taken, duplicates as well.
                Without it those that are wrong, but not duplicates, are in the result.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        entry = await self._entry(name)
        campaign = settings_of(entry)
        adding = AddList(self._ledger, self._clock, entry.id, campaign, on_bad)
        try:
            return await adding.add(contacts)
        finally:
            if self._state is not None:
                self._state.check_requested.set()

    async def pause(self, name: str) -> bool:
        """Stop dialling a campaign until `resume`. Calls in progress continue.

        It may be run by another process: that one places no more calls from this moment on.

        Returns:
            Whether this pauses it. If not, it was paused before, has failed, or was cancelled.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        states = (CampaignState.CREATED, CampaignState.IN_PROGRESS, CampaignState.COMPLETED)
        return await self._set_state(name, CampaignState.PAUSED, states)

    async def resume(self, name: str) -> bool:
        """Continue a campaign that is paused, by `pause` or by errors, or has failed.

        Returns:
            Whether this continues it. If not, it was neither paused nor had it failed.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        states = (CampaignState.PAUSED, CampaignState.FAILED)
        return await self._set_state(name, CampaignState.IN_PROGRESS, states)

    async def cancel(self, name: str) -> int:
        """End a campaign: those who were not dialled are not dialled any more.

        Calls in progress continue, and contacts in doubt are searched for by the next run.

        Returns:
            How many contacts were cancelled.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        entry = await self._entry(name)
        await self._set_state(name, CampaignState.CANCELED, tuple(CampaignState))
        cancelled = await self._ledger.finish(entry.id, ContactState.CANCELED, self._clock.now_ms())
        if self._state is not None:
            self._state.notify_listeners()
        return cancelled

    async def names(self) -> list[str]:
        """Return the names of all campaigns, the first one first."""
        entries = await self._ledger.campaigns()
        return [one.name for one in entries if not one.name.startswith(SINGLE_CALLS)]

    async def settings(self, name: str) -> Campaign:
        """Return a campaign as it was created.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        return settings_of(await self._entry(name))

    async def running_dialer(self) -> Holder | None:
        """Return the process that runs campaigns of this ledger, by its last sign of life.

        One that was killed has none after a minute. None: there is none.
        """
        return await self._ledger.holder(self._clock.now_ms())

    async def statistics(self, name: str) -> CampaignStatistics:
        """Return how a campaign stands.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        known = await self._ledger.statistics(name)
        if known is None:
            raise no_such(name)
        return known

    async def dnd_lookups(self, name: str) -> int:
        """Return how many requests `check_dnd` still takes for a campaign, one for each number.

        What a number's lookup has said is remembered for 30 days, for all campaigns.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        entry = await self._entry(name)
        return await self._ledger.to_look_up(entry.id, to_ms(self._clock.now() - REMEMBERED))

    async def outcomes(self, name: str) -> AsyncIterator[ContactOutcome]:
        """Yield what became of all contacts of a campaign that have their outcome.

        They come in the order in which they got it, with all that is known by now: prices and
        recordings come minutes after a call.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        entry = await self._entry(name)
        last = 0
        while page := await self._ledger.outcomes(entry.id, last, _CHUNK):
            last = page[-1][0]
            for _, outcome in page:
                yield outcome

    async def rows(self, name: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the outcomes as flat rows of a table, one for each contact: see
        `ContactOutcome.row`.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        async for outcome in self.outcomes(name):
            yield outcome.row()

    async def do_not_call(self, numbers: Iterable[str], reason: str | None = None) -> None:
        """Put numbers on the do-not-call list of the ledger: no campaign dials them from now on.

        Nor does it dial the `alternatives` of a contact with one of them, as it is the same person.

        Raises:
            InvalidRequest: one is no phone number. None was put on the list.
        """
        identities = listed_as(numbers)
        short_text("reason", reason, _LONGEST_REASON)
        if self._state is not None:
            self._state.block_numbers(identities)
        await self._ledger.do_not_call(identities, reason, self._clock.now_ms())
        if self._state is not None:
            self._state.block_numbers(identities)

    async def allow(self, numbers: Iterable[str]) -> None:
        """Take numbers off the do-not-call list.

        Raises:
            InvalidRequest: one is no phone number. None was taken off.
        """
        identities = listed_as(numbers)
        await self._ledger.allow(identities)
        if self._state is not None:
            self._state.unblock_numbers(identities)

    async def forget(self, contact: Contact | str) -> int:
        """Delete a person from all campaigns: contacts and attempts, by number or by key.

        Nothing is deleted while one of them is being dialled or has a call in progress: forget them
        again when that is over. The do-not-call list stays as it is.

        Returns:
            How many contacts were deleted.

        Raises:
            InvalidRequest: it is neither a `Contact` nor a text; or one is being dialled, or it is
                in doubt whether they were.
        """
        number, key = _whom(contact)
        deleted = await self._ledger.forget(identity_of(number) or number)
        return deleted + (0 if key is None else await self._ledger.forget(key))

    async def purge(self, older_than: timedelta) -> int:
        """Delete contacts that got their outcome longer ago than this, and their attempts.

        Returns:
            How many contacts were deleted.

        Raises:
            InvalidRequest: `older_than` is no timedelta from 0 to 100 years.
        """
        if not isinstance(older_than, timedelta) or not timedelta() <= older_than <= _LONGEST_AGE:
            rule = "must be a timedelta, such as timedelta(days=90), from 0 to 100 years"
            raise InvalidRequest("older_than", older_than, rule)
        before = self._clock.now() - older_than
        return await self._ledger.purge(to_ms(before))

    async def _entry(self, name: str) -> CampaignEntry:
        entry = await self._ledger.campaign(name)
        if entry is None:
            raise no_such(name)
        return entry

    async def _set_state(
        self, name: str, state: CampaignState, only_from: tuple[CampaignState, ...]
    ) -> bool:
        entry = await self._entry(name)
        now = self._clock.now_ms()
        was_set = await self._ledger.set_state(entry.id, state, None, now, only_from=only_from)
        if self._state is not None:
            self._state.check_requested.set()
        return was_set


def settings_of(entry: CampaignEntry) -> Campaign:
    """Return the campaign of an entry."""
    return Campaign.from_dict(json.loads(entry.settings))


def _whom(contact: object) -> tuple[str, str | None]:
    """Return the number and the key of a contact; a text may be either."""
    if isinstance(contact, str):
        return contact, None
    if isinstance(contact, Contact):
        return contact.number, contact.key
    rule = "must be a Contact, or a number or key as text"
    raise InvalidRequest("contact", type(contact).__name__, rule)


def listed_as(numbers: object) -> list[str]:
    """Return all identities under which these numbers stand on the do-not-call list.

    A foreign number may be written without its plus, there or in a campaign.

    Raises:
        InvalidRequest: one is no phone number.
    """
    several: object = [numbers] if isinstance(numbers, str) else numbers
    if not isinstance(several, Iterable):
        rule = "must be phone numbers as texts"
        raise InvalidRequest("numbers", type(numbers).__name__, rule)
    found: list[str] = []
    for number in several:
        sent = normalize_party(number, "numbers")
        identity = identity_of(sent) or sent
        digits = identity.removeprefix("+")
        found += [digits, f"+{digits}"] if digits.isdecimal() else [identity]
    return found
