"""What Python does with an emulator, and what plain HTTP does with another one: it is the same.

Each step of the walk is done once on either side. The emulators have one seed and one file; what is
seen of them afterwards is compared, but for SIDs, moments and dates.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest

from exotel_async.emulator import (
    Behaviour,
    Caller,
    Dial,
    Email,
    Emulator,
    Fault,
    Faults,
    Flow,
    Menu,
    Outcome,
    Passthru,
    Scenario,
    Settings,
    Sms,
    Voicemail,
)
from exotel_async.emulator.control.config import load_config
from exotel_async.emulator.control.fault_values import write_order
from exotel_async.emulator.control.views import Call, CallRecording, CallTranscript, recordings_of
from exotel_async.emulator.control.writing import write
from exotel_async.emulator.documents import RECORDINGS
from tests.cli.support import started
from tests.conftest import TLS
from tests.emulator.application import Application
from tests.emulator.control.support import Control, controlling
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, TWO_NUMBERS

BUSY = Outcome.BUSY
TOKEN = "canary-token-5e1f"
OTHER = "09812300003"
MOMENTS = {"at", "age", "sent", "took", "arrived", "elapsed", "now"}
VARIES = re.compile(
    r"[0-9a-f]{28}\w{4}"  # SIDs, and the boundaries of multipart bodies
    r"|\d{4}-\d\d-\d\d[ T][\d:.]+(\+\d\d:\d\d)?|\w{3}, \d\d \w{3} \d{4} [\d:]+"
    r"| +\d+ s  |127\.0\.0\.1:\d+"
)
"""In texts: SIDs, dates, moments of a transcript to be read, and where the emulator listens."""

NOT_WALKED = {
    "loopback_only": "follows from `host`",
    "run": "is for code of another thread",
    "base_url": "who asks over HTTP knows it",
    "unreachable": "has a test of its own, which ends connections",
}
FAULTS_NOT_WALKED = {
    "take_for_request": "asked by the emulator itself",
    "take_for_callback": "asked by the emulator itself",
}


@attrs.define(eq=False)
class Side:
    """One of the emulators, as the API shows it to an application."""

    base_url: str
    act: Emulator | Control
    sids: list[str] = attrs.field(factory=list)
    """In the order the calls were made."""

    @property
    def python(self) -> Emulator:
        """The emulator of this process."""
        assert isinstance(self.act, Emulator)
        return self.act

    @property
    def http(self) -> Control:
        """A client of the other one."""
        assert isinstance(self.act, Control)
        return self.act

    async def api(self, method: str, page: str, **form: str) -> httpx.Response:
        """A request for the API itself, which is plain HTTP on both sides."""
        async with httpx.AsyncClient(
            base_url=f"{self.base_url}/v1/Accounts/ours/",
            auth=("emulator-key", TOKEN),
            trust_env=False,
            verify=TLS,
        ) as client:
            return await client.request(method, page, data=form or None)


Act = Callable[[Side], Awaitable[object]]


@attrs.frozen
class Step:
    """One thing done, or looked at."""

    members: Collection[str]
    """What it does of the public members of `Emulator`, those of its faults as `faults.add`."""
    python: Act
    http: Act


STEPS: list[Step] = []


def step(*members: str) -> Callable[[type], type]:
    """A step: a class with both of its sides."""

    def enter(sides: Any) -> type:
        STEPS.append(Step(members or (), sides.python, sides.http))
        return sides  # type: ignore[no-any-return]

    return enter


def reading(*members: str, path: str, paged: bool = False) -> None:
    """A step that looks at something that is read the same way on both sides."""

    async def python(side: Side) -> object:
        return write(getattr(side.python, members[0]))

    async def http(side: Side) -> object:
        return await (side.http.items(path) if paged else side.http.get(path))

    STEPS.append(Step(members, python, http))


SETTINGS = [
    name
    for name in attrs.fields_dict(Settings)
    if name not in {"api_token", "scenario", "flows", "exophone_flows", "callers"}
]


@step(*SETTINGS, "api_token")
class SettingsAsTheFileHasThem:
    @staticmethod
    async def python(side: Side) -> object:
        return {name: write(getattr(side.python, name)) for name in SETTINGS}

    @staticmethod
    async def http(side: Side) -> object:
        return await side.http.get("/settings")


@step()
class ChangingSettings:
    @staticmethod
    async def python(side: Side) -> object:
        side.python.kyc = False
        side.python.api_token = TOKEN
        side.python.flow_settings.timeout = 9.0
        refused = await side.api("POST", "Calls/connect.json", **TWO_NUMBERS)
        side.python.kyc = True
        return refused.status_code, refused.json()

    @staticmethod
    async def http(side: Side) -> object:
        body = {"kyc": False, "api_token": TOKEN, "flow_settings": {"timeout": 9}}
        await side.http.ask("PATCH", "/settings", body, expect=200)
        refused = await side.api("POST", "Calls/connect.json", **TWO_NUMBERS)
        await side.http.ask("PATCH", "/settings", {"kyc": True}, expect=200)
        return refused.status_code, refused.json()


@step("scenario")
class ChangingTheScenario:
    @staticmethod
    async def python(side: Side) -> object:
        behaviours = {AGENT: Behaviour(talk=9), CUSTOMER: Behaviour(), OTHER: Behaviour(BUSY)}
        side.python.scenario = Scenario(busy=0.5, numbers=behaviours)
        return write(side.python.scenario)

    @staticmethod
    async def http(side: Side) -> object:
        numbers = {AGENT: {"talk": 9}, CUSTOMER: {}, OTHER: {"outcome": "busy"}}
        body = {"busy": 0.5, "numbers": numbers}
        await side.http.ask("PUT", "/scenario", body, expect=200)
        return await side.http.get("/scenario")


@step("flows", "exophone_flows", "callers")
class ChangingFlows:
    @staticmethod
    async def python(side: Side) -> object:
        emulator = side.python
        passthru = emulator.flows[0].start  # type: ignore[index]
        mail = Email(to=["a@example.com"], subject="Missed", text="A call")
        sms = Sms(text="Thank you", then=mail)
        keys = {"1": Voicemail(text="Speak", then=sms)}
        menu = Menu(name="main", text="Press 1", keys=keys, otherwise="main")
        emulator.flows = [Flow("926", start=attrs.evolve(passthru, ok=menu))]
        emulator.exophone_flows = {EXOPHONE: "926"}
        emulator.callers = {CUSTOMER: Caller(keys=["", "1"], speaks=4)}
        return write([emulator.flows, emulator.exophone_flows, emulator.callers])

    @staticmethod
    async def http(side: Side) -> object:
        (flow,) = await side.http.get("/flows")
        mail = {"applet": "email", "to": ["a@example.com"], "subject": "Missed", "text": "A call"}
        sms = {"applet": "sms", "text": "Thank you", "then": mail}
        keys = {"1": {"applet": "voicemail", "text": "Speak", "then": sms}}
        flow["start"]["ok"] = {
            "applet": "menu",
            "name": "main",
            "text": "Press 1",
            "keys": keys,
            "otherwise": "main",
        }
        await side.http.ask("PUT", "/flows", [flow], expect=200)
        await side.http.ask("PUT", "/exophone_flows", {EXOPHONE: "926"}, expect=200)
        callers = {CUSTOMER: {"keys": ["", "1"], "speaks": 4}}
        await side.http.ask("PUT", "/callers", callers, expect=200)
        return [await side.http.get(path) for path in ("/flows", "/exophone_flows", "/callers")]


@step("faults", "faults.add", "faults.remove", "faults.orders", "faults.pending")
class OrderingFaults:
    @staticmethod
    async def python(side: Side) -> object:
        faults = side.python.faults
        faults.add(Fault.answer(503, retry_after=2), path="Balance", times=2, after=1)
        gone = faults.add(Fault.callback_lost())
        faults.remove(gone)
        seen = [(await side.api("GET", "Balance.json")).status_code for _ in range(2)]
        assert faults.pending == [order.fault for order in faults.orders]
        return seen, [write_order(order) for order in faults.orders]

    @staticmethod
    async def http(side: Side) -> object:
        fault = {"fault": "answer", "status": 503, "retry_after": 2}
        where = {"path": "Balance", "times": 2, "after": 1}
        await side.http.ask("POST", "/faults", {**fault, **where}, expect=201)
        added = await side.http.ask("POST", "/faults", {"fault": "callback_lost"}, expect=201)
        await side.http.ask("DELETE", f"/faults/{added.json()['id']}", expect=204)
        seen = [(await side.api("GET", "Balance.json")).status_code for _ in range(2)]
        return seen, await side.http.get("/faults")


@step("faults.clear")
class ClearingFaults:
    @staticmethod
    async def python(side: Side) -> object:
        side.python.faults.clear()
        return [write_order(order) for order in side.python.faults.orders]

    @staticmethod
    async def http(side: Side) -> object:
        await side.http.ask("DELETE", "/faults", expect=204)
        return await side.http.get("/faults")


async def _dial(side: Side) -> object:
    placed = await side.api(
        "POST",
        "Calls/connect.json",
        **TWO_NUMBERS,
        Record="true",
        StatusCallback=CALLBACK[0],
        **{"StatusCallbackEvents[0]": "terminal"},
    )
    side.sids.append(placed.json()["Call"]["Sid"])
    return placed.status_code


CALLBACK: list[str] = []
STEPS.append(Step((), _dial, _dial))


@step("add_call")
class AddingACall:
    @staticmethod
    async def python(side: Side) -> object:
        dial = Dial(from_=OTHER, to=AGENT, caller_id=EXOPHONE, custom_field="order-7")
        call = side.python.add_call(dial, ago=timedelta(hours=1))
        side.sids.append(call.sid)
        return write(Call.of(call))

    @staticmethod
    async def http(side: Side) -> object:
        dial = {"from": OTHER, "to": AGENT, "caller_id": EXOPHONE, "custom_field": "order-7"}
        body = {"dial": dial, "ago": 3600}
        added = (await side.http.ask("POST", "/calls", body, expect=201)).json()
        side.sids.append(added["sid"])
        return added


@step("incoming_call", "finish_calls")
class LettingCallsComeInAndEnd:
    @staticmethod
    async def python(side: Side) -> object:
        first = await side.python.incoming_call(CUSTOMER, EXOPHONE)
        other = await side.python.incoming_call(OTHER, EXOPHONE, caller=Caller(hangs_up_at="main"))
        side.sids += [first.sid, other.sid]
        await side.python.finish_calls()
        return [first.ended, other.ended]

    @staticmethod
    async def http(side: Side) -> object:
        bodies: list[dict[str, Any]] = [
            {"from": CUSTOMER, "exophone": EXOPHONE},
            {"from": OTHER, "exophone": EXOPHONE, "caller": {"hangs_up_at": "main"}},
        ]
        for body in bodies:
            call = (await side.http.ask("POST", "/incoming_calls", body, expect=201)).json()
            side.sids.append(call["sid"])
        await side.http.ask("POST", "/finish_calls", expect=200)
        return [(await side.http.get(f"/calls/{sid}"))["ended"] for sid in side.sids[-2:]]


@step("calls")
class LookingAtCalls:
    @staticmethod
    async def python(side: Side) -> object:
        calls = side.python.calls
        assert list(calls) == side.sids
        transcripts = [CallTranscript.of(calls[sid].transcript) for sid in side.sids]
        return write([[Call.of(call) for call in calls.values()], transcripts])

    @staticmethod
    async def http(side: Side) -> object:
        calls = await side.http.items("/calls")
        assert [call["sid"] for call in calls] == side.sids
        assert calls[0] | {"age": 0} == await side.http.get(f"/calls/{side.sids[0]}") | {"age": 0}
        return [calls, [await side.http.get(f"/calls/{sid}/transcript") for sid in side.sids]]


@step("recording")
class Recordings:
    @staticmethod
    async def python(side: Side) -> object:
        listed = [
            write(CallRecording(sid=call.sid, file=one.file, seconds=one.seconds))
            for call in side.python.calls.values()
            for one in recordings_of(call)
        ]
        return listed, [side.python.recording(one["sid"]) for one in listed]

    @staticmethod
    async def http(side: Side) -> object:
        listed = await side.http.items("/recordings")
        found = [
            (await side.http.ask("GET", f"/calls/{one['sid']}/recording", expect=200)).content
            for one in listed
        ]
        return listed, found


async def _placed(side: Side) -> str:
    placed = await side.api("POST", "Calls/connect.json", **TWO_NUMBERS)
    side.sids.append(placed.json()["Call"]["Sid"])
    return side.sids[-1]


@step("phones", "until_ringing", "answer", "hang_up", "reject", "until_asked", "press", "speak")
class PlayingPhones:
    @staticmethod
    async def python(side: Side) -> object:
        emulator, seen = side.python, []
        emulator.manual = [AGENT]
        sid = await _placed(side)
        seen.append(write(await emulator.until_ringing(sid, AGENT)))
        emulator.answer(sid, AGENT)
        seen.append(write(emulator.phones(sid)))
        emulator.hang_up(sid, AGENT)
        seen.append(write(emulator.phones(sid)))
        sid = await _placed(side)
        emulator.reject(sid, AGENT)
        seen.append(write(emulator.phones(sid)))
        call = await emulator.incoming_call(CUSTOMER, EXOPHONE, caller=Caller(manual=True))
        side.sids.append(call.sid)
        seen.append(write(await emulator.until_asked(call.sid)))
        emulator.press(call.sid, "1")
        seen.append(write(await emulator.until_asked(call.sid)))
        emulator.speak(call.sid, 3)
        await emulator.finish_calls()
        emulator.manual = ()
        return [*seen, [emulator.calls[sid].status for sid in side.sids[-3:]]]

    @staticmethod
    async def http(side: Side) -> object:
        http, seen = side.http, []
        await http.ask("PATCH", "/settings", {"manual": [AGENT]}, expect=200)

        async def play(sid: str, act: str, body: object) -> Any:
            return (await http.ask("POST", f"/calls/{sid}/{act}", body, expect=200)).json()

        sid = await _placed(side)
        seen.append(await http.get(f"/calls/{sid}/ringing/{AGENT}"))
        await play(sid, "answer", {"number": AGENT})
        seen.append(await http.get(f"/calls/{sid}/phones"))
        seen.append(await play(sid, "hang-up", {"number": AGENT}))
        sid = await _placed(side)
        seen.append(await play(sid, "reject", {"number": AGENT}))
        body = {"from": CUSTOMER, "exophone": EXOPHONE, "caller": {"manual": True}}
        sid = (await http.ask("POST", "/incoming_calls", body, expect=201)).json()["sid"]
        side.sids.append(sid)
        seen.append(await http.get(f"/calls/{sid}/asked"))
        await play(sid, "press", {"keys": "1"})
        seen.append(await http.get(f"/calls/{sid}/asked"))
        await play(sid, "speak", {"seconds": 3})
        await http.ask("POST", "/finish_calls", expect=200)
        await http.ask("PATCH", "/settings", {"manual": []}, expect=200)
        calls = [await http.get(f"/calls/{sid}") for sid in side.sids[-3:]]
        return [*seen, [call["status"] for call in calls]]


@step("rung")
class CountingRings:
    @staticmethod
    async def python(side: Side) -> object:
        return [side.python.rung(number) for number in (AGENT, CUSTOMER, "+91" + OTHER[1:])]

    @staticmethod
    async def http(side: Side) -> object:
        numbers = AGENT, CUSTOMER, "+91" + OTHER[1:]
        return [(await side.http.get(f"/rung/{number}"))["rung"] for number in numbers]


@step("statistics", "refused", "busiest_window")
class Totals:
    @staticmethod
    async def python(side: Side) -> object:
        emulator = side.python
        totals = write(emulator.statistics())
        assert totals["refused"] == emulator.refused
        assert totals["busiest_window"] == emulator.busiest_window()
        return totals

    @staticmethod
    async def http(side: Side) -> object:
        return await side.http.get("/statistics")


@step("clock")
class Time:
    @staticmethod
    async def python(side: Side) -> object:
        clock = side.python.clock
        assert clock.elapsed() > 0
        return {"elapsed": 0, "now": clock.now(), "speed": clock.speed}

    @staticmethod
    async def http(side: Side) -> object:
        return await side.http.get("/clock")


async def _download(side: Side) -> object:
    """There is nothing to be had without credentials, but that somebody tried is seen."""
    async with httpx.AsyncClient(trust_env=False, verify=TLS) as client:
        return (await client.get(f"{side.base_url}{RECORDINGS}ours/x.mp3")).status_code


async def _whitelist(side: Side) -> object:
    numbers = {"VirtualNumber": EXOPHONE, "Number": f"{AGENT},{OTHER}"}
    return (await side.api("POST", "CustomerWhitelist.json", **numbers)).json()


STEPS.append(Step((), _download, _download))
STEPS.append(Step((), _whitelist, _whitelist))
for _name in ("requests", "callbacks", "sms", "emails", "downloads", "whitelist"):
    reading(_name, path=f"/{_name}", paged=True)


@step("forget")
class Forgetting:
    @staticmethod
    async def python(side: Side) -> object:
        side.python.forget(side.sids[1])
        return [*side.python.calls] == [side.sids[0], *side.sids[2:]]

    @staticmethod
    async def http(side: Side) -> object:
        await side.http.ask("DELETE", f"/calls/{side.sids[1]}", expect=204)
        left = [call["sid"] for call in await side.http.items("/calls")]
        return left == [side.sids[0], *side.sids[2:]]


@step("reset")
class Resetting:
    @staticmethod
    async def python(side: Side) -> object:
        side.python.reset()
        return write([side.python.statistics(), side.python.calls, side.python.kyc])

    @staticmethod
    async def http(side: Side) -> object:
        totals = (await side.http.ask("POST", "/reset", expect=200)).json()
        settings = await side.http.get("/settings")
        return [totals, dict.fromkeys(await side.http.items("/calls"), 0), settings["kyc"]]


def steady(value: object) -> object:
    """Without what differs from one emulator to the next."""
    match value:
        case Mapping():
            return {key: steady(one) for key, one in value.items() if key not in MOMENTS}
        case list() | tuple():
            return [steady(one) for one in value]
        case str():
            return VARIES.sub("~", value)
    return value


@asynccontextmanager
async def both(file: Path) -> AsyncIterator[tuple[Side, Side]]:
    """An emulator of this process, and one of a process of its own."""
    async with (
        started("emulator", "--config", str(file), "--json") as process,
        Emulator(**load_config(file).settings) as emulator,
    ):
        base_url = json.loads(await process.line("base_url"))["base_url"]
        async with controlling(base_url) as control:
            yield Side(emulator.base_url, emulator), Side(base_url, control)
        assert (await process.end(signal.SIGINT)).code == 0


@pytest.mark.slow
async def test_python_and_http_do_the_same(application: Application, tmp_path: Path) -> None:
    CALLBACK[:] = [application.url + "/done"]
    flow = Flow("926", start=Passthru(url=application.url + "/crm"))
    file = tmp_path / "emulator.json"
    settings = {"account_sid": "ours", "port": 0, "seed": 7, "per": 3600, "flows": [write(flow)]}
    file.write_text(json.dumps(settings))
    async with both(file) as (python, http):
        for one in STEPS:
            ours, theirs = await asyncio.gather(one.python(python), one.http(http))
            assert steady(ours) == steady(theirs), one
        every = {
            operation["operationId"]
            for methods in http.http.document["paths"].values()
            for operation in methods.values()
        }
        assert every - http.http.used == {"be_unreachable"}
    assert len(application.at("/done")) == 2
    assert len(application.at("/crm")) == 6


def test_nothing_that_python_does_is_left_out() -> None:
    walked = {member for one in STEPS for member in one.members}
    members = {name for name in {*dir(Emulator), *attrs.fields_dict(Emulator)} if name[0] != "_"}
    assert members == {name for name in walked if "." not in name} | NOT_WALKED.keys()
    of_faults = {f"faults.{name}" for name in dir(Faults) if name[0] != "_"}
    not_walked = {f"faults.{name}" for name in FAULTS_NOT_WALKED}
    assert of_faults == {name for name in walked if "." in name} | not_walked
