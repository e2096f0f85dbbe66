"""The book of all calls: by SID, in order of time, and those that are not over yet."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from operator import attrgetter
from random import Random

import attrs

from exotel_async.emulator.calls import INBOUND, Dial, EmulatedCall
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.phones import national
from exotel_async.emulator.scenario import Behaviour, Scenario, Timeline, plan, plan_incoming

position: attrgetter[tuple[float, str]] = attrgetter("at", "sid")
"""Where a call stands among the others. Those of one moment have an order too, or a cursor between
them could not hold."""
_dialled_at = attrgetter("at")


@attrs.frozen
class Stretch:
    """A part of the book, oldest first, without some calls in it. Reads only what is asked for."""

    _calls: Sequence[EmulatedCall]
    _first: int
    _last: int
    _gaps: Sequence[int]
    """For each call left out, in order, how many others of the stretch come before it."""

    def __len__(self) -> int:
        return self._last - self._first - len(self._gaps)

    def __getitem__(self, index: int) -> EmulatedCall:
        return self._calls[self._first + index + bisect_right(self._gaps, index)]


class CallBook:
    """All calls of the account."""

    def __init__(self, clock: Clock, *, seed: int, account_sid: str) -> None:
        self._clock = clock
        self._seed = f"{account_sid}/{seed}"
        self._random = Random()  # noqa: S311 - a script of calls, not a secret
        self._by_sid: dict[str, EmulatedCall] = {}
        self._by_time: list[EmulatedCall] = []
        self._unsettled: set[EmulatedCall] = set()
        self._nth: Counter[tuple[str, str]] = Counter()
        self._rung: Counter[str] = Counter()

    @property
    def by_sid(self) -> Mapping[str, EmulatedCall]:
        """Every call by its SID, in the order they were taken."""
        return self._by_sid

    def rung(self, number: str) -> int:
        """How many calls rang that number, as first party, as second, or as an agent."""
        return self._rung[national(number)]

    def clear(self) -> None:
        """Forget them all."""
        self._by_sid.clear()
        self._by_time.clear()
        self._unsettled.clear()
        self._nth.clear()
        self._rung.clear()

    def take(
        self,
        dial: Dial,
        scenario: Scenario,
        at: float,
        *,
        in_flow: bool = False,
        first_does: Behaviour | None = None,
        busy: bool = False,
    ) -> EmulatedCall:
        """Take a call dialled at that moment, or one that comes in, perhaps to find us busy.

        `in_flow`: once answered, it goes on for as long as its flow does.

        What becomes of it rests on the seed, the two parties and how many calls they had before,
        never on which of several requests came first.
        """
        parties = national(dial.from_), national(dial.to or dial.url or dial.caller_id)
        self._nth[parties] += 1
        key = f"{self._seed}/{'/'.join(parties)}/{self._nth[parties]}"
        self._random.seed(key)
        if in_flow and dial.direction == INBOUND:
            timeline = plan_incoming(scenario, self._random, busy=busy)
        else:
            timeline = plan(
                scenario,
                self._random,
                first=dial.from_,
                second=dial.to,
                ring_timeout=dial.ring_timeout,
                time_limit=dial.time_limit,
                first_does=first_does,
            )
            self.ring(parties[0])
            if dial.to is not None and parties[0] != parties[1]:
                self.ring(parties[1])
        if in_flow and timeline.answered is not None:
            timeline = attrs.evolve(timeline, ended=math.inf)
        return self._enter(key, dial, timeline, at)

    def ring(self, number: str) -> None:
        """Count that a number is rung."""
        self._rung[national(number)] += 1

    def add_child(
        self, parent: EmulatedCall, number: int, dial: Dial, timeline: Timeline, at: float
    ) -> EmulatedCall:
        """Enter a leg of a call as a record of its own; the numbers tell its legs apart."""
        child = self._enter(f"{parent.seed}/leg/{number}", dial, timeline, at)
        child.parent_sid = parent.sid
        return child

    def _enter(self, key: str, dial: Dial, timeline: Timeline, at: float) -> EmulatedCall:
        sid = _new_sid(key, self._clock, at)
        call = EmulatedCall(sid=sid, dial=dial, at=at, timeline=timeline, clock=self._clock)
        self._by_sid[sid] = call
        insort(self._by_time, call, key=position)
        if not call.settled:
            self._unsettled.add(call)
        return call

    def forget(self, sid: str) -> None:
        """Let a call vanish; `rung` still counts it. Raises KeyError when there is none."""
        call = self._by_sid.pop(sid)
        del self._by_time[self._place(call)]
        self._unsettled.discard(call)

    def unsettled(self) -> set[EmulatedCall]:
        """The calls going on, and those whose EndTime, Duration and Price do not show yet."""
        self._unsettled = {call for call in self._unsettled if not call.settled}
        return self._unsettled

    def live(self) -> set[EmulatedCall]:
        """The calls going on."""
        return {call for call in self.unsettled() if not call.ended}

    def channels(self) -> int:
        """How many channels of the account are taken."""
        return sum(call.channels for call in self.live())

    def between(self, since: float, until: float) -> Sequence[EmulatedCall]:
        """Calls dialled from one moment to before another, oldest first."""
        first, last = self._bounds(since, until)
        return self._by_time[first:last]

    def stretch(self, since: float, until: float, *, without: Iterable[EmulatedCall]) -> Stretch:
        """The same without some calls, none of them read; good until the next call is taken."""
        first, last = self._bounds(since, until)
        left_out = sorted(self._place(call) for call in without if since <= call.at < until)
        gaps = [place - first - before for before, place in enumerate(left_out)]
        return Stretch(self._by_time, first, last, gaps)

    def _bounds(self, since: float, until: float) -> tuple[int, int]:
        first = bisect_left(self._by_time, since, key=_dialled_at)
        return first, bisect_left(self._by_time, until, first, key=_dialled_at)

    def _place(self, call: EmulatedCall) -> int:
        return bisect_left(self._by_time, position(call), key=position)


def _new_sid(key: str, clock: Clock, at: float) -> str:
    """32 characters: hex, then year and month in hex and one more sign (VOICE_V1 1.3)."""
    day = clock.wall(at)
    digest = sha256(key.encode()).hexdigest()
    tail = f"{day.year - 2000:02x}{day.month:x}{'ghijklmnopqrstuvwxyz'[int(digest[-1], 16)]}"
    return digest[: 32 - len(tail)] + tail
