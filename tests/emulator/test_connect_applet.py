"""Connect: whom it rings and how, in all its forms; its three exits; dial events."""

from __future__ import annotations

import json as encoder
from typing import Any

import attrs
import httpx
import pytest

from exotel_async.emulator import (
    Behaviour,
    Caller,
    Connect,
    EmulatedCall,
    Emulator,
    Greeting,
    Hangup,
    Passthru,
    Scenario,
    Sms,
    Voicemail,
)
from exotel_async.webhooks import ConnectPlan
from tests.emulator.application import Application, Reply, json, text
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, branch, call_in

OTHER, THIRD = "09812300003", "09812300004"
NOBODY = "http://127.0.0.1:9/"
PATIENCE = 0.5
"""Real seconds a flow waits here for an answer."""


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """One that does not wait long for answers."""
    emulator.flow_settings.timeout = PATIENCE
    return emulator


def agents(emulator: Emulator, **does: Behaviour) -> None:
    """What the agents do, by name; anybody else answers after 5 s and talks for 30."""
    numbers = {
        {"agent": AGENT, "other": OTHER, "third": THIRD}[name]: b for name, b in does.items()
    }
    base = Scenario.all_answered()
    emulator.scenario = Scenario(
        busy=0,
        no_answer=0,
        failed=0,
        second_busy=0,
        second_no_answer=0,
        second_failed=0,
        second_canceled=0,
        ring=base.ring,
        talk=base.talk,
        settle=base.settle,
        numbers=numbers,
    )


def three_exits(connect: Connect) -> Connect:
    """The same with an end at each exit."""
    return attrs.evolve(connect, then=Hangup(), no_answer=Hangup(), not_dialled=Hangup())


def rung(call: EmulatedCall) -> list[str]:
    """Whom it rang, in order."""
    notes = call.transcript.step("Connect").notes
    return [note.removeprefix("rings ") for note in notes if note.startswith("rings ")]


async def details(client: httpx.AsyncClient, call: EmulatedCall) -> dict[str, Any]:
    answer = await client.get(f"Calls/{call.sid}.json", params={"details": "true"})
    found: dict[str, Any] = answer.json()["Call"]["Details"]
    return found


async def test_somebody_answers(emulator: Emulator, client: httpx.AsyncClient) -> None:
    call = await call_in(emulator, three_exits(Connect(numbers=[AGENT, OTHER])))
    assert branch(call, "Connect") == "then"
    assert rung(call) == [AGENT]
    assert (call.timeline.ended, call.timeline.talked) == (35, 30)
    assert (emulator.rung(AGENT), emulator.rung(OTHER)) == (1, 0)
    assert await details(client, call) == {
        "ConversationDuration": 30,
        "Leg1Status": "completed",
        "Leg2Status": "completed",
        "Legs": [
            {"Leg": {"Id": 1, "OnCallDuration": 35}},
            {"Leg": {"Id": 2, "OnCallDuration": 30}},
        ],
    }


@pytest.mark.parametrize("outcome", ["busy", "no-answer", "failed"])
async def test_nobody_answers(emulator: Emulator, client: httpx.AsyncClient, outcome: str) -> None:
    agents(emulator, agent=Behaviour(outcome), other=Behaviour(outcome))
    call = await call_in(emulator, three_exits(Connect(numbers=[AGENT, OTHER], ring_limit=20)))
    assert branch(call, "Connect") == "no_answer"
    assert rung(call) == [AGENT, OTHER]
    assert call.timeline.ended == (40 if outcome == "no-answer" else 10)
    found = await details(client, call)
    assert (found["ConversationDuration"], found["Leg2Status"]) == (0, outcome)
    assert call.status == "completed"


async def test_nobody_to_dial(emulator: Emulator, client: httpx.AsyncClient) -> None:
    call = await call_in(emulator, three_exits(Connect()))
    assert branch(call, "Connect") == "not_dialled"
    assert (await details(client, call))["Leg2Status"] is None


async def test_the_second_agent_answers(emulator: Emulator) -> None:
    agents(emulator, agent=Behaviour("busy", ring=2))
    call = await call_in(emulator, three_exits(Connect(numbers=[AGENT, OTHER])))
    assert branch(call, "Connect") == "then"
    assert rung(call) == [AGENT, OTHER]
    assert call.timeline.ended == 2 + 5 + 30


