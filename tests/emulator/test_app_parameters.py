"""Every parameter of every request to the application, as VOICE_V1 7 has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from exotel_async.emulator import (
    Applet,
    Behaviour,
    Caller,
    Connect,
    EmulatedCall,
    Emulator,
    Flow,
    Gather,
    Greeting,
    Menu,
    Passthru,
    Scenario,
    Sms,
)
from tests.emulator.application import Application, json, text
from tests.emulator.support import (
    AGENT,
    CUSTOMER,
    EXOPHONE,
    FLOW_URL,
    StoppedClock,
    call_in,
    client_of,
    dial,
)

OTHER = "09812300003"
NOON = datetime(2026, 2, 23, 7, 1, 59, tzinfo=UTC)
"""One minute to half past twelve in India."""


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """One whose clock stands still but for what calls take."""
    async with Emulator(now=NOON, scenario=Scenario.all_answered()) as running:
        StoppedClock(running).seconds = 0.0
        yield running


async def call_out(
    emulator: Emulator, client: httpx.AsyncClient, start: Applet, caller: Caller | None = None
) -> EmulatedCall:
    """Dial a flow of those applets, and go through all of it at once."""
    emulator.flows = [Flow(926, start=start)]
    emulator.callers[CUSTOMER] = caller or Caller()
    sid = await dial(client, Url=FLOW_URL, CustomField="order 7 & more")
    await emulator.finish_calls()
    return emulator.calls[sid]


START = {
    "CallFrom": CUSTOMER,
    "CallTo": EXOPHONE,
    "From": CUSTOMER,
    "To": EXOPHONE,
    "Direction": "incoming",
    "ForwardedFrom": "null",
    "Created": "Mon, 23 Feb 2026 12:31:59",
    "StartTime": "2026-02-23 12:31:59",
    "CurrentTime": "2026-02-23 12:31:59",
    "EndTime": "1970-01-01 05:30:00",
    "DialCallDuration": "0",
    "DialWhomNumber": "",
    "CallType": "call-attempt",
    "flow_id": "926",
    "tenant_id": "10001",
    "ProcessStatus": "null",
}
"""The long list at the beginning of a call that came in, without its SID."""


async def test_the_long_list_at_the_start(emulator: Emulator, application: Application) -> None:
    """The same for Passthru, both kinds of Connect, and Gather."""
    url = application.url
    gather = Gather(url=f"{url}/gather", otherwise=Passthru(url=f"{url}/passthru"))
    dynamic = Connect(url=f"{url}/connect", not_dialled=gather)
    call = await call_in(emulator, Connect(dial_whom_url=f"{url}/whom", not_dialled=dynamic))
    paths = ["/whom", "/connect", "/gather", "/passthru"]
    assert [asked.path for asked in application.asked] == paths
    for asked in application.asked:
        assert asked.query == {"CallSid": call.sid, **START}, asked.path


async def test_the_long_list_of_a_dialled_call(
    emulator: Emulator, application: Application
) -> None:
    """It is `outbound-dial` here, answers after 5 s, and has its custom field."""
    async with client_of(emulator) as client:
        call = await call_out(emulator, client, Passthru(url=application.url + "/crm"))
        record = (await client.get(f"Calls/{call.sid}.json")).json()["Call"]
    assert application.only("/crm").query == {
        "CallSid": call.sid,
        **START,
        "Direction": "outbound-dial",
        "CurrentTime": "2026-02-23 12:32:04",
        "CustomField": "order 7 & more",
    }
    assert record["Direction"] == "outbound-api"


async def test_the_long_list_after_connect(emulator: Emulator, application: Application) -> None:
    """Digits, attempts, legs and the recording."""
    emulator.scenario = Scenario.all_answered()
    emulator.scenario.numbers[AGENT] = Behaviour("busy", ring=4)  # type: ignore[index]
    after = Passthru(url=application.url + "/after")
    numbers = ["+919812300001", "+919812300003"]
    connect = Connect(numbers=numbers, record=True, then=after)
    start = Menu(text="x", keys={"1": connect})
    call = await call_in(emulator, start, Caller(keys=["1"]))
    assert application.only("/after").query == {
        "CallSid": call.sid,
        **START,
        "CurrentTime": "2026-02-23 12:32:40",
        "digits": '"1"',
        "DialCallDuration": "35",
        "DialCallStatus": "completed",
        "DialWhomNumber": OTHER,
        "OutgoingPhoneNumber": EXOPHONE,
        "CallType": "completed",
        "RecordingUrl": f"{emulator.base_url}/exotelrecordings/acme1/{call.sid}.mp3",
        "RecordingAvailableBy": "Mon, 23 Feb 2026 12:37:40",
        "Legs[0][Number]": AGENT,
        "Legs[0][Type]": "single",
        "Legs[0][OnCallDuration]": "0",
        "Legs[0][CallerId]": EXOPHONE,
        "Legs[0][CauseCode]": "USER_BUSY",
        "Legs[0][Cause]": "17",
        "Legs[1][Number]": OTHER,
        "Legs[1][Type]": "single",
        "Legs[1][OnCallDuration]": "30",
        "Legs[1][CallerId]": EXOPHONE,
        "Legs[1][CauseCode]": "NORMAL_CLEARING",
        "Legs[1][Cause]": "16",
    }


CAPTURED = {
    "CallSid",
    "CallFrom",
    "CallTo",
    "Direction",
    "ForwardedFrom",
    "Created",
    "DialCallDuration",
    "StartTime",
    "EndTime",
    "DialCallStatus",
    "CallType",
    "DialWhomNumber",
    "ProcessStatus",
    "flow_id",
    "tenant_id",
    "From",
    "To",
    "CurrentTime",
    "OutgoingPhoneNumber",
    "Legs[0][Number]",
    "Legs[0][Type]",
    "Legs[0][OnCallDuration]",
    "Legs[0][CallerId]",
    "Legs[0][CauseCode]",
    "Legs[0][Cause]",
}
"""What Passthrus after a Connect were captured with, in 2022; and two more with a recording."""


@pytest.mark.parametrize(
    ("agent", "caller", "told", "recorded"),
    [
        (Behaviour(ring=7, talk=10), Caller(), ("completed", "completed", "17"), True),
        (Behaviour("no-answer"), Caller(), ("no-answer", "incomplete", "0"), False),
        (Behaviour(ring=20), Caller(patience=9), ("canceled", "client-hangup", "0"), False),
        (Behaviour("busy", ring=5), Caller(), ("busy", "incomplete", "5"), False),
    ],
)
async def test_a_passthru_after_connect_has_the_names_of_captures_and_no_other(
    emulator: Emulator,
    application: Application,
    agent: Behaviour,
    caller: Caller,
    told: tuple[str, str, str],
    recorded: bool,
) -> None:
    """Of a call that came in, and of one that the API made with its custom field besides."""
    emulator.scenario = Scenario(numbers={AGENT: agent, CUSTOMER: Behaviour()})
    after = Passthru(url=application.url + "/after")
    start = Connect(numbers=[AGENT], record=True, then=after, no_answer=after)
    await call_in(emulator, start, caller)
    async with client_of(emulator) as client:
        await call_out(emulator, client, start, caller)
    incoming, outgoing = (asked.query for asked in application.asked)
    names = CAPTURED | ({"RecordingUrl", "RecordingAvailableBy"} if recorded else set())
    assert (set(incoming), set(outgoing)) == (names, names | {"CustomField"})
    for query in (incoming, outgoing):
        assert told == (query["DialCallStatus"], query["CallType"], query["DialCallDuration"])


@pytest.mark.parametrize(
    ("agents", "status", "duration"),
    [
        ([Behaviour(ring=4, talk=20)], "completed", "24"),
        ([Behaviour("busy", ring=5)], "busy", "5"),
        ([Behaviour("no-answer")], "no-answer", "0"),
        ([Behaviour("canceled", ring=6)], "canceled", "0"),
        ([Behaviour("failed", ring=3)], "failed", "0"),
        ([Behaviour("no-answer"), Behaviour("busy", ring=5)], "busy", "5"),
        ([Behaviour("busy", ring=5), Behaviour("no-answer")], "no-answer", "0"),
    ],
)
async def test_how_long_an_agent_was_dialled(
    emulator: Emulator,
    application: Application,
    agents: list[Behaviour],
    status: str,
    duration: str,
) -> None:
    """From the dial on, ringing included, of who answers and of who rejects; else 0."""
    numbers = dict(zip([AGENT, OTHER], agents, strict=False))
    emulator.scenario = Scenario(numbers=numbers)
    after = Passthru(url=application.url + "/after")
    await call_in(emulator, Connect(numbers=list(numbers), then=after, no_answer=after))
    query = application.only("/after").query
    assert (query["DialCallStatus"], query["DialCallDuration"]) == (status, duration)


async def test_the_switches_of_the_long_list(emulator: Emulator, application: Application) -> None:
    rules = emulator.flow_settings
    rules.created = "plain"
    rules.end_time = "0000-00-00 00:00:00"
    rules.bare_call_to = True
    rules.call_status = True
    rules.insights = True
    rules.tenant_id = "7"
    rules.disconnected_by = ("user", "agent")
    emulator.scenario = Scenario.all_answered()
    emulator.scenario.numbers[AGENT] = Behaviour("busy", ring=4)  # type: ignore[index]
    after = Passthru(url=application.url + "/after")
    await call_in(emulator, Connect(numbers=[AGENT, OTHER], then=after))
    query = application.only("/after").query
    told = (
        "CallStatus",
        "Created",
        "EndTime",
        "CallTo",
        "To",
        "tenant_id",
        "Legs[0][DisconnectedBy]",
        "Legs[1][DisconnectedBy]",
    )
    assert [query[name] for name in told] == [
        "in-progress",
        "2026-02-23 12:31:59",
        "0000-00-00 00:00:00",
        "8030000000",
        EXOPHONE,
        "7",
        "",
        "agent",
    ]
    assert {k: v for k, v in query.items() if "Insights" in k} == {
        "Legs[1][Insights][Status]": "completed",
        "Legs[1][Insights][DetailedStatus]": "CALL_COMPLETED",
        "Legs[1][Insights][RingingDuration]": "5.00",
    }


async def test_how_it_stands_in_the_url(emulator: Emulator, application: Application) -> None:
    """After a query of its own, percent-encoded; what follows a `#` stays away."""
    url = application.url + "/crm?secret=a%2Fb#part"
    start = Gather(text="x", max_digits=2, then=Passthru(url=url))
    call = await call_in(emulator, start, Caller(keys=["42"]))
    query = application.only("/crm").query
    assert (query["secret"], query["digits"]) == ("a/b", '"42"')
    (exchange,) = call.transcript.exchanges
    assert exchange.url == url
    assert {**exchange.parameters, "secret": "a/b"} == query


@pytest.mark.parametrize("incoming", [True, False])
async def test_prompts(emulator: Emulator, application: Application, incoming: bool) -> None:
    """The same for HEAD and GET, Greeting and Menu; a custom field if the call has one."""
    url = application("/prompt", text("Hello"))
    start = Connect(numbers=[AGENT], then=Greeting(url=url, then=Menu(url=url, keys={})))
    if incoming:
        call = await call_in(emulator, start)
    else:
        async with client_of(emulator) as client:
            call = await call_out(emulator, client, start)
    assert [asked.method for asked in application.asked] == ["HEAD", "GET"] * 2
    for asked in application.asked:
        assert asked.query == {
            "CallSid": call.sid,
            "From": CUSTOMER,
            "To": EXOPHONE,
            "DialWhomNumber": AGENT,
            **({} if incoming else {"CustomField": "order 7 & more"}),
        }


async def test_an_sms(emulator: Emulator, application: Application) -> None:
    sms = Sms(url=application("/sms", text("Hello")))
    start = Sms(url=sms.url, then=Gather(text="x", max_digits=1, then=sms))
    call = await call_in(emulator, start, Caller(keys=["7"]))
    expected = {"CallSid": call.sid, "From": CUSTOMER, "To": EXOPHONE}
    first, second = application.asked[:2], application.asked[2:]
    assert [asked.query for asked in first] == [expected] * 2
    assert [asked.query for asked in second] == [{**expected, "digits": '"7"'}] * 2
    assert [asked.method for asked in application.asked] == ["HEAD", "GET"] * 2


async def test_a_whisper(emulator: Emulator, application: Application) -> None:
    url = application("/whisper", json('{"type":"text","value":"x"}'))
    call = await call_in(emulator, Connect(numbers=["+919812300001"], whisper_url=url))
    assert [asked.method for asked in application.asked] == ["HEAD", "GET"]
    for asked in application.asked:
        assert asked.query == {
            "CallSid": call.sid,
            "From": CUSTOMER,
            "To": EXOPHONE,
            "DialWhomNumber": AGENT,
        }


async def test_a_dial_event(emulator: Emulator, application: Application) -> None:
    emulator.flow_settings.agent_emails = {"+919812300001": "agent@example.com"}
    events = application.url + "/events"
    numbers = ["09812300001"]
    call = await call_in(emulator, Connect(numbers=numbers, events_url=events))
    shared = {
        "CallSid": call.sid,
        "CallFrom": CUSTOMER,
        "CallTo": EXOPHONE,
        "Direction": "incoming",
        "Created": "Mon, 23 Feb 2026 12:31:59",
        "From": CUSTOMER,
        "To": EXOPHONE,
        "DialWhomNumber": AGENT,
        "AgentEmail": "agent@example.com",
    }
    dialled, answered, ended = (asked.query for asked in application.asked)
    assert dialled == {
        **shared,
        "CurrentTime": "2026-02-23 12:31:59",
        "EventType": "Dial",
        "Status": "busy",
    }
    assert answered == {
        **shared,
        "CurrentTime": "2026-02-23 12:32:04",
        "EventType": "Answered",
        "Status": "busy",
    }
    assert ended == {
        **shared,
        "CurrentTime": "2026-02-23 12:32:34",
        "EventType": "Terminal",
        "Status": "free",
    }
    emulator.flow_settings.agent_emails = {}
    await call_in(emulator, Connect(numbers=numbers, events_url=events))
    assert application.asked[-1].query["AgentEmail"] == ""
