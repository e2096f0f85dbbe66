"""The ledger: campaigns, their contacts and all attempts, in a database.

What a method has written is durable when it returns. All moments are integer milliseconds since the
epoch, by Exotel's clock.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Collection, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Concatenate, Final, Self
from weakref import WeakSet

from exotel_async.errors import ConfigurationError, ExotelError

try:
    from sqlalchemy import Connection
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError
except ImportError:
    raise ConfigurationError(
        'campaigns need SQLAlchemy: pip install "exotel-async[campaigns]"'
    ) from None

from exotel_async.campaigns import (
    ledger_attempts,
    ledger_campaigns,
    ledger_contacts,
    ledger_dialers,
    ledger_people,
    ledger_resolving,
    ledger_schema,
)
from exotel_async.campaigns.entries import (
    CampaignEntry,
    Change,
    ClaimedContact,
    Holder,
    Intent,
    IntentResult,
    NewContact,
)
from exotel_async.campaigns.errors import LedgerLost
from exotel_async.campaigns.ledger_postgres import Postgres
from exotel_async.campaigns.ledger_reader import LedgerReader
from exotel_async.campaigns.ledger_sqlite import SQLite
from exotel_async.campaigns.ledger_thread import LedgerThread, P, Urgency
from exotel_async.campaigns.words import CampaignState, ContactState

_LISTED_TOGETHER: Final = 1000
"""Numbers that are put on the do-not-call list in one transaction, so that intents wait little."""

_DSN: Final = re.compile(r"(^|\s)(dbname|host|hostaddr|password|port|service|user)\s*=")
"""Settings as libpq takes them: as the path of a file, they would be its name."""

_DATABASES: Final[WeakSet[SQLite | Postgres]] = WeakSet()
"""All databases of ledgers in this process."""


class Ledger(LedgerReader):
    """The database of campaigns: a SQLite file, or a PostgreSQL database.

    Its methods may be called in any event loop. The database is used in two threads of the ledger:
    one that writes, and one for reading, which may take long. Operations that wait are done in this
    order: intents, changes, claims, all others. Each operation is one transaction, except that
    waiting intents are committed together, and so are waiting changes; operations on thousands of
    rows are split into blocks.

    All methods raise `LedgerBusy` if another process locks the database for more than 15 seconds,
    and `LedgerUnavailable` if it cannot be read or written. Then nothing is half-written, and the
    ledger continues once the database is available. Only if the connection to a server is lost
    during a commit, the data may have been written.
    """

    def __init__(self, place: str | PathLike[str]) -> None:
        """Set the location of the database. Nothing is opened yet.

        Args:
            place: the path of a SQLite file, which is created if missing; or
                `postgresql://user:password@host/database`.

        Raises:
            ConfigurationError: it is neither of these.
        """
        self._database = _database(place)
        super().__init__(self._database)
        _DATABASES.add(self._database)
        self._writer = LedgerThread("exotel-ledger", self._database, to_read=False)
        self._dialer: str | None = None
        self._opened = 0

    def __repr__(self) -> str:
        return f"Ledger({str(self._database)!r})"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def exists(self) -> bool:
        """Return whether the database has a ledger, without creating or changing anything.

        The ledger need not be open.

        Raises:
            ConfigurationError: it is not a database, or a package is missing.
            LedgerUnavailable: it cannot be read.
        """
        return await asyncio.to_thread(self._database.exists)

    async def open(self) -> None:
        """Open the database, and migrate its schema to this version. It may be open already.

        Raises:
            ConfigurationError: it is not a database, it was written by a newer version of this
                package, or a package is missing.
        """
        if self._opened == 0:
            self._writer.start()
            self._reader.start()
        self._opened += 1
        try:
            await self._writer.do(Urgency.OTHER, ledger_schema.bring_up_to_date)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Finish pending operations, and close the database. Call `unlock` first.

        It is closed when `close` was called as often as `open`.
        """
        self._opened = max(0, self._opened - 1)
        if self._opened > 0:
            return
        try:
            await self._reader.close()
        finally:  # also if the caller is cancelled
            try:
                await self._writer.close()
            finally:
                self._database.release_lock()

    # The dialer that has the ledger.

    async def lock(self, now: int, longest_exchange: int) -> Holder | None:
        """Lock the ledger for its one dialer. Return the holder if it is another one; None: locked.

        Contacts that a dead dialer claimed are then ready again, and attempts that it was about to
        send are in doubt. Their `certain_after` is `now` plus the longer of the two dialers'
        `longest_exchange`: the milliseconds that one dial may take, from intent to response.
        """

        def enter(connection: Connection, wanted: Any) -> list[Holder | str]:
            if not self._database.acquire_lock():
                return [ledger_dialers.holder(connection, now)]
            return [ledger_dialers.enter(connection, now, longest_exchange)]

        def leave(connection: Connection, wanted: Any, result: Any) -> None:
            if not isinstance(result, Holder):
                self._database.release_lock()

        try:
            entered = await self._writer.call(Urgency.OTHER, enter, undo=leave)
        except ExotelError:
            self._database.release_lock()
            raise
        if isinstance(entered, Holder):
            return entered
        self._dialer = entered
        return None

    async def renew_lease(self, now: int) -> None:
        """Renew the lease of the dialer.

        Raises:
            LedgerLost: another dialer has the ledger, or the file is not the one that was locked.
        """
        dialer = self._own

        def renew(connection: Connection) -> bool:
            # If the lock was lost with its connection, take it again, unless another has it.
            return self._database.acquire_lock() and ledger_dialers.renew_lease(
                connection, dialer, now
            )

        if not await self._writer.do(Urgency.CLAIM, renew):
            raise LedgerLost("another dialer has taken over the ledger")

    async def unlock(self, now: int) -> None:
        """Give up the lock. Claimed contacts are ready again."""
        dialer = self._own
        await self._writer.do(Urgency.CLAIM, ledger_dialers.leave, dialer, now)
        self._database.release_lock()
        self._dialer = None

    @property
    def _own(self) -> str:
        if self._dialer is None:
            raise ConfigurationError("the ledger must be locked first")
        return self._dialer

    # Campaigns.

    async def create(self, name: str, settings: str, now: int) -> CampaignEntry:
        """Create a campaign, or return the existing one with the same settings.

        Raises:
            InvalidRequest: a campaign of that name exists with other settings.
        """
        return await self._writer.do(Urgency.OTHER, ledger_campaigns.create, name, settings, now)

    async def set_state(
        self,
        campaign_id: int,
        state: CampaignState,
        reason: str | None,
        now: int,
        *,
        only_from: Collection[CampaignState] | None = None,
    ) -> bool:
        """Set a campaign's state if its current state is in `only_from`; None: whatever it is.

        Return whether it was set. A campaign is not completed while a contact lacks an outcome.
        Once the state is not in progress, no more intents of the campaign are taken.
        """
        return await self._writer.do(
            Urgency.CLAIM,
            ledger_campaigns.set_state,
            campaign_id,
            state,
            reason,
            now,
            only_from=only_from,
        )

    async def finish(self, campaign_id: int, state: ContactState, now: int) -> int:
        """End all contacts that wait to be dialled, in this state. Return their number."""
        finish = ledger_campaigns.finish_some
        return await self._in_blocks(finish, campaign_id, state, now)

    # Contacts.

    async def add(
        self, campaign_id: int, contacts: Sequence[NewContact], now: int
    ) -> list[tuple[int, str]]:
        """Add contacts, except those whose key, or a number, is in the campaign already.

        A completed campaign continues. It is fastest with a few thousand contacts at a time.

        Returns:
            For each contact that was not added, its index, and what is in the campaign already:
            its "key", its key with an "other number", or a "number".

        Raises:
            InvalidRequest: the campaign was cancelled, or does not exist.
        """
        return await self._writer.do(Urgency.OTHER, self._add, campaign_id, contacts, now)

    def _add(
        self, connection: Connection, campaign_id: int, contacts: Sequence[NewContact], now: int
    ) -> list[tuple[int, str]]:
        self._database.serialize(connection, campaign_id)
        return ledger_contacts.add(connection, self._database.insert, campaign_id, contacts, now)

    async def claim(
        self, campaign_id: int, zones: Sequence[str], limit: int, now: int, lease_until: int
    ) -> list[ClaimedContact]:
        """Claim ready contacts of these time zones, in order of rank."""
        dialer = self._own

        def claim(connection: Connection, wanted: Any) -> list[list[ClaimedContact]]:
            return [
                ledger_contacts.claim(
                    connection, dialer, campaign_id, zones, limit=limit, lease_until=lease_until
                )
            ]

        def unclaim(connection: Connection, wanted: Any, result: Any) -> None:
            ledger_contacts.unclaim_leased(connection, dialer, campaign_id, lease_until)

        claimed: list[ClaimedContact] = await self._writer.call(Urgency.CLAIM, claim, undo=unclaim)
        return claimed

    async def unclaim(self, contacts: Sequence[tuple[int, int | None]]) -> None:
        """Give claimed contacts back: each is ready again, or waits until its moment."""
        await self._writer.do(Urgency.CLAIM, ledger_contacts.unclaim, self._own, contacts)

    async def promote(
        self, campaign_id: int, now: int, limit: int = 1000
    ) -> tuple[int, int | None]:
        """Make waiting contacts ready that are due.

        Return their number, and when the next one is due, or was; None: none waits.
        """
        return await self._writer.do(
            Urgency.CLAIM, ledger_contacts.promote, campaign_id, now, limit
        )

    async def recall(self, campaign_id: int, key: str) -> None:
        """Make a contact ready that waits until `NEVER`."""
        await self._writer.do(Urgency.CLAIM, ledger_contacts.recall, campaign_id, key)

    # Attempts.

    async def intend(self, intents: Sequence[Intent], within: float) -> list[IntentResult]:
        """Write the intents of dials, within `within` seconds. Only those `TAKEN` may be sent.

        Raises:
            LedgerBusy: the ledger did not take them in that time. They must not be sent. If they
                are written nevertheless, that is undone as soon as the database allows it: the
                attempts are deleted, and their contacts are claimed as before.
            LedgerLost: the file is not the one that was locked. Nothing was written.
        """
        results: list[IntentResult] = await self._writer.call(
            Urgency.INTENT, self._intend, intents, within=within, undo=_undo_intents
        )
        return results

    def _intend(
        self, connection: Connection, wanted: list[Sequence[Intent]]
    ) -> list[list[IntentResult]]:
        self._database.check_file()
        results = iter(
            ledger_attempts.intend(connection, self._own, [one for each in wanted for one in each])
        )
        return [[next(results) for _ in each] for each in wanted]

    async def record(self, changes: Sequence[Change]) -> None:
        """Write changes of attempts and contacts.

        Changes that were written before have no effect: if that is not known, pass them again.
        """
        await self._writer.call(Urgency.CHANGE, _record, changes)

    async def resolve(self, change: Change, now: int) -> bool:
        """Write a person's decision about an unresolved attempt, and its contact's new state.

        Return whether it was written. False: the attempt is not unresolved any more.
        """
        return await self._writer.do(Urgency.OTHER, ledger_resolving.resolve, change, now)

    # People.

    async def do_not_call(self, identities: Sequence[str], reason: str | None, now: int) -> None:
        """Put numbers on the do-not-call list. From then on no intent with one of them is taken."""
        listing = ledger_people.do_not_call_them
        for first in range(0, len(identities), _LISTED_TOGETHER):
            some = identities[first : first + _LISTED_TOGETHER]
            await self._writer.do(Urgency.CLAIM, listing, some, reason, now)

    async def allow(self, identities: Sequence[str]) -> int:
        """Take numbers off the do-not-call list. Return how many were on it."""
        return await self._writer.do(Urgency.OTHER, ledger_people.allow, identities)

    async def remember(self, identity: str, dnd: bool, now: int) -> None:
        """Remember whether a number is on the DND register."""
        await self._writer.do(Urgency.OTHER, ledger_people.remember, identity, dnd, now)

    async def forget(self, identity_or_key: str) -> int:
        """Delete a person's contacts and attempts from all campaigns. Return how many contacts.

        The do-not-call list is not changed.

        Raises:
            InvalidRequest: a contact is being dialled, has a call in progress, or is in doubt.
                Nothing was deleted.
        """
        number = await self._writer.do(Urgency.OTHER, ledger_people.forget, identity_or_key)
        await asyncio.to_thread(self._database.tidy)
        return number

    async def purge(self, before: int) -> int:
        """Delete contacts that ended before a moment, with their attempts. Return how many.

        Results of DND lookups from before that moment are deleted as well.
        """
        number = await self._in_blocks(ledger_people.purge_some, before)
        await self._in_blocks(ledger_people.purge_lookups, before)
        await asyncio.to_thread(self._database.tidy)
        return number

    async def _in_blocks(
        self, operation: Callable[Concatenate[Connection, P], int], *args: P.args, **named: P.kwargs
    ) -> int:
        total = 0
        while number := await self._writer.do(Urgency.OTHER, operation, *args, **named):
            total += number
        return total