@pytest.mark.parametrize(
    ("answer", "separators", "numbers"),
    [
        (text(f"{AGENT}\n"), ",", [AGENT]),
        (Reply(200, "+919812300001", None), ",", ["+919812300001"]),
        (text(f"{AGENT}, {OTHER}"), ",", [AGENT, OTHER]),
        (text(f"{AGENT}\r\n{OTHER}\r\n"), ",\n", [AGENT, OTHER]),
        (json(f'"{AGENT}"'), ",", [AGENT]),
        (text(f"{AGENT};{OTHER}"), ";", [AGENT, OTHER]),
        (text(AGENT), "", [AGENT]),
        (text(f"{AGENT},{OTHER}"), "", []),
        (text(" \n"), ",", []),
        (text(""), "", []),
        (text("<html>"), ",", []),
        (text("nobody"), ",", []),
        (Reply(500, AGENT), ",", []),
        (Reply(302, AGENT), ",", []),
        (Reply(200, AGENT, delay=5.0), ",", []),
    ],
)
async def test_dial_whom(
    emulator: Emulator,
    application: Application,
    answer: Reply,
    separators: str,
    numbers: list[str],
) -> None:
    agents(emulator, agent=Behaviour("busy"))
    emulator.flow_settings.dial_whom_separators = list(separators)
    url = application("/whom", answer)
    call = await call_in(emulator, three_exits(Connect(dial_whom_url=url)))
    assert rung(call) == numbers
    assert (branch(call, "Connect") == "not_dialled") is not bool(numbers)
    assert "exotel-version" not in application.only("/whom").headers


PLAN: dict[str, Any] = {
    "fetch_after_attempt": False,
    "destination": {"numbers": ["+919812300001", "+919812300003"]},
    "outgoing_phone_number": "+918030000009",
    "record": True,
    "recording_channels": "dual",
    "max_ringing_duration": 45,
    "max_conversation_duration": 12,
    "music_on_hold": {"type": "operator_tone"},
    "start_call_playback": {"playback_to": "both", "type": "text", "value": "Connecting you"},
    "parallel_ringing": {"activate": True, "max_parallel_attempts": 2},
}


def plan(**fields: object) -> str:
    """A plan in JSON; None takes a field out."""
    return encoder.dumps({k: v for k, v in (PLAN | fields).items() if v is not None})


async def test_a_dynamic_url(
    emulator: Emulator, application: Application, client: httpx.AsyncClient
) -> None:
    """All the fields of VOICE_V1 7.3b do what they say."""
    agents(emulator, agent=Behaviour("no-answer"), other=Behaviour(ring=40, talk=60))
    url = application("/connect", json(plan(dial_passthru_event_url=application.url + "/events")))
    after = Passthru(url=application.url + "/after")
    call = await call_in(emulator, Connect(url=url, then=after))
    assert application.only("/connect").headers["exotel-version"] == "1.0"
    assert call.timeline.ended == 40 + 1 + 12, "ringing, playback, conversation"
    query = application.only("/after").query
    assert query["OutgoingPhoneNumber"] == "08030000009"
    legs = [
        [query[f"Legs[{n}][{key}]"] for key in ("Number", "CallerId", "OnCallDuration", "Cause")]
        for n in (0, 1)
    ]
    assert legs == [[AGENT, "08030000009", "0", "1003"], [OTHER, "08030000009", "13", "16"]]
    assert (query["DialWhomNumber"], query["DialCallStatus"]) == (OTHER, "completed")
    assert query["DialCallDuration"] == "53"
    assert (await client.get(query["RecordingUrl"])).content == emulator.recording(call.sid)
    assert call.recording is not None
    assert call.recording.seconds == 12
    assert len(application.at("/events")) == 5


