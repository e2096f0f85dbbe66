"""One dial of a campaign, from the permit to its outcome.

Every rule that may forbid a dial is checked once the permit is granted, and again in the last step
before its first byte is sent. Between the two, the intent is made durable. So a crash leaves only
those dials in doubt that were really about to be sent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from exotel_async.campaigns.attempts import LiveAttempt
from exotel_async.campaigns.clock import seconds_since_boot
from exotel_async.campaigns.entries import Intent, IntentResult
from exotel_async.campaigns.errors import LedgerUnavailable
from exotel_async.campaigns.in_doubt import SEND_WITHIN
from exotel_async.campaigns.order import order_for
from exotel_async.campaigns.refusals import Refusal, judge
from exotel_async.campaigns.words import AttemptState, ContactState
from exotel_async.config import RetryPolicy, SendOptions
from exotel_async.errors import (
    CallOutcomeUnknown,
    ConfigurationError,
    ExotelError,
    InvalidRequest,
    NotDialled,
)
from exotel_async.models import Call
from exotel_async.wire import responses

if TYPE_CHECKING:
    from exotel_async.calls.connect_many_plan import DialOrder
    from exotel_async.campaigns.dnd import DndRegister
    from exotel_async.campaigns.entries import ClaimedContact
    from exotel_async.campaigns.refusing import Refusing
    from exotel_async.campaigns.running import RunningCampaign
    from exotel_async.campaigns.state import DialerState
    from exotel_async.limiter.protocol import Permit
    from exotel_async.wire.responses import Response

WRITTEN_WITHIN: Final = 2.0
"""Seconds in which the ledger must take an intent. After that the permit is given back."""
_ONCE: Final = RetryPolicy.never()


class Dialing:
    """Dials contacts, each with a permit that it uses or gives back."""

    def __init__(self, state: DialerState, refusing: Refusing, register: DndRegister) -> None:
        self._state = state
        self._register = register
        self._refusing = refusing

    async def dial(self, running: RunningCampaign, contact: ClaimedContact, permit: Permit) -> None:
        """Dial a contact, unless something forbids it."""
        try:
            if not self._may_be_dialled(running, contact):
                return
            if self._register.is_unknown(running, contact):
                await self._register.look_up(running, contact, permit)
                return
            since = seconds_since_boot()
            prepared = self._prepare(running, contact)
            if prepared is None:
                return
            attempt, order = prepared
            if await self._write_intent(attempt):
                await self._send(attempt, order, permit, since)
        finally:
            permit.release()

    def _may_be_dialled(self, running: RunningCampaign, contact: ClaimedContact) -> bool:
        """Return whether a contact may be dialled now. If not, put it back or postpone it."""
        state = self._state
        if not state.may_dial(running):
            running.add([contact])
            return False
        if running.is_abandoned(contact):
            running.add([contact])
            state.check_requested.set()  # the check unclaims it
            return False
        if not state.is_open(running, contact):
            state.put_off(running, contact)
            return False
        return True

    def _prepare(
        self, running: RunningCampaign, contact: ClaimedContact
    ) -> tuple[LiveAttempt, DialOrder] | None:
        """Return the attempt of a contact, which holds its channels, and its request.

        None: it cannot be dialled now, and has been put back or ended.
        """
        state = self._state
        if running.listed.get(contact.id, False):
            state.end(contact, ContactState.DO_NOT_CALL, "on the DND register")
            return None
        attempt_id = secrets.token_hex(8)
        try:
            order, values = order_for(
                running.campaign, contact, attempt_id, state.parts.account_sid
            )
        except InvalidRequest as error:
            state.end(contact, ContactState.REFUSED, str(error))
            return None
        if not (state.channels.has_room(order.legs) and running.channels.has_room(order.legs)):
            running.add([contact])
            return None
        attempt = LiveAttempt(
            id=attempt_id,
            running=running,
            contact=contact,
            intended_at=state.clock.now_ms(),
            legs=order.legs,
            is_probe=state.circuit.begin(),
            error_stops_when_dialled=running.error_stops,
            **values,
        )
        state.attempts.keep(attempt)
        running.listed.pop(contact.id, None)
        return attempt, order

    async def _write_intent(self, attempt: LiveAttempt) -> bool:
        """Make the intent durable. Return whether the request may be sent."""
        state, running, contact = self._state, attempt.running, attempt.contact
        intent = Intent(
            id=attempt.id,
            contact_id=contact.id,
            campaign_id=running.id,
            number=attempt.number,
            agent=attempt.agent,
            caller_id=attempt.caller_id,
            custom_field=attempt.custom_field,
            identities=attempt.identities,
            intended_at=attempt.intended_at,
            time_limit=attempt.time_limit,
        )
        try:
            (result,) = await state.ledger.intend([intent], within=WRITTEN_WITHIN)
        except LedgerUnavailable as error:
            self._forget(attempt)
            running.add([contact])
            state.ledger_failed(error)
            return False
        except BaseException:
            self._forget(attempt)
            raise
        if result is IntentResult.TAKEN:
            return True
        self._forget(attempt)
        if result is IntentResult.DO_NOT_CALL:
            state.end(contact, ContactState.DO_NOT_CALL, "on the do-not-call list")
        elif result is IntentResult.NOT_IN_PROGRESS:
            running.add([contact])
            state.check_requested.set()
        return False

    def _forget(self, attempt: LiveAttempt) -> None:
        self._state.attempts.drop(attempt)
        self._state.circuit.not_sent(was_probe=attempt.is_probe)

    def _last_check(self, attempt: LiveAttempt, since: float) -> Callable[[], None]:
        """Return the check for the last step before the first byte is sent; it raises `NotDialled`.

        `since` is when the intent was begun, by `seconds_since_boot`.
        """
        state = self._state

        def check() -> None:
            if seconds_since_boot() - since > SEND_WITHIN:
                raise NotDialled("too much time has passed since the dial was written down")
            if not state.owns_ledger():
                raise NotDialled("another dialer may have the ledger now")
            if not attempt.running.is_dialled:
                raise NotDialled("the campaign was paused or cancelled")
            if not state.is_open(attempt.running, attempt.contact):
                raise NotDialled("the calling hours are over")
            if state.is_blocked(attempt):
                raise NotDialled("the number is on the do-not-call list")

        return check

    async def _send(
        self, attempt: LiveAttempt, order: DialOrder, permit: Permit, since: float
    ) -> None:
        state = self._state
        options = SendOptions(
            priority=attempt.running.priority, before_send=self._last_check(attempt, since)
        )
        parts, circuit = state.parts, state.circuit
        try:
            call = await parts.pipeline.send(
                order.request, self._read, options, permit=permit, retry=_ONCE
            )
        except CallOutcomeUnknown as error:
            self._lost(attempt, error)
        except NotDialled as error:
            circuit.not_sent(was_probe=attempt.is_probe)
            self._not_sent(attempt, str(error))
        except ConfigurationError as error:  # the session is closed
            circuit.not_sent(was_probe=attempt.is_probe)
            self._not_sent(attempt, str(error))
            state.fail(error)
        except ExotelError as error:
            self._refused(attempt, judge(error))
        else:
            circuit.answered()
            self._placed(attempt, call)

    def _read(self, answer: Response) -> Call:
        # The call is not marked as seen here: its SID gets into the ledger only if the response is
        # still awaited. If the dialer was closed meanwhile, the next one has to find the call.
        return responses.read_call(answer, time_zone=self._state.parts.time_zone)

    def _placed(self, attempt: LiveAttempt, call: Call) -> None:
        self._refusing.end_refused(attempt.running)
        # A callback may have come before the response.
        if attempt.state is AttemptState.INTENDED:
            self._state.in_doubt.found(attempt, call)

    def _lost(self, attempt: LiveAttempt, error: CallOutcomeUnknown) -> None:
        state = self._state
        now = asyncio.get_running_loop().time()
        if error.sid is not None:
            state.circuit.answered()
            self._placed(attempt, Call(sid=error.sid, from_=error.from_, to=error.to))
            return
        reason = error.message or "the response was lost"
        state.circuit.failed(now, reason, was_probe=attempt.is_probe)
        if attempt.state is not AttemptState.INTENDED:
            return
        late = state.parts.pipeline.transport.may_arrive_for
        state.attempts.lost(attempt, str(error), state.clock.now_ms() + round(late * 1000))
        state.in_doubt.search(attempt, error)

    def _not_sent(self, attempt: LiveAttempt, reason: str) -> None:
        """Write that the request of an attempt was not sent."""
        state, running, contact = self._state, attempt.running, attempt.contact
        next_state, due_at = ContactState.READY, None
        if not state.is_open(running, contact):
            next_state, due_at = state.when_open(running, contact)
        if next_state.is_final:
            state.attempts.refused(attempt, reason, None, next_state)
        else:
            state.attempts.not_placed(attempt, reason, next_state, due_at)
        state.check_requested.set()

    def _refused(self, attempt: LiveAttempt, refusal: Refusal) -> None:
        if attempt.state is AttemptState.INTENDED:
            self._refusing.refused(attempt, refusal)
        else:  # a callback has shown the call
            self._state.circuit.answered()
