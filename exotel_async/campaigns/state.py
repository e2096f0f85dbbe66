"""The state that the parts of a dialer share, and the rules for dialling."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from exotel_async.campaigns.attempts import Attempts, LiveAttempt
from exotel_async.campaigns.changes_writer import ChangesWriter
from exotel_async.campaigns.channels import Channels
from exotel_async.campaigns.circuit import Circuit
from exotel_async.campaigns.clock import ExotelClock, seconds_since_boot, to_ms
from exotel_async.campaigns.entries import LEASE, Change
from exotel_async.campaigns.following import Following
from exotel_async.campaigns.in_doubt import SEND_WITHIN, InDoubt
from exotel_async.campaigns.running import RunningCampaign
from exotel_async.campaigns.words import CampaignState, ContactState
from exotel_async.errors import ExotelError
from exotel_async.logs import log_fields

if TYPE_CHECKING:
    from exotel_async.calls.parts import CallParts
    from exotel_async.campaigns.entries import ClaimedContact
    from exotel_async.campaigns.ledger import Ledger

LEDGER_PAUSE: Final = 0.5
"""Seconds until a failed ledger operation is retried."""

_ON_ITS_WAY: Final = timedelta(seconds=3)
"""Margin before hours end: Exotel's time is in whole seconds and late, and a dial takes time."""

logger: Final = logging.getLogger("exotel_async")