@pytest.mark.parametrize(
    "body",
    [
        '{"destination":{"numbers":["09812300001"]}}',
        '{"destination":{"numbers":["09812300001"]},"sticky_agent":true,"distribute_calls":"equally"}',
        plan(start_call_playback={"type": "audio_url", "value": "http://x/a.wav"}),
        plan(parallel_ringing={"activate": False, "max_parallel_attempts": 9}),
        plan(parallel_ringing={}, recording_channels="single", max_ringing_duration=0),
        plan(music_on_hold={"type": "default_tone", "value": "http://x/a.wav"}),
        plan(destination={"trunk": "trmum1", "custom_params": "a=1&b=2"}),
        plan(destination={"numbers": ["sip:agent@example.com"]}),
        '{"destination":[{"contact_uri":"sip:agent7f3a"}]}',
        plan(destination=[{"contact_uri": "sip:a@example.com"}, {"contact_uri": "sip:b"}]),
    ],
)
async def test_plans_that_can_be_read(
    emulator: Emulator, application: Application, body: str
) -> None:
    """Whatever content type they come with."""
    url = application("/connect", Reply(200, body, "text/plain"))
    fallback = application("/fallback", Reply(500))
    call = await call_in(emulator, three_exits(Connect(url=url, fallback_url=fallback)))
    assert branch(call, "Connect") in {"then", "no_answer"}
    assert application.at("/fallback") == []


async def test_an_empty_plan_dials_nobody_and_is_no_failure(
    emulator: Emulator, application: Application
) -> None:
    url = application("/connect", json('{"destination":{"numbers":[]}}'))
    fallback = application("/fallback", json(plan()))
    call = await call_in(emulator, three_exits(Connect(url=url, fallback_url=fallback)))
    assert branch(call, "Connect") == "not_dialled"
    assert application.at("/fallback") == []


BAD_PLANS: dict[str, Reply] = {
    **{f"status {status}": Reply(status, plan()) for status in (201, 302, 404, 500)},
    "late": Reply(200, plan(), delay=5.0),
    "empty": json(""),
    "html": Reply(200, "<html>"),
    "list": json("[]"),
    "half": json(plan()[:50]),
    "deep": json("[" * 100_000),
    "no destination": json(plan(destination=None)),
    "no numbers": json(plan(destination={})),
    "numbers bare": json(plan(destination={"numbers": AGENT})),
    "numbers as numbers": json(plan(destination={"numbers": [9812300001]})),
    "not a number": json(plan(destination={"numbers": ["nobody"]})),
    "destination bare": json(plan(destination=AGENT)),
    "contact that is a number": json(plan(destination=[{"contact_uri": AGENT}])),
    "contact with another key": json(plan(destination=[{"contact_uri": "sip:a", "name": "A"}])),
    "contact without its key": json(plan(destination=[{"number": "sip:a"}])),
    "contact bare": json(plan(destination=["sip:agent7f3a"])),
    "text for whole": json(plan(max_ringing_duration="45")),
    "true for whole": json(plan(max_conversation_duration=True)),
    "below 0": json(plan(max_conversation_duration=-1)),
    "text for true": json(plan(record="true")),
    "one for true": json(plan(fetch_after_attempt=1)),
    "channels": json(plan(recording_channels="stereo")),
    "playback to": json(
        plan(start_call_playback={**PLAN["start_call_playback"], "playback_to": "x"})
    ),
    "playback type": json(plan(start_call_playback={"type": "file", "value": "x"})),
    "playback without value": json(plan(start_call_playback={"type": "text"})),
    "parallel": json(plan(parallel_ringing=2)),
    "music": json(plan(music_on_hold="operator_tone")),
    "number as number": json(plan(outgoing_phone_number=1)),
    "url as number": json(plan(dial_passthru_event_url=1)),
}


@pytest.mark.slow(3)
@pytest.mark.parametrize("why", [*BAD_PLANS, "unreachable", "type"])
async def test_a_bad_plan_has_the_fallback_asked(
    emulator: Emulator, application: Application, why: str
) -> None:
    """And when that is bad too nobody is dialled."""
    emulator.flow_settings.json_type = why == "type"
    url = application("/connect", BAD_PLANS.get(why, Reply(200, plan(), "text/plain")))
    url = NOBODY if why == "unreachable" else url
    good = json('{"destination":{"numbers":["09812300003"]}}')
    fallback = application("/fallback", good)
    call = await call_in(emulator, three_exits(Connect(url=url, fallback_url=fallback)))
    assert (rung(call), branch(call, "Connect")) == ([OTHER], "then")
    assert application.only("/fallback").headers["exotel-version"] == "1.0"
    for applet in (Connect(url=url, fallback_url=url), Connect(url=url)):
        call = await call_in(emulator, three_exits(applet))
        assert (rung(call), branch(call, "Connect")) == ([], "not_dialled")


