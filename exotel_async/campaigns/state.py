"""What the parts of a dialer share: what it knows, and what it may do."""

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
"""Seconds until a ledger that does not answer is asked again."""

_ON_ITS_WAY: Final = timedelta(seconds=3)
"""Before hours end: Exotel tells its time in whole seconds, late, and a dial takes its time."""

logger: Final = logging.getLogger("exotel_async")


class DialerState:
    """What the parts of a dialer share."""

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
        """Seconds until a call is asked for first."""
        self.writer: Final = ChangesWriter(ledger, self._written)
        self.attempts: Final = Attempts(self.clock, self.channels, self.writer, self.notify_change)
        self.following: Final = Following(parts, self.attempts, interval, self.fail)
        self.in_doubt: Final = InDoubt(
            parts, ledger, self.clock, self.attempts, self.following, interval=interval
        )
        self.error: BaseException | None = None
        """Why it has ended; None: it has not, or was stopped."""
        self.stopping: bool = False
        self.listeners: Final[set[Callable[[], object]]] = set()
        """Are told when contacts have got their outcome, campaigns their end, and at the end."""
        self.changes: Final = asyncio.Event()
        """Set when somebody may be dialled who could not be before."""
        self.check_requested: Final = asyncio.Event()
        """Set when the ledger is to be looked at at once."""
        self.waiting: Final[set[asyncio.Task[Any]]] = set()
        """Tasks that wait for a permit, which are cancelled when dialling stops."""
        self.background: Final[set[asyncio.Task[Any]]] = set()
        self.no_room_until: float = 0.0
        """Nobody is dialled until then, for want of channels; by the clock of the loop."""
        self.share: float = 0.0
        """That of the campaign that has dialled last.

        One that had nobody to dial begins with it, and has its part from then on: or the others
        would get nothing until it had made up for that.
        """
        self._blocked_until: dict[str, float] = {}
        self._owned_until = 0.0
        self.ledger_error: ExotelError | None = None
        """Why dialling waits for the ledger; None: it does not."""

    # What may be done.

    def may_dial(self, running: RunningCampaign) -> bool:
        """Whether a contact of a campaign may be dialled at this moment."""
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
        """Whether a dial that leaves now certainly arrives in the calling hours of a contact."""
        schedule, now, zone = running.campaign.schedule, self.clock.now(), contact.zone or None
        return schedule.is_open(now, zone) and schedule.is_open(now + _ON_ITS_WAY, zone)

    def is_at_rest(self, running: RunningCampaign) -> bool:
        """Whether nobody of a campaign is being dialled or has a call in progress, as is known."""
        waits = running.claimed or running.reserved or running.dialling
        return not waits and not self.attempts.has_calls(running)

    def owns_ledger(self) -> bool:
        """Whether no other dialer can have the ledger."""
        return seconds_since_boot() < self._owned_until

    def is_blocked(self, attempt: LiveAttempt) -> bool:
        """Whether a number was put on the do-not-call list since the intent was written."""
        now = seconds_since_boot()
        return any(self._blocked_until.get(identity, 0) > now for identity in attempt.identities)

    # What the parts tell.

    def ownership_confirmed(self, since: float) -> None:
        """Take note that the ledger was this dialer's at a moment of `seconds_since_boot`."""
        self._owned_until = since + LEASE
        self.ledger_error = None
        self.changes.set()

    def ownership_lost(self) -> None:
        """Take note that it may be another one's."""
        self._owned_until = 0.0

    def block_numbers(self, identities: Sequence[str]) -> None:
        """Have numbers not dialled any more that are on the do-not-call list now.

        From now on the ledger takes no intent with them. Those before leave soon, or never do.
        """
        now = seconds_since_boot()
        self._blocked_until = {
            one: until for one, until in self._blocked_until.items() if until > now
        }
        self._blocked_until.update(dict.fromkeys(identities, now + SEND_WITHIN))

    def unblock_numbers(self, identities: Sequence[str]) -> None:
        """Have numbers dialled again that were taken off the do-not-call list."""
        for identity in identities:
            self._blocked_until.pop(identity, None)

    def ledger_failed(self, error: ExotelError) -> None:
        """Stop dialling until the ledger answers again."""
        if self.ledger_error is None:
            logger.warning("Dialling is paused until the ledger can be written: %s", error)
        self.ledger_error = error
        self.check_requested.set()

    def notify_change(self) -> None:
        """Have it looked again whose turn it is: channels may have become free."""
        self.no_room_until = 0.0
        self.changes.set()
        if self.stopping:  # it may have been what the end waited for
            self.notify_listeners()

    def stop(self) -> None:
        """Dial nobody any more. Calls in progress are followed nevertheless."""
        self.stopping = True
        for task in self.waiting:
            task.cancel()
        self.notify_change()
        self.check_requested.set()

    def put_off(self, running: RunningCampaign, contact: ClaimedContact) -> None:
        """Write that a claimed contact is not dialled before its hours begin."""
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
        """Return how a contact waits for its hours, and until when."""
        schedule, now, zone = running.campaign.schedule, self.clock.now(), contact.zone or None
        if schedule.is_open(now, zone):
            now += _ON_ITS_WAY  # they are about to end
        opens = schedule.next_open(now, zone)
        if opens is None:
            return ContactState.EXPIRED, None
        return ContactState.WAITING, to_ms(opens)

    def end(self, contact: ClaimedContact, state: ContactState, reason: str | None = None) -> None:
        """Write the outcome of a claimed contact that is not dialled."""
        self.change(contact, self.attempts.final(state, reason))

    def change(self, contact: ClaimedContact, columns: Mapping[str, Any]) -> None:
        """Write what follows for a claimed contact that is not dialled."""
        was = (ContactState.CLAIMED,)
        self.writer.add(Change(contact_id=contact.id, contact_was=was, contact=columns))

    def stop_campaign(self, attempt: LiveAttempt, state: CampaignState, reason: str) -> None:
        """Pause or end a campaign because of errors.

        An attempt that was dialled before an earlier stop does not stop the campaign again: the
        campaign may have been resumed since.
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
        """Write how a campaign stands that was stopped because of errors."""
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
        """End because of an error."""
        if self.error is None:
            self.error = error
        self.stop()
        self.notify_listeners()

    def start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the rest, and wait for it at the end."""
        task = asyncio.get_running_loop().create_task(self.guarded(work))
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return task

    def notify_listeners(self) -> None:
        """Tell the listeners that something has got its outcome."""
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
        """Whether the ledger may show that no contact of a campaign is left."""
        return not self.writer.has_changes and any(
            one.is_dialled and one.is_idle and not one.unsettled and one.next_due is None
            for one in self.campaigns.values()
        )

    async def guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a part. If it fails, all end."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            logger.exception("Running the campaigns failed")
            self.fail(error)
