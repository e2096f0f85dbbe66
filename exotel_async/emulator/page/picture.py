"""Flows as pictures: lines of applets with their exits, and the path a call took.

An applet is drawn once, beside the first one that leads to it. If only one of an applet's exits
leads to an applet that is not drawn yet, the line continues with that; if several do, each has a
line of its own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

import attrs

from exotel_async.emulator.flows.applets import Applet, Transfer
from exotel_async.emulator.flows.flow import Flow
from exotel_async.emulator.flows.transcript import Transcript

_SHOWN_OTHERWISE = frozenset({"name", "keys", "cases"})


@attrs.frozen(kw_only=True)
class Link:
    """Something that is drawn elsewhere."""

    anchor: str
    label: str


@attrs.frozen(kw_only=True)
class Branch:
    """An exit, or several that lead to one place: to a link, to a line, or else to the end."""

    exits: Mapping[str, int]
    """Their names, and how often the call took each."""
    to: Link | None = None
    line: Sequence[Stop] = ()

    @property
    def taken(self) -> bool:
        """Whether the call came this way."""
        return any(self.exits.values())


@attrs.frozen(kw_only=True)
class Stop:
    """An applet in a line."""

    anchor: str
    label: str
    facts: Sequence[tuple[str, str]]
    """Its fields that are not the default, without its exits."""
    steps: Sequence[int]
    """Which steps of the call were here, from 1."""
    here: bool
    """Whether the call is here now."""
    branches: Sequence[Branch]
    onward: Branch | None
    """The exit to the next stop of the same line; it has no line of its own."""


@attrs.frozen(kw_only=True)
class Picture:
    """A flow."""

    anchor: str
    flow: str
    line: Sequence[Stop]
    visited: bool
    """Whether the call came here."""


def draw(flows: Collection[Flow], transcript: Transcript | None = None) -> Sequence[Picture]:
    """Draw those flows, with the path that a call took if its transcript is given."""
    anchors = {flow.id: f"flow-{number}" for number, flow in enumerate(flows, start=1)}
    path = _Path(transcript)
    return [
        Picture(
            anchor=anchors[flow.id],
            flow=flow.id,
            line=_Drawing(flow, anchors, path).whole(),
            visited=any(path.steps.get(id(applet)) for applet in flow.applets()),
        )
        for flow in flows
    ]


class _Path:
    """The steps of a call, by applet."""

    def __init__(self, transcript: Transcript | None) -> None:
        self.steps: dict[int, list[int]] = defaultdict(list)
        self.taken: Counter[tuple[int, str]] = Counter()
        self.here: Applet | None = None
        if transcript is None:
            return
        for number, step in enumerate(transcript.steps, start=1):
            self.steps[id(step.applet)].append(number)
            if step.branch is not None:
                self.taken[id(step.applet), step.branch] += 1
        if transcript.steps and transcript.ending is None:
            self.here = transcript.steps[-1].applet


class _Drawing:
    """Draws one flow."""

    def __init__(self, flow: Flow, anchors: Mapping[str, str], path: _Path) -> None:
        self._flow = flow
        self._flows = anchors
        self._path = path
        self._places: dict[int, Link] = {}
        """Where each applet is that is drawn, or is about to be."""

    def whole(self) -> Sequence[Stop]:
        """Return the line from the flow's start on."""
        self._place(self._flow.start)
        return self._line(self._flow.start)

    def _place(self, applet: Applet) -> None:
        anchor = f"{self._flows[self._flow.id]}-{len(self._places) + 1}"
        self._places[id(applet)] = Link(anchor=anchor, label=applet.label)

    def _line(self, applet: Applet) -> Sequence[Stop]:
        """Return the line from that applet on."""
        stops: list[Stop] = []
        following: Applet | None = applet
        while following is not None:
            stop, following = self._stop(following)
            stops.append(stop)
        return stops

    def _stop(self, applet: Applet) -> tuple[Stop, Applet | None]:
        """Return an applet, and the one with which its line continues."""
        groups: dict[int, list[str]] = defaultdict(list)
        targets = {name: self._flow.follow(to) for name, to in applet.exits.items()}
        for name, target in targets.items():
            groups[id(target)].append(name)
        new = {
            id(target): target
            for target in targets.values()
            if target is not None and id(target) not in self._places
        }
        for target in new.values():
            self._place(target)
        following = next(iter(new.values())) if len(new) == 1 else None
        branches: list[Branch] = []
        onward: Branch | None = None
        for names in groups.values():
            target = targets[names[0]]
            branch = Branch(exits={name: self._path.taken[id(applet), name] for name in names})
            if target is None:
                branches.append(branch)
            elif target is following:
                onward = branch
            elif id(target) in new:
                branches.append(attrs.evolve(branch, line=self._line(target)))
            else:
                branches.append(attrs.evolve(branch, to=self._places[id(target)]))
        if isinstance(applet, Transfer):
            branches.append(self._transfer_branch(applet))
        stop = Stop(
            anchor=self._places[id(applet)].anchor,
            label=applet.label,
            facts=_facts(applet),
            steps=self._path.steps.get(id(applet), []),
            here=applet is self._path.here,
            branches=branches,
            onward=onward,
        )
        return stop, following

    def _transfer_branch(self, transfer: Transfer) -> Branch:
        to = Link(anchor=self._flows[transfer.flow], label=f"flow {transfer.flow}")
        return Branch(exits={"start": self._path.taken[id(transfer), transfer.flow]}, to=to)


def _facts(applet: Applet) -> Sequence[tuple[str, str]]:
    return [
        (field.name.replace("_", " "), _text(value))
        for field in attrs.fields(type(applet))
        if field.name not in _SHOWN_OTHERWISE and field.name not in applet.own_exits
        if (value := getattr(applet, field.name)) != field.default
    ]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