async def test_fetch_after_attempt(emulator: Emulator, application: Application) -> None:
    """Each attempt is one number of a fresh plan; its later ones are not rung."""
    agents(emulator, agent=Behaviour("busy"), other=Behaviour("busy"))

    def one(*numbers: str) -> Reply:
        return json(
            plan(destination={"numbers": numbers}, fetch_after_attempt=True, parallel_ringing=None)
        )

    url = application("/connect", one(AGENT, THIRD), one(OTHER), one(THIRD))
    call = await call_in(emulator, three_exits(Connect(url=url)))
    assert (rung(call), branch(call, "Connect")) == ([AGENT, OTHER, THIRD], "then")
    queries = [asked.query for asked in application.at("/connect")]
    assert [query.get("DialCallStatus") for query in queries] == [None, "busy", "busy"]
    assert [query["DialWhomNumber"] for query in queries] == ["", AGENT, OTHER]


@pytest.mark.parametrize("last", [json(plan(destination={"numbers": []})), Reply(500)])
async def test_fetch_after_attempt_until_there_is_nobody(
    emulator: Emulator, application: Application, last: Reply
) -> None:
    """Somebody was dialled, so that it is "nobody answers"."""
    agents(emulator, agent=Behaviour("busy"))
    first = json(plan(destination={"numbers": [AGENT]}, fetch_after_attempt=True))
    url = application("/connect", first, last)
    call = await call_in(emulator, three_exits(Connect(url=url)))
    assert (rung(call), branch(call, "Connect")) == ([AGENT], "no_answer")
    assert len(application.at("/connect")) == 2


async def test_fetch_after_attempt_without_end(
    emulator: Emulator, application: Application
) -> None:
    agents(emulator, agent=Behaviour("busy", ring=0))
    emulator.flow_settings.max_steps = 10
    url = application(
        "/connect", json(plan(destination={"numbers": [AGENT]}, fetch_after_attempt=True))
    )
    call = await call_in(emulator, Connect(url=url))
    assert emulator.rung(AGENT) == 9
    assert "ended after 10 steps" in str(call.transcript)


def outcomes(application: Application) -> list[tuple[str, str]]:
    """What `/after` was told of the legs: number and cause."""
    query = application.at("/after")[-1].query
    found: list[tuple[str, str]] = []
    while (number := query.get(f"Legs[{len(found)}][Number]")) is not None:
        found.append((number, query[f"Legs[{len(found)}][CauseCode]"]))
    return found


async def test_parallel_ringing(emulator: Emulator, application: Application) -> None:
    """The first to answer has the call; the others' phones stop."""
    agents(
        emulator, agent=Behaviour(ring=9), other=Behaviour("busy", ring=2), third=Behaviour(ring=7)
    )
    numbers = [AGENT, OTHER, THIRD, "09812300005"]
    after = Passthru(url=application.url + "/after")
    call = await call_in(emulator, Connect(numbers=numbers, parallel=3, then=after))
    assert rung(call) == [AGENT, OTHER, THIRD]
    assert outcomes(application) == [
        (AGENT, "RING_TIMEOUT"),
        (OTHER, "USER_BUSY"),
        (THIRD, "NORMAL_CLEARING"),
    ]
    assert call.timeline.ended == 7 + 30
    emulator.flow_settings.parallel_cap = 1
    call = await call_in(emulator, Connect(numbers=numbers, parallel=3, then=after))
    assert rung(call) == [AGENT]


async def test_parallel_ringing_goes_on_with_the_next_ones(emulator: Emulator) -> None:
    agents(emulator, agent=Behaviour("busy", ring=3), other=Behaviour("no-answer", ring=8))
    numbers = [AGENT, OTHER, THIRD]
    call = await call_in(emulator, three_exits(Connect(numbers=numbers, parallel=2)))
    assert (branch(call, "Connect"), call.timeline.ended) == ("then", 8 + 5 + 30)


