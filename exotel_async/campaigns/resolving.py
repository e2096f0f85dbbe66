"""Settles an unresolved contact by the decision of a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from exotel_async.calls.wait_state import LONGEST_CALL, SETTLED_AFTER, call_is_settled, is_over
from exotel_async.campaigns.admin import settings_of
from exotel_async.campaigns.after_call import after_call, final
from exotel_async.campaigns.call_columns import columns_of
from exotel_async.campaigns.clock import from_ms
from exotel_async.campaigns.entries import Change
from exotel_async.campaigns.in_doubt import SEND_WITHIN
from exotel_async.campaigns.words import AttemptState, ContactState
from exotel_async.errors import InvalidRequest, NotFound
from exotel_async.masking import mask_number
from exotel_async.models import Direction
from exotel_async.phone import same_number

if TYPE_CHECKING:
    from exotel_async.calls.resource import Calls
    from exotel_async.campaigns.campaign import Campaign
    from exotel_async.campaigns.clock import Clock
    from exotel_async.campaigns.entries import CampaignEntry, OpenAttempt
    from exotel_async.campaigns.ledger import Ledger
    from exotel_async.campaigns.outcome import ContactOutcome
    from exotel_async.models import Call

_LONGEST: Final = LONGEST_CALL + SETTLED_AFTER
"""The time from a dial after which its call is over, whatever its record says."""
_CLOCKS_DIFFER: Final = timedelta(minutes=1)
_NO_CONTACT: Final = "is not the key of a contact of the campaign"
_END_UNKNOWN: Final = "resolved by hand: the call was placed, its end is not known"
_WAS: Any = {"attempt_was": (AttemptState.UNRESOLVED,), "contact_was": (ContactState.UNRESOLVED,)}


async def resolve(
    ledger: Ledger, calls: Calls, clock: Clock, entry: CampaignEntry, *, key: str, sid: str | None
) -> ContactOutcome:
    """Settle the contact with a key: see `Dialer.resolve`."""
    attempt = await _unresolved_attempt(ledger, entry.id, key)
    if sid is None:
        if attempt.sid is not None:
            raise _refused(
                key,
                f"is of a contact whose call was placed: Exotel accepted it as {attempt.sid}. "
                "Resolve it by that SID (`--call`, in Python `sid=`): the contact is not dialled "
                "again if nothing shows how the call ended",
            )
        change = _not_placed_change(attempt)
    else:
        change = await _change_for_call(ledger, calls, clock, attempt, entry=entry, sid=sid)
    await ledger.resolve(change, clock.now_ms())
    outcome = await ledger.outcome(entry.id, key)
    if outcome is None:  # it was forgotten meanwhile
        raise _refused(key, _NO_CONTACT)
    return outcome


def has_ended_by(now: datetime, intended_at: datetime) -> bool:
    """Return whether a call dialled at `intended_at` must be over, whatever its record says."""
    return now > intended_at + _LONGEST


async def _unresolved_attempt(ledger: Ledger, campaign_id: int, key: str) -> OpenAttempt:
    outcome = await ledger.outcome(campaign_id, key)
    if outcome is None:
        raise _refused(key, _NO_CONTACT)
    if outcome.state is ContactState.UNRESOLVED:
        for attempt in reversed(outcome.attempts):
            if attempt.state is AttemptState.UNRESOLVED:
                found = await ledger.find_attempt(attempt.id)
                if found is not None:
                    return found
    raise _refused(key, f"is of a contact that is {outcome.state.value}, not unresolved")


async def _change_for_call(
    ledger: Ledger,
    calls: Calls,
    clock: Clock,
    attempt: OpenAttempt,
    *,
    entry: CampaignEntry,
    sid: str,
) -> Change:
    """Return the change that gives an attempt the call with this SID."""
    was_accepted = attempt.sid is not None
    if was_accepted and sid != attempt.sid:
        rule = f"is not the call that Exotel accepted: {attempt.sid}"
        raise InvalidRequest("sid", sid, rule)
    try:
        call = await calls.get(sid, details=True)
    except NotFound:
        if not was_accepted:
            raise
        return _end_unknown_change(attempt, clock)
    is_late = has_ended_by(clock.now(), from_ms(attempt.intended_at))
    if was_accepted and is_late and not is_over(call):
        return _end_unknown_change(attempt, clock)
    await _check(ledger, attempt, call)
    return _placed_change(attempt, call, settings_of(entry), clock)


async def _check(ledger: Ledger, attempt: OpenAttempt, call: Call) -> None:
    wrong, parties, made_at = None, (call.from_, call.to), call.created_at or call.started_at
    if not is_over(call):
        wrong = "is a call that is not over"
    elif not any(same_number(party, attempt.number) for party in parties):
        wrong = f"is a call to another number than {mask_number(attempt.number)}"
    elif call.direction is Direction.INBOUND:
        wrong = "is an incoming call"
    elif made_at is not None and made_at < from_ms(attempt.intended_at) - _CLOCKS_DIFFER:
        wrong = "is a call that was made before the dial"
    elif attempt.sid is None and made_at is not None and made_at > _latest(attempt):
        wrong = "is a call that was made too long after the dial"
    else:
        other = await ledger.find_attempt(sid=call.sid)
        if other is not None and other.id != attempt.id:
            wrong = "is the call of another attempt"
    if wrong is not None:
        raise InvalidRequest("sid", call.sid, wrong)


def _latest(attempt: OpenAttempt) -> datetime:
    """Return the moment after which the dial of an attempt certainly places no call."""
    given_up = attempt.certain_after or attempt.lost_at or attempt.intended_at
    return from_ms(given_up) + timedelta(seconds=SEND_WITHIN) + _CLOCKS_DIFFER


def _refused(key: str, rule: str) -> InvalidRequest:
    return InvalidRequest("key", key, rule, shown=mask_number(key))


def _not_placed_change(attempt: OpenAttempt) -> Change:
    """Return the change for a dial that placed no call: the contact is dialled again."""
    return Change(
        attempt_id=attempt.id,
        attempt={
            "state": AttemptState.NOT_PLACED,
            "error": "resolved by hand: no call was made",
            "candidates": None,
        },
        contact_id=attempt.contact.id,
        contact={"state": ContactState.READY, "due_at": None},
        **_WAS,
    )


def _end_unknown_change(attempt: OpenAttempt, clock: Clock) -> Change:
    """Return the change for a call that Exotel accepted, but whose end it does not report."""
    # As in `Attempts.settled`: a contact that may have been reached is not dialled again.
    contact = final(ContactState.REACHED, _END_UNKNOWN, clock.now_ms())
    return Change(
        attempt_id=attempt.id,
        attempt={
            "state": AttemptState.SETTLED,
            "status": None,  # the last one that was read was not final
            "error": _END_UNKNOWN,
            "candidates": None,
        },
        contact_id=attempt.contact.id,
        contact=contact | {"attempts": attempt.contact.attempts + 1},
        **_WAS,
    )


def _placed_change(attempt: OpenAttempt, call: Call, campaign: Campaign, clock: Clock) -> Change:
    """Return the change for an attempt with this call, and for its contact."""
    two = campaign.legs > 1
    word = campaign.reached.word_of(call, two=two, settled=True)
    assert word is not None  # noqa: S101 - it is over
    contact, _ = after_call(attempt.contact, campaign, word, clock.now(), clock.now_ms())
    state = AttemptState.SETTLED if call_is_settled(call) else AttemptState.ENDED
    return Change(
        attempt_id=attempt.id,
        attempt={"state": state, "error": None, "candidates": None, **columns_of(call)},
        contact_id=attempt.contact.id,
        contact=contact,
        **_WAS,
    )
