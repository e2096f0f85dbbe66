"""The shop is rung, and rings: its application by uvicorn, its telephone by the emulator."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
from fastapi import FastAPI

from exotel_async.calls.resource import Calls
from exotel_async.emulator import (
    Behaviour,
    Caller,
    EmulatedCall,
    Emulator,
    Fault,
    Outcome,
    Scenario,
)
from exotel_async.webhooks import ExotelWebhooks
from tests.conftest import session
from tests.emulator.support import until
from tests.example_app.app import create_app
from tests.example_app.crm import CallLog, Crm, Customer
from tests.example_app.flows import INCOMING, OUTGOING, flows
from tests.example_app.telephone import SALES, SUPPORT
from tests.webhooks.serving import SECRET, Served, reserve, serving

EXOPHONE = "08030000000"
ASHA = Customer("Asha", "+919812300001", pin="1234", manager="+919812300031")
RAVI = Customer("Ravi", "+919812300002", pin="4321")
STRANGER = "+919812300009"


@attrs.frozen
class Shop:
    """All that takes part."""

    app: FastAPI
    crm: Crm
    log: CallLog
    served: Served
    emulator: Emulator

    async def rung_by(self, number: str, caller: Caller | None = None) -> EmulatedCall:
        """A call comes in, and goes through its flow as fast as it is answered."""
        call = await self.emulator.incoming_call(number, EXOPHONE, caller=caller)
        await self.emulator.finish_calls()
        return call

    def behave(self, **outcomes: Outcome) -> None:
        """Nobody answers, or is busy: `n9198...=Outcome.BUSY`."""
        numbers = {f"+{name[1:]}": Behaviour(outcome) for name, outcome in outcomes.items()}
        self.emulator.scenario = attrs.evolve(Scenario.all_answered(talk=40), numbers=numbers)


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    bound, url = reserve()
    crm, log = Crm([ASHA, RAVI]), CallLog()
    async with Emulator(speed=60, scenario=Scenario.all_answered(talk=40)) as emulator:
        app = create_app(
            SECRET, url, crm, log,
            exophone=EXOPHONE, flow=OUTGOING, new_session=lambda: session(emulator),
        )  # fmt: skip
        hooks: ExotelWebhooks = app.state.hooks
        emulator.flows = flows(hooks)
        emulator.exophone_flows[EXOPHONE] = INCOMING
        async with serving(app, bound=bound) as served:
            yield Shop(app, crm, log, served, emulator)


def heard(call: EmulatedCall, applet: str) -> str:
    """The first thing said at an applet."""
    return call.transcript.step(applet).notes[0]


def names(call: EmulatedCall) -> list[str]:
    """The applets a call came through."""
    return [name for name, _ in call.transcript.path]


async def test_an_important_customer_gets_their_manager(shop: Shop) -> None:
    call = await shop.rung_by(ASHA.number, Caller(keys={"menu": "1"}))
    assert names(call) == [
        "welcome", "menu", "to-support", "crm-check", "who", "manager", "thanks", "Hangup"
    ]  # fmt: skip
    assert heard(call, "welcome") == "says 'Welcome back, Asha.'"
    assert dict(call.transcript.path)["who"] == "important"
    assert "says 'This is Asha.'" in call.transcript.step("manager").notes
    assert shop.log.agents == [
        ("Dial", "09812300031"),
        ("Answered", "09812300031"),
        ("Terminal", "09812300031"),
    ]
    (sms,) = shop.emulator.sms
    assert sms.text == "Thank you for your call."
    assert call.recording is not None
    assert "Passthru" in str(call.transcript)


async def test_the_manager_is_busy_and_support_helps(shop: Shop) -> None:
    shop.behave(n919812300031=Outcome.BUSY)
    call = await shop.rung_by(ASHA.number, Caller(keys={"menu": "1"}))
    assert dict(call.transcript.path)["manager"] == "then"
    assert [step for step, _ in shop.log.agents] == [
        "Dial", "Terminal", "Dial", "Answered", "Terminal"
    ]  # fmt: skip
    assert shop.emulator.rung(SUPPORT[0]) == 1


@pytest.mark.parametrize(
    ("pressed", "last", "branch"),
    [
        (["4321"], "Hangup", "then"),
        (["", "4321"], "Hangup", "then"),
        (["1234"], "refused", None),
        ([], "refused", None),
    ],
)
async def test_a_customer_must_know_their_pin(
    shop: Shop, pressed: list[str], last: str, branch: str | None
) -> None:
    call = await shop.rung_by(RAVI.number, Caller(keys={"menu": "1", "pin": pressed}))
    assert names(call)[-1] == last
    assert dict(call.transcript.path).get("support") == branch


async def test_nobody_is_there_and_a_message_is_left(shop: Shop) -> None:
    shop.behave(n919812300011=Outcome.NO_ANSWER, n919812300012=Outcome.BUSY)
    caller = Caller(keys={"menu": "1", "pin": "4321"}, speaks=12)
    call = await shop.rung_by(RAVI.number, caller)
    assert dict(call.transcript.path)["support"] == "no_answer"
    await until(lambda: bool(shop.log.voicemails))
    (recording,) = shop.log.voicemails
    assert call.recording is not None
    assert recording.endswith(call.recording.file)
    assert call.recording.seconds == 12
    (mail,) = shop.emulator.emails
    assert mail.subject == "A message"
    # Both phones rang at once.
    assert [step for step, _ in shop.log.agents[:2]] == ["Dial", "Dial"]


async def test_a_stranger_wants_to_buy(shop: Shop) -> None:
    call = await shop.rung_by(STRANGER, Caller(keys={"menu": ["9", "2"]}))
    assert heard(call, "welcome") == "says 'Welcome to the shop.'"
    assert "says 'Somebody wants to buy something.'" in call.transcript.step("sales").notes
    assert shop.emulator.rung(SALES) == 1
    assert [step for step, _ in shop.log.agents] == ["Dial", "Answered", "Terminal"]


async def test_the_crm_is_down_and_callers_are_still_helped(shop: Shop) -> None:
    shop.crm.is_down = True
    call = await shop.rung_by(ASHA.number, Caller(keys={"menu": "1"}))
    assert heard(call, "welcome") == "says 'Welcome.'"
    assert dict(call.transcript.path)["crm-check"] == "otherwise"
    assert dict(call.transcript.path)["support"] == "then"
    assert all(exchange.status != 500 for exchange in call.transcript.exchanges)


async def test_a_caller_who_leaves_while_it_rings(shop: Shop) -> None:
    shop.behave(n919812300021=Outcome.NO_ANSWER)
    call = await shop.rung_by(STRANGER, Caller(keys={"menu": "2"}, patience=3))
    assert names(call)[-1] == "sales"
    assert shop.log.agents[0][0] == "Dial"
    assert "Answered" not in {step for step, _ in shop.log.agents}


async def test_a_customer_is_called_about_an_order(shop: Shop) -> None:
    answer = await shop.served.client.post("/orders/7/call", params={"number": RAVI.number})
    sid = answer.json()
    assert shop.log.orders == {sid: "7"}
    await until(lambda: sid in shop.log.ended)
    call = shop.emulator.calls[sid]
    assert heard(call, "welcome") == "says 'We call about order 7.'"
    assert (await shop.served.client.get(f"/calls/{sid}")).json() == "completed"
    assert shop.log.ends == [sid]


@pytest.mark.slow(1)
async def test_an_agent_is_connected_with_a_customer(shop: Shop) -> None:
    """The web request waits for the end, which callbacks tell: they come twice, and count once."""
    shop.emulator.faults.add(Fault.callback_duplicated(), path="status_callback", times=None)
    wanted = {"agent": SALES, "customer": RAVI.number}
    answer = await shop.served.client.post("/bridge", json=wanted, timeout=20)
    told = answer.json()
    assert (told["status"], told["talk_seconds"]) == ("completed", 40.0)
    await until(lambda: len(shop.emulator.callbacks) == 6)
    assert shop.log.ends == [told["sid"]]
    assert all(callback.status == 200 for callback in shop.emulator.callbacks)
    # One dial, and not one request to ask how it goes.
    assert [request.method for request in shop.emulator.requests] == ["POST"]


@pytest.mark.slow(3)
async def test_all_callbacks_are_lost_and_the_end_is_found(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait: Any = Calls.wait
    monkeypatch.setitem(wait.__kwdefaults__, "interval", 0.2)  # seconds to its first poll
    shop.emulator.faults.add(Fault.callback_lost(), path="status_callback", times=None)
    shop.behave(n919812300002=Outcome.BUSY)
    wanted = {"agent": SALES, "customer": RAVI.number}
    answer = await shop.served.client.post("/bridge", json=wanted, timeout=30)
    told = answer.json()
    assert told["status"] == shop.emulator.calls[told["sid"]].status
    assert shop.log.ends == []


async def test_a_dial_whose_answer_is_lost_is_not_made_twice(shop: Shop) -> None:
    shop.emulator.faults.add(Fault.act_then_drop(), path="Calls/connect")
    wanted = {"agent": SALES, "customer": RAVI.number}
    answer = await shop.served.client.post("/bridge", json=wanted, timeout=20)
    assert answer.status_code == 504
    assert shop.emulator.rung(SALES) == 1
