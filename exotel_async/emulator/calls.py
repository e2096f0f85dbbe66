"""Calls the emulator has taken, and what each looks like at any moment."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from random import Random

import attrs

from exotel_async.emulator.clock import Clock
from exotel_async.emulator.phones import national
from exotel_async.emulator.scenario import Outcome, Scenario, Timeline, plan

IN_PROGRESS = "in-progress"
FINAL_STATUSES = frozenset({"completed", "failed", "busy", "no-answer"})
STATUSES = FINAL_STATUSES | {"queued", "ringing", IN_PROGRESS, "canceled"}
"""The status words of wire notes 2."""


class Event(StrEnum):
    """What a status callback tells (wire notes 6.3)."""

    ANSWERED = "answered"
    TERMINAL = "terminal"


@attrs.frozen(kw_only=True)
class Dial:
    """An accepted `Calls/connect`, its numbers as they were sent."""

    from_: str
    to: str | None
    """None: the call leads to a flow or a stream."""
    caller_id: str
    url: str | None = None
    record: bool = False
    recording_format: str = "mp3"
    ring_timeout: int | None = None
    """Seconds a phone rings; None is the scenario's."""
    time_limit: int | None = None
    custom_field: str | None = None
    status_callback: str | None = None
    events: frozenset[Event] = frozenset()
    json_callback: bool = False
    direction: str = "outbound-api"
    parameters: Mapping[str, str] = attrs.field(factory=dict)
    """All form fields as they came."""


@attrs.frozen(kw_only=True)
class Leg:
    """One party of a call at one moment."""

    status: str | None
    """None: not dialled yet, or never."""
    seconds: int
    """On the call, from when this party answered."""


@attrs.define(kw_only=True, eq=False)
class EmulatedCall:
    """One call: what was dialled, its decided life, and where it stands by the clock."""

    sid: str
    dial: Dial
    at: float
    """When it was dialled, in emulator seconds since the start."""
    timeline: Timeline
    clock: Clock = attrs.field(repr=False)
    ahead: float = 0.0
    """Seconds this call's life runs ahead of the clock: see `Emulator.finish_calls`."""

    @property
    def from_(self) -> str:
        """The party dialled first, as sent."""
        return self.dial.from_

    @property
    def to(self) -> str | None:
        """The second party as sent; None for a call to a flow."""
        return self.dial.to

    @property
    def caller_id(self) -> str:
        """The ExoPhone, as sent."""
        return self.dial.caller_id

    @property
    def custom_field(self) -> str | None:
        """As sent."""
        return self.dial.custom_field

    @property
    def age(self) -> float:
        """Emulator seconds since the dial, as its life counts them."""
        return self.clock.elapsed() - self.at + self.ahead

    @property
    def ended(self) -> bool:
        """Whether it is over; its Duration and Price may still be missing."""
        return self.age >= self.timeline.ended

    @property
    def settled(self) -> bool:
        """Whether EndTime, Duration and Price show."""
        return self.age >= self.timeline.settled

    @property
    def status(self) -> str:
        """The status word now: in-progress from the dial on (wire notes 1.3), then the outcome."""
        return self.timeline.status.value if self.ended else IN_PROGRESS

    @property
    def channels(self) -> int:
        """How many of the account's channels it takes while it goes on (wire notes 5.4)."""
        return 1 if self.dial.to is None else 2

    def run_ahead(self, age: float) -> None:
        """Be that old now, if it is not older already."""
        self.ahead += max(0.0, age - self.age)

    def legs(self, age: float | None = None) -> tuple[Leg, Leg]:
        """Both legs, now or at that age of the call."""
        line, age = self.timeline, self.age if age is None else age
        over = age >= line.ended
        return (
            _leg(line.first, line.answered, 0.0, line, age, over=over),
            _leg(line.second, line.bridged, line.answered, line, age, over=over),
        )

    def moments(self) -> Sequence[tuple[Event, float]]:
        """The callbacks of a whole life with the age they are due at: answered twice at most."""
        line = self.timeline
        answers = [at for at in (line.answered, line.bridged) if at is not None]
        return [*((Event.ANSWERED, at) for at in answers), (Event.TERMINAL, line.ended)]


