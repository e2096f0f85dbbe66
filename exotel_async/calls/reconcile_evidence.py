"""What is known of lost dials and of calls, and which call belongs to which dial; without I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from attrs import define, field

from exotel_async.calls.reconcile_claims import LostDial, LostDials
from exotel_async.calls.reconcile_match import DialSignature, Match
from exotel_async.calls.reconcile_scan import DialWindow
from exotel_async.calls.seen import remember
from exotel_async.calls.wait_state import LONGEST_CALL, SETTLED_AFTER
from exotel_async.errors import CallOutcomeUnknown
from exotel_async.http.server_clock import ServerClock
from exotel_async.models import Call
from exotel_async.wire.time_range import TimeRange

# Clocks are compared in whole seconds, and a request that was given up may still arrive.
_BEFORE: Final = timedelta(seconds=5)
_AFTER: Final = timedelta(seconds=90)
_OFF: Final = timedelta(seconds=30)
"""If two readings of Exotel's clock differ by more, one of them was wrong."""
_REMEMBERED: Final = 1_000


@define
class Records:
    """The records in a time range that may be the call of a dial."""

    calls: dict[str, Call] = field(factory=dict)
    """By SID, oldest first."""
    are_all: bool = True
    """Whether all calls came that the service counts."""


class Evidence:
    """Decides which call belongs to a dial, as far as that is known."""

    def __init__(
        self,
        clock: ServerClock,
        dials: LostDials,
        in_flight: Callable[[], Iterable[CallOutcomeUnknown]],
    ) -> None:
        self._clock = clock
        self._in_flight = in_flight
        self.dials: Final = dials
        self._reported: OrderedDict[str, Call] = OrderedDict()

    def note_lost(self, error: CallOutcomeUnknown) -> None:
        """Record a lost dial, with what is known of Exotel's clock now: later that may be old."""
        dial = self.dials.of(error)
        dial.is_ours = True
        if self._clock.now() is not None:
            dial.minutes = self._minutes_now(dial)

    def report(self, call: Call) -> None:
        """Record a call with a custom field, as a callback has reported it."""
        remember(self._reported, call.sid, call, _REMEMBERED)

    @property
    def reported(self) -> tuple[Call, ...]:
        """The calls that callbacks have reported lately, oldest first."""
        return tuple(self._reported.values())

    def note(self, dial: LostDial, records: Records, call: Call) -> None:
        """Add a call to the records if it may be that of a dial."""
        if self._match(call, dial) > Match.ANOTHER:
            records.calls[call.sid] = call

    def found(self, dial: LostDial, records: Records) -> Call | None:
        """Return the call that certainly belongs to a dial, and record that; None if none does."""
        likely = self._likely(dial, records)
        if len(likely) != 1 or self.may_be_anothers(likely[0], dial):
            return None
        is_known = records.are_all and self.minutes_of(dial).is_exact
        # A record that is missing may match as well; and if the clock was wrong, this call may
        # belong to another dial.
        if not is_known and not self.is_marked(likely[0], dial):
            return None
        self.dials.found(dial, likely[0].sid)
        return likely[0]

    def is_ambiguous(self, dial: LostDial, records: Records) -> bool:
        """Return whether several calls match a dial equally well: waiting cannot change that."""
        return len(self._likely(dial, records)) > 1

    def candidates(self, dial: LostDial, records: Records) -> tuple[Call, ...]:
        """Return the calls that may belong to a dial."""
        return tuple(one for one in records.calls.values() if self._match(one, dial))

    def is_absent(self, dial: LostDial, records: Records) -> bool:
        """Return whether a dial certainly placed no call, if none of the records matches it.

        `records` must have been read when its call must be among them.
        """
        # If the clock is not known, we may have searched the wrong minutes.
        dial.is_void = records.are_all and self.minutes_of(dial).is_exact
        return dial.is_void

    def is_marked(self, call: Call, dial: LostDial) -> bool:
        """Return whether a call has a dial's custom field, and is not known to be another's."""
        return self._match(call, dial) is Match.MARKED

    def may_be_anothers(self, call: Call, dial: LostDial) -> bool:
        """Return whether a call may as well belong to another dial whose call is not known."""
        rivals = self.dials.rivals(call, self._custom_field(call), dial, self.possible_minutes)
        if not all(self._has_another(rival, call) for rival in rivals):
            return True
        # The call of a dial in flight may be over before the response to the dial arrives.
        match = self._match(call, dial)
        return any(
            other.match(call, self._custom_field(call)) >= match and minutes.may_contain(call)
            for other, minutes in map(self._awaited, self._in_flight())
        )

    def minutes_of(self, dial: LostDial) -> DialWindow:
        """Return when the call of a dial was created, as first estimated."""
        return dial.minutes or self._minutes_now(dial)

    def possible_minutes(self, dial: LostDial) -> DialWindow:
        """Return when the call of a dial may have been created, by old and new clock readings."""
        minutes, anew = self.minutes_of(dial), self._minutes_now(dial)
        # If they differ, our clock was set meanwhile; or this machine has slept, and what was known
        # of Exotel's clock was old. Either estimate may be right.
        return minutes if minutes.cover(anew, _OFF) else minutes | anew

    def _awaited(self, error: CallOutcomeUnknown) -> tuple[DialSignature, DialWindow]:
        dial = LostDial(DialSignature(error), error.sent_at, error.lost_at, error.time_limit)
        return dial.dialled, _minutes(dial, error.clock_offset, is_exact=False)

    def _minutes_now(self, dial: LostDial) -> DialWindow:
        """Return when the call of a dial was created, by what is known of Exotel's clock now."""
        here = self._clock.offset()
        # For a dial of another machine, only its error knows the offset of that clock.
        offset = here if dial.is_ours else dial.clock_offset
        minutes = _minutes(dial, offset, is_exact=None not in {here, offset})
        if offset is None and here is not None:
            # That clock may have been right, or as wrong as ours.
            minutes |= _minutes(dial, here, is_exact=False)
        return minutes

    def _has_another(self, dial: LostDial, call: Call) -> bool:
        """Return whether callbacks have reported another call than this one for a dial."""
        minutes = self.possible_minutes(dial)
        return any(
            self.is_marked(one, dial)
            and dial.dialled.shows_enough(one)
            and minutes.may_contain(one)
            for one in self._reported.values()
            if one.sid != call.sid
        )

    def _likely(self, dial: LostDial, records: Records) -> tuple[Call, ...]:
        marked = self._like(dial, records, Match.MARKED)
        return marked or self._like(dial, records, Match.ALIKE)

    def _like(self, dial: LostDial, records: Records, match: Match) -> tuple[Call, ...]:
        """Return the records that match a dial to that degree, by what is known by now."""
        return tuple(one for one in records.calls.values() if self._match(one, dial) is match)

    def _match(self, call: Call, dial: LostDial) -> Match:
        if self.dials.is_anothers(call.sid, dial):
            return Match.ANOTHER
        return dial.dialled.match(call, self._custom_field(call))

    def _custom_field(self, call: Call) -> str | None:
        """Return a call's custom field, where it is known."""
        return call.custom_field or self._reported.get(call.sid, call).custom_field


def _minutes(dial: LostDial, offset: timedelta | None, *, is_exact: bool) -> DialWindow:
    """Return when the call of a dial was created; `offset` is Exotel's clock minus the dial's."""
    ahead = offset or timedelta()
    first, last = dial.sent_at + ahead, dial.lost_at + ahead
    return DialWindow(
        ranges=(TimeRange((first - _BEFORE).replace(microsecond=0), last + _AFTER),),
        certain_at=last + (dial.time_limit or LONGEST_CALL) + SETTLED_AFTER,
        is_exact=is_exact,
    )
