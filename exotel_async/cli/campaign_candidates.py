"""Unresolved contacts, and the calls that may be theirs: what a person needs for a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from exotel_async import AsyncExotel, Call, NotFound
from exotel_async.campaigns import AttemptState, CampaignAdmin, ContactOutcome, ContactState
from exotel_async.campaigns.resolving import has_ended_by
from exotel_async.cli.campaign_columns import candidates_of
from exotel_async.cli.campaign_screen import shown_numbers
from exotel_async.cli.campaign_words import masked_key
from exotel_async.cli.terminal import one_line
from exotel_async.cli.time_arguments import shown_length, shown_moment
from exotel_async.masking import redact
from exotel_async.phone import same_number

_NOT_KNOWN: Final = "not known"


@frozen
class Candidate:
    """A call that may have been placed for a contact.

    Attributes:
        sid: its SID.
        call: the call; None: the call records have no such SID.
        is_own: whether it is certainly the contact's: Exotel accepted its dial.
        has_ended: whether it must have ended by now, whatever its record says.
    """

    sid: str
    call: Call | None
    is_own: bool = False
    has_ended: bool = False

    @property
    def can_be_chosen(self) -> bool:
        """Whether a person may choose it: its end is known, or will never be known."""
        return self.is_over or (self.is_own and (self.call is None or self.has_ended))

    @property
    def is_over(self) -> bool:
        """Whether its end is known."""
        return self.call is not None and self.call.is_final

    def lines(self, shown: Callable[[str], str]) -> Iterator[str]:
        """Yield the lines that describe the call to a person."""
        call = self.call
        if call is None:
            yield "not found in the call records"
        else:
            at = call.started_at or call.created_at
            yield f"{_moment(at)}: {one_line(str(call.status or _NOT_KNOWN))}"
            yield f"{_parties(call, shown)}, {_lengths(call)}"
            if not self.can_be_chosen:
                yield "it has not ended, and cannot be chosen before it has"
        yield f"SID {one_line(self.sid)}"

    def as_json(self) -> dict[str, Any]:
        """Return the call as JSON-compatible values."""
        return {"sid": self.sid, "call": None if self.call is None else self.call.to_dict()}


async def unresolved(admin: CampaignAdmin, name: str) -> list[ContactOutcome]:
    """Return the contacts of a campaign that are unresolved."""
    return [one async for one in admin.outcomes(name) if one.state is ContactState.UNRESOLVED]


def was_placed(outcome: ContactOutcome) -> bool:
    """Return whether Exotel accepted the last dial of an unresolved contact."""
    return any(
        one.state is AttemptState.UNRESOLVED and one.sid is not None for one in outcome.attempts
    )


async def candidates(
    exotel: AsyncExotel, outcome: ContactOutcome, now: datetime
) -> list[Candidate]:
    """Fetch the calls that may be a contact's.

    Raises:
        ExotelError: a call cannot be fetched.
    """
    is_own = was_placed(outcome)
    dialled = [one.intended_at for one in outcome.attempts if one.state is AttemptState.UNRESOLVED]
    has_ended = any(has_ended_by(now, moment) for moment in dialled)
    return [
        Candidate(sid, await _read(exotel, sid), is_own, has_ended)
        for sid in candidates_of(outcome)
    ]


def contact_lines(outcome: ContactOutcome, *, whole: bool) -> Iterator[tuple[str, str]]:
    """Yield what identifies a contact, and why it is unresolved, as pairs of label and text.

    Args:
        outcome: the contact.
        whole: whether to show all digits of numbers.
    """
    contact, shown = outcome.contact, shown_numbers(whole=whole)
    yield "contact", shown(contact.number)
    if contact.key and contact.key != contact.number:
        numbers = (contact.number, *contact.alternatives)
        yield "key", contact.key if whole else masked_key(contact.key, *numbers)
    for name, value in contact.fields.items():
        if value not in (None, ""):
            yield one_line(name), str(value) if whole else redact(str(value))
    for attempt in outcome.attempts:
        if attempt.state is AttemptState.UNRESOLVED:
            other = "" if attempt.number == contact.number else f", at {shown(attempt.number)}"
            yield "dialled", f"{shown_moment(attempt.intended_at)}{other}"
            yield "from", attempt.caller_id
    yield "why", outcome.reason or _NOT_KNOWN


def as_json(outcome: ContactOutcome, found: Sequence[Candidate]) -> dict[str, Any]:
    """Return an unresolved contact and its candidates as JSON-compatible values."""
    return {**outcome.to_dict(), "candidates": [one.as_json() for one in found]}


async def _read(exotel: AsyncExotel, sid: str) -> Call | None:
    try:
        return await exotel.calls.get(sid, details=True)
    except NotFound:
        return None


def _moment(moment: datetime | None) -> str:
    return _NOT_KNOWN if moment is None else shown_moment(moment)


def _has_two(call: Call) -> bool:
    # In a call to a flow, the second party is the ExoPhone.
    return call.to is not None and not same_number(call.to, call.exophone)


def _parties(call: Call, shown: Callable[[str], str]) -> str:
    first = shown(call.from_ or _NOT_KNOWN)
    return f"{first} and {shown(call.to or '')}" if _has_two(call) else first


def _lengths(call: Call) -> str:
    length = _NOT_KNOWN if call.duration is None else shown_length(call.duration)
    if not _has_two(call):
        return f"duration {length}"
    talk = _NOT_KNOWN if call.talk_time is None else shown_length(call.talk_time)
    return f"duration {length}, talk {talk}"
