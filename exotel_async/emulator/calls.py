"""A call in the emulator, and its state at any moment."""

from __future__ import annotations

import asyncio
import math
from asyncio import AbstractEventLoop, Future
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

import attrs

from exotel_async.emulator.clock import Clock
from exotel_async.emulator.flows.transcript import Log, Transcript
from exotel_async.emulator.phones import Handset, Handsets, Phone, PhoneState, Role
from exotel_async.emulator.scenario import Outcome, Timeline
from exotel_async.emulator.thread import runs_in_own_loop

IN_PROGRESS = "in-progress"
INBOUND = "inbound"
FINAL_STATUSES = frozenset({"completed", "failed", "busy", "no-answer"})
STATUSES = FINAL_STATUSES | {"queued", "ringing", IN_PROGRESS, "canceled"}
"""The status words (VOICE_V1 2)."""
_RINGS = (Outcome.COMPLETED, Outcome.NO_ANSWER)
"""The outcomes of a first party whose phone has rung."""
T = TypeVar("T")
_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


class Event(StrEnum):
    """What a status callback reports."""

    RINGING = "ringing"  # VOICE_V1 1.1
    """Only for a call to a stream."""
    ANSWERED = "answered"
    TERMINAL = "terminal"


@attrs.frozen(kw_only=True)
class Dial:
    """An accepted `Calls/connect`, its numbers as they were sent; or an incoming call."""

    from_: str
    to: str | None
    """None: the call leads to a flow or a stream, or is an incoming call."""
    caller_id: str
    url: str | None = None
    """The URL of the flow."""
    stream_url: str | None = None
    """The URL of the bot that the call leads straight to, without a second party or a flow."""
    max_retries: int = 0
    """How often the first party is dialled again if it is not reached."""
    record: bool = False
    recording_format: str = "mp3"
    ring_timeout: int | None = None
    """Seconds a phone rings; None: as long as the scenario says."""
    time_limit: int | None = None
    custom_field: str | None = None
    status_callback: str | None = None
    events: frozenset[Event] = frozenset()
    json_callback: bool = False
    direction: str = "outbound-api"
    parameters: Mapping[str, str] = _NO_FIELDS
    """All parameters that had a value."""


@attrs.frozen(kw_only=True)
class Leg:
    """One party of a call at one moment."""

    status: str | None
    """None: not dialled yet, or never dialled."""
    seconds: int
    """Seconds on the call, since this party answered."""


@attrs.frozen
class Recording:
    """One recording of a call."""

    file: str
    """The file's name, which is the last part of its URL."""
    seconds: int


def _record_change(call: EmulatedCall, _: object, value: T) -> T:
    call._changed.add(call)  # noqa: SLF001 - the class's own hook
    return value


