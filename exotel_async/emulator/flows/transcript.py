"""What happened in a flow, applet by applet: to be asserted on, and to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from exotel_async.emulator.flows.applets import Applet

_TELLING = ("EventType", "Status", "CallType", "DialCallStatus", "DialWhomNumber", "digits")
"""The parameters of a request that are printed: the others are the same in all of a call."""
_PRINTED = 200
"""Characters of an answer that are printed."""


@attrs.frozen(kw_only=True)
class Note:
    """Something said, heard, pressed or decided."""

    at: float
    """Emulator seconds since the call began."""
    text: str


@attrs.frozen(kw_only=True)
class Exchange:
    """One request to the application, and its answer."""

    at: float
    """Emulator seconds since the call began."""
    method: str
    url: str
    """As it stands in the flow."""
    parameters: Mapping[str, str]
    """What was added to its query."""
    headers: Mapping[str, str]
    """What was sent beyond what every client sends."""
    status: int | None = None
    """None: no answer came."""
    content_type: str | None = None
    body: bytes = attrs.field(default=b"", repr=False)
    error: str | None = None
    """The kind of failure when no answer came; "Timeout" when it came too late."""

    @property
    def text(self) -> str:
        """The answer's body."""
        return self.body.decode("utf-8", "replace")


@attrs.frozen(kw_only=True)
class Step:
    """One applet a call came through."""

    at: float
    """Emulator seconds since the call began."""
    flow: str
    applet: Applet
    entries: Sequence[Note | Exchange]
    """What happened, in order."""
    branch: str | None
    """The exit taken; None while there is none, or when the call ended here."""

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """The requests, in order."""
        return [entry for entry in self.entries if isinstance(entry, Exchange)]

    @property
    def notes(self) -> Sequence[str]:
        """What else happened, in order."""
        return [entry.text for entry in self.entries if isinstance(entry, Note)]

    def lines(self) -> Sequence[str]:
        """To be read."""
        lines = [f"{self.at:6.0f} s  {self.applet.label}"]
        for entry in self.entries:
            told = [entry.text] if isinstance(entry, Note) else _told(entry)
            lines += [f"{entry.at:10.0f} s  {text}" for text in told]
        return lines if self.branch is None else [*lines, f"{'':12}-> {self.branch}"]


@attrs.frozen(kw_only=True)
class Transcript:
    """The way of a call through its flow; of a call without one it is empty. `str()` prints it."""

    title: str
    steps: Sequence[Step]
    ending: str | None
    """Why it ended; None while it is in progress."""

    @property
    def path(self) -> Sequence[tuple[str, str | None]]:
        """The applets by name, or kind if they have none, each with the exit taken."""
        return [(step.applet.name or step.applet.kind, step.branch) for step in self.steps]

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """All requests, by applet."""
        return [exchange for step in self.steps for exchange in step.exchanges]

    def step(self, applet: str) -> Step:
        """The first pass through an applet of that name or kind. Raises KeyError."""
        for step in self.steps:
            if applet in {step.applet.name, step.applet.kind}:
                return step
        raise KeyError(applet)

    def __str__(self) -> str:
        lines = [self.title]
        for step in self.steps:
            lines += step.lines()
        return "\n".join(lines if self.ending is None else [*lines, f"{'':10}{self.ending}"])


def _told(exchange: Exchange) -> Sequence[str]:
    """A request and its answer, to be read."""
    telling = {name: exchange.parameters.get(name) for name in _TELLING}
    parameters = " ".join(f"{name}={value}" for name, value in telling.items() if value)
    request = f"{exchange.method} {exchange.url} {parameters}".rstrip()
    if exchange.status is None:
        return [request, exchange.error or "no answer yet"]
    answer = f"{exchange.status} {exchange.content_type or ''} {exchange.text[:_PRINTED]!r}"
    return [request, answer]


@attrs.define(eq=False)
class _Passing:
    """A step in progress."""

    at: float
    flow: str
    applet: Applet
    entries: list[Note | Exchange] = attrs.field(factory=list)
    branch: str | None = None


class Log:
    """Takes down a transcript."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._steps: list[_Passing] = []
        self.ending: str | None = None

    def view(self) -> Transcript:
        """What there is of it now."""
        steps = [
            Step(
                at=passing.at,
                flow=passing.flow,
                applet=passing.applet,
                entries=tuple(passing.entries),
                branch=passing.branch,
            )
            for passing in self._steps
        ]
        return Transcript(title=self._title, steps=steps, ending=self.ending)

    def begin(self, at: float, flow: str, applet: Applet) -> None:
        """The call comes to an applet."""
        self._steps.append(_Passing(at, flow, applet))

    def note(self, at: float, text: str) -> None:
        """Something happens there."""
        self._steps[-1].entries.append(Note(at=at, text=text))

    def expect(self, exchange: Exchange) -> Place:
        """A request leaves; its answer is filled in when it comes."""
        entries = self._steps[-1].entries
        entries.append(exchange)
        return Place(entries, len(entries) - 1)

    def leave(self, branch: str) -> None:
        """The call takes an exit."""
        self._steps[-1].branch = branch


@attrs.frozen
class Place:
    """Where an answer belongs: it may come when the call is steps further."""

    _entries: list[Note | Exchange]
    _index: int

    def fill(self, exchange: Exchange) -> None:
        """The request and its answer."""
        self._entries[self._index] = exchange