def told(application: Application) -> list[tuple[str, ...]]:
    """The dial events: what happened to whom, and what they are now."""
    names = ("EventType", "DialWhomNumber", "Status")
    return [tuple(asked.query[name] for name in names) for asked in application.at("/events")]


async def test_dial_events(emulator: Emulator, application: Application) -> None:
    """`Status` is what the agent is, not what the call is."""
    agents(emulator, agent=Behaviour("no-answer"))
    events = application.url + "/events"
    after = Passthru(url=application.url + "/after")
    await call_in(emulator, Connect(numbers=[AGENT, OTHER], events_url=events, then=after))
    assert told(application) == [
        ("Dial", AGENT, "busy"),
        ("Terminal", AGENT, "free"),
        ("Dial", OTHER, "busy"),
        ("Answered", OTHER, "busy"),
        ("Terminal", OTHER, "free"),
    ]
    assert {asked.method for asked in application.asked} == {"GET"}
    assert application.asked[-1].path == "/after", "they have all come before"


@pytest.mark.slow
@pytest.mark.parametrize("reply", [Reply(500), Reply(200, delay=5.0)])
async def test_answers_to_dial_events_change_nothing(
    emulator: Emulator, application: Application, reply: Reply
) -> None:
    events = application("/events", reply)
    call = await call_in(emulator, three_exits(Connect(numbers=[AGENT], events_url=events)))
    assert (branch(call, "Connect"), call.timeline.ended) == ("then", 35)
    assert len(application.at("/events")) == 3


WHISPER = '{"playback_to":"callee","type":"text","value":"A customer"}'


@pytest.mark.parametrize("body", [WHISPER, f'{{"start_call_playback":{WHISPER}}}'])
async def test_a_whisper(emulator: Emulator, application: Application, body: str) -> None:
    """HEAD first; to the agent who has answered."""
    agents(emulator, agent=Behaviour("busy"))
    url = application("/whisper", json(body))
    numbers = [AGENT, OTHER]
    call = await call_in(emulator, three_exits(Connect(numbers=numbers, whisper_url=url)))
    assert [asked.method for asked in application.asked] == ["HEAD", "GET"]
    assert {asked.query["DialWhomNumber"] for asked in application.asked} == {OTHER}
    assert "says 'A customer'" in call.transcript.step("Connect").notes
    assert (call.timeline.ended, call.timeline.talked) == (5 + 5 + 1 + 30, 30)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, WHISPER, "text/html"),
        Reply(500, WHISPER, "application/json"),
        Reply(200, WHISPER, "application/json", delay=5.0),
        json(""),
        json("{}"),
        json('{"type":"text"}'),
        json('{"type":"text","value":1}'),
    ],
)
async def test_a_bad_whisper_is_left_out(
    emulator: Emulator, application: Application, reply: Reply
) -> None:
    url = application("/whisper", reply)
    call = await call_in(emulator, three_exits(Connect(numbers=[AGENT], whisper_url=url)))
    assert branch(call, "Connect") == "then"
    assert call.timeline.talked == 30
    assert not any(note.startswith("says") for note in call.transcript.step("Connect").notes)


@pytest.mark.parametrize(
    ("does", "cause"),
    [
        (Behaviour(), ("NORMAL_CLEARING", "16")),
        (Behaviour("no-answer"), ("RING_TIMEOUT", "1003")),
        (Behaviour("no-answer", ring=9), ("NO_ANSWER", "19")),
        (Behaviour(ring=31), ("RING_TIMEOUT", "1003")),
        (Behaviour("busy"), ("USER_BUSY", "17")),
        (Behaviour("failed"), ("CALL_REJECTED", "21")),
        (Behaviour("canceled"), ("RING_TIMEOUT", "1003")),
    ],
)
async def test_causes(
    emulator: Emulator, application: Application, does: Behaviour, cause: tuple[str, str]
) -> None:
    agents(emulator, agent=does)
    after = Passthru(name="after", url=application.url + "/after")
    await call_in(emulator, Connect(numbers=[AGENT], then="after", no_answer=after))
    query = application.only("/after").query
    assert (query["Legs[0][CauseCode]"], query["Legs[0][Cause]"]) == cause


