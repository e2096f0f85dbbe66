"""Claims contacts from the ledger as they are needed, and keeps the ledger for this dialer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from exotel_async.campaigns.admin import settings_of
from exotel_async.campaigns.attempts import LiveAttempt
from exotel_async.campaigns.channels import Channels
from exotel_async.campaigns.clock import from_ms, seconds_since_boot, to_ms
from exotel_async.campaigns.entries import (
    LEASE,
    NEVER,
    SINGLE_CALLS,
    CampaignEntry,
    Holder,
    OpenAttempt,
)
from exotel_async.campaigns.errors import DialerStopped, LedgerLost, LedgerUnavailable
from exotel_async.campaigns.in_doubt import SEND_WITHIN
from exotel_async.campaigns.running import RunningCampaign
from exotel_async.campaigns.words import AttemptState, CampaignState, ContactState
from exotel_async.errors import ConfigurationError, ExotelError
from exotel_async.models import Call

if TYPE_CHECKING:
    from exotel_async.campaigns.dnd import DndRegister
    from exotel_async.campaigns.refusing import Refusing
    from exotel_async.campaigns.state import DialerState

_BLOCK: Final = 50
"""Contacts that are claimed at a time."""
LOW: Final = _BLOCK // 2
"""Below this number of claimed contacts, more are claimed."""
_MAX_PROMOTIONS: Final = 200
"""Most calls of `promote`, of 1000 contacts each, in one check. The rest waits for the next."""
_DUE: Final = 10
"""Contacts to claim when some have come due, even though enough others are claimed."""
_MAX_CLAIMED: Final = 2 * _BLOCK
"""Most contacts of a campaign that are claimed at a time: a pause gives all of them back."""
_SHORTEST_WAIT: Final = 0.05
"""Minimum seconds between two checks, however close to each other contacts come due."""
_TICK: Final = 0.5
"""Seconds between two checks, in memory, whether a contact has come due."""
_LEDGER_POLL: Final = 1.5
"""Seconds between two checks of the ledger, which other processes write as well."""
_RENEWAL: Final = 10.0
"""Seconds between two renewals of the lease."""
_HOLDER_POLL: Final = 1.0
"""Seconds between two checks whether another dialer still has the ledger."""
_IDLE: Final = 4.0
"""Poll intervals after which Exotel's clock is read for an idle campaign."""
_OFTEN: Final = 20
"""About how often the clock is read, at most, until the next contact comes due."""
_PAGE: Final = 500
_OPEN: Final = (
    AttemptState.INTENDED,
    AttemptState.IN_DOUBT,
    AttemptState.PLACED,
    AttemptState.ENDED,
)

logger: Final = logging.getLogger("exotel_async")


