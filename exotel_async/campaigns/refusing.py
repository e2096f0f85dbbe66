"""Handles refused dials: for the contact, the campaign and the account."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from exotel_async.campaigns.refusals import MAX_ALIKE, Meaning, Refusal
from exotel_async.campaigns.words import CampaignState, ContactState

if TYPE_CHECKING:
    from exotel_async.campaigns.attempts import LiveAttempt
    from exotel_async.campaigns.running import RunningCampaign
    from exotel_async.campaigns.state import DialerState

_NO_ROOM: Final = 30.0
"""Seconds until dialling is retried after a lack of channels, if none becomes free before."""


class Refusing:
    """Handles refusals.

    A refused contact is not ended until the outcome of its campaign's next dial is known: if others
    are refused in the same way, the fault is not with the contacts, and none of them is ended.
    """

    def __init__(self, state: DialerState) -> None:
        self._state = state

    def refused(self, attempt: LiveAttempt, refusal: Refusal) -> None:
        """Write that a dial was refused, and act on it."""
        state, attempts = self._state, self._state.attempts
        now = asyncio.get_running_loop().time()
        meaning, reason, status = refusal.meaning, refusal.reason, refusal.status
        if meaning is Meaning.NO_ANSWER:
            state.circuit.failed(now, reason, was_probe=attempt.is_probe)
        else:
            state.circuit.answered()
        if meaning in {Meaning.NO_ANSWER, Meaning.AGAIN}:
            attempts.not_placed(attempt, reason, ContactState.READY)
            state.check_requested.set()
        elif meaning in {Meaning.NO_CHANNEL, Meaning.NO_ROOM}:
            waits = meaning is Meaning.NO_CHANNEL or state.channels.held > attempt.legs
            attempts.not_placed(attempt, reason, ContactState.READY)
            if waits:
                state.no_room_until = now + _NO_ROOM
            else:
                state.stop_campaign(attempt, CampaignState.FAILED, reason)
        elif meaning is Meaning.DO_NOT_CALL:
            attempts.refused(attempt, reason, status, ContactState.DO_NOT_CALL)
        elif meaning is Meaning.ACCOUNT:
            attempts.refused(attempt, reason, status, ContactState.READY)
            state.stop_campaign(attempt, CampaignState.FAILED, reason)
        else:
            self._refuse_contact(attempt, refusal)

    def end_refused(self, running: RunningCampaign) -> None:
        """End the refused contacts: there were too few alike to suspect another cause."""
        refused, running.refused = running.refused, []
        for contact, refusal in refused:
            self._state.end(contact, ContactState.REFUSED, refusal.reason)

    def _refuse_contact(self, attempt: LiveAttempt, refusal: Refusal) -> None:
        state, running = self._state, attempt.running
        if running.is_stopped_by_errors or attempt.was_dialled_before_an_error_stop:
            # It was in flight when errors stopped the campaign, and counts as refused for the same
            # cause, even if the campaign has been resumed since.
            state.attempts.refused(attempt, refusal.reason, refusal.status, ContactState.READY)
            return
        if running.refused and running.refused[-1][1].kind != refusal.kind:
            self.end_refused(running)
        state.attempts.refused(attempt, refusal.reason, refusal.status, ContactState.CLAIMED)
        running.refused.append((attempt.contact, refusal))
        if len(running.refused) < MAX_ALIKE:
            return
        alike, running.refused = running.refused, []
        for contact, _ in alike:
            state.change(contact, {"state": ContactState.READY})
        reason = f"{MAX_ALIKE} dials in a row were refused: {refusal.reason}"
        state.stop_campaign(attempt, CampaignState.PAUSED, reason)