def _record(connection: Connection, wanted: list[Sequence[Change]]) -> list[None]:
    ledger_attempts.record(connection, [one for each in wanted for one in each])
    return [None for _ in wanted]


def _undo_intents(connection: Connection, intents: Sequence[Intent], result: Any) -> None:
    for intent in intents:
        ledger_attempts.undo_intent(connection, intent)


def _database(place: str | PathLike[str]) -> SQLite | Postgres:
    text = fspath(place)
    if _DSN.search(text) and "://" not in text:
        raise ConfigurationError(
            "a ledger in PostgreSQL is given by a URL like postgresql://user@host/database, not by "
            "settings like dbname=..."
        )
    if "://" not in text and not text.startswith((":memory:", "file:")) and text:
        return SQLite(Path(text))
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        url = None
    if url is None or url.drivername.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ConfigurationError(
            "a ledger is the path of a SQLite file, or a URL like postgresql://user@host/database"
        )
    if "@" in f"{url.host}{url.database}":
        # The rest of the password would be shown as the host, and sent to a name server.
        raise ConfigurationError(
            "the URL of the ledger has more than one @: in a user or password, write %40 for @, "
            "%2F for / and %3A for :"
        )
    return Postgres(url)


def _release_locks() -> None:
    for database in list(_DATABASES):
        database.release_after_fork()


if hasattr(os, "register_at_fork"):
    # A forked child would keep the dialer's lock after the dialer has died.
    os.register_at_fork(after_in_child=_release_locks)
