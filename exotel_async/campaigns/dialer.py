"""Dials many people durably: each once, whatever breaks."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self, Unpack

from exotel_async.calls.resource import call_of
from exotel_async.campaigns.add_list import AddList
from exotel_async.campaigns.campaign import Campaign
from exotel_async.campaigns.clock import ExotelClock, to_ms
from exotel_async.campaigns.dnd import REMEMBERED
from exotel_async.campaigns.engine import Engine
from exotel_async.campaigns.entries import SINGLE_CALLS
from exotel_async.campaigns.ledger import Ledger
from exotel_async.campaigns.order import ATTEMPT
from exotel_async.campaigns.run import CampaignRun
from exotel_async.campaigns.shared_engine import SharedEngine, no_such
from exotel_async.campaigns.single_calls import CallSettings, make_call
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from exotel_async.errors import InvalidRequest
from exotel_async.keywords import check_options
from exotel_async.phone import identity_of, normalize_party
from exotel_async.wire.validation import positive_seconds, short_text, whole

if TYPE_CHECKING:
    from types import TracebackType

    from exotel_async.campaigns.adding import AddResult
    from exotel_async.campaigns.contact import Contact
    from exotel_async.campaigns.entries import CampaignEntry
    from exotel_async.campaigns.outcome import CampaignStatistics, ContactOutcome
    from exotel_async.client import AsyncExotel

_POLL: Final = 15.0
"""Seconds until a call is asked for first. Most calls are over by then, or a callback has told."""
_LONGEST_REASON: Final = 500
_CHUNK: Final = 500
"""Outcomes that are read together."""


class Dialer:
    """Dials the contacts of campaigns, and keeps in a ledger what has become of each.

    Use it as ``async with AsyncExotel() as exotel, Dialer(exotel, "campaigns.db") as dialer``. The
    ledger makes it durable: a program that is killed at any moment is started again and goes on;
    nobody is rung twice by that, and nobody is forgotten. One dialer at a time runs campaigns of a
    ledger; any number may add contacts to them, pause them and read their results.

    Args:
        exotel: the session that dials. Its budget is shared with whatever else it sends, and goes
            to its single requests first.
        ledger: the path of a SQLite file, which is made if it is not there; the URL of a PostgreSQL
            database; or a `Ledger`.
        channels: the legs that may be in progress at once, of all campaigns of the ledger
            together: the account's channels. None: any number.
        poll_interval: seconds until the shared poll asks for a call's end first; it grows from
            there. With status callbacks it hardly matters.

    Raises:
        ConfigurationError: the extra `campaigns` is not installed.
        InvalidRequest: an argument that makes no sense.
    """

    def __init__(
        self,
        exotel: AsyncExotel,
        ledger: Ledger | str | os.PathLike[str] = "campaigns.db",
        *,
        channels: int | None = None,
        poll_interval: float = _POLL,
    ) -> None:
        self._exotel = exotel
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        parts = exotel.calls.parts()
        self._clock = ExotelClock(parts)
        self._engines = SharedEngine(
            partial(
                Engine,
                parts,
                self._ledger,
                channels=whole("channels", channels, 1),
                interval=positive_seconds("poll_interval", poll_interval),
            )
        )

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
        try:
            await self._engines.aclose()
        finally:
            await self._ledger.close()

    async def create(self, campaign: Campaign) -> None:
        """Create a campaign. Does nothing if it is there already, with the same settings.

        Raises:
            InvalidRequest: there is one of this name with other settings, or it begins with
                "call:", as those do that hold single calls.
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
            contacts: `Contact`s, or numbers alone. Any iterable or async iterable, read as they are
                written.
            on_bad: called with a `BadContact` for each that is not taken, duplicates as well.
                Without it those that are wrong, but not duplicates, are in the result.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        entry = await self._entry(name)
        campaign = Campaign.from_dict(json.loads(entry.settings))
        adding = AddList(self._ledger, self._clock, entry.id, campaign, on_bad)
        try:
            return await adding.add(contacts)
        finally:
            if self._engines.state is not None:
                self._engines.state.look_again()

    def run(
        self, *names: str, on_progress: Callable[[CampaignStatistics], object] | None = None
    ) -> CampaignRun:
        """Dial the contacts of campaigns, and stream what becomes of them.

        Several campaigns share the budget and the channels by their weights.

        Args:
            *names: the campaigns, one at least.
            on_progress: called about once a second with the statistics of each, and at the end of
                the stream.

        Raises:
            InvalidRequest: none is named.
        """
        if not names:
            raise InvalidRequest("names", (), "must name a campaign at least")
        return CampaignRun(self._engines, names, on_progress)

    async def call(
        self, contact: Contact, *, caller_id: str, **settings: Unpack[CallSettings]
    ) -> ContactOutcome:
        """Dial one person durably, at interactive priority, and wait until the call is over.

        The contact's `key`, such as the number of an order, names the call. The same key again, in
        this process or after a crash, makes no other call: it waits for that one's outcome, or
        returns it. While nobody waits for it, a call that was not placed yet is not made.

        Args:
            contact: who is dialled, with a `key`.
            caller_id: the ExoPhone they see.
            **settings: see `CallSettings`.

        Raises:
            InvalidRequest: there is no key, or an argument that Exotel would refuse.
            CampaignStopped: Exotel refuses the account's calls.
            DialerStopped: `stop` was called before its outcome. The same key goes on with it.
            ExotelError: Exotel does not answer at all, or the ledger cannot be used.
        """
        check_options("Dialer.call", self.call, settings, CallSettings.__optional_keys__)
        return await make_call(self._ledger, self._engines, contact, caller_id, settings)

    async def pause(self, name: str) -> None:
        """Dial nobody of a campaign until `resume`. Calls in progress go on.

        It may be run by another process: that one dials nobody any more from this moment on.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        states = (CampaignState.CREATED, CampaignState.IN_PROGRESS, CampaignState.COMPLETED)
        await self._set_state(name, CampaignState.PAUSED, states)

    async def resume(self, name: str) -> None:
        """Go on with a campaign that is paused, by `pause` or by errors, or has failed.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        states = (CampaignState.PAUSED, CampaignState.FAILED)
        await self._set_state(name, CampaignState.IN_PROGRESS, states)

    async def cancel(self, name: str) -> int:
        """End a campaign: those who were not dialled are not dialled any more.

        Calls in progress go on, and contacts in doubt are settled by the next run.

        Returns:
            How many contacts were cancelled.

        Raises:
            InvalidRequest: there is no such campaign.
        """
        entry = await self._entry(name)
        await self._set_state(name, CampaignState.CANCELED, tuple(CampaignState))
        cancelled = await self._ledger.finish(entry.id, ContactState.CANCELED, self._clock.now_ms())
        if self._engines.state is not None:
            self._engines.state.tell()
        return cancelled

    def stop(self) -> None:
        """Dial nobody any more. Runs end when the calls in progress are over.

        To be called in the event loop, as by a handler that was given to `loop.add_signal_handler`.
        """
        self._engines.stop()

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

        Raises:
            InvalidRequest: one is no phone number. None was put on the list.
        """
        identities = _identities(numbers)
        short_text("reason", reason, _LONGEST_REASON)
        if self._engines.state is not None:
            self._engines.state.list_numbers(identities)
        await self._ledger.do_not_call(identities, reason, self._clock.now_ms())
        if self._engines.state is not None:
            self._engines.state.list_numbers(identities)

    async def allow(self, numbers: Iterable[str]) -> None:
        """Take numbers off the do-not-call list.

        Raises:
            InvalidRequest: one is no phone number. None was taken off.
        """
        identities = _identities(numbers)
        await self._ledger.allow(identities)
        if self._engines.state is not None:
            self._engines.state.unlist_numbers(identities)

    async def forget(self, contact: Contact | str) -> int:
        """Delete a person from all campaigns: contacts and attempts, by number or by key.

        Nothing is deleted while one of them is being dialled or has a call in progress: forget them
        again when that is over. The do-not-call list stays as it is.

        Returns:
            How many contacts were deleted.

        Raises:
            InvalidRequest: one is being dialled, or it is in doubt whether they were.
        """
        number = contact if isinstance(contact, str) else contact.number
        key = None if isinstance(contact, str) else contact.key
        deleted = await self._ledger.forget(identity_of(number) or number)
        return deleted + (0 if key is None else await self._ledger.forget(key))

    async def purge(self, older_than: timedelta) -> int:
        """Delete contacts that got their outcome longer ago than this, and their attempts.

        Returns:
            How many contacts were deleted.
        """
        before = self._clock.now() - older_than
        return await self._ledger.purge(to_ms(before))

    def notify(self, event: Any) -> bool:
        """Report the status of a call, as a callback shows it: ``hooks.forward_to(dialer)``.

        It counts even if it comes before the answer to the dial. The session's `calls.notify` is
        told as well.

        Args:
            event: a `StatusCallback`, or anything that `calls.notify` takes.

        Returns:
            Whether it was news.

        Raises:
            InvalidRequest: it has no SID or no status.
        """
        state, news = self._engines.state, False
        if state is not None:
            query = getattr(event, "query", None) or {}
            marks = (query.get(ATTEMPT), getattr(event, "custom_field", None))
            attempt = next((one for one in map(state.attempt, marks) if one is not None), None)
            if attempt is not None and attempt.state in {
                AttemptState.INTENDED,
                AttemptState.IN_DOUBT,
            }:
                state.in_doubt.found(attempt, call_of(event))
                news = True
        return self._exotel.calls.notify(event) or news

    async def _entry(self, name: str) -> CampaignEntry:
        entry = await self._ledger.campaign(name)
        if entry is None:
            raise no_such(name)
        return entry

    async def _set_state(
        self, name: str, state: CampaignState, only_from: tuple[CampaignState, ...]
    ) -> None:
        entry = await self._entry(name)
        now = self._clock.now_ms()
        await self._ledger.set_state(entry.id, state, None, now, only_from=only_from)
        if self._engines.state is not None:
            self._engines.state.look_again()


def _identities(numbers: Iterable[str]) -> list[str]:
    several = [numbers] if isinstance(numbers, str) else numbers
    sent = (normalize_party(number, "numbers") for number in several)
    return [identity_of(number) or number for number in sent]