class DialerState:
    """The state that the parts of a dialer share."""

    def __init__(
        self, parts: CallParts, ledger: Ledger, *, channels: int | None, interval: float
    ) -> None:
        self.parts: Final = parts
        self.ledger: Final = ledger
        self.clock: Final = ExotelClock(parts)
        self.channels: Final = Channels(channels)
        self.circuit: Final = Circuit()
        self.campaigns: Final[dict[int, RunningCampaign]] = {}
        self.interval: Final = interval
        """Seconds until the first poll of a call."""
        self.writer: Final = ChangesWriter(ledger, self._written)
        self.attempts: Final = Attempts(self.clock, self.channels, self.writer, self.notify_change)
        self.following: Final = Following(parts, self.attempts, interval, self.fail)
        self.in_doubt: Final = InDoubt(
            parts, ledger, self.clock, self.attempts, self.following, interval=interval
        )
        self.error: BaseException | None = None
        """The error that ended the dialling; None: it was stopped normally, or still runs."""
        self.stopping: bool = False
        self.listeners: Final[set[Callable[[], object]]] = set()
        """Called when contacts get an outcome, when campaigns end, and when the dialer ends."""
        self.changes: Final = asyncio.Event()
        """Set when it may have become possible to dial another contact."""
        self.check_requested: Final = asyncio.Event()
        """Set to have the ledger checked at once."""
        self.waiting: Final[set[asyncio.Task[Any]]] = set()
        """Tasks that wait for a permit. They are cancelled when dialling stops."""
        self.background: Final[set[asyncio.Task[Any]]] = set()
        self.no_room_until: float = 0.0
        """For lack of channels, nothing is dialled until then; by the clock of the event loop."""
        self.share: float = 0.0
        """The `share` of the campaign that dialled last.

        A campaign that had nothing to dial starts from it, and gets its fair part from then on.
        Otherwise it would go before all others until it had caught up.
        """
        self._blocked_until: dict[str, float] = {}
        self._owned_until = 0.0
        self.ledger_error: ExotelError | None = None
        """The error because of which dialling waits for the ledger; None: it does not wait."""

    # Rules.

    def may_dial(self, running: RunningCampaign) -> bool:
        """Return whether a contact of a campaign may be dialled at this moment."""
        return (
            running.is_dialled
            and not self.stopping
            and self.ledger_error is None
            and self.writer.failure is None
            and self.owns_ledger()
            and self.clock.is_fresh
            and self.circuit.allows(asyncio.get_running_loop().time())
        )

    def is_open(self, running: RunningCampaign, contact: ClaimedContact) -> bool:
        """Return whether a dial sent now certainly arrives within a contact's calling hours."""
        schedule, now, zone = running.campaign.schedule, self.clock.now(), contact.zone or None
        return schedule.is_open(now, zone) and schedule.is_open(now + _ON_ITS_WAY, zone)

    def is_at_rest(self, running: RunningCampaign) -> bool:
        """Return whether no contact of a campaign is claimed or has a dial or call in progress."""
        waits = running.claimed or running.reserved or running.dialling
        return not waits and not self.attempts.has_calls(running)

    def owns_ledger(self) -> bool:
        """Return whether it is certain that no other dialer has the ledger."""
        return seconds_since_boot() < self._owned_until

    def is_blocked(self, attempt: LiveAttempt) -> bool:
        """Return whether one of its numbers was put on the do-not-call list after its intent."""
        now = seconds_since_boot()
        return any(self._blocked_until.get(identity, 0) > now for identity in attempt.identities)

    # Events.

    def ownership_confirmed(self, since: float) -> None:
        """Record that the ledger was this dialer's at `since`, by `seconds_since_boot`."""
        self._owned_until = since + LEASE
        self.ledger_error = None
        self.changes.set()

    def ownership_lost(self) -> None:
        """Record that the ledger may be another dialer's."""
        self._owned_until = 0.0

    def block_numbers(self, identities: Sequence[str]) -> None:
        """Stop dialling numbers that were put on the do-not-call list.

        The ledger takes no more intents with them. The dials of earlier intents, which are sent
        within `SEND_WITHIN` or never, are blocked here.
        """
        now = seconds_since_boot()
        self._blocked_until = {
            one: until for one, until in self._blocked_until.items() if until > now
        }
        self._blocked_until.update(dict.fromkeys(identities, now + SEND_WITHIN))

    def unblock_numbers(self, identities: Sequence[str]) -> None:
        """Allow dialling numbers that were taken off the do-not-call list."""
        for identity in identities:
            self._blocked_until.pop(identity, None)

    def ledger_failed(self, error: ExotelError) -> None:
        """Pause dialling until the ledger works again."""
        if self.ledger_error is None:
            logger.warning("Dialling is paused until the ledger can be written: %s", error)
        self.ledger_error = error
        self.check_requested.set()

    def notify_change(self) -> None:
        """Have the workers look for the next dial: channels may have become free."""
        self.no_room_until = 0.0
        self.changes.set()
        if self.stopping:  # a run may have waited for this before it ends
            self.notify_listeners()

    def stop(self) -> None:
        """Stop dialling. Calls in progress are still followed."""
        self.stopping = True
        for task in self.waiting:
            task.cancel()
        self.notify_change()
        self.check_requested.set()

    def put_off(self, running: RunningCampaign, contact: ClaimedContact) -> None:
        """Give a claimed contact back until its calling hours begin, or end it as expired."""
        state, due_at = self.when_open(running, contact)
        if state.is_final:
            self.end(contact, state)
        else:
            if due_at is not None:
                running.record_due(due_at)
            self.change(contact, {"state": state, "due_at": due_at})

    def when_open(
        self, running: RunningCampaign, contact: ClaimedContact
    ) -> tuple[ContactState, int | None]:
        """Return the state and the `due_at` of a contact outside its calling hours."""
        schedule, now, zone = running.campaign.schedule, self.clock.now(), contact.zone or None
        if schedule.is_open(now, zone):
            now += _ON_ITS_WAY  # the current hours are about to end
        opens = schedule.next_open(now, zone)
        if opens is None:
            return ContactState.EXPIRED, None
        return ContactState.WAITING, to_ms(opens)

    def end(self, contact: ClaimedContact, state: ContactState, reason: str | None = None) -> None:
        """Write the outcome of a claimed contact that will not be dialled."""
        self.change(contact, self.attempts.final(state, reason))

    def change(self, contact: ClaimedContact, columns: Mapping[str, Any]) -> None:
        """Write new column values of a claimed contact that is not dialled."""
        was = (ContactState.CLAIMED,)
        self.writer.add(Change(contact_id=contact.id, contact_was=was, contact=columns))

    def stop_campaign(self, attempt: LiveAttempt, state: CampaignState, reason: str) -> None:
        """Pause or fail a campaign because of errors.

        An attempt that was dialled before an earlier error stop does not stop the campaign again,
        as it may have been resumed since.
        """
        running = attempt.running
        if (
            running.state is not CampaignState.IN_PROGRESS
            or attempt.was_dialled_before_an_error_stop
        ):
            return
        logger.error(
            "The campaign %r is %s: %s",
            running.name,
            state.value,
            reason,
            extra=log_fields(campaign=running.name, state=state.value),
        )
        running.state, running.reason, running.is_stopping = state, reason, True
        running.error_stops += 1
        self.start_task(self.write_state(running))

    async def write_state(self, running: RunningCampaign) -> None:
        """Write the state of a campaign that errors have stopped, until the ledger takes it."""
        state, reason = running.state, running.reason
        while True:
            try:
                await self.ledger.set_state(
                    running.id,
                    state,
                    reason,
                    self.clock.now_ms(),
                    only_from=(CampaignState.IN_PROGRESS,),
                )
            except ExotelError as error:
                self.ledger_failed(error)
                await asyncio.sleep(LEDGER_PAUSE)
            else:
                running.is_stopping = False
                self.notify_listeners()
                return

    def fail(self, error: BaseException) -> None:
        """End the dialling because of an error."""
        if self.error is None:
            self.error = error
        self.stop()
        self.notify_listeners()

    def start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a background task. It is cancelled and awaited when the engine closes."""
        task = asyncio.get_running_loop().create_task(self.guarded(work))
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return task

    def notify_listeners(self) -> None:
        """Call all listeners."""
        for listener in list(self.listeners):
            listener()

    def _written(self, changes: Sequence[Change]) -> None:
        states = {change.contact.get("state") for change in changes}
        is_news = any(isinstance(state, ContactState) and state.is_final for state in states)
        if is_news or self.stopping:
            self.notify_listeners()
        if ContactState.READY in states or self._may_be_over():
            self.check_requested.set()

    def _may_be_over(self) -> bool:
        """Return whether a campaign may be complete, which the ledger is to be asked."""
        return not self.writer.has_changes and any(
            one.is_dialled and one.is_idle and not one.unsettled and one.next_due is None
            for one in self.campaigns.values()
        )

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a part of the dialer. If it fails, end the dialling."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.exception("Running the campaigns failed")
            self.fail(error)
