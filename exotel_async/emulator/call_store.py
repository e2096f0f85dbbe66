"""The store of all calls: by SID, in order of time, and those in progress."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import sha256
from heapq import heappop, heappush
from operator import attrgetter
from random import Random
from secrets import token_hex

import attrs

from exotel_async.emulator.calls import INBOUND, Dial, EmulatedCall
from exotel_async.emulator.clock import Clock
from exotel_async.emulator.numbers import national
from exotel_async.emulator.scenario import (
    Behaviour,
    Scenario,
    Timeline,
    plan,
    plan_incoming,
    plan_manual,
)

position: attrgetter[tuple[float, str]] = attrgetter("at", "sid")
"""The sort key of calls. It has the SID too, so that calls of the same moment have a fixed order;
without one a cursor between them would not hold."""
_dialled_at = attrgetter("at")


@attrs.frozen
class CallSlice:
    """A slice of the calls in order of time. Reads only the calls that are accessed."""

    _calls: Sequence[EmulatedCall]
    _first: int
    _last: int

    def __len__(self) -> int:
        return self._last - self._first

    def __getitem__(self, index: int) -> EmulatedCall:
        return self._calls[self._first + index]


class CallBook:
    """All calls of the account.

    Calls that are over have a list of their own, and the channels in use are counted as they
    change: a page, and a check for a free channel, cost the same however many are in progress.
    """

    def __init__(self, clock: Clock, *, seed: int, account_sid: str, fixed_sids: bool) -> None:
        self._clock = clock
        self._seed = f"{account_sid}/{seed}"
        self._fixed_sids = fixed_sids
        self._random = Random()  # noqa: S311 - a script of calls, not a secret
        self._by_sid: dict[str, EmulatedCall] = {}
        self._by_time: list[EmulatedCall] = []
        self._over: list[EmulatedCall] = []
        """The same, without the calls in progress."""
        self._live: dict[EmulatedCall, int] = {}
        """The calls in progress, each with the channels it takes, as last counted."""
        self._ends: list[tuple[float, str]] = []
        """A heap of when live calls end, with their SIDs. A changed call gets another entry."""
        self._changed: set[EmulatedCall] = set()
        """Calls that have changed since the last `_refresh`."""
        self._channels = 0
        self._unsettled: set[EmulatedCall] = set()
        self._nth: Counter[tuple[str, str]] = Counter()
        self._rung: Counter[str] = Counter()

    @property
    def by_sid(self) -> Mapping[str, EmulatedCall]:
        """Every call by its SID, in the order they were added."""
        return self._by_sid

    def rung(self, number: str) -> int:
        """Return how often that number was rung, as first party, as second, or as an agent."""
        return self._rung[national(number)]

    def clear(self) -> None:
        """Forget all calls."""
        self._by_sid.clear()
        self._by_time.clear()
        self._over.clear()
        self._live.clear()
        self._ends.clear()
        self._changed.clear()
        self._channels = 0
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
        first_behaviour: Behaviour | None = None,
        busy: bool = False,
        second_decides: bool = True,
        manual: bool = False,
    ) -> EmulatedCall:
        """Add a call dialled at that moment, or an incoming one, which may find the line busy.

        `in_flow`: once answered, it lasts as long as its flow. `second_decides`: its status is the
        second leg's, if it has one. `manual`: a person plays a party of a dialled call, and whom it
        rings, and when it ends, is decided while it runs.

        Its outcome depends on the seed, the two parties and how many calls they had before, never
        on the order in which calls of different parties arrive.
        """
        second = dial.to or dial.url or dial.stream_url or dial.caller_id
        parties = national(dial.from_), national(second)
        self._nth[parties] += 1
        key = f"{self._seed}/{'/'.join(parties)}/{self._nth[parties]}"
        self._random.seed(key)
        if in_flow and dial.direction == INBOUND:
            timeline = plan_incoming(scenario, self._random, busy=busy)
        elif manual:
            decides = dial.to is not None and second_decides
            timeline = plan_manual(scenario, self._random, second_decides=decides)
        else:
            timeline = plan(
                scenario,
                self._random,
                first=dial.from_,
                second=dial.to,
                ring_timeout=dial.ring_timeout,
                time_limit=dial.time_limit,
                max_retries=dial.max_retries,
                first_behaviour=first_behaviour,
                second_decides=second_decides,
            )
            for _ in timeline.attempts:
                self.ring(parties[0])
            if dial.to is not None and parties[0] != parties[1]:
                self.ring(parties[1])
        if in_flow and timeline.answered is not None:
            timeline = attrs.evolve(timeline, ended=math.inf)
        return self._enter(key, dial, timeline, at)

    def ring(self, number: str) -> None:
        """Count one ring of a number."""
        self._rung[national(number)] += 1

    def add_child(
        self, parent: EmulatedCall, number: int, dial: Dial, timeline: Timeline, at: float
    ) -> EmulatedCall:
        """Add a leg of a call as a call of its own; `number` tells the legs of a call apart."""
        child = self._enter(f"{parent.seed}/leg/{number}", dial, timeline, at)
        child.parent_sid = parent.sid
        return child

    def _enter(self, key: str, dial: Dial, timeline: Timeline, at: float) -> EmulatedCall:
        sid = self._new_sid(key, at)
        call = EmulatedCall(
            sid=sid,
            seed=key,
            dial=dial,
            at=at,
            timeline=timeline,
            clock=self._clock,
            changed=self._changed,
        )
        self._by_sid[sid] = call
        if self._by_time and position(call) < position(self._by_time[-1]):
            insort(self._by_time, call, key=position)
        else:
            self._by_time.append(call)  # nearly always, and much faster
        age = call.age
        if age >= timeline.ended:
            insort(self._over, call, key=position)
        else:
            self._live[call] = 0
            self._changed.add(call)
        if age < timeline.settled:
            self._unsettled.add(call)
        return call

    def _new_sid(self, key: str, at: float) -> str:
        """Return 32 characters: hex, then year and month in hex and one letter (VOICE_V1 1.3).

        They are random, not drawn from the seed: an application that keeps running would take the
        events of the next run for duplicates. Fixed SIDs are derived from the key instead.
        """
        drawn = sha256(key.encode()).hexdigest() if self._fixed_sids else token_hex(16)
        day = self._clock.wall(at)
        tail = f"{day.year - 2000:02x}{day.month:x}{'ghijklmnopqrstuvwxyz'[int(drawn[-1], 16)]}"
        return drawn[: 32 - len(tail)] + tail

    def forget(self, sid: str) -> None:
        """Remove a call; `rung` still counts it. Raises KeyError if there is no such call."""
        call = self._by_sid.pop(sid)
        self._refresh()
        in_order = [self._by_time] if call in self._live else [self._by_time, self._over]
        for calls in in_order:
            del calls[bisect_left(calls, position(call), key=position)]
        self._channels -= self._live.pop(call, 0)
        self._unsettled.discard(call)

    def unsettled(self) -> set[EmulatedCall]:
        """Return the calls in progress, and those without EndTime, Duration and Price yet."""
        self._unsettled = {call for call in self._unsettled if not call.settled}
        return self._unsettled

    def live(self) -> set[EmulatedCall]:
        """Return the calls in progress."""
        self._refresh()
        return set(self._live)

    def channels(self) -> int:
        """Return how many channels of the account are in use."""
        self._refresh()
        return self._channels

    def between(self, since: float, until: float, *, live: bool) -> Sequence[EmulatedCall]:
        """Return the calls dialled from one moment to before another, oldest first.

        `live`: include those in progress.
        """
        calls, first, last = self._bounds(since, until, live=live)
        return calls[first:last]

    def slice_between(self, since: float, until: float, *, live: bool) -> CallSlice:
        """Return what `between` does, without reading it; valid until a call is added or ends."""
        return CallSlice(*self._bounds(since, until, live=live))

    def _bounds(
        self, since: float, until: float, *, live: bool
    ) -> tuple[Sequence[EmulatedCall], int, int]:
        self._refresh()
        calls = self._by_time if live else self._over
        first = bisect_left(calls, since, key=_dialled_at)
        return calls, first, bisect_left(calls, until, first, key=_dialled_at)

    def _refresh(self) -> None:
        """Process the calls that have changed, and those that have ended, since the last time."""
        while self._changed:
            call = self._changed.pop()
            if call in self._live:
                self._channels += call.channels - self._live[call]
                self._live[call] = call.channels
                if call.ends_at < math.inf:
                    heappush(self._ends, (call.ends_at, call.sid))
        while self._ends:
            ends_at, sid = self._ends[0]
            live = self._by_sid.get(sid)
            if live in self._live and live.ends_at == ends_at:
                if not live.ended:
                    break
                self._channels -= self._live.pop(live)
                insort(self._over, live, key=position)
            heappop(self._ends)
