"""Calls straight to a voice bot, and dials that Exotel may repeat by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from exotel_async import (
    AsyncExotel,
    CallFound,
    CallOutcomeUnknown,
    CallStatus,
    DialTarget,
    InvalidRequest,
    Priority,
)
from exotel_async.emulator import Behaviour, Emulator, Fault, Scenario
from exotel_async.http.outcome import Sending
from exotel_async.http.server_clock import ServerClock
from exotel_async.webhooks import StatusCallback
from exotel_async.wire import requests
from exotel_async.wire.request import Request
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON

BOT = "wss://bot.example/media"


async def test_one_party_and_a_bot(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = Scenario.all_answered(ring=3, talk=6, settle=0)
    call = await exotel.calls.connect_to_stream(
        CUSTOMER,
        stream_url=BOT,
        caller_id=EXOPHONE,
        stream_name="greeter",
        sample_rate=16000,
        custom_field="order-7",
        priority=Priority.BULK,
        max_wait=10,
        timeout=SOON,
    )
    assert (call.status, call.to, call.exophone) == (CallStatus.IN_PROGRESS, None, EXOPHONE)
    assert call.target == DialTarget(
        from_=CUSTOMER,
        caller_id=EXOPHONE,
        options={"custom_field": "order-7", "stream_url": f"{BOT}?sample-rate=16000"},
    )
    assert emulator.rung(CUSTOMER) == 1
    made = emulator.calls[call.sid]
    assert made.dial.stream_url == f"{BOT}?sample-rate=16000"
    assert made.dial.parameters["StreamName"] == "greeter"
    ended = await exotel.calls.wait(call.sid, interval=0.05, timeout=SOON)
    assert ended.status is CallStatus.COMPLETED
    (record,) = (await exotel.calls.list(from_=CUSTOMER)).calls
    assert (record.sid, record.to) == (call.sid, None)


async def test_a_lost_dial_to_a_bot_is_found(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = Scenario(numbers={CUSTOMER: Behaviour("busy", ring=0)})
    emulator.faults.add(Fault.act_then_drop(), path="Calls/connect")
    with pytest.raises(CallOutcomeUnknown) as caught:
        await exotel.calls.connect_to_stream(CUSTOMER, stream_url=BOT, caller_id=EXOPHONE)
    assert "bot.example" not in str(caught.value)
    found = await exotel.calls.reconcile(caught.value, timeout=30, interval=0.1)
    assert isinstance(found, CallFound)
    assert [found.call.sid] == [*emulator.calls]


async def test_a_wait_does_not_end_when_the_phone_rings(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = Scenario.all_answered(ring=3, talk=36_000)
    call = await exotel.calls.connect_to_stream(CUSTOMER, stream_url=BOT, caller_id=EXOPHONE)
    wait = asyncio.create_task(exotel.calls.wait(call.sid, interval=3600, timeout=SOON))
    await asyncio.sleep(0)  # it has begun
    for status in ("", "Status=ringing", "Status=in-progress"):
        body = f"CallSid={call.sid}&EventType=ringing&{status}"
        event = StatusCallback.from_request(body.encode(), "application/x-www-form-urlencoded")
        assert not exotel.calls.notify(event)
        assert not wait.done()
    body = f"CallSid={call.sid}&EventType=terminal&Status=completed"
    event = StatusCallback.from_request(body.encode(), "application/x-www-form-urlencoded")
    assert exotel.calls.notify(event)
    assert (await wait).status is CallStatus.COMPLETED


async def test_exotel_may_ring_four_times_for_one_dial(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.default_max_retries = 0
    emulator.scenario = Scenario(
        numbers={CUSTOMER: Behaviour("no-answer"), AGENT: Behaviour("busy")}
    )
    made = [
        await exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE, max_retries=3),
        await exotel.calls.connect_to_flow(CUSTOMER, flow=926, caller_id=EXOPHONE, max_retries=1),
        await exotel.calls.connect_to_stream(CUSTOMER, stream_url=BOT, caller_id=EXOPHONE),
    ]
    assert emulator.rung(CUSTOMER) == 4 + 2 + 1
    assert len(emulator.requests) == len(made), "the SDK has sent each once"
    assert len(emulator.calls) == len(made)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 60),
        ({"max_retries": 0}, 60),
        ({"max_retries": 1}, None),
        ({"extra": {"MaxRetries": "2"}}, None),
    ],
)
def test_a_lost_dial_that_exotel_repeats_may_be_over_later(
    options: dict[str, Any], limit: int | None
) -> None:
    request: Request = requests.connect_to_stream(
        from_=CUSTOMER, stream_url=BOT, caller_id=EXOPHONE, time_limit=60, **options
    )
    sending = Sending(request, str, datetime.now(UTC), "acme1", ServerClock())
    lost = sending.lost("the connection broke")
    assert lost.time_limit == (None if limit is None else timedelta(seconds=limit))


async def test_many_dials_to_bots(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = Scenario.all_answered(ring=3, talk=6)
    own = DialTarget(
        from_=AGENT,
        options={"stream_url": "wss://other.example/", "sample_rate": 24000, "record": True},
        tag=7,
    )
    dials = exotel.calls.connect_many(
        [CUSTOMER, own],
        stream_url=BOT,
        stream_name="greeter",
        sample_rate=8000,
        caller_id=EXOPHONE,
        status_callback="http://127.0.0.1:9/",
        status_callback_events=iter(["ringing", "terminal"]),
        max_live=2,
        interval=0.05,
    )
    async with dials as outcomes:
        ended = {str(call.from_): call async for call in outcomes.ended()}
    made = {call.from_: call.dial for call in emulator.calls.values()}
    assert {number: dial.stream_url for number, dial in made.items()} == {
        CUSTOMER: f"{BOT}?sample-rate=8000",
        AGENT: "wss://other.example/?sample-rate=24000",
    }
    assert {dial.parameters["StreamName"] for dial in made.values()} == {"greeter"}
    assert [dial.events for dial in made.values()] == [{"ringing", "terminal"}] * 2
    assert made[AGENT].record
    assert len(ended) == 2


async def test_a_bot_a_flow_or_a_second_party(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(InvalidRequest, match="to, flow and stream_url"):
        exotel.calls.connect_many([CUSTOMER], caller_id=EXOPHONE)
    with pytest.raises(InvalidRequest, match=r"stream_url=.*ws:// or wss://"):
        exotel.calls.connect_many([CUSTOMER], stream_url="https://x", caller_id=EXOPHONE)
    with pytest.raises(InvalidRequest, match=r"stream_url=.*connect_to_stream"):
        exotel.calls.connect_many([CUSTOMER], flow=926, stream_url=BOT, caller_id=EXOPHONE)
    targets = [
        DialTarget(from_=CUSTOMER, to=AGENT, tag="two"),
        DialTarget(from_=CUSTOMER, flow=926, tag="flow"),
        DialTarget(from_=CUSTOMER, options={"ring_timeout": 5}, tag="bot"),
    ]
    dials = exotel.calls.connect_many(targets, stream_url=BOT, caller_id=EXOPHONE)
    async with dials as outcomes:
        how = {outcome.tag: outcome.error async for outcome in outcomes}
    two, flow, bot = how["two"], how["flow"], how["bot"]
    assert two is None, "the call between two numbers is streamed"
    assert isinstance(flow, InvalidRequest)
    assert flow.argument == "stream_url"
    assert isinstance(bot, InvalidRequest)
    assert "ring_timeout" in str(bot)
    (call,) = emulator.calls.values()
    assert (call.to, call.dial.stream_url) == (AGENT, None)
    assert call.dial.parameters["StreamUrl"] == BOT