@pytest.mark.parametrize(
    ("caller", "seconds"),
    [
        (Caller(patience=12), 12),
        (Caller(patience=0), 0),
        (Caller(hangs_up_at="Connect"), 0),
        (Caller(patience=60), 60),
        (Caller(patience=61), None),
    ],
)
async def test_the_caller_leaves_while_phones_ring(
    emulator: Emulator, application: Application, caller: Caller, seconds: int | None
) -> None:
    """The flow goes on with what needs no caller."""
    agents(emulator, agent=Behaviour("no-answer"), other=Behaviour("no-answer"))
    sorry = Greeting(text="Sorry", then=Hangup())
    after = Passthru(url=application.url + "/after", ok=Sms(text="Sorry", then=sorry))
    call = await call_in(emulator, Connect(numbers=[AGENT, OTHER], no_answer=after), caller)
    query = application.only("/after").query
    told = query["CallType"], query["DialCallStatus"], query["DialCallDuration"]
    if seconds is None:
        assert told == ("incomplete", "no-answer", "0")
        assert [name for name, _ in call.transcript.path][-2:] == ["Greeting", "Hangup"]
        return
    assert told == ("client-hangup", "canceled" if seconds != 60 else "no-answer", "0")
    assert call.timeline.ended == seconds
    assert call.transcript.path[-1] == ("Sms", "then")
    assert len(emulator.sms) == 1
    assert "ended by the caller" in str(call.transcript)


async def test_an_agent_drawn_as_canceled_is_one_whose_caller_leaves(
    emulator: Emulator, application: Application
) -> None:
    agents(emulator, agent=Behaviour("canceled", ring=4))
    after = Passthru(url=application.url + "/after")
    call = await call_in(emulator, Connect(numbers=[AGENT, OTHER], no_answer=after))
    assert application.only("/after").query["CallType"] == "client-hangup"
    assert (rung(call), call.timeline.ended) == ([AGENT], 4)


@pytest.mark.parametrize(("talk", "who"), [(10, "Caller"), (30, "Callee"), (60, "Callee")])
async def test_who_ends_the_conversation(
    emulator: Emulator, application: Application, talk: int, who: str
) -> None:
    """An agent who does leaves a caller for the rest of the flow."""
    emulator.flow_settings.call_status = True
    emulator.flow_settings.disconnected_by = ("Caller", "Callee")
    after = Passthru(url=application.url + "/after", ok=Greeting(text="Rate us"))
    call = await call_in(emulator, Connect(numbers=[AGENT], then=after), Caller(talk=talk))
    query = application.only("/after").query
    assert query["Legs[0][DisconnectedBy]"] == who
    assert (query["CallType"], query["DialCallStatus"]) == ("completed", "completed")
    assert query["CallStatus"] == ("completed" if who == "Caller" else "in-progress")
    assert call.timeline.talked == min(talk, 30)
    assert (call.transcript.path[-1][0] == "Greeting") is (who == "Callee")


async def test_a_flow_may_stop_with_its_caller(
    emulator: Emulator, application: Application
) -> None:
    emulator.flow_settings.after_hangup = "stop"
    after = Passthru(url=application.url + "/after")
    call = await call_in(emulator, Connect(numbers=[AGENT], then=after), Caller(talk=3))
    assert application.asked == []
    assert call.transcript.path == [("Connect", "then")]


async def test_two_conversations_and_their_recordings(
    emulator: Emulator, application: Application, client: httpx.AsyncClient
) -> None:
    """The record tells of the last leg, and of all the talking."""
    agents(emulator, other=Behaviour(talk=10), third=Behaviour("busy"))
    third = Connect(numbers=[THIRD], no_answer=Passthru(url=application.url + "/third"))
    second = Connect(numbers=[OTHER], record=True, then=third)
    first = Connect(numbers=[AGENT], record=True, then=second)
    call = await call_in(emulator, first)
    assert [(r.file, r.seconds) for r in call.recordings] == [
        (f"{call.sid}.mp3", 30),
        (f"{call.sid}-2.mp3", 10),
    ]
    found = await details(client, call)
    assert (found["ConversationDuration"], found["Leg2Status"]) == (40, "busy")
    query = application.only("/third").query
    assert query["DialCallStatus"] == "busy"
    base = query["RecordingUrl"].removesuffix("-2.mp3")
    for url, seconds in ((f"{base}.mp3", 30), (f"{base}-2.mp3", 10)):
        audio = (await client.get(url)).content
        assert abs(len(audio) / 36 * 576 / 16_000 - seconds) < 0.1
    assert (await client.get(f"{base}-3.mp3")).status_code == 404


