"""Calls without a flow of which people play a party: answer, reject, hang up, or do nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextlib import suppress
from random import Random

import httpx
import pytest

from exotel_async.emulator import Behaviour, Dial, EmulatedCall, Emulator, Phone, Scenario
from exotel_async.emulator.settings import is_manual
from tests.conftest import TLS
from tests.emulator.application import Application
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, TWO_NUMBERS, client_of, dial

BOTH = [AGENT, "+91" + CUSTOMER[1:]]
EVENTS = {
    "StatusCallbackEvents[0]": "terminal",
    "StatusCallbackEvents[1]": "answered",
    "StatusCallbackContentType": "application/json",
}
STREAM = {
    "From": AGENT,
    "CallerId": EXOPHONE,
    "StreamUrl": "wss://bot.example/media",
    "StreamType": "bidirectional",
}


def shown(emulator: Emulator, sid: str) -> list[tuple[str, str, bool]]:
    """Who they are, how they stand, and whether people play them."""
    return [(phone.role, phone.state, phone.manual) for phone in emulator.phones(sid)]


def legs(call: EmulatedCall) -> tuple[str | None, str | None]:
    """How both stand."""
    first, second = call.legs()
    return first.status, second.status


def told(emulator: Emulator) -> list[tuple[object, object]]:
    """The callbacks there were: the event, and how the legs stood."""
    return [
        (sent.document["EventType"], [leg["Status"] for leg in sent.document["Legs"]])  # type: ignore[attr-defined]
        for sent in emulator.callbacks
    ]


async def test_both_parties(
    emulator: Emulator, client: httpx.AsyncClient, application: Application
) -> None:
    emulator.manual, emulator.channels = BOTH, 2
    sid = await dial(client, StatusCallback=application.url + "/status", Record="true", **EVENTS)
    call = emulator.calls[sid]
    (phone,) = emulator.phones(sid)
    assert phone == Phone(
        number=AGENT, role="first", state="ringing", manual=True, hears=None, waits_for=None
    )
    assert (call.status, legs(call)) == ("in-progress", (None, None))
    assert (emulator.rung(AGENT), emulator.rung(CUSTOMER)) == (1, 0)
    emulator.answer(sid, AGENT)
    assert legs(call) == ("in-progress", None)
    assert shown(emulator, sid) == [("first", "connected", True), ("second", "ringing", True)]
    emulator.answer(sid, "+91" + CUSTOMER[1:])
    assert legs(call) == ("in-progress", "in-progress")
    assert shown(emulator, sid) == [("first", "connected", True), ("second", "connected", True)]
    full = await client.post(
        "Calls/connect.json", data={"From": AGENT, "To": CUSTOMER, "CallerId": EXOPHONE}
    )
    assert full.status_code == 402
    details = await client.get(f"Calls/{sid}.json", params={"details": "true"})
    assert details.json()["Call"]["Status"] == "in-progress"
    recording = await client.get(f"{emulator.base_url}/exotelrecordings/acme1/{sid}.mp3")
    assert recording.status_code == 404
    emulator.hang_up(sid, CUSTOMER)
    assert (call.status, legs(call)) == ("completed", ("completed", "completed"))
    assert shown(emulator, sid) == [("first", "ended", True), ("second", "ended", True)]
    await call.over()
    await emulator.finish_calls()
    assert told(emulator) == [
        ("answered", ["in-progress", None]),
        ("answered", ["in-progress", "in-progress"]),
        ("terminal", ["completed", "completed"]),
    ]
    assert (emulator.rung(AGENT), emulator.rung(CUSTOMER)) == (1, 1)
    emulator.manual = ()
    await dial(client)


@pytest.mark.parametrize(
    ("play", "ended", "channels"),
    [
        (lambda e, sid: e.reject(sid, AGENT), ("busy", None), ["terminal"]),
        (
            lambda e, sid: (e.answer(sid, AGENT), e.reject(sid, CUSTOMER)),
            ("completed", "busy"),
            ["answered", "terminal"],
        ),
        (
            lambda e, sid: (e.answer(sid, AGENT), e.hang_up(sid, AGENT)),
            ("completed", "canceled"),
            ["answered", "terminal"],
        ),
        (
            lambda e, sid: (e.answer(sid, AGENT), e.answer(sid, CUSTOMER), e.hang_up(sid, AGENT)),
            ("completed", "completed"),
            ["answered", "answered", "terminal"],
        ),
    ],
    ids=["rejected", "second rejected", "left while the second rang", "first hangs up"],
)
async def test_how_it_ends(
    emulator: Emulator,
    client: httpx.AsyncClient,
    application: Application,
    play: Callable[[Emulator, str], object],
    ended: tuple[str, str | None],
    channels: list[str],
) -> None:
    emulator.manual = "*"
    sid = await dial(client, StatusCallback=application.url + "/status", **EVENTS)
    play(emulator, sid)
    call = emulator.calls[sid]
    assert call.ended
    assert legs(call) == ended
    await call.over()
    await emulator.finish_calls()
    assert [event for event, _ in told(emulator)] == channels
    record = (await client.get(f"Calls/{sid}.json")).json()["Call"]
    assert (record["Duration"], record["Status"]) == ("0", call.timeline.status.value)


@pytest.mark.parametrize(
    ("parameters", "first", "seconds", "ended"),
    [
        ({"TimeOut": "20"}, "ringing", 20, ("no-answer", None)),
        ({}, "ringing", 30, ("no-answer", None)),
        ({"TimeLimit": "12"}, "ringing", 12, ("no-answer", None)),
        ({"TimeOut": "20"}, "connected", 20, ("completed", "no-answer")),
        ({"TimeLimit": "12"}, "connected", 12, ("completed", "canceled")),
        ({"TimeLimit": "12"}, "talking", 12, ("completed", "completed")),
    ],
)
async def test_limits_hold_by_the_clock(
    parameters: dict[str, str], first: str, seconds: int, ended: tuple[str, str | None]
) -> None:
    """Nobody acts any more, and the clock ends it."""
    async with Emulator(speed=200, manual="*") as emulator, client_of(emulator) as client:
        sid = await dial(client, **parameters)
        if first != "ringing":
            emulator.answer(sid, AGENT)
        if first == "talking":
            emulator.answer(sid, CUSTOMER)
        call = emulator.calls[sid]
        answered = call.timeline.answered or 0.0
        assert not call.ended
        await call.over()
        assert legs(call) == ended
        begins = answered if "TimeOut" in parameters else 0.0
        assert call.timeline.ended == begins + seconds


async def test_a_person_and_the_scenario(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """Who is not played by hand does as the scenario has it, after 5 s and for 30 s."""
    emulator.manual = [AGENT]
    sid = await dial(client)
    emulator.answer(sid, AGENT)
    assert shown(emulator, sid) == [("first", "connected", True), ("second", "ringing", False)]
    with pytest.raises(ValueError, match="`manual` does not have"):
        emulator.answer(sid, CUSTOMER)
    await emulator.finish_calls()
    line = emulator.calls[sid].timeline
    assert line.answered is not None
    assert (line.bridged, line.ended) == (line.answered + 5, line.answered + 35)

    emulator.manual = [CUSTOMER]
    sid = await dial(client)
    assert shown(emulator, sid) == [("first", "ringing", False)]
    await emulator.finish_calls()
    line = emulator.calls[sid].timeline
    assert (line.answered, line.second, line.ended) == (5, "no-answer", 35)


@pytest.mark.parametrize("outcome", ["busy", "no-answer", "failed", "canceled"])
async def test_a_scenario_that_does_not_answer_a_person(
    emulator: Emulator, client: httpx.AsyncClient, outcome: str
) -> None:
    """Nobody is drawn to hang up for whom a person plays."""
    emulator.manual = [AGENT]
    emulator.scenario = Scenario(numbers={CUSTOMER: Behaviour(outcome, ring=4)})
    sid = await dial(client)
    emulator.answer(sid, AGENT)
    await emulator.finish_calls()
    told = "no-answer" if outcome == "canceled" else outcome
    assert legs(emulator.calls[sid]) == ("completed", told)

    emulator.manual = [CUSTOMER]
    emulator.scenario = Scenario(numbers={AGENT: Behaviour("busy", ring=4)})
    sid = await dial(client)
    await emulator.finish_calls()
    assert legs(emulator.calls[sid]) == ("busy", None)
    assert emulator.calls[sid].timeline.duration == 4


async def test_what_nobody_plays_is_over_when_calls_are_finished(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.manual = "*"
    sids = [await dial(client, From=f"0981230010{number}") for number in range(3)]
    for number in (1, 2):
        emulator.answer(sids[number], f"0981230010{number}")
    emulator.answer(sids[2], CUSTOMER)
    await emulator.finish_calls()
    assert [legs(emulator.calls[sid]) for sid in sids] == [
        ("no-answer", None),
        ("completed", "no-answer"),
        ("completed", "completed"),
    ]
    assert all(emulator.calls[sid].settled for sid in sids)
    assert emulator.calls[sids[2]].timeline.duration < 30


async def test_exotel_may_dial_again(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """Where `MaxRetries` is followed: a minute later, and only if nobody answered."""
    emulator.manual, emulator.default_max_retries = "*", 0
    sid = await dial(client, MaxRetries="2", TimeOut="10")
    await emulator.finish_calls()
    line = emulator.calls[sid].timeline
    assert [(attempt.at, attempt.outcome) for attempt in line.attempts] == [
        (0, "no-answer"),
        (70, "no-answer"),
        (140, "no-answer"),
    ]
    assert (line.ended, emulator.rung(AGENT)) == (150, 3)
    sid = await dial(client, MaxRetries="2")
    emulator.reject(sid, AGENT)
    assert emulator.calls[sid].status == "busy"
    # `TimeLimit` holds for each attempt, not for the pause.
    sid = await dial(client, MaxRetries="1", TimeLimit="5")
    await emulator.finish_calls()
    line = emulator.calls[sid].timeline
    assert ([attempt.at for attempt in line.attempts], line.ended) == ([0, 65], 70)


async def test_a_call_to_a_stream(
    emulator: Emulator, client: httpx.AsyncClient, application: Application
) -> None:
    emulator.manual = [AGENT]
    events = {**EVENTS, "StatusCallbackEvents[2]": "ringing"}
    form = {**STREAM, **events, "StatusCallback": application.url + "/status"}
    answer = await client.post("Calls/connect.json", data=form)
    sid = answer.json()["Call"]["Sid"]
    emulator.answer(sid, AGENT)
    assert shown(emulator, sid) == [("first", "connected", True)]
    emulator.hang_up(sid, AGENT)
    await emulator.finish_calls()
    assert told(emulator) == [
        ("ringing", [None]),
        ("answered", ["in-progress"]),
        ("terminal", ["completed"]),
    ]


async def test_a_flow_that_is_not_known_is_a_call_that_lasts_until_somebody_hangs_up(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.manual = [CUSTOMER]
    sid = await dial(client, Url="http://my.exotel.com/acme1/exoml/start_voice/1")
    emulator.answer(sid, CUSTOMER)
    with pytest.raises(ValueError, match="without a flow"):
        emulator.press(sid, "1")
    emulator.hang_up(sid, CUSTOMER)
    assert emulator.calls[sid].status == "completed"


async def test_what_a_phone_cannot_do(emulator: Emulator, client: httpx.AsyncClient) -> None:
    emulator.manual = "*"
    sid = await dial(client)
    with pytest.raises(KeyError):
        emulator.answer("unknown", AGENT)
    with pytest.raises(KeyError):
        emulator.phones("unknown")
    with pytest.raises(ValueError, match="number: it is not that of a phone") as raised:
        emulator.answer(sid, CUSTOMER)
    assert CUSTOMER[-4:] not in str(raised.value)
    with pytest.raises(ValueError, match="first party cannot hang up: the phone is ringing"):
        emulator.hang_up(sid, AGENT)
    emulator.answer(sid, AGENT)
    for act in (emulator.answer, emulator.reject):
        with pytest.raises(ValueError, match="the phone is connected, not ringing"):
            act(sid, AGENT)
    with pytest.raises(ValueError, match="the first party cannot press keys: only a flow"):
        emulator.press(sid, "1", number=AGENT)
    with pytest.raises(ValueError, match="without a flow"):
        emulator.speak(sid, 5)
    emulator.hang_up(sid, AGENT)
    with pytest.raises(ValueError, match="the phone is ended, not connected"):
        emulator.hang_up(sid, AGENT)
    assert AGENT not in repr(emulator.phones(sid))
    emulator.manual = ()
    sid = await dial(client)
    with pytest.raises(ValueError, match="no phone of that call is played by hand"):
        emulator.answer(sid, AGENT)
    with pytest.raises(ValueError, match="no phone of that call is played by hand"):
        await emulator.until_ringing(sid, AGENT)


async def test_what_is_waited_for_comes_or_the_call_ends(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.manual = "*"
    sids = [await dial(client) for _ in range(3)]
    waits = [asyncio.create_task(emulator.until_ringing(sid, CUSTOMER)) for sid in sids]
    await asyncio.sleep(0)
    emulator.answer(sids[0], AGENT)
    emulator.reject(sids[1], AGENT)
    assert await waits[0] == emulator.phones(sids[0])[1]
    with pytest.raises(ValueError, match="the call is over"):
        await waits[1]
    emulator.reset()
    with pytest.raises(ValueError, match="the call is over"):
        await waits[2]


def test_people_play_from_another_thread() -> None:
    with Emulator(manual="*") as emulator:
        url = f"{emulator.base_url}/v1/Accounts/acme1/Calls/connect.json"
        credentials = emulator.api_key, emulator.api_token
        answer = httpx.post(url, data=TWO_NUMBERS, auth=credentials, trust_env=False, verify=TLS)
        sid = answer.json()["Call"]["Sid"]
        emulator.answer(sid, AGENT)
        assert emulator.run(emulator.until_ringing(sid, CUSTOMER)).role == "second"
        emulator.reject(sid, CUSTOMER)
        emulator.run(emulator.calls[sid].over())
        assert legs(emulator.calls[sid]) == ("completed", "busy")


def test_whom_people_can_play() -> None:
    emulator = Emulator(manual=["+919812300001", "sip:agent7f3a"])
    assert is_manual(emulator, AGENT)
    assert is_manual(emulator, "sip:agent7f3a")
    assert not is_manual(emulator, CUSTOMER)
    emulator.manual = CUSTOMER
    assert is_manual(emulator, "+91" + CUSTOMER[1:])
    assert not is_manual(emulator, AGENT)
    with pytest.raises(ValueError, match="manual takes phone numbers and SIP addresses"):
        emulator.manual = ["98123 00001"]


async def test_two_phones_of_one_number(emulator: Emulator, client: httpx.AsyncClient) -> None:
    """Each is used as it can be."""
    emulator.manual = [AGENT]
    sid = await dial(client, To=AGENT)
    emulator.answer(sid, AGENT)
    emulator.answer(sid, AGENT)
    emulator.hang_up(sid, AGENT)
    assert legs(emulator.calls[sid]) == ("completed", "completed")


async def test_phones_of_calls_that_nobody_plays(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    sid = await dial(client)
    assert shown(emulator, sid) == [("first", "ringing", False)]
    call = emulator.calls[sid]
    call.run_ahead(7)
    assert shown(emulator, sid) == [("first", "connected", False), ("second", "ringing", False)]
    call.run_ahead(12)
    assert shown(emulator, sid) == [("first", "connected", False), ("second", "connected", False)]
    call.run_ahead(50)
    assert shown(emulator, sid) == [("first", "ended", False), ("second", "ended", False)]
    emulator.manual = [AGENT]
    added = emulator.add_call(Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE))
    assert shown(emulator, added.sid) == [("first", "ringing", False)]


async def test_the_first_party_hears_what_the_dial_says(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.manual = "*"
    sid = await dial(client, WaitUrl="https://app.example/wait.wav")
    emulator.answer(sid, AGENT)
    assert [phone.hears for phone in emulator.phones(sid)] == [
        "https://app.example/wait.wav",
        None,
    ]


@pytest.mark.parametrize("answered", [False, True])
async def test_a_reset_and_the_end_leave_nothing(
    emulator: Emulator, client: httpx.AsyncClient, *, answered: bool
) -> None:
    emulator.manual = "*"
    sid = await dial(client)
    if answered:
        emulator.answer(sid, AGENT)
    left = weakref.ref(emulator.calls[sid])
    emulator.reset()
    with pytest.raises(KeyError):
        emulator.answer(sid, AGENT)
    gc.collect()
    assert left() is None
    async with Emulator(manual="*") as other:
        async with client_of(other) as client_of_other:
            sid = await dial(client_of_other)
        call = other.calls[sid]
    with pytest.raises(ValueError, match="the phone is ended"):
        other.answer(sid, AGENT)
    assert not call.ended


async def test_whatever_people_do_the_call_adds_up(
    emulator: Emulator, client: httpx.AsyncClient, application: Application
) -> None:
    """Many calls, and any of what people can do, by chance: none of it breaks anything."""
    random, url = Random(7), application.url + "/status"
    for number in range(30):
        emulator.manual = random.choice([(AGENT,), (CUSTOMER,), (AGENT, CUSTOMER)])
        sid = await dial(client, StatusCallback=url, TimeLimit=str(40 + number), **EVENTS)
        for _ in range(4):
            with suppress(ValueError):
                act = random.choice([emulator.answer, emulator.reject, emulator.hang_up])
                act(sid, random.choice([AGENT, CUSTOMER]))
    await emulator.finish_calls()
    emulator.channels, emulator.manual = 2, ()
    await dial(client)
    for sid, call in list(emulator.calls.items())[:30]:
        first, second = legs(call)
        assert first in {"completed", "busy", "no-answer"}
        assert (second is None) == (first != "completed")
        events = [sent.event for sent in emulator.callbacks if sent.sid == sid]
        answers = (first == "completed") + (second == "completed")
        assert events == ["answered"] * answers + ["terminal"]
        assert {phone.state for phone in emulator.phones(sid)} == {"ended"}
