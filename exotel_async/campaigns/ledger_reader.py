"""What is read of a ledger, beside whatever is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

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
    """Reads a ledger in a thread of its own: what may take long holds up no intent."""

    def __init__(self, database: Database) -> None:
        self._reader = LedgerThread("exotel-ledger-reader", database, to_read=True)

    async def campaign(self, name: str) -> CampaignEntry | None:
        """Return the campaign of that name."""
        entry: CampaignEntry | None = await self._read(ledger_campaigns.find, name)
        return entry

    async def campaign_with(self, prefix: str, key: str) -> str | None:
        """Return the name of a campaign that begins with `prefix` and has a contact with `key`."""
        name: str | None = await self._read(ledger_campaigns.find_with, prefix, key)
        return name

    async def campaigns(self) -> list[CampaignEntry]:
        """Return all campaigns, the first one first."""
        entries: list[CampaignEntry] = await self._read(ledger_campaigns.list_all)
        return entries

    async def holder(self, now: int) -> Holder | None:
        """Return the dialer that has the ledger, by its last sign of life; None: there is none."""
        found: Holder | None = await self._read(ledger_dialers.alive, now)
        return found

    async def retries(self, campaign_id: int) -> tuple[int, int | None]:
        """Return how many contacts wait to be dialled again, and when the next one is due.

        Of more than ten thousand, so many are counted.
        """
        found: tuple[int, int | None] = await self._read(ledger_contacts.retries, campaign_id)
        return found

    async def known(self, campaign_id: int, contacts: Sequence[NewContact]) -> list[int]:
        """Return which of these contacts the campaign has, by their key or a number."""
        found: list[int] = await self._read(ledger_contacts.known, campaign_id, contacts)
        return found

    async def open_attempts(
        self, states: Sequence[AttemptState], after_id: str = "", limit: int = 1000
    ) -> list[OpenAttempt]:
        """Return attempts that are intended, in doubt, placed or ended, in order of their ids."""
        found: list[OpenAttempt] = await self._read(
            ledger_reading.open_attempts, states, after_id, limit
        )
        return found

    async def find_attempt(
        self, attempt_id: str | None = None, *, sid: str | None = None
    ) -> OpenAttempt | None:
        """Return an attempt in whatever state, by its id or by its call's SID."""
        found: OpenAttempt | None = await self._read(ledger_reading.find_attempt, attempt_id, sid)
        return found

    async def sids_near(self, identities: Sequence[str], since: int, until: int) -> list[str]:
        """Return the SIDs of calls to the people with these numbers, intended in that time."""
        sids: list[str] = await self._read(ledger_reading.sids_near, identities, since, until)
        return sids

    async def statistics(self, campaign: int | str) -> CampaignStatistics | None:
        """Return how a campaign stands, by its id or its name; None: there is none."""
        found: CampaignStatistics | None = await self._read(ledger_reading.statistics, campaign)
        return found

    async def outcomes(
        self, campaign_id: int, after: int, limit: int
    ) -> list[tuple[int, ContactOutcome]]:
        """Return contacts that have their outcome, in the order in which they got it.

        Each comes with its place in that order, from 1, to be passed as `after` for those behind
        it. Whoever goes on so misses none.
        """
        found: list[tuple[int, ContactOutcome]] = await self._read(
            ledger_reading.outcomes, campaign_id, after, limit
        )
        return found

    async def last_outcome(self, campaign_id: int) -> int:
        """Return the place of the last outcome there is; 0: there is none."""
        return int(await self._read(ledger_campaigns.last_outcome, campaign_id))

    async def outcome(self, campaign_id: int, key: str) -> ContactOutcome | None:
        """Return how a contact stands, whether it has its outcome or not; None: there is none."""
        found: ContactOutcome | None = await self._read(ledger_reading.outcome, campaign_id, key)
        return found

    async def listed(self, identities: Sequence[str]) -> set[str]:
        """Return those that are on the do-not-call list."""
        found: set[str] = await self._read(ledger_people.listed, identities)
        return found

    async def remembered(self, identities: Sequence[str], since: int) -> dict[str, bool]:
        """Return whether numbers are on the registry, of those written down since then."""
        found: dict[str, bool] = await self._read(ledger_people.remembered, identities, since)
        return found

    async def to_look_up(self, campaign_id: int, since: int) -> int:
        """Return how many contacts that are to be dialled have numbers not looked up since then."""
        return int(await self._read(ledger_people.to_look_up, campaign_id, since))

    async def _read(self, operation: Callable[..., Any], *args: Any) -> Any:
        return await self._reader.call(
            Urgency.OTHER, lambda connection, wanted: [operation(connection, *args)]
        )