class Feeding:
    """Checks the ledger periodically, and claims contacts."""

    def __init__(self, state: DialerState, refusing: Refusing, register: DndRegister) -> None:
        self._state = state
        self._register = register
        self._refusing = refusing
        self._last_renewal = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def take_ledger(self) -> None:
        """Take the ledger, once no other dialer has it, and continue the attempts left open."""
        state = self._state
        # The longest time from an intent until its request has arrived, or never will.
        longest = round((SEND_WITHIN + state.parts.pipeline.transport.longest) * 1000)
        last: Holder | None = None
        while True:
            since = seconds_since_boot()
            try:
                holder = await state.ledger.lock(state.clock.now_ms(), longest)
            except LedgerUnavailable as error:
                # While waiting for another dialer, retry. A failure at once may be a wrong setting.
                if last is None:
                    raise
                logger.info(
                    "The ledger cannot be read to see which dialer has it. Trying again: %s", error
                )
                holder = last
            if holder is None:
                break
            if last is None:
                logger.warning(
                    "Another dialer has the ledger: %s. Waiting until it ends", _describe(holder)
                )
            last = holder
            if state.stopping:
                raise DialerStopped(
                    f"stopped while another dialer has the ledger: {_describe(holder)}"
                )
            await asyncio.sleep(_HOLDER_POLL)
        self._last_renewal = since
        state.ownership_confirmed(since)
        try:
            if not state.clock.is_fresh:
                await state.clock.refresh()
            await self._adopt_attempts(await self.read_campaigns())
        except BaseException:
            await state.ledger.unlock(state.clock.now_ms())
            raise

    async def run(self) -> None:
        """Check the ledger until this task is cancelled."""
        state, checked_at = self._state, -_LEDGER_POLL
        while True:
            now = state.clock.now_ms()
            is_due = any(running.is_due(now) for running in state.campaigns.values())
            if (
                state.check_requested.is_set()
                or is_due
                or seconds_since_boot() - checked_at >= _LEDGER_POLL
            ):
                state.check_requested.clear()
                checked_at = seconds_since_boot()
                try:
                    await self._check_ledger()
                except ExotelError as error:
                    state.ledger_failed(error)
                    await asyncio.sleep(_TICK)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_due()):
                    await state.check_requested.wait()

    def _until_due(self) -> float:
        """Return the seconds until a contact comes due, or until the next check for that."""
        now = self._state.clock.now_ms()
        dues = (one.next_due for one in self._state.campaigns.values() if one.is_dialled)
        # Contacts that are due already were handled, and perhaps cannot be dialled yet.
        left = [due - now for due in dues if due is not None and due > now]
        return max(_SHORTEST_WAIT, min([_TICK, *(one / 1000 for one in left)]))

    async def _check_ledger(self) -> None:
        """Check the ledger once."""
        state = self._state
        await self._renew()
        await self.read_campaigns()
        for running in list(state.campaigns.values()):
            if running.is_dialled and not state.stopping:
                await self._feed(running)
                continue
            if running.claimed:
                await state.ledger.unclaim([(one.id, None) for one in running.drop()])
            if running.state is CampaignState.CANCELED and (running.open or running.runs):
                # Contacts that were to be retried before this dialer knew of the cancellation, and
                # those that the cancelling process did not get to.
                is_over = state.is_at_rest(running) and not state.writer.has_changes
                await state.ledger.finish(running.id, ContactState.CANCELED, state.clock.now_ms())
                if is_over:
                    running.is_stopping = False
            if running.is_removable:
                del state.campaigns[running.id]
        state.changes.set()
        if state.stopping or any(one.runs and one.has_ended for one in state.campaigns.values()):
            state.notify_listeners()  # the last work in progress may be over

    async def _renew(self) -> None:
        state = self._state
        since = seconds_since_boot()
        is_recent = since - self._last_renewal < _RENEWAL
        if is_recent and state.owns_ledger() and state.ledger_error is None:
            return
        try:
            await state.ledger.renew_lease(state.clock.now_ms())
        except LedgerLost as error:
            state.ownership_lost()
            state.fail(error)
            return
        self._last_renewal = since
        state.ownership_confirmed(since)

    async def read_campaigns(self) -> dict[int, CampaignEntry]:
        """Read the states of the campaigns: other processes pause and resume them, too.

        Returns all campaigns by id.
        """
        state = self._state
        error_stops_before = {
            running.id: running.error_stops
            for running in state.campaigns.values()
            if not running.is_stopping
        }
        entries = {entry.id: entry for entry in await state.ledger.campaigns()}
        for running in state.campaigns.values():
            entry = entries.get(running.id)
            if entry is None:  # it was created after they were read
                continue
            running.zones = entry.zones
            # Errors may have stopped the campaign while the ledger was read.
            is_current = (
                error_stops_before.get(running.id) == running.error_stops
                and not running.is_stopping
            )
            if running.state is not entry.state and is_current:
                running.state, running.reason = entry.state, entry.reason
                running.is_stopping = entry.state is CampaignState.CANCELED
                state.notify_listeners()
        return entries

    def take(self, entry: CampaignEntry) -> RunningCampaign:
        """Return the campaign of an entry, to dial its contacts or to follow its calls.

        Raises:
            InvalidRequest: its settings are not valid.
        """
        campaigns = self._state.campaigns
        if entry.id not in campaigns:
            campaign = settings_of(entry)
            campaigns[entry.id] = RunningCampaign(
                id=entry.id,
                campaign=campaign,
                zones=entry.zones,
                state=entry.state,
                reason=entry.reason,
                is_stopping=entry.state is CampaignState.CANCELED,
                channels=Channels(campaign.channels),
                awaited=Counter() if entry.name.startswith(SINGLE_CALLS) else None,
            )
        return campaigns[entry.id]

    async def _feed(self, running: RunningCampaign) -> None:
        state, ledger = self._state, self._state.ledger
        schedule = running.campaign.schedule
        promoted = 0
        for _ in range(_MAX_PROMOTIONS):
            more, running.next_due = await ledger.promote(running.id, state.clock.now_ms())
            promoted += more
            if not more or not running.is_due(state.clock.now_ms()):
                break
        now = state.clock.now()
        open_zones = [zone for zone in running.zones if schedule.is_open(now, zone or None)]
        closed = running.drop(lambda contact: contact.zone not in open_zones)
        if closed:
            await ledger.unclaim([(contact.id, None) for contact in closed])
        if open_zones and (running.claimed < LOW or (promoted and running.claimed < _MAX_CLAIMED)):
            # Contacts that have come due may go before others that are claimed already.
            most = min(promoted, _DUE, _MAX_CLAIMED - running.claimed)
            room = max(_BLOCK - running.claimed, most)
            lease = state.clock.now_ms() + round(LEASE * 1000)
            contacts = await ledger.claim(running.id, open_zones, room, to_ms(now), lease)
            if contacts and not running.claimed:
                running.share = max(running.share, state.share)
            running.is_drained = len(contacts) < room
            running.add(contacts)
            await self._register.recall(running, contacts)
        abandoned = running.drop(running.is_abandoned)
        if abandoned:
            await ledger.unclaim([(contact.id, NEVER) for contact in abandoned])
        if self._needs_clock(running, has_hours=bool(open_zones)):
            self._read_clock()
        if running.is_idle:
            await self._end_if_finished(running)

    def _needs_clock(self, running: RunningCampaign, *, has_hours: bool) -> bool:
        """Return whether Exotel's clock must be read, so that a campaign dials in time."""
        clock = self._state.clock
        if running.claimed:
            return not clock.is_fresh
        due = running.next_due
        if due is None or not has_hours or not running.is_idle:
            return False
        # An idle campaign sends no requests whose responses would show the time.
        left = (due - clock.now_ms()) / 1000
        return clock.age > max(self._state.interval * _IDLE, left / _OFTEN)

    def _read_clock(self) -> None:
        """Read Exotel's clock in the background, unless that is being done."""
        if self._reading is None or self._reading.done():
            self._reading = self._state.start_task(self._refresh())

    async def _refresh(self) -> None:
        try:
            await self._state.clock.refresh()
        except ConfigurationError as error:  # the session is closed
            self._state.fail(error)
        except ExotelError as error:
            logger.info("Exotel's clock could not be read. Trying again: %s", error)
            await asyncio.sleep(_HOLDER_POLL)
        self._state.changes.set()

    async def _end_if_finished(self, running: RunningCampaign) -> None:
        """Expire the contacts of an idle campaign, or complete it, where that is due."""
        state, schedule = self._state, running.campaign.schedule
        # No further dial is under way that might be refused in the same way.
        self._refusing.end_refused(running)
        if state.writer.has_changes:
            return
        now = state.clock.now()
        # Without zones the campaign had no contacts when they were read: some may have been added.
        if running.zones and all(
            schedule.next_open(now, zone or None) is None for zone in running.zones
        ):
            await state.ledger.finish(running.id, ContactState.EXPIRED, state.clock.now_ms())
            state.notify_listeners()
        known = await state.ledger.statistics(running.id)
        if known is None:
            return
        left = known.pending + known.in_progress + known.in_doubt
        if left == 0 and not running.unsettled and running.is_idle and running.is_dialled:
            was, completed = (CampaignState.IN_PROGRESS,), CampaignState.COMPLETED
            now_ms = state.clock.now_ms()
            if await state.ledger.set_state(running.id, completed, None, now_ms, only_from=was):
                running.state = completed
                state.notify_listeners()

    async def _adopt_attempts(self, campaigns: Mapping[int, CampaignEntry]) -> None:
        """Continue the attempts that an earlier dialer left open."""
        state = self._state
        last, attempts = "", list[LiveAttempt]()
        while left := await state.ledger.open_attempts(_OPEN, last, _PAGE):
            last = left[-1].id
            for one in left:
                attempt = _attempt_of(one, self.take(campaigns[one.contact.campaign_id]))
                state.attempts.keep(attempt)
                attempts.append(attempt)
        for attempt in attempts:
            if attempt.sid is not None:
                state.parts.seen.dialled(Call(sid=attempt.sid))
        in_doubt = [one for one in attempts if one.state is AttemptState.IN_DOUBT]
        if in_doubt:
            await state.in_doubt.mark_other_calls_seen(in_doubt)
        for attempt in attempts:
            if attempt.state is AttemptState.IN_DOUBT:
                state.in_doubt.search(attempt)
            else:
                state.following.follow(attempt)


def _attempt_of(left: OpenAttempt, running: RunningCampaign) -> LiveAttempt:
    state = AttemptState.IN_DOUBT if left.state is AttemptState.INTENDED else left.state
    return LiveAttempt(
        id=left.id,
        running=running,
        contact=left.contact,
        number=left.number,
        agent=left.agent,
        caller_id=left.caller_id,
        custom_field=left.custom_field,
        intended_at=left.intended_at,
        time_limit=left.time_limit,
        legs=1 if left.agent is None else 2,
        state=state,
        sid=left.sid,
        certain_after=left.certain_after,
    )


def _describe(holder: Holder) -> str:
    return (
        f"process {holder.pid} on {holder.host}, since {from_ms(holder.since):%Y-%m-%d %H:%M} UTC"
    )
