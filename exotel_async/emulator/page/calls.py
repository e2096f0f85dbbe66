"""Calls as the page shows them: their state, who is on the phone, and what happened."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import attrs

from exotel_async.emulator.calls import EmulatedCall
from exotel_async.emulator.flows.transcript import Exchange, Note
from exotel_async.emulator.operations import Operations

_SEARCHED = 500
"""The newest calls, which are searched for those of flows."""
_PER_FLOW = 10
_ROLES = {"caller": "Caller", "first": "First party", "second": "Second party", "agent": "Agent"}


@attrs.frozen(kw_only=True)
class Party:
    """One phone of a call."""

    number: str
    role: str
    state: str
    """`ringing`, `connected`, or how it ended."""
    seconds: int | None
    """On the call; None for an agent, and for a party that has not answered."""
    manual: bool
    """Whether a person plays it, so that it has buttons."""
    hears: str
    waits_for: str
    """`keys`, `message`, or nothing."""
    has_keys: bool
    """Whether a flow receives its keys."""

    @property
    def in_words(self) -> str:
        """Its state, in words."""
        hears = f", hears “{self.hears}”" if self.hears else ""
        waits = f", the flow waits for {self.waits_for}" if self.waits_for else ""
        return f"{self.role} {self.number} {self.state}{hears}{waits}"


@attrs.frozen(kw_only=True)
class CallView:
    """One call."""

    sid: str
    title: str
    """Its parties."""
    incoming: bool
    live: bool
    status: str
    """As the API writes it."""
    dialled: str
    """The date and time by the emulator's clock, in IST."""
    seconds: int
    """Since the dial; for an ended call, its whole duration."""
    flow: str
    """The id of the flow it began in; empty without one."""
    now: str
    """The applet it is at; empty without a flow, and when it is over."""
    ending: str
    """Why its flow ended."""
    parties: Sequence[Party]
    recordings: Sequence[int]
    """The seconds of each."""

    @property
    def in_words(self) -> str:
        """Its state in words, without anything that changes each second."""
        parts = [f"{self.title} {self.status}", *(party.in_words for party in self.parties)]
        return "; ".join([*parts, self.ending] if self.ending else parts)


def live_calls(emulator: Operations) -> Sequence[EmulatedCall]:
    """Return the calls in progress, newest first."""
    # Each open page asks every second, and there may be very many calls: read the clock only once.
    now = emulator.clock.elapsed()
    return [call for call in emulator.calls.values() if call.ends_at > now][::-1]


def by_flow(emulator: Operations) -> Mapping[str, Sequence[CallView]]:
    """Return the newest calls that came to each flow, newest first."""
    found: dict[str, list[CallView]] = defaultdict(list)
    for call in list(emulator.calls.values())[: -_SEARCHED - 1 : -1]:
        for flow in {step.flow for step in call.transcript.steps}:
            if len(found[flow]) < _PER_FLOW:
                found[flow].append(view(emulator, call))
    return found


def view(emulator: Operations, call: EmulatedCall) -> CallView:
    """Return what the page shows of a call."""
    transcript, live = call.transcript, not call.ended
    made = call.recordings or [one for one in [call.recording] if one is not None]
    return CallView(
        sid=call.sid,
        title=f"{call.from_} → {call.caller_id if call.to is None else call.to}",
        incoming=call.incoming,
        live=live,
        status=call.status,
        dialled=emulator.clock.text(call.at),
        seconds=round(min(call.age, call.timeline.ended)),
        flow=transcript.steps[0].flow if transcript.steps else "",
        now=transcript.steps[-1].applet.label if transcript.steps and live else "",
        ending=transcript.ending or "",
        parties=_parties(emulator, call),
        recordings=[recording.seconds for recording in made],
    )


def _parties(emulator: Operations, call: EmulatedCall) -> Sequence[Party]:
    first, second = call.legs()
    legs = {"caller": first, "first": first, "second": second}
    phones = emulator.phones(call.sid)
    talks = any(phone.role == "agent" and phone.state == "connected" for phone in phones)
    parties = []
    for phone in phones:
        leg = legs.get(phone.role)
        prompted = phone.state == "connected" and not (talks and phone.role == "caller")
        ended = phone.state == "ended" and leg is not None
        answered = leg is not None and (leg.seconds or phone.state == "connected")
        parties.append(
            Party(
                number=phone.number,
                role=_ROLES[phone.role],
                state=(leg.status or phone.state) if leg is not None and ended else phone.state,
                seconds=leg.seconds if leg is not None and answered else None,
                manual=phone.manual,
                hears=(phone.hears or "") if prompted else "",
                waits_for=phone.waits_for or "",
                has_keys=phone.role == "caller" and not talks,
            )
        )
    return parties


@attrs.frozen(kw_only=True)
class Entry:
    """One line of a transcript: a note, or a request with its answer."""

    at: int
    text: str
    """A note's text, or the request's method and URL."""
    request: Sequence[tuple[str, str]] = ()
    """Its parameters."""
    answer: str = ""
    """Its status and type, or what went wrong."""
    body: str = ""
    failed: bool = False


@attrs.frozen(kw_only=True)
class StepView:
    """One applet that a call went through."""

    number: int
    at: int
    applet: str
    flow: str
    entries: Sequence[Entry]
    branch: str


def steps(call: EmulatedCall) -> Sequence[StepView]:
    """Return the transcript of a call."""
    return [
        StepView(
            number=number,
            at=round(step.at),
            applet=step.applet.label,
            flow=step.flow,
            entries=[_entry(entry) for entry in step.entries],
            branch=step.branch or "",
        )
        for number, step in enumerate(call.transcript.steps, start=1)
    ]


def _entry(entry: Note | Exchange) -> Entry:
    if isinstance(entry, Note):
        return Entry(at=round(entry.at), text=entry.text)
    if entry.status is None:
        answer = entry.error or "no answer yet"
    else:
        answer = f"{entry.status} {entry.content_type or 'without a type'}"
    return Entry(
        at=round(entry.at),
        text=f"{entry.method} {entry.url}",
        request=list(entry.parameters.items()),
        answer=answer,
        body=entry.text,
        failed=entry.error is not None or (entry.status is not None and entry.status >= 400),
    )