def _leg(
    outcome: Outcome | None,
    answered: float | None,
    dialled: float | None,
    line: Timeline,
    age: float,
    *,
    over: bool,
) -> Leg:
    """A leg dialled at one age of the call and, perhaps, answered at another."""
    if outcome is None or dialled is None:
        return Leg(status=None, seconds=0)
    if answered is None or age < answered:
        return Leg(status=outcome.value if over else None, seconds=0)
    return Leg(
        status=outcome.value if over else IN_PROGRESS,
        seconds=math.floor(min(age, line.ended) - answered),
    )


class CallBook:
    """All calls of the account, oldest first."""

    def __init__(self, clock: Clock, *, seed: int, account_sid: str) -> None:
        self._clock = clock
        self._seed = f"{account_sid}/{seed}"
        self._by_sid: dict[str, EmulatedCall] = {}
        self._by_time: list[EmulatedCall] = []
        self._live: set[EmulatedCall] = set()
        self._nth: Counter[tuple[str, str]] = Counter()
        self._rung: Counter[str] = Counter()

    @property
    def by_sid(self) -> dict[str, EmulatedCall]:
        """Every call by its SID, in the order they were taken."""
        return self._by_sid

    def rung(self, number: str) -> int:
        """How many calls rang that number, as first party or as second."""
        return self._rung[national(number)]

    def clear(self) -> None:
        """Forget them all."""
        self._by_sid.clear()
        self._by_time.clear()
        self._live.clear()
        self._nth.clear()
        self._rung.clear()

    def take(self, dial: Dial, scenario: Scenario, at: float) -> EmulatedCall:
        """Take a call dialled at that moment.

        What becomes of it rests on the seed, the two parties and how many calls they had before,
        never on which of several requests came first.
        """
        parties = national(dial.from_), national(dial.to or dial.url or "")
        self._nth[parties] += 1
        key = f"{self._seed}/{'/'.join(parties)}/{self._nth[parties]}"
        timeline = plan(
            scenario,
            Random(key),  # noqa: S311 - a script of calls, not a secret
            first=dial.from_,
            second=dial.to,
            ring_timeout=dial.ring_timeout,
            time_limit=dial.time_limit,
        )
        sid = new_sid(key, self._clock, at)
        call = EmulatedCall(sid=sid, dial=dial, at=at, timeline=timeline, clock=self._clock)
        self._by_sid[sid] = call
        insort(self._by_time, call, key=_dialled_at)
        self._live.add(call)
        self._rung[parties[0]] += 1
        if dial.to is not None and parties[0] != parties[1]:
            self._rung[parties[1]] += 1
        return call

    def live(self) -> set[EmulatedCall]:
        """The calls going on."""
        self._live = {call for call in self._live if not call.ended}
        return self._live

    def between(self, since: float, until: float) -> Sequence[EmulatedCall]:
        """Calls dialled from one moment to before another, oldest first."""
        first = bisect_left(self._by_time, since, key=_dialled_at)
        last = bisect_left(self._by_time, until, key=_dialled_at)
        return self._by_time[first:last]


def _dialled_at(call: EmulatedCall) -> float:
    return call.at


def new_sid(key: str, clock: Clock, at: float) -> str:
    """32 characters: hex, then year and month in hex and one more sign (wire notes 1.3)."""
    day = clock.wall(at)
    digest = sha256(key.encode()).hexdigest()
    tail = f"{day.year - 2000:02x}{day.month:x}{'ghijklmnopqrstuvwxyz'[int(digest[-1], 16)]}"
    return digest[: 32 - len(tail)] + tail
