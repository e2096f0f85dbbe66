"""An account's dials whose outcome is unknown, and which call belongs to which dial.

A dial places one call at most, and a call belongs to one dial. So what is known of one lost dial
helps to identify the calls of the others.
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

_Parties = tuple[str, str | None]
"""What `ending` returns for both parties."""
_Key = tuple[str, str | None, str, str | None, datetime]


@define(eq=False)
class LostDial:
    """A dial whose outcome is unknown.

    It does not hold the error, which would keep alive the frames it was raised in.
    """

    dialled: DialSignature
    sent_at: datetime
    lost_at: datetime
    time_limit: timedelta | None
    is_ours: bool = False
    """Whether it was dialled here, so that its times are by this machine's clock."""
    clock_offset: timedelta | None = None
    """How much Exotel's clock was ahead of the clock of its times, according to its error."""
    minutes: DialWindow | None = None
    """When its call was created, as estimated when it was lost or first searched for."""
    sid: str | None = None
    """The SID of its call, if known."""
    is_void: bool = False
    """Whether it certainly placed no call."""


class LostDials:
    """The lost dials of an account, and what is known of their calls."""

    def __init__(self, known: SeenCalls) -> None:
        self._seen = known
        self._dials: OrderedDict[_Key, LostDial] = OrderedDict()
        # Indexed by parties, because after an outage there may be thousands; and by custom field,
        # because a call that carries it need not show its parties.
        self._groups: dict[_Parties | str, list[LostDial]] = {}
        # The dial of a call, by SID: from a damaged or late response; and as found by a search.
        self._answered: OrderedDict[str, LostDial] = OrderedDict()
        self._found: OrderedDict[str, LostDial] = OrderedDict()

    def of(self, error: CallOutcomeUnknown) -> LostDial:
        """Return the dial of an error: the same for each error of it, copied or pickled.

        A dial has two errors if its caller timed out first, and its outcome was lost after that.
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
            # The request may have arrived after the time that was first taken for its end.
            dial.lost_at, dial.minutes, dial.is_void = error.lost_at, None, False
        if dial.clock_offset is None:
            dial.clock_offset = error.clock_offset
        if dial.dialled.is_masked:
            self._unmask(dial, DialSignature(error))
        if error.sid is not None:
            self.answered(dial, error.sid)
        return dial

    def answered(self, dial: LostDial, sid: str) -> None:
        """Record the call that a dial's own response has named, damaged or late."""
        dial.sid = sid
        remember(self._answered, sid, dial, _MOST)

    def found(self, dial: LostDial, sid: str) -> None:
        """Record the call that a search has found to be a dial's."""
        dial.sid = sid
        remember(self._found, sid, dial, _MOST)

    def sid_of(self, dial: LostDial) -> str | None:
        """Return the SID of a dial's call, if it is known."""
        # A later response to another dial overrides what a search has found.
        return None if dial.sid is None or self.is_anothers(dial.sid, dial) else dial.sid

    def is_anothers(self, sid: str, dial: LostDial) -> bool:
        """Return whether a call is known to belong to another dial, lost or not."""
        answered = self._answered.get(sid)
        if answered is not None:
            return answered is not dial
        return self._seen.was_dialled(sid) or self._found.get(sid, dial) is not dial

    def rivals(
        self,
        call: Call,
        custom_field: str | None,
        dial: LostDial,
        minutes_of: Callable[[LostDial], DialWindow],
    ) -> Iterator[LostDial]:
        """Yield the other dials without a known call that match `call` at least as well as `dial`.

        `minutes_of` returns when the call of a dial was created.
        """
        match = dial.dialled.match(call, custom_field)
        groups = set(_groups(call.from_ or "", call.to, custom_field))
        # A call to a flow shows the ExoPhone as `to`, or nothing.
        groups.add(_parties(call.from_ or "", None))
        # A call that is ALIKE shows its parties; one that is MARKED shows its custom field.
        for other in {other for group in groups for other in self._groups.get(group, ())}:
            if (
                other is not dial
                and not other.is_void
                and self.sid_of(other) is None
                and other.dialled.match(call, custom_field) >= match
                and minutes_of(other).may_contain(call)
            ):
                yield other

    def _unmask(self, dial: LostDial, dialled: DialSignature) -> None:
        if dialled.is_masked:
            return
        dial.dialled = dialled
        # With masked numbers, the call of another dial may have been found.
        if dial.sid is not None and self._found.get(dial.sid) is dial:
            del self._found[dial.sid]
            if self._answered.get(dial.sid) is not dial:
                dial.sid = None

    def _forget_one(self) -> None:
        (from_, to, _, custom_field, _), forgotten = self._dials.popitem(last=False)
        for group in _groups(from_, to, custom_field):
            self._groups[group].remove(forgotten)
            if not self._groups[group]:
                del self._groups[group]
        # Otherwise its call would count as another dial's if it is searched for again.
        for dials in (self._answered, self._found):
            if forgotten.sid is not None and dials.get(forgotten.sid) is forgotten:
                del dials[forgotten.sid]


def _key(error: CallOutcomeUnknown) -> _Key:
    # Masked: the error may have been stored with masked numbers.
    to = None if error.to is None else mask_number(error.to)
    from_, caller_id = mask_number(error.from_), mask_number(error.caller_id)
    return from_, to, caller_id, error.custom_field, error.sent_at


def _groups(from_: str, to: str | None, custom_field: str | None) -> Iterator[_Parties | str]:
    yield _parties(from_, to)
    if custom_field:
        yield folded(custom_field)


def _parties(from_: str, to: str | None) -> _Parties:
    return ending(from_), None if to is None else ending(to)