async def test_a_later_connect_that_dials_nobody_tells_of_none(
    emulator: Emulator, application: Application
) -> None:
    after = Passthru(url=application.url + "/after")
    await call_in(emulator, Connect(numbers=[AGENT], then=Connect(not_dialled=after)))
    query = application.only("/after").query
    assert "DialCallStatus" not in query
    assert "Legs[0][Number]" not in query
    assert query["DialWhomNumber"] == ""


async def test_sip_destinations_may_be_dropped(
    emulator: Emulator, application: Application
) -> None:
    sip = "sip:agent@example.com"
    url = application(
        "/connect", json(plan(destination={"numbers": [sip, AGENT]}, parallel_ringing=None))
    )
    call = await call_in(emulator, Connect(url=url))
    assert rung(call) == [sip]
    emulator.flow_settings.sip_agents = False
    call = await call_in(emulator, Connect(url=url))
    assert rung(call) == [AGENT]
    call = await call_in(emulator, three_exits(Connect(numbers=[sip])))
    assert branch(call, "Connect") == "not_dialled"


async def test_agents_by_their_contact_are_always_rung(
    emulator: Emulator, application: Application
) -> None:
    """What the SDK writes is what this reads, and the second is rung when the first is busy."""
    one, other = "sip:agent7f3a", "sip:agent8b2c"
    emulator.scenario = attrs.evolve(emulator.scenario, numbers={one: Behaviour("busy")})
    emulator.flow_settings.sip_agents = False
    answer = ConnectPlan([one, other]).render().body.decode()
    call = await call_in(emulator, Connect(url=application("/connect", json(answer))))
    assert rung(call) == [one, other]
    assert (emulator.rung(one), emulator.rung(other)) == (1, 1)


async def test_legs_may_have_records_of_their_own(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    agents(emulator, agent=Behaviour("busy", ring=3))
    start = Connect(numbers=[AGENT, OTHER])
    alone = await call_in(emulator, start)
    emulator.flow_settings.child_legs = True
    parent = await call_in(emulator, start)
    listed = (await client.get("Calls.json?SortBy=DateCreated:asc")).json()["Calls"]
    assert {c["ParentCallSid"] for c in listed} == {None, parent.sid}
    assert {c["Direction"] for c in listed} == {"inbound"}
    children = [call for call in emulator.calls.values() if call.parent_sid is not None]
    assert {child.parent_sid for child in children} == {parent.sid} != {alone.sid}
    shown = [(await client.get(f"Calls/{c.sid}.json")).json()["Call"] for c in children]
    assert [(c["From"], c["To"], c["Status"], c["Duration"]) for c in shown] == [
        (CUSTOMER, AGENT, "busy", "3"),
        (CUSTOMER, OTHER, "completed", "35"),
    ]
    assert emulator.rung(AGENT) == 2, "once in each call"


async def test_voicemail_after_nobody_answered(
    emulator: Emulator, application: Application
) -> None:
    """The usual flow of a small office."""
    agents(emulator, agent=Behaviour("no-answer"))
    mail = Voicemail(text="Speak", then=Passthru(url=application.url + "/mail"))
    start = Connect(numbers=[AGENT], no_answer=mail, not_dialled=mail)
    await call_in(emulator, start, Caller(speaks=9))
    query = application.only("/mail").query
    assert (query["CallType"], query["DialCallStatus"]) == ("voicemail", "no-answer")
    assert "RecordingUrl" in query


async def test_the_exophone_is_what_agents_see(
    emulator: Emulator, application: Application
) -> None:
    after = Passthru(url=application.url + "/after")
    await call_in(emulator, Connect(numbers=[AGENT], then=after))
    query = application.only("/after").query
    assert query["Legs[0][CallerId]"] == query["OutgoingPhoneNumber"] == EXOPHONE
