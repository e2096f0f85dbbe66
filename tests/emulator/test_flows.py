"""Flows and callers as values: what is checked when they are made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exotel_async.emulator import (
    Applet,
    Caller,
    Connect,
    Emulator,
    Flow,
    Gather,
    Greeting,
    Hangup,
    Menu,
    Passthru,
    Sms,
    SwitchCase,
    Transfer,
    Voicebot,
    Voicemail,
)
from exotel_async.emulator.flows.caller import Script
from tests.emulator.support import EXOPHONE


def test_a_flow_may_loop_and_join() -> None:
    bye = Hangup(name="bye")
    flow = Flow(
        926,
        start=Menu(
            name="main",
            text="Press",
            keys={"1": Greeting(text="One", then="bye"), "2": bye, "9": "main"},
            otherwise=bye,
        ),
    )
    assert flow.id == "926"
    assert set(flow.named) == {"main", "bye"}
    assert len(list(flow.applets())) == 3
    assert "One" not in repr(flow)


BROKEN: list[tuple[Callable[[], Flow], str]] = [
    (lambda: Flow(1, start=Greeting(text="x", then="nowhere")), "no applet named nowhere"),
    (lambda: Flow(1, start=Menu(text="x", keys={"1": "gone"})), "no applet named gone"),
    (
        lambda: Flow(1, start=Greeting(name="a", text="x", then=Greeting(name="a", text="y"))),
        'two applets named "a"',
    ),
]


@pytest.mark.parametrize(("make", "told"), BROKEN, ids=[told for _, told in BROKEN])
def test_names_lead_somewhere(make: Callable[[], Flow], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


WRONG: list[tuple[Callable[[], Applet], str]] = [
    (Greeting, "one of text, audio, url"),
    (lambda: Greeting(text="x", url="http://x/"), "one of"),
    (lambda: Menu(keys={}), "one of"),
    (lambda: Menu(text="x", keys={"10": None}), "keys that no telephone has"),
    (lambda: Gather(text="x", audio="http://x/"), "one of"),
    (lambda: Sms(text="x", url="http://x/"), "one of"),
    (lambda: Voicemail(text="x", audio="http://x/"), "one of"),
    (Voicebot, "one of stream_url, url"),
    (lambda: Voicebot(stream_url="wss://x", url="http://x/"), "one of"),
    (lambda: Voicebot(stream_url="https://x"), "not a ws or wss URL"),
    (lambda: Voicebot(url="wss://x"), "not an http or https URL"),
    (lambda: SwitchCase(cases={"otherwise": None}), "case"),
    (lambda: Connect(numbers=["0"], url="http://x/"), "one of"),
    (lambda: Connect(fallback_url="http://x/"), "without a url"),
    (lambda: Connect(url="http://x/", record=True), "whose answer says"),
    (lambda: Connect(url="http://x/", parallel=2), "whose answer says"),
]


@pytest.mark.parametrize(("make", "told"), WRONG)
def test_an_applet_checks_its_fields(make: Callable[[], Applet], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        make()


def test_an_emulator_checks_its_flows() -> None:
    transfer = Flow(1, start=Passthru(url="http://x/", otherwise=Transfer(flow=2)))
    with pytest.raises(ValueError, match="flow 1 leads to flow 2"):
        Emulator(flows=[transfer])
    with pytest.raises(ValueError, match="one id"):
        Emulator(flows=[Flow(1, start=Hangup()), Flow("1", start=Hangup())])
    with pytest.raises(ValueError, match="ExoPhones"):
        Emulator(flows=[Flow(1, start=Hangup())], exophone_flows={"08099999999": 1})
    with pytest.raises(ValueError, match="flow 2, which is not known"):
        Emulator(flows=[Flow(1, start=Hangup())], exophone_flows={EXOPHONE: 2})
    emulator = Emulator(flows=[transfer, Flow(2, start=Hangup())])
    with pytest.raises(ValueError, match="flow 2"):
        emulator.flows = [transfer]
    emulator.exophone_flows["+918030000000"] = 2
    assert dict(emulator.exophone_flows) == {EXOPHONE: 2}


def presses(caller: Caller, *applets: Applet) -> list[str]:
    script = Script(caller)
    return [script.presses(applet) for applet in applets]


def test_keys_one_after_the_other_or_by_applet() -> None:
    pin, menu = Gather(name="pin", text="x"), Menu(text="x", keys={})
    assert presses(Caller(), pin) == [""]
    assert presses(Caller(keys="12"), pin, menu) == ["12", ""]
    assert presses(Caller(keys=["", "1", "2"]), pin, pin, menu, menu) == ["", "1", "2", ""]
    by_applet = Caller(keys={"pin": "1234#", "Menu": ["9", "1"], "Gather": "0"})
    assert presses(by_applet, menu, pin, pin, menu, menu) == ["9", "1234#", "1234#", "1", ""]
    assert presses(by_applet, Gather(name="other", text="x")) == ["0"]


def test_a_caller_whose_phone_does_something() -> None:
    assert Caller().behaviour is None
    busy = Caller(outcome="busy").behaviour
    assert busy is not None
    assert busy.outcome == "busy"
    slow = Caller(ring=9).behaviour
    assert slow is not None
    assert (slow.outcome, slow.ring) == ("completed", 9)
