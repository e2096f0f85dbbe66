"""Calls straight to a stream, and parties that Exotel dials again by itself."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import httpx
import pytest

from exotel_async.emulator import Behaviour, Emulator, Outcome, Scenario
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, FLOW_URL, dial
from tests.emulator.test_callbacks import BOTH, LONG

BOT = "wss://bot.example/media"
STREAM = {"To": "", "StreamUrl": BOT, "StreamType": "bidirectional"}
NOBODY = {"StatusCallback": "http://127.0.0.1:9/callback"}
"""Takes no callback; the emulator keeps what it has sent."""
ALL_THREE = {**NOBODY, **BOTH, "StatusCallbackEvents[2]": "ringing"}
RETRIED = Scenario(ring_timeout=30, retry_pause=60, numbers={CUSTOMER: Behaviour("no-answer")})


async def test_it_leads_to_the_stream_and_nobody_else(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    sid = await dial(client, **STREAM, StreamName="greeter", Record="true")
    call = emulator.calls[sid]
    assert (call.to, call.dial.url, call.dial.stream_url) == (None, None, BOT)
    assert call.dial.parameters["StreamName"] == "greeter"
    assert (call.channels, call.status) == (1, "in-progress")
    assert (emulator.rung(AGENT), emulator.rung(CUSTOMER)) == (1, 0)
    await emulator.finish_calls()
    answer = await client.get(f"Calls/{sid}.json", params={"details": "true"})
    record = answer.json()["Call"]
    assert (record["Status"], record["To"], record["Duration"]) == ("completed", None, "35")
    assert "SubResourceUris" not in record
    assert record["Details"] == {
        "ConversationDuration": 30,
        "Leg1Status": "completed",
        "Leg2Status": None,
        "Legs": [{"Leg": {"Id": 1, "OnCallDuration": 30}}],
    }
    assert record["RecordingUrl"].endswith(f"{sid}.mp3")


async def test_in_xml_its_to_is_empty_and_it_has_a_sub_resource(client: httpx.AsyncClient) -> None:
    form = {"From": AGENT, "CallerId": EXOPHONE, **STREAM}
    answer = await client.post("Calls/connect", data=form)
    root = ET.fromstring(answer.text)  # noqa: S314 - our own answer
    assert root.findtext("Call/To") == ""
    assert root.findtext("Call/SubResourceUris/Stream")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"StreamType": "unidirectional"}, "StreamType"),
        ({"StreamType": ""}, "StreamType"),
        ({"StreamUrl": f"{BOT}?{'x' * 600}"}, "StreamUrl"),
        ({"StreamUrl": f"{BOT}?sample-rate=44100"}, "sample-rate"),
        ({"StreamUrl": f"{BOT}?sample-rate="}, "sample-rate"),
        ({"StreamUrl": f"{BOT}?sample-rate=8000&sample-rate=8000"}, "sample-rate"),
        ({"StreamName": "x" * 33}, "StreamName"),
        ({"Url": FLOW_URL}, "StreamUrl"),
    ],
)
async def test_what_one_page_alone_forbids_can_be_taken(
    emulator: Emulator, client: httpx.AsyncClient, parameters: dict[str, str], told: str
) -> None:
    form = {"From": AGENT, "CallerId": EXOPHONE, **STREAM, **parameters}
    answer = await client.post("Calls/connect.json", data=form)
    assert answer.status_code == 400
    assert told in answer.json()["RestException"]["Message"]
    emulator.strict_streams = False
    await dial(client, **form)


@pytest.mark.parametrize(
    "parameters",
    [
        {"StreamUrl": "https://bot.example/"},
        {"StreamUrl": "bot.example"},
        {"StreamUrl": "", "streamurl": BOT},
        {"StatusCallbackEvents[0]": "hung-up"},
        {"To": CUSTOMER, "StatusCallbackEvents[0]": "ringing"},
        {"Url": FLOW_URL, "StatusCallbackEvents[0]": "ringing"},
    ],
)
async def test_what_is_never_taken(
    emulator: Emulator, client: httpx.AsyncClient, parameters: dict[str, str]
) -> None:
    emulator.strict_streams = False
    form = {"From": AGENT, "CallerId": EXOPHONE, **STREAM, **parameters}
    assert (await client.post("Calls/connect.json", data=form)).status_code == 400
    assert not emulator.calls


@pytest.mark.parametrize(
    "url", [f"{BOT}?sample-rate=24000", "ws://10.0.0.1:8000", f"{BOT}?".ljust(600, "x")]
)
async def test_what_is_within_is_taken(client: httpx.AsyncClient, url: str) -> None:
    await dial(client, **STREAM | {"StreamUrl": url, "StreamName": "x" * 32})


async def test_callbacks_of_its_one_leg(emulator: Emulator, client: httpx.AsyncClient) -> None:
    await dial(client, **STREAM, **ALL_THREE, CustomField="order-7")
    await emulator.finish_calls()
    told = [sent.document for sent in emulator.callbacks]
    assert [event["EventType"] for event in told] == ["ringing", "answered", "terminal"]
    assert [event["Status"] for event in told] == ["in-progress", "in-progress", "completed"]
    assert all(set(event) == LONG | {"Legs"} and event["To"] is None for event in told)
    assert [event["Legs"] for event in told] == [
        [{"OnCallDuration": 0, "Status": None, "AnsweredBy": "NA"}],
        [{"OnCallDuration": 0, "Status": "in-progress", "AnsweredBy": "NA"}],
        [{"OnCallDuration": 30, "Status": "completed", "AnsweredBy": "NA"}],
    ]
    assert [event["ConversationDuration"] for event in told] == [0, 0, 30]


async def test_without_events_its_callback_is_short_and_a_busy_phone_does_not_ring(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.scenario = Scenario(numbers={AGENT: Behaviour("busy")})
    for options in (NOBODY, ALL_THREE):
        await dial(client, **STREAM, **options)
        await emulator.finish_calls()
    told = [sent.document.get("EventType", "short") for sent in emulator.callbacks]
    assert told == ["short", "terminal"]


async def test_no_page_but_one_knows_of_retries(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.scenario = RETRIED
    await dial(client, From=CUSTOMER, To=AGENT, MaxRetries="3")
    await dial(client, From=CUSTOMER, To=AGENT, MaxRetries="many")
    assert emulator.rung(CUSTOMER) == 2


@pytest.mark.parametrize(("asked", "attempts"), [(None, 3), ("0", 1), ("1", 2)])
async def test_who_does_not_answer_is_dialled_again(
    emulator: Emulator, client: httpx.AsyncClient, asked: str | None, attempts: int
) -> None:
    emulator.scenario, emulator.default_max_retries = RETRIED, 2
    form = STREAM | ALL_THREE | {"From": CUSTOMER} | ({"MaxRetries": asked} if asked else {})
    sid = await dial(client, **form)
    await emulator.finish_calls()
    assert emulator.rung(CUSTOMER) == attempts
    attempted = emulator.calls[sid].timeline.attempts
    assert [attempt.at for attempt in attempted] == [n * 90 for n in range(attempts)]
    assert {attempt.outcome for attempt in attempted} == {Outcome.NO_ANSWER}
    record = (await client.get(f"Calls/{sid}.json")).json()["Call"]
    assert (record["Status"], record["Duration"]) == ("no-answer", str(attempts * 90 - 60))
    told = [sent.event for sent in emulator.callbacks]
    assert told == ["ringing"] * attempts + ["terminal"]


async def test_a_retry_may_reach_them_and_a_busy_party_gets_none(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    emulator.default_max_retries = 0
    emulator.scenario = Scenario(
        no_answer=0.5, failed=0.3, busy=0, numbers={AGENT: Behaviour("busy")}
    )
    for _ in range(8):
        await dial(client, **STREAM | {"From": CUSTOMER}, MaxRetries="9", TimeLimit="10")
    await dial(client, **STREAM, MaxRetries="9")
    form = {"From": AGENT, "CallerId": EXOPHONE, **STREAM, "MaxRetries": "-1"}
    assert (await client.post("Calls/connect", data=form)).status_code == 400
    *retried, busy = emulator.calls.values()
    assert [attempt.outcome for attempt in busy.timeline.attempts] == [Outcome.BUSY]
    assert len(retried) == 8
    assert any(len(call.timeline.attempts) > 1 for call in retried)
    assert any(call.timeline.first is Outcome.COMPLETED for call in retried)
    for call in retried:
        *before, last = call.timeline.attempts
        assert all(attempt.outcome in {Outcome.NO_ANSWER, Outcome.FAILED} for attempt in before)
        assert last.outcome is call.timeline.first
        assert call.timeline.ended - last.at <= 10, "the limit holds for each attempt"
    assert emulator.rung(CUSTOMER) == sum(len(call.timeline.attempts) for call in retried)
