"""Calls as the control API shows them: values that can be written as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import attrs

from exotel_async.emulator.calls import Dial, EmulatedCall, Leg, Recording
from exotel_async.emulator.control.kinds import kind_of_applet
from exotel_async.emulator.flows.transcript import Exchange, Note, Step, Transcript


@attrs.frozen(kw_only=True)
class Call:
    """The current state of a call. Durations and times are seconds of the emulator's clock."""

    sid: str
    dial: Dial
    at: float
    """When it was dialled, or came in, since the emulator's start."""
    age: float
    """How long ago that was."""
    status: str
    """`in-progress`, and then the outcome."""
    ended: bool
    settled: bool
    """Whether its duration and price are shown."""
    legs: Sequence[Leg]
    """The first party, and the second."""
    talked: int
    """How long two parties were connected."""
    duration: int | None
    """From dial to end, all ringing included; null until it is settled."""
    price: Decimal | None
    """In rupees; null until it is settled."""
    channels: int
    """How many channels it takes while it is in progress."""
    parent_sid: str | None
    """The call that this one is a child leg of."""
    recordings: Sequence[Recording]

    @classmethod
    def of(cls, call: EmulatedCall) -> Call:
        """Return the current state of a call."""
        settled = call.settled
        return cls(
            sid=call.sid,
            dial=call.dial,
            at=call.at,
            age=call.age,
            status=call.status,
            ended=call.ended,
            settled=settled,
            legs=call.legs(),
            talked=call.talked,
            duration=call.timeline.duration if settled else None,
            price=call.timeline.price if settled else None,
            channels=call.channels,
            parent_sid=call.parent_sid,
            recordings=recordings_of(call),
        )


@attrs.frozen(kw_only=True)
class AppletStep:
    """One applet that a call went through."""

    at: float
    """Emulator seconds since the call began."""
    flow: str
    applet: str
    """Its kind: `menu`."""
    name: str
    entries: Sequence[Note | Exchange]
    """What happened there, in order: what was said or pressed, and requests to the application."""
    branch: str | None
    """The exit taken; null until then, or if the call ended here."""

    @classmethod
    def of(cls, step: Step) -> AppletStep:
        """Return a step of a transcript."""
        return cls(
            at=step.at,
            flow=step.flow,
            applet=kind_of_applet(type(step.applet)),
            name=step.applet.name,
            entries=step.entries,
            branch=step.branch,
        )


@attrs.frozen(kw_only=True)
class CallTranscript:
    """The path of a call through its flow; a call without one has no steps."""

    title: str
    steps: Sequence[AppletStep]
    ending: str | None
    """Why it ended; null while it is in progress."""
    text: str
    """All of it as text."""

    @classmethod
    def of(cls, transcript: Transcript) -> CallTranscript:
        """Return a transcript."""
        return cls(
            title=transcript.title,
            steps=[AppletStep.of(step) for step in transcript.steps],
            ending=transcript.ending,
            text=str(transcript),
        )


@attrs.frozen(kw_only=True)
class CallRecording:
    """One recording of a call."""

    sid: str
    """The call's SID."""
    file: str
    """The last part of its URL."""
    seconds: int


@attrs.frozen(kw_only=True)
class Rung:
    """How often a number was rung."""

    number: str
    rung: int
    """As first party of an accepted dial, as second party, or as an agent by a flow."""


@attrs.frozen(kw_only=True)
class Time:
    """The emulator's clock."""

    elapsed: float
    """Its seconds since the start."""
    now: datetime
    """The date it shows, in IST."""
    speed: float
    """Its seconds per real second."""


def recordings_of(call: EmulatedCall) -> Sequence[Recording]:
    """Return all recordings of a call."""
    return call.recordings or [one for one in (call.recording,) if one is not None]
