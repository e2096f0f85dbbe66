"""What happened in a flow, applet by applet: for assertions, and for people to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from exotel_async.emulator.flows.applets import Applet

_KEY_PARAMETERS = ("EventType", "Status", "CallType", "DialCallStatus", "DialWhomNumber", "digits")
"""The parameters of a request that are printed: the others stay the same during a call."""
_PRINTED_LENGTH = 200
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
    """As it is in the flow."""
    parameters: Mapping[str, str]
    """What was added to its query."""
    headers: Mapping[str, str]
    """The headers sent in addition to those that every client sends."""
    status: int | None = None
    """None: no answer came."""
    content_type: str | None = None
    body: bytes = attrs.field(default=b"", repr=False)
    error: str | None = None
    """The kind of failure if no answer came; "Timeout" if none came in time."""

    @property
    def text(self) -> str:
        """The answer's body."""
        return self.body.decode("utf-8", "replace")


@attrs.frozen(kw_only=True)
class Step:
    """One applet that a call went through."""

    at: float
    """Emulator seconds since the call began."""
    flow: str
    applet: Applet
    entries: Sequence[Note | Exchange]
    """What happened, in order."""
    branch: str | None
    """The exit taken; None until then, or if the call ended here."""

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """The requests, in order."""
        return [entry for entry in self.entries if isinstance(entry, Exchange)]

    @property
    def notes(self) -> Sequence[str]:
        """What else happened, in order."""
        return [entry.text for entry in self.entries if isinstance(entry, Note)]

    def lines(self) -> Sequence[str]:
        """Return the step as lines of text."""
        lines = [f"{self.at:6.0f} s  {self.applet.label}"]
        for entry in self.entries:
            texts = [entry.text] if isinstance(entry, Note) else _exchange_lines(entry)
            lines += [f"{entry.at:10.0f} s  {text}" for text in texts]
        return lines if self.branch is None else [*lines, f"{'':12}-> {self.branch}"]


@attrs.frozen(kw_only=True)
class Transcript:
    """The path of a call through its flow; empty for a call without one. `str()` prints it."""

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
        """Return the first pass through an applet of that name or kind. Raises KeyError."""
        for step in self.steps:
            if applet in {step.applet.name, step.applet.kind}:
                return step
        raise KeyError(applet)

    def __str__(self) -> str:
        lines = [self.title]
        for step in self.steps:
            lines += step.lines()
        return "\n".join(lines if self.ending is None else [*lines, f"{'':10}{self.ending}"])


def _exchange_lines(exchange: Exchange) -> Sequence[str]:
    """Return a request and its answer as lines of text."""
    printed = {name: exchange.parameters.get(name) for name in _KEY_PARAMETERS}
    parameters = " ".join(f"{name}={value}" for name, value in printed.items() if value)
    request = f"{exchange.method} {exchange.url} {parameters}".rstrip()
    if exchange.status is None:
        return [request, exchange.error or "no answer yet"]
    answer = f"{exchange.status} {exchange.content_type or ''} {exchange.text[:_PRINTED_LENGTH]!r}"
    return [request, answer]


@attrs.define(eq=False)
class _OpenStep:
    """A step in progress."""

    at: float
    flow: str
    applet: Applet
    entries: list[Note | Exchange] = attrs.field(factory=list)
    branch: str | None = None


class Log:
    """Records a transcript."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._steps: list[_OpenStep] = []
        self.ending: str | None = None

    def view(self) -> Transcript:
        """Return the transcript so far."""
        steps = [
            Step(
                at=step.at,
                flow=step.flow,
                applet=step.applet,
                entries=tuple(step.entries),
                branch=step.branch,
            )
            for step in self._steps
        ]
        return Transcript(title=self._title, steps=steps, ending=self.ending)

    def begin(self, at: float, flow: str, applet: Applet) -> None:
        """Record that the call comes to an applet."""
        self._steps.append(_OpenStep(at, flow, applet))

    def note(self, at: float, text: str) -> None:
        """Record something that happens there."""
        self._steps[-1].entries.append(Note(at=at, text=text))

    def expect(self, exchange: Exchange) -> Place:
        """Record a request that is sent; its answer is filled in when it comes."""
        entries = self._steps[-1].entries
        entries.append(exchange)
        return Place(entries, len(entries) - 1)

    def leave(self, branch: str) -> None:
        """Record the exit that the call takes."""
        self._steps[-1].branch = branch


@attrs.frozen
class Place:
    """Where an answer belongs: it may come when the call is already at a later step."""

    _entries: list[Note | Exchange]
    _index: int

    def fill(self, exchange: Exchange) -> None:
        """Record the answer: `exchange` is the request with it."""
        self._entries[self._index] = exchange
