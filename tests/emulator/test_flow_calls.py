"""Calls in flows: how they begin, what their records say, when they end, and what stops them."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from exotel_async.emulator import (
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
    Voicemail,
)
from tests.conftest import SOON
from tests.emulator.application import Application, Reply
from tests.emulator.support import (
    AGENT,
    CUSTOMER,
    EXOPHONE,
    FLOW_URL,
    call_in,
    client_of,
    dial,
    until,
)

OTHER = "09812300003"
HELLO = Flow(926, start=Greeting(text="Hello, this is a flow of the emulator"))
"""It takes two seconds."""
LISTENING = Flow(926, start=Menu(name="m", text="Hello", keys={"1": "m"}, wait=100))


async def shown(client: httpx.AsyncClient, call: EmulatedCall) -> dict[str, object]:
    answer = await client.get(f"Calls/{call.sid}.json")
    found: dict[str, object] = answer.json()["Call"]
    return found


@pytest.mark.parametrize(
    "url",
    [
        FLOW_URL,
        "http://my.exotel.in/exoml/start/926",
        "https://my.exotel.com/x/exoml/start_voice/926",
    ],
)
async def test_a_dial_leads_to_a_flow(
    emulator: Emulator, client: httpx.AsyncClient, url: str
) -> None:
    """They answer after 5 s; the flow is the call's life from there on."""
    emulator.flows = [HELLO]
    sid = await dial(client, Url=url)
    call = emulator.calls[sid]
    assert (await shown(client, call))["Status"] == "in-progress"
    await emulator.finish_calls()
    record = await shown(client, call)
    assert (record["Status"], record["Duration"], record["Price"]) == ("completed", "7", "0.750")
    assert (record["Direction"], record["AnsweredBy"]) == ("outbound-api", "human")
    assert record["RecordingUrl"] is None
    (step,) = call.transcript.steps
    assert step.at == 5


