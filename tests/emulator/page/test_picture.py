"""Flows as pictures: where each applet is drawn, and the way a call took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exotel_async.emulator import (
    Caller,
    Connect,
    Emulator,
    Flow,
    Greeting,
    Hangup,
    Menu,
    Passthru,
    Scenario,
    Transfer,
    Voicemail,
)
from exotel_async.emulator.flows.applets import Next
from exotel_async.emulator.page.picture import Branch, Picture, Stop, draw
from tests.emulator.support import CUSTOMER, EXOPHONE, call_in, until

VOICEMAIL = Voicemail(name="box", text="Speak")
MAIN = Menu(
    name="main",
    text="Press 1 or 2",
    keys={"1": Connect(numbers=["09812300009"], no_answer=VOICEMAIL), "2": "box", "3": "main"},
    otherwise=Hangup(),
)
FLOW = Flow(926, start=Greeting(text="Hello", then=MAIN))


def outline(line: Sequence[Stop]) -> list[object]:
    """A line of a picture as nested lists, in short."""
    return [item for stop in line for item in _outline(stop)]


def _outline(stop: Stop) -> Iterator[object]:
    yield stop.label
    for branch in stop.branches:
        yield ", ".join(branch.exits), _shown(branch)
    if stop.onward is not None:
        yield f"{', '.join(stop.onward.exits)}:"


def _shown(branch: Branch) -> object:
    if branch.to is not None:
        return f"to {branch.to.label}"
    return outline(branch.line) or "end"


def test_each_applet_is_drawn_once_and_a_lone_exit_goes_straight_on() -> None:
    """It is drawn beside the first one that leads to it."""
    (picture,) = draw([FLOW])
    assert outline(picture.line) == [
        "Greeting",
        "then:",
        'Menu "main"',
        ("1", ["Connect", ("then, not_dialled", "end"), ("no_answer", 'to Voicemail "box"')]),
        ("2", ['Voicemail "box"', ("then", "end")]),
        ("3", 'to Menu "main"'),
        ("otherwise", ["Hangup"]),
    ]


def test_what_an_applet_was_given_is_told_with_it() -> None:
    connect = Connect(url="https://app.example/whom", fallback_url="https://b.example/")
    slow = Menu(text="Press", keys={"1": connect}, wait=9)
    hook = Passthru(url="https://app.example/hook", sync=False, ok=slow)
    stops = draw([Flow(1, start=hook)])[0].line
    assert [stop.facts for stop in stops] == [
        [("url", "https://app.example/hook"), ("sync", "no")],
        [("text", "Press"), ("wait", "9")],
        [("url", "https://app.example/whom"), ("fallback url", "https://b.example/")],
    ]


def stops(picture: Picture) -> Iterator[Stop]:
    """All of them, in the order they are read."""
    waiting = list(picture.line)
    while waiting:
        stop = waiting.pop(0)
        yield stop
        waiting[:0] = [inner for branch in stop.branches for inner in branch.line]


async def test_the_way_a_call_took_through_two_flows() -> None:
    """Steps are counted through all of it; an exit that was taken says how often."""
    other = Flow(927, start=Hangup(name="bye"))
    keys: dict[str, Next] = {"1": "main", "2": Transfer(flow=927)}
    main = Flow(926, start=Menu(name="main", text="Press", keys=keys))
    async with Emulator(scenario=Scenario.all_answered()) as emulator:
        caller = Caller(keys=["1", "2"])
        call = await call_in(emulator, main.start, caller, others=[other])
        first, second = draw(emulator.flows, call.transcript)
    assert [(stop.label, stop.steps, stop.here) for stop in stops(first)] == [
        ('Menu "main"', [1, 2], False),
        ("Transfer", [3], False),
    ]
    (menu, transfer) = stops(first)
    assert [branch.exits for branch in menu.branches] == [{"1": 1}, {"otherwise": 0}]
    assert menu.onward is not None
    assert menu.onward.exits == {"2": 1}
    (leads,) = transfer.branches
    assert leads.to is not None
    assert (leads.to.anchor, leads.to.label, leads.exits) == (
        second.anchor,
        "flow 927",
        {"start": 1},
    )
    assert [(stop.label, stop.steps) for stop in stops(second)] == [('Hangup "bye"', [4])]


async def test_where_a_live_call_is_now() -> None:
    async with Emulator(scenario=Scenario.all_answered()) as emulator:
        emulator.flows = [FLOW]
        emulator.exophone_flows[EXOPHONE] = 926
        call = await emulator.incoming_call(CUSTOMER, EXOPHONE)
        await until(lambda: bool(call.transcript.steps))
        (picture,) = draw(emulator.flows, call.transcript)
    here = [stop.label for stop in stops(picture) if stop.here]
    assert here == ["Greeting"]
