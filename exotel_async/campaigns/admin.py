"""Administration of a ledger's campaigns and contacts, without dialling."""

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
"""Outcomes that are read at a time."""
_LONGEST_AGE: Final = timedelta(days=36_525)


class CampaignAdmin:
    """Administers the campaigns of a ledger. It does not dial, and needs no session.

    Use it as ``async with CampaignAdmin("campaigns.db") as admin``, also while a `Dialer` in
    another process runs the campaigns.

    Args:
        ledger: the path of a SQLite file, which is created if missing; the URL of a PostgreSQL
            database; or a `Ledger`.
    """

    def __init__(self, ledger: Ledger | str | os.PathLike[str] = "campaigns.db") -> None:
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        self._clock = Clock()

    @property
    def _state(self) -> DialerState | None:
        """The state of the dialer in this process, which is notified; None: no dialer runs."""
        return None

    async def __aenter__(self) -> Self:
        """Open the ledger and migrate its schema to this version.

        Raises:
            ConfigurationError: it cannot be opened, or a newer version of the package wrote it.
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
        """Create a campaign. Do nothing if it exists already with the same settings.

        Raises:
            InvalidRequest: a campaign of this name exists with other settings, or the name begins
                with "call:", which is reserved for single calls.
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
        """Add contacts to a campaign, which may be running.

        A person is added once only: contacts are compared by key and by all their numbers, however
        these are written. Adding a list again adds what is new in it. An invalid contact does not
        keep the others from being added.

        Args:
            name: the campaign.
            contacts: `Contact` values or plain numbers. Any iterable or async iterable, read
                while contacts are being written.
            on_bad: called with a `BadContact` for each contact that is not added, duplicates
                included. Without it, the result has the invalid ones, but not the duplicates.

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

        If another process runs it, that process places no more calls from this moment on.

        Returns:
            Whether this paused it. If not, it was already paused, has failed, or was cancelled.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        states = (CampaignState.CREATED, CampaignState.IN_PROGRESS, CampaignState.COMPLETED)
        return await self._set_state(name, CampaignState.PAUSED, states)

    async def resume(self, name: str) -> bool:
        """Continue a campaign that was paused, by `pause` or because of errors, or has failed.

        Returns:
            Whether this continued it. If not, it had neither been paused nor failed.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        states = (CampaignState.PAUSED, CampaignState.FAILED)
        return await self._set_state(name, CampaignState.IN_PROGRESS, states)

    async def cancel(self, name: str) -> int:
        """Cancel a campaign: contacts that still wait to be dialled are cancelled.

        Calls in progress continue. For contacts in doubt, the next run searches the call records.

        Returns:
            The number of contacts that were cancelled.

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
        """Return the names of all campaigns, oldest first."""
        entries = await self._ledger.campaigns()
        return [one.name for one in entries if not one.name.startswith(SINGLE_CALLS)]

    async def settings(self, name: str) -> Campaign:
        """Return the settings with which a campaign was created.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        return settings_of(await self._entry(name))

    async def running_dialer(self) -> Holder | None:
        """Return the process that runs campaigns of this ledger; None: there is none.

        A process that was killed is still returned until its lease of one minute expires.
        """
        return await self._ledger.holder(self._clock.now_ms())

    async def statistics(self, name: str) -> CampaignStatistics:
        """Return the current statistics of a campaign.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        known = await self._ledger.statistics(name)
        if known is None:
            raise no_such(name)
        return known

    async def dnd_lookups(self, name: str) -> int:
        """Return how many requests `check_dnd` still needs for a campaign, one for each number.

        The result of a lookup is remembered for 30 days, for all campaigns.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        entry = await self._entry(name)
        return await self._ledger.to_look_up(entry.id, to_ms(self._clock.now() - REMEMBERED))

    async def outcomes(self, name: str) -> AsyncIterator[ContactOutcome]:
        """Yield the outcomes of all contacts of a campaign that have one.

        They come in the order in which they were recorded, with all that is known by now: prices
        and recordings become available minutes after a call.

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
        """Yield the outcomes as flat table rows, one for each contact: see
        `ContactOutcome.row`.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        async for outcome in self.outcomes(name):
            yield outcome.row()

    async def do_not_call(self, numbers: Iterable[str], reason: str | None = None) -> None:
        """Put numbers on the do-not-call list of the ledger: no campaign dials them from now on.

        A contact that has one of them is not dialled by its other numbers either.

        Raises:
            InvalidRequest: one is not a phone number. None of them was put on the list.
        """
        identities = do_not_call_identities(numbers)
        short_text("reason", reason, _LONGEST_REASON)
        if self._state is not None:
            self._state.block_numbers(identities)
        await self._ledger.do_not_call(identities, reason, self._clock.now_ms())
        if self._state is not None:
            self._state.block_numbers(identities)

    async def allow(self, numbers: Iterable[str]) -> None:
        """Take numbers off the do-not-call list.

        Raises:
            InvalidRequest: one is not a phone number. None of them was taken off.
        """
        identities = do_not_call_identities(numbers)
        await self._ledger.allow(identities)
        if self._state is not None:
            self._state.unblock_numbers(identities)

    async def forget(self, contact: Contact | str) -> int:
        """Delete a person from all campaigns: contacts and attempts, by number or by key.

        Nothing is deleted while one of these contacts is being dialled or has a call in progress:
        repeat it once that is over. The do-not-call list is not changed.

        Returns:
            The number of contacts that were deleted.

        Raises:
            InvalidRequest: the argument is neither a `Contact` nor a text; or a contact is being
                dialled, has a call in progress, or is in doubt.
        """
        number, key = _whom(contact)
        deleted = await self._ledger.forget(identity_of(number) or number)
        return deleted + (0 if key is None else await self._ledger.forget(key))

    async def purge(self, older_than: timedelta) -> int:
        """Delete contacts whose outcome is older than this, and their attempts.

        Returns:
            The number of contacts that were deleted.

        Raises:
            InvalidRequest: `older_than` is not a timedelta from 0 to 100 years.
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
    """Return the settings that a ledger entry holds."""
    return Campaign.from_dict(json.loads(entry.settings))


def _whom(contact: object) -> tuple[str, str | None]:
    """Return the number and the key of a contact; a text may be either of the two."""
    if isinstance(contact, str):
        return contact, None
    if isinstance(contact, Contact):
        return contact.number, contact.key
    rule = "must be a Contact, or a number or key as text"
    raise InvalidRequest("contact", type(contact).__name__, rule)


def do_not_call_identities(numbers: object) -> list[str]:
    """Return the identities under which these numbers may be on the do-not-call list.

    A foreign number may be written without its plus, on the list or in a campaign.

    Raises:
        InvalidRequest: one is not a phone number.
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
