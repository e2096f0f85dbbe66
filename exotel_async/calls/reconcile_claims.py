"""What is remembered of an account's dials whose outcome is not known: which call is whose.

A dial makes one call at most, and no call is made by two dials. So what is known of one lost dial
tells something about the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from attrs import define

from exotel_async.calls.reconcile_match import DialSignature, folded
from exotel_async.calls.reconcile_scan import DialWindow
from exotel_async.calls.seen import SeenCalls, remember
from exotel_async.errors import CallOutcomeUnknown
from exotel_async.masking import mask_number
from exotel_async.models import Call
from exotel_async.wire.party import ending

_MOST: Final = 10_000
"""Dials remembered; the oldest are forgotten first."""

_Ends = tuple[str, str | None]
_Key = tuple[str, str | None, str, str | None, datetime]


@define(eq=False)
class LostDial:
    """A dial whose outcome is not known.

    Not the error itself, which would keep the frames alive it was raised in.
    """

    dialled: DialSignature
    sent_at: datetime
    lost_at: datetime
    time_limit: timedelta | None
    is_ours: bool = False
    """Whether it was dialled here: its times are by this machine's clock."""
    clock_offset: timedelta | None = None
    """How much Exotel's clock was ahead of the one that its times are by, as its error tells."""
    minutes: DialWindow | None = None
    """When its call was created, as it was thought when it was lost, or searched for."""
    sid: str | None = None
    """Of its call, if that is known."""
    is_void: bool = False
    """Whether it is certain that it made no call."""


class LostDials:
    """The lost dials of an account, and what is known of their calls."""

    def __init__(self, known: SeenCalls) -> None:
        self._seen = known
        self._dials: OrderedDict[_Key, LostDial] = OrderedDict()
        # By their parties, for after an outage there may be thousands; and by their custom field,
        # for a call that carries it need not show its parties.
        self._groups: dict[_Ends | str, list[LostDial]] = {}
        # Whose a call is, by SID: as a damaged or late answer shows; and as was found.
        self._told: OrderedDict[str, LostDial] = OrderedDict()
        self._found: OrderedDict[str, LostDial] = OrderedDict()

    def of(self, error: CallOutcomeUnknown) -> LostDial:
        """Return the dial of an error: the same for each error of it, copied or pickled.

        There are two where its caller could wait no longer and it was lost after that.
        """
        key = _key(error)
        dial = self._dials.get(key)
        if dial is None:
            dial = LostDial(DialSignature(error), error.sent_at, error.lost_at, error.time_limit)
            if len(self._dials) >= _MOST:
                self._forget_one()
            self._dials[key] = dial
            for group in _groups(error.from_, error.to, error.custom_field):
                self._groups.setdefault(group, []).append(dial)
        elif error.lost_at > dial.lost_at:
            # It may have arrived after what was taken for its end.
            dial.lost_at, dial.minutes, dial.is_void = error.lost_at, None, False
        if dial.clock_offset is None:
            dial.clock_offset = error.clock_offset
        if dial.dialled.is_masked:
            self._unmask(dial, DialSignature(error))
        if error.sid is not None:
            self.answered(dial, error.sid)
        return dial

    def answered(self, dial: LostDial, sid: str) -> None:
        """Take note of the call that a dial's own answer has named, damaged or late."""
        dial.sid = sid
        remember(self._told, sid, dial, _MOST)

    def found(self, dial: LostDial, sid: str) -> None:
        """Take note of the call that was found to be a dial's."""
        dial.sid = sid
        remember(self._found, sid, dial, _MOST)

    def sid_of(self, dial: LostDial) -> str | None:
        """Return the SID of a dial's call, if it is known."""
        # What was found gives way to what another dial was answered since.
        return None if dial.sid is None or self.is_anothers(dial.sid, dial) else dial.sid

    def is_anothers(self, sid: str, dial: LostDial) -> bool:
        """Whether a call is known to be another dial's, be that lost or not."""
        told = self._told.get(sid)
        if told is not None:
            return told is not dial
        return self._seen.was_dialled(sid) or self._found.get(sid, dial) is not dial

    def rivals(
        self,
        call: Call,
        custom_field: str | None,
        dial: LostDial,
        minutes_of: Callable[[LostDial], DialWindow],
    ) -> Iterator[LostDial]:
        """Yield the other dials whose call is not known, and may be one as well as a dial's.

        `minutes_of` tells when the call of a dial was created.
        """
        match = dial.dialled.match(call, custom_field)
        groups = set(_groups(call.from_ or "", call.to, custom_field))
        # A call to a flow shows the ExoPhone there, or nothing.
        groups.add(_ends(call.from_ or "", None))
        # What is alike shows its parties.
        for other in {other for group in groups for other in self._groups.get(group, ())}:
            if (
                other is not dial
                and not other.is_void
                and self.sid_of(other) is None
                and other.dialled.match(call, custom_field) >= match
                and minutes_of(other).have(call)
            ):
                yield other

    def _unmask(self, dial: LostDial, dialled: DialSignature) -> None:
        if dialled.is_masked:
            return
        dial.dialled = dialled
        # By the last digits another one's call may have been found.
        if dial.sid is not None and self._found.get(dial.sid) is dial:
            del self._found[dial.sid]
            if self._told.get(dial.sid) is not dial:
                dial.sid = None

    def _forget_one(self) -> None:
        (from_, to, _, custom_field, _), forgotten = self._dials.popitem(last=False)
        for group in _groups(from_, to, custom_field):
            self._groups[group].remove(forgotten)
            if not self._groups[group]:
                del self._groups[group]
        # Or it would be another's, if it is searched for again.
        for whose in (self._told, self._found):
            if forgotten.sid is not None and whose.get(forgotten.sid) is forgotten:
                del whose[forgotten.sid]


def _key(error: CallOutcomeUnknown) -> _Key:
    # Masked, as they may have been written down.
    to = None if error.to is None else mask_number(error.to)
    from_, caller_id = mask_number(error.from_), mask_number(error.caller_id)
    return from_, to, caller_id, error.custom_field, error.sent_at


def _groups(from_: str, to: str | None, custom_field: str | None) -> Iterator[_Ends | str]:
    yield _ends(from_, to)
    if custom_field:
        yield folded(custom_field)


def _ends(from_: str, to: str | None) -> _Ends:
    return ending(from_), None if to is None else ending(to)