# One hook for the class: hooks for some fields would cost each new call the time of ten changes.
@attrs.define(kw_only=True, eq=False, on_setattr=_record_change)
class EmulatedCall:
    """One call: what was dialled, its lifecycle, and its state by the clock."""

    sid: str = attrs.field(on_setattr=attrs.setters.frozen)
    seed: str = attrs.field(repr=False)
    """The seed of its random draws. Not its SID, which usually differs in every run."""
    dial: Dial
    at: float = attrs.field(on_setattr=attrs.setters.frozen)
    """When it was dialled, in emulator seconds since the start. Calls are sorted by it."""
    timeline: Timeline
    clock: Clock = attrs.field(repr=False)
    ahead: float = 0.0
    """Seconds by which this call is ahead of the clock: see `Emulator.finish_calls`."""
    parent_sid: str | None = None
    """The call that this one is a child leg of."""
    agents: int = 0
    """How many agents its flow is ringing or has connected."""
    agent: str | None = None
    """The agent its flow has connected, the last one if there were several."""
    log: Log | None = attrs.field(default=None, repr=False)
    """Records its transcript, if it is in a flow."""
    run: Future[None] | None = attrs.field(default=None, repr=False)
    """Done when its flow, or what people do with their phones, has come to an end."""
    handsets: Handsets = attrs.field(factory=Handsets, repr=False)
    """Its phones, if it is decided while it runs."""
    recordings: Sequence[Recording] = attrs.field(default=(), repr=False)
    """Those made in a flow, in order."""
    _changed: set[EmulatedCall] = attrs.field(factory=set, repr=False)
    """The call adds itself to this set when a field changes, such as its timeline or agents."""

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
        """The `CustomField`, as sent."""
        return self.dial.custom_field

    @property
    def age(self) -> float:
        """Emulator seconds since the dial, including those it is ahead of the clock."""
        return self.clock.elapsed() - self.at + self.ahead

    @property
    def ends_at(self) -> float:
        """When it is over, in emulator seconds since the start; infinite during a flow."""
        return self.at + self.timeline.ended - self.ahead

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
        """The status word now: in-progress from the dial on, then the outcome."""
        return self.timeline.status.value if self.ended else IN_PROGRESS

    @property
    def incoming(self) -> bool:
        """Whether it is an incoming call."""
        return self.dial.direction == INBOUND

    @property
    def streams(self) -> bool:
        """Whether it leads straight to a stream, has been answered, and is in progress."""
        answered = self.timeline.answered
        begun = answered is not None and self.age >= answered
        return self.dial.stream_url is not None and begun and not self.ended

    @property
    def talked(self) -> int:
        """Seconds so far for which two parties, or a party and a stream's bot, were connected."""
        line = self.timeline
        if line.ended == math.inf:
            line = attrs.evolve(line, ended=self.age)
        if self.dial.stream_url is None or line.answered is None:
            return line.talked
        return round(line.ended - line.answered)

    @property
    def recording(self) -> Recording | None:
        """The latest one. Without a flow: if it was requested and there is talk time."""
        if self.recordings:
            return self.recordings[-1]
        if self.log is None and self.dial.record and self.talked > 0:
            return Recording(f"{self.sid}.mp3", self.talked)
        return None

    @property
    def channels(self) -> int:
        """How many of the account's channels it takes while it is in progress."""
        return 1 + self.agents if self.dial.to is None else 2

    @property
    def transcript(self) -> Transcript:
        """Its path through its flow so far; empty for a call without one."""
        if self.log is None:
            return Transcript(title=f"call {self.sid}", steps=(), ending=None)
        return self.log.view()

    @property
    def _loop(self) -> AbstractEventLoop | None:
        """The event loop that its `run` belongs to, until that is done."""
        return None if self.run is None or self.run.done() else self.run.get_loop()

    @runs_in_own_loop
    async def over(self) -> None:
        """Wait until it has ended by the clock, and its flow has no request in flight any more.

        A status callback may still be in flight. Raises an error of the emulator, if there was one.
        """
        while (run := self.run) is not None:
            if not run.done():
                await asyncio.wait([run])
            if not run.cancelled():
                run.result()
            if self.run is run:
                break
        while not self.ended and self.timeline.ended != math.inf:  # noqa: ASYNC110 - it is the clock's
            await asyncio.sleep(self.clock.real(self.timeline.ended - self.age))

    def run_ahead(self, age: float) -> None:
        """Advance the call to at least that age."""
        self.ahead += max(0.0, age - self.age)

    def legs(self, age: float | None = None) -> tuple[Leg, Leg]:
        """Return both legs, now or at that age of the call."""
        line, age = self.timeline, self.age if age is None else age
        over = age >= line.ended
        return (
            _leg(line.first, line.answered, line.ended, age, over=over),
            _leg(line.second, line.bridged, line.parted or line.ended, age, over=over),
        )

    def phones(self) -> Sequence[Phone]:
        """Return the phones of its parties in their current state."""
        line, age, over = self.timeline, self.age, self.ended
        if kept := [handset.view(over=over) for handset in self.handsets]:
            return kept
        parties: list[tuple[str, Role, float | None, float]] = [
            (self.from_, "first" if self.log is None else "caller", line.answered, line.ended)
        ]
        if self.to is not None and line.answered is not None and age >= line.answered:
            parties.append((self.to, "second", line.bridged, line.parted or line.ended))
        return [
            Handset(number, role, manual=False, state=_state(answered, left, age)).view(over=over)
            for number, role, answered, left in parties
        ]

    def moments(self) -> Sequence[tuple[Event, float]]:
        """Return the events of its whole lifecycle, each with the age it is due at.

        A call to a stream reports each time the phone rings. At most two answers are reported.
        """
        line = self.timeline
        attempts = () if self.dial.stream_url is None else line.attempts
        rings = [attempt.at for attempt in attempts if attempt.outcome in _RINGS]
        answers = [at for at in (line.answered, line.bridged) if at is not None]
        return [
            *((Event.RINGING, at) for at in rings),
            *((Event.ANSWERED, at) for at in answers),
            (Event.TERMINAL, line.ended),
        ]


def _state(answered: float | None, left: float, age: float) -> PhoneState:
    """Return a phone's state, from the call's ages when it was answered, if ever, and left."""
    if age >= left:
        return "ended"
    return "ringing" if answered is None or age < answered else "connected"


def _leg(
    outcome: Outcome | None, answered: float | None, left: float, age: float, *, over: bool
) -> Leg:
    """Return a leg, from the call's ages when it was answered, if ever, and left."""
    if outcome is None:
        return Leg(status=None, seconds=0)
    if answered is None or age < answered:
        return Leg(status=outcome.value if over else None, seconds=0)
    gone = over or age >= left
    return Leg(
        status=outcome.value if gone else IN_PROGRESS,
        seconds=math.floor(min(age, left) - answered),
    )
