"""The reading methods of a ledger, which run beside its writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exotel_async.campaigns import (
    ledger_campaigns,
    ledger_contacts,
    ledger_dialers,
    ledger_people,
    ledger_reading,
)
from exotel_async.campaigns.entries import CampaignEntry, Holder, NewContact, OpenAttempt
from exotel_async.campaigns.ledger_thread import LedgerThread, Urgency
from exotel_async.campaigns.outcome import CampaignStatistics, ContactOutcome
from exotel_async.campaigns.words import AttemptState

if TYPE_CHECKING:
    from exotel_async.campaigns.ledger_thread import Database


class LedgerReader:
    """Reads a ledger in a separate thread, so that a slow query does not delay intents."""

    def __init__(self, database: Database) -> None:
        self._reader = LedgerThread("exotel-ledger-reader", database, to_read=True)

    async def campaign(self, name: str) -> CampaignEntry | None:
        """Return the campaign of that name; None: there is none."""
        return await self._reader.do(Urgency.OTHER, ledger_campaigns.find, name)

    async def campaign_with(self, prefix: str, key: str) -> str | None:
        """Return the name, beginning with `prefix`, of a campaign with a contact `key`, if any."""
        return await self._reader.do(Urgency.OTHER, ledger_campaigns.find_with, prefix, key)

    async def campaigns(self) -> list[CampaignEntry]:
        """Return all campaigns, oldest first."""
        return await self._reader.do(Urgency.OTHER, ledger_campaigns.list_all)

    async def last_outcome(self, campaign_id: int) -> int:
        """Return the position of the campaign's last outcome; 0: it has none."""
        return await self._reader.do(Urgency.OTHER, ledger_campaigns.last_outcome, campaign_id)

    async def holder(self, now: int) -> Holder | None:
        """Return the dialer whose lease on the ledger has not expired; None: there is none."""
        return await self._reader.do(Urgency.OTHER, ledger_dialers.alive, now)

    async def retries(self, campaign_id: int) -> tuple[int, int | None]:
        """Return how many contacts wait for a retry, and when the next one is due.

        It counts 10,000 at most. The moment is in milliseconds since the epoch; None: none waits.
        """
        return await self._reader.do(Urgency.OTHER, ledger_contacts.retries, campaign_id)

    async def known(self, campaign_id: int, new: Sequence[NewContact]) -> list[tuple[int, str]]:
        """Return which contacts the campaign has already, and by what, as `Ledger.add` does."""
        return await self._reader.do(Urgency.OTHER, ledger_contacts.known, campaign_id, new)

    async def open_attempts(
        self, states: Sequence[AttemptState], after_id: str = "", limit: int = 1000
    ) -> list[OpenAttempt]:
        """Return unsettled attempts in one of these states, in order of their ids."""
        return await self._reader.do(
            Urgency.OTHER, ledger_reading.open_attempts, states, after_id, limit
        )

    async def find_attempt(
        self, attempt_id: str | None = None, *, sid: str | None = None
    ) -> OpenAttempt | None:
        """Return an attempt in any state, by its id or its call's SID; None: there is none."""
        return await self._reader.do(
            Urgency.OTHER, ledger_reading.find_attempt, attempt_id, sid=sid
        )

    async def sids_near(self, identities: Sequence[str], since: int, until: int) -> list[str]:
        """Return the SIDs of calls to the people with these numbers, with intents in that time."""
        return await self._reader.do(
            Urgency.OTHER, ledger_reading.sids_near, identities, since, until
        )

    async def statistics(self, campaign: int | str) -> CampaignStatistics | None:
        """Return the statistics of a campaign, by its id or name; None: there is none."""
        return await self._reader.do(Urgency.OTHER, ledger_reading.statistics, campaign)

    async def pending_zones(self, campaign_id: int, zones: Sequence[str]) -> list[str]:
        """Return those of these time zones that have contacts to be dialled, now or later."""
        return await self._reader.do(
            Urgency.OTHER, ledger_reading.pending_zones, campaign_id, zones
        )

    async def outcomes(
        self, campaign_id: int, after: int, limit: int
    ) -> list[tuple[int, ContactOutcome]]:
        """Return outcomes of contacts, in the order in which they were recorded.

        Each comes with its position in that order, from 1, to be passed as `after` for the next
        page. A reader that continues like this misses none.
        """
        return await self._reader.do(
            Urgency.OTHER, ledger_reading.outcomes, campaign_id, after, limit
        )

    async def outcome(self, campaign_id: int, key: str) -> ContactOutcome | None:
        """Return the current state of a contact, final or not; None: there is no such contact."""
        return await self._reader.do(Urgency.OTHER, ledger_reading.outcome, campaign_id, key)

    async def listed(self, identities: Sequence[str]) -> set[str]:
        """Return those of these numbers that are on the do-not-call list."""
        return await self._reader.do(Urgency.OTHER, ledger_people.listed, identities)

    async def remembered(self, identities: Sequence[str], since: int) -> dict[str, bool]:
        """Return, by number, the DND results that were remembered since a moment."""
        return await self._reader.do(Urgency.OTHER, ledger_people.remembered, identities, since)

    async def to_look_up(self, campaign_id: int, since: int) -> int:
        """Return how many contacts to be dialled have a number not looked up since a moment."""
        return await self._reader.do(Urgency.OTHER, ledger_people.to_look_up, campaign_id, since)