async def test_a_flow_that_is_not_known_is_a_call_that_just_talks(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.flows = [Flow(927, start=HELLO.start)]
    sid = await dial(client, Url=FLOW_URL)
    await emulator.finish_calls()
    call = emulator.calls[sid]
    assert (call.timeline.duration, call.transcript.steps, call.transcript.ending) == (35, (), None)


@pytest.mark.parametrize(
    ("caller", "status", "duration"),
    [
        (Caller(outcome="busy", ring=4), "busy", "4"),
        (Caller(outcome="no-answer"), "no-answer", "30"),
        (Caller(outcome="failed", ring=0), "failed", "0"),
        (Caller(ring=31), "no-answer", "30"),
        (Caller(ring=9), "completed", "11"),
    ],
)
async def test_a_party_that_may_not_answer(
    emulator: Emulator,
    client: httpx.AsyncClient,
    application: Application,
    caller: Caller,
    status: str,
    duration: str,
) -> None:
    emulator.flows = [HELLO]
    emulator.callers["+919812300002"] = caller
    sid = await dial(client, Url=FLOW_URL, StatusCallback=application.url + "/status")
    await emulator.finish_calls()
    record = await shown(client, emulator.calls[sid])
    assert (record["Status"], record["Duration"]) == (status, duration)
    assert len(application.at("/status")) == 1
    transcript = emulator.calls[sid].transcript
    assert status in str(transcript)
    assert len(transcript.steps) == (status == "completed")


async def test_the_scenario_says_who_answers_unless_the_caller_does(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.flows = [HELLO]
    emulator.scenario = Scenario(numbers={CUSTOMER: Behaviour("busy")})
    sids = [await dial(client, Url=FLOW_URL)]
    emulator.callers[CUSTOMER] = Caller(outcome="completed")
    sids.append(await dial(client, Url=FLOW_URL))
    await emulator.finish_calls()
    assert [emulator.calls[sid].status for sid in sids] == ["busy", "completed"]


async def test_the_status_callback_comes_at_the_end(
    emulator: Emulator, client: httpx.AsyncClient, application: Application
) -> None:
    """The short one, with the flow's recording."""
    start = Voicemail(text="Speak", then=Passthru(url=application.url + "/mail"))
    emulator.flows = [Flow(926, start=start)]
    emulator.callers[CUSTOMER] = Caller(speaks=8)
    form = {"StatusCallback": application.url + "/status", "StatusCallbackEvents[0]": "terminal"}
    sid = await dial(client, Url=FLOW_URL, StatusCallbackContentType="application/json", **form)
    await emulator.finish_calls()
    assert [asked.path for asked in application.asked] == ["/mail", "/status"]
    (sent,) = emulator.callbacks
    assert sent.document == {
        "CallSid": sid,
        "Status": "completed",
        "RecordingUrl": f"{emulator.base_url}/exotelrecordings/acme1/{sid}.mp3",
        "DateUpdated": emulator.clock.text(emulator.calls[sid].at + 5 + 1 + 8),
    }


async def test_record_records_the_conversation(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.flows = [Flow(926, start=Connect(numbers=[AGENT]))]
    sid = await dial(client, Url=FLOW_URL, Record="true")
    assert emulator.calls[sid].recording is None
    await emulator.finish_calls()
    recording = emulator.calls[sid].recording
    assert recording is not None
    assert recording.seconds == 30


async def test_a_call_that_comes_in(emulator: Emulator, client: httpx.AsyncClient) -> None:
    call = await call_in(emulator, HELLO.start)
    record = await shown(client, call)
    told = ("Direction", "From", "To", "PhoneNumberSid", "Status", "Duration", "AnsweredBy")
    assert [record[name] for name in told] == [
        "inbound",
        CUSTOMER,
        EXOPHONE,
        EXOPHONE,
        "completed",
        "2",
        None,
    ]
    assert record["ParentCallSid"] is None
    assert emulator.rung(CUSTOMER) == 0, "it was they who rang"
    for query in ("Direction=inbound", f"To={EXOPHONE}", f"PhoneNumber={EXOPHONE}"):
        page = (await client.get(f"Calls.json?{query}")).json()
        assert [row["Sid"] for row in page["Calls"]] == [call.sid], query
    assert (await client.get("Calls.json?Direction=outbound-api")).json()["Calls"] == []


@pytest.mark.parametrize("agent", [AGENT, "sip:agent7f3a"])
async def test_the_agent_whom_a_call_that_came_in_has_reached(
    emulator: Emulator, client: httpx.AsyncClient, agent: str
) -> None:
    """Is its `To`, or the ExoPhone is; the last one, of several."""
    emulator.scenario = Scenario(
        numbers={OTHER: Behaviour(), "09812300004": Behaviour("busy"), agent: Behaviour()}
    )
    later = Connect(numbers=["09812300004", agent], then=Connect(numbers=["09812300004"]))
    call = await call_in(emulator, Connect(numbers=[OTHER], then=later))
    for switch, to in (("agent", agent), ("exophone", EXOPHONE)):
        emulator.inbound_to = switch  # type: ignore[assignment]
        record = await shown(client, call)
        told = ("From", "To", "PhoneNumberSid", "Status")
        assert [record[name] for name in told] == [CUSTOMER, to, EXOPHONE, "completed"]
        for party, found in ((to, 1), (OTHER, 0), ("09812300004", 0)):
            page = (await client.get("Calls.json", params={"To": party})).json()
            assert page["Metadata"]["Total"] == found, (switch, party)


@pytest.mark.parametrize("outcome", ["busy", "no-answer", "failed", "canceled"])
async def test_a_call_that_came_in_and_has_reached_nobody(
    emulator: Emulator, client: httpx.AsyncClient, outcome: str
) -> None:
    """Is `completed` all the same, and its `To` the ExoPhone."""
    emulator.scenario = Scenario(numbers={AGENT: Behaviour(outcome)})
    call = await call_in(emulator, Connect(numbers=[AGENT]))
    record = await shown(client, call)
    assert [record[name] for name in ("To", "Status")] == [EXOPHONE, "completed"]


async def test_a_call_that_comes_in_where_there_is_no_flow(emulator: Emulator) -> None:
    with pytest.raises(ValueError, match=r"^'\+\*\* \*{5} \*0007' is not a phone number"):
        await emulator.incoming_call("+91 98123 00007", EXOPHONE)
    with pytest.raises(ValueError, match=r"^no flow is assigned to ExoPhone \*{7}0000$"):
        await emulator.incoming_call(CUSTOMER, EXOPHONE)
    emulator.exophone_flows[EXOPHONE] = 5
    with pytest.raises(ValueError, match="no flow is assigned"):
        await emulator.incoming_call(CUSTOMER, EXOPHONE)


async def test_who_calls_in_may_have_a_script_by_number(
    emulator: Emulator, application: Application
) -> None:
    url = application.url + "/after"
    start = Gather(text="x", max_digits=1, then=Passthru(url=url))
    emulator.callers["+919812300002"] = Caller(keys=["5"])
    await call_in(emulator, start)
    await call_in(emulator, start, Caller(keys=["6"]))
    assert [asked.query["digits"] for asked in application.asked] == ['"5"', '"6"']


async def test_channels_ringing_agents_included(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    """Without a free one a call that comes in finds us busy."""
    emulator.scenario = Scenario(numbers={AGENT: Behaviour("no-answer")})
    emulator.channels = 3
    emulator.flows = [Flow(926, start=Connect(numbers=[AGENT]))]
    emulator.exophone_flows[EXOPHONE] = 926
    first = await emulator.incoming_call(CUSTOMER, EXOPHONE)
    await until(lambda: first.channels == 2)
    second = await emulator.incoming_call("09812300007", EXOPHONE)
    await until(lambda: second.agents == 1)
    third = await emulator.incoming_call("09812300008", EXOPHONE)
    assert third.ended
    await emulator.finish_calls()
    record = await shown(client, third)
    assert (record["Status"], record["Duration"], record["Price"]) == ("busy", "0", "0.000")
    assert "busy" in str(third.transcript)
    assert (first.status, second.status) == ("completed", "completed")


async def test_a_live_call_is_left_out_of_lists(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.flows = [LISTENING]
    emulator.exophone_flows[EXOPHONE] = 926
    emulator.scenario = Scenario.all_answered(ring=0, talk=0, settle=0)
    call = await emulator.incoming_call(CUSTOMER, EXOPHONE)
    sid = await dial(client, Url=FLOW_URL)
    assert (await client.get("Calls.json")).json()["Calls"] == []
    for one in (call, emulator.calls[sid]):
        record = await shown(client, one)
        assert (record["Status"], record["EndTime"]) == ("in-progress", None)
    assert emulator.statistics().calls == {"in-progress": 2}
    await emulator.finish_calls()
    assert len((await client.get("Calls.json")).json()["Calls"]) == 2


async def test_the_clock_is_waited_for(application: Application) -> None:
    """14 s of a Gather and more, at 100 to a real one: no request comes before its time."""
    after = Passthru(url=application.url + "/after")
    start = Gather(text="x", wait=3, repeat=2, otherwise=after)
    async with Emulator(speed=100, flows=[Flow(926, start=start)]) as emulator:
        emulator.exophone_flows[EXOPHONE] = 926
        started = time.monotonic()
        call = await emulator.incoming_call(CUSTOMER, EXOPHONE)
        await call.over()
        assert time.monotonic() - started >= 0.11
        assert call.age >= call.timeline.ended == 12
        (exchange,) = call.transcript.exchanges
        assert exchange.at == 12


async def test_over_waits_for_plain_calls_too() -> None:
    async with Emulator(speed=400, scenario=Scenario.all_answered()) as emulator:
        async with client_of(emulator) as client:
            call = emulator.calls[await dial(client)]
        await call.over()
        assert call.age >= 40
        await call.over()


@pytest.mark.slow(1)
async def test_what_an_answer_takes_costs_no_time_but_a_time_out_does(
    application: Application,
) -> None:
    """At a thousand seconds to each real one, or lengths would be a matter of luck."""
    slow = Passthru(url=application("/slow", Reply(delay=0.1)), ok=Greeting(text="x"))
    start = Passthru(url=application("/late", Reply(delay=3.0)), otherwise=slow)
    async with Emulator(speed=1000, flows=[Flow(926, start=start)]) as emulator:
        emulator.exophone_flows[EXOPHONE] = 926
        emulator.flow_settings.timeout = 1.0
        call = await emulator.incoming_call(CUSTOMER, EXOPHONE)
        await call.over()
        assert call.timeline.ended == 1.0 + 1


@pytest.mark.parametrize(
    ("limit", "step", "duration"),
    [("8", "Connect", 8), ("20", "Connect", 20), ("6", "Greeting", 6)],
)
async def test_the_time_limit_ends_a_flow(
    emulator: Emulator,
    client: httpx.AsyncClient,
    application: Application,
    limit: str,
    step: str,
    duration: int,
) -> None:
    """Answered at 5, greeted until 7, an agent answers at 12."""
    events = application.url + "/events"
    connect = Connect(numbers=[AGENT], record=True, events_url=events, then=Passthru(url=events))
    emulator.flows = [Flow(926, start=Greeting(text="x" * 30, then=connect))]
    sid = await dial(client, Url=FLOW_URL, TimeLimit=limit)
    await emulator.finish_calls()
    call = emulator.calls[sid]
    assert call.transcript.path[-1] == (step, None)
    assert (call.timeline.duration, call.channels) == (duration, 1)
    assert "time limit" in str(call.transcript)
    if limit == "20":
        assert call.recording is not None
        assert (call.recording.seconds, call.timeline.talked) == (8, 8)
        assert application.asked[-1].query["EventType"] == "Terminal"
        assert call.transcript.step("Connect").notes[-1] == "they talked for 8 s"
    if limit == "8":
        assert call.legs()[1].status == "canceled"
        assert [asked.query["Status"] for asked in application.asked] == ["busy", "free"]


async def test_no_call_lasts_longer_than_four_hours(emulator: Emulator) -> None:
    start = Menu(name="m", text="x", keys={}, wait=1000, otherwise="m")
    call = await call_in(emulator, start)
    assert call.timeline.duration == 14_400


async def outcome(seed: int) -> list[object]:
    """What becomes of six calls whose agents and callers are drawn, their SIDs aside."""
    async with Emulator(
        seed=seed, flows=[Flow(926, start=Connect(numbers=[AGENT, "09812300009"]))]
    ) as emulator:
        emulator.exophone_flows[EXOPHONE] = 926
        calls = [await emulator.incoming_call(f"098123000{n}", EXOPHONE) for n in range(10, 16)]
        await emulator.finish_calls()
        return [(c.timeline, str(c.transcript).splitlines()[1:]) for c in calls]


async def test_the_seed_decides() -> None:
    first = await outcome(1)
    assert await outcome(1) == first
    assert await outcome(2) != first


async def test_finish_does_not_wait_for_calls_that_begin_meanwhile(emulator: Emulator) -> None:
    emulator.flows = [LISTENING]
    emulator.exophone_flows[EXOPHONE] = 926
    first = await emulator.incoming_call(CUSTOMER, EXOPHONE)
    finishing = asyncio.create_task(emulator.finish_calls())
    await asyncio.sleep(0)
    second = await emulator.incoming_call("09812300007", EXOPHONE)
    await finishing
    assert (first.ended, second.ended) == (True, False)
    await emulator.finish_calls()
    assert second.status == "completed"


async def test_finish_without_settling(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.flows = [HELLO]
    sid = await dial(client, Url=FLOW_URL)
    await emulator.finish_calls(settle=False)
    record = await shown(client, emulator.calls[sid])
    assert (record["Status"], record["Duration"]) == ("completed", None)


async def test_a_reset_ends_flows_where_they_are(
    emulator: Emulator, client: httpx.AsyncClient, application: Application
) -> None:
    start = Passthru(url=application("/slow", Reply(delay=30)))
    emulator.flows = [Flow(926, start=start)]
    sid = await dial(client, Url=FLOW_URL, StatusCallback=application.url + "/status")
    call = emulator.calls[sid]
    call.run_ahead(5)
    finishing = asyncio.create_task(emulator.finish_calls())
    await until(lambda: bool(application.at("/slow")))
    emulator.reset()
    await finishing
    await call.over()
    assert application.at("/status") == []
    assert not emulator.calls
    await emulator.finish_calls()


async def test_the_end_of_the_emulator_ends_flows_at_once(application: Application) -> None:
    """One waits for the clock, one for an answer, one tells what nobody waits for."""
    slow = application("/slow", Reply(delay=30))
    flows = [
        LISTENING,
        Flow(1, start=Passthru(url=slow)),
        Flow(2, start=Passthru(url=slow, sync=False)),
    ]
    exophones = ["08030000000", "08030000001", "08030000002"]
    assigned = dict(zip(exophones, (926, 1, 2), strict=True))
    async with Emulator(flows=flows, exophones=exophones, exophone_flows=assigned) as emulator:
        calls = [await emulator.incoming_call(CUSTOMER, exophone) for exophone in exophones]
        await until(lambda: len(application.at("/slow")) == 2)
        closing = time.monotonic()
    assert time.monotonic() - closing < SOON
    for call in calls:
        await call.over()
    assert [call.ended for call in calls] == [False, False, True]


async def test_a_forgotten_call_goes_on(emulator: Emulator, application: Application) -> None:
    emulator.flows = [
        Flow(926, start=Greeting(text="x", then=Passthru(url=application.url + "/x")))
    ]
    emulator.exophone_flows[EXOPHONE] = 926
    call = await emulator.incoming_call(CUSTOMER, EXOPHONE)
    emulator.forget(call.sid)
    assert emulator._book.channels() == 0, "the service knows nothing of it"
    await emulator.finish_calls()
    assert len(application.at("/x")) == 1


@pytest.mark.slow
async def test_many_flows_at_once(application: Application) -> None:
    """200 calls of three requests each."""
    url = application.url
    start = Passthru(url=f"{url}/a", ok=Connect(numbers=[AGENT], then=Passthru(url=f"{url}/b")))
    async with Emulator(
        flows=[Flow(926, start=start)], scenario=Scenario.all_answered()
    ) as emulator:
        emulator.exophone_flows[EXOPHONE] = 926
        for number in range(200):
            await emulator.incoming_call(f"0981230{number:04}", EXOPHONE)
        await emulator.finish_calls()
    assert len(application.at("/b")) == 200
    assert emulator.statistics().calls == {"completed": 200}
