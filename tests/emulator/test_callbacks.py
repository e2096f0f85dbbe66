"""Status callbacks: both payloads, all encodings, the sequence, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import parse_qsl

import attrs
import httpx
import pytest
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartParser

from exotel_async.emulator import Behaviour, Emulator, Event, Fault, Scenario
from tests.conftest import SOON
from tests.emulator.application import Application, Reply
from tests.emulator.support import (
    AGENT,
    CUSTOMER,
    EXOPHONE,
    FLOW_URL,
    TWO_NUMBERS,
    UNREACHED,
    client_of,
    dial,
    until,
)

SHORT = {"CallSid", "Status", "RecordingUrl", "DateUpdated"}
LONG = SHORT | {
    "EventType",
    "DateCreated",
    "To",
    "From",
    "PhoneNumberSid",
    "StartTime",
    "EndTime",
    "ConversationDuration",
    "Direction",
    "CustomField",
}
BOTH = {"StatusCallbackEvents[0]": "terminal", "StatusCallbackEvents[1]": "answered"}
AS_JSON = {"StatusCallbackContentType": "application/json"}


@attrs.define
class Received:
    """One request that came to the handler."""

    method: str
    content_type: str
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        loaded: dict[str, object] = json.loads(self.body)
        return loaded

    @property
    def urlencoded(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    async def multipart(self) -> FormData:
        async def stream() -> AsyncGenerator[bytes, None]:
            yield self.body

        return await MultiPartParser(Headers({"content-type": self.content_type}), stream()).parse()


@attrs.define
class Handler:
    """A web app that takes status callbacks, as plain as can be."""

    url: str = ""
    status: int = 200
    received: list[Received] = attrs.field(factory=list)
    open: int = 0
    most_open: int = 0
    """The most callbacks that were ever unanswered at once."""
    takes: float = 0.02
    """Seconds until it answers."""
    tasks: set[asyncio.Task[None] | None] = attrs.field(factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
        }
        body = await reader.readexactly(int(headers["content-length"]))
        method = head[0].split(" ")[0]
        self.received.append(Received(method, headers["content-type"], body))
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        await asyncio.sleep(self.takes)  # others may come
        self.open -= 1
        answer = f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        writer.write(answer.encode())
        writer.close()
        await writer.wait_closed()

    @property
    def events(self) -> list[tuple[object, object]]:
        """What the JSON callbacks told, in order: event, and status of the second leg."""
        return [(r.json.get("EventType"), second_leg(r.json)) for r in self.received]


def second_leg(payload: dict[str, object]) -> object:
    legs = payload["Legs"]
    assert isinstance(legs, list)
    return legs[1]["Status"]


@pytest.fixture
async def handler() -> AsyncIterator[Handler]:
    running = Handler()
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    running.url = f"http://127.0.0.1:{port}/callback?secret=1"
    async with server:
        yield running
        await asyncio.gather(*filter(None, running.tasks), return_exceptions=True)


ANSWERED_TWICE = [("answered", None), ("answered", "in-progress"), ("terminal", "completed")]


async def test_short_without_events_in_multipart(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    sid = await dial(client, StatusCallback=handler.url, Record="true", CustomField="order-7")
    await emulator.finish_calls()
    (received,) = handler.received
    kind, options = parse_options_header(received.content_type)
    assert received.method == "POST"
    assert (kind, set(options)) == (b"multipart/form-data", {b"boundary"})
    form = await received.multipart()
    assert set(form) == SHORT
    assert (form["CallSid"], form["Status"]) == (sid, "completed")
    assert str(form["RecordingUrl"]).endswith(f"{sid}.mp3")
    (sent,) = emulator.callbacks
    assert (sent.sid, sent.event, sent.attempt, sent.status) == (sid, Event.TERMINAL, 1, 200)


async def test_long_with_events_in_json(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    parameters = {**BOTH, **AS_JSON, "CustomField": "order-7", "Record": "true"}
    sid = await dial(client, StatusCallback=handler.url, **parameters)
    await emulator.finish_calls()
    assert handler.events == ANSWERED_TWICE
    first, second, last = (received.json for received in handler.received)
    assert {received.content_type for received in handler.received} == {"application/json"}
    created = datetime.fromisoformat(str(last["DateCreated"]))
    assert last == {
        "CallSid": sid,
        "EventType": "terminal",
        "DateCreated": str(created),
        "DateUpdated": str(created + timedelta(seconds=40)),
        "Status": "completed",
        "To": "+919812300002",
        "From": "+919812300001",
        "PhoneNumberSid": EXOPHONE,
        "StartTime": str(created),
        "EndTime": str(created + timedelta(seconds=40)),
        "Direction": "outbound-api",
        "RecordingUrl": f"{emulator.base_url}/exotelrecordings/acme1/{sid}.mp3",
        "ConversationDuration": 30,
        "CustomField": "order-7",
        "Legs": [
            {"OnCallDuration": 35, "Status": "completed", "AnsweredBy": "NA"},
            {"OnCallDuration": 30, "Status": "completed", "AnsweredBy": "HUMAN"},
        ],
    }
    assert set(first) == set(second) == LONG | {"Legs"}
    for early in (first, second):
        assert early["Status"] == "in-progress"
        assert [early[n] for n in ("EndTime", "CustomField", "RecordingUrl")] == [None, None, ""]
    assert first["Legs"] == [
        {"OnCallDuration": 0, "Status": "in-progress", "AnsweredBy": "NA"},
        {"OnCallDuration": 0, "Status": None, "AnsweredBy": "NA"},
    ]
    assert second["Legs"] == [
        {"OnCallDuration": 5, "Status": "in-progress", "AnsweredBy": "NA"},
        {"OnCallDuration": 0, "Status": "in-progress", "AnsweredBy": "HUMAN"},
    ]


@pytest.mark.parametrize("encoding", ["multipart", "urlencoded"])
async def test_long_in_forms(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler, encoding: str
) -> None:
    emulator.callback_encoding = encoding  # type: ignore[assignment]
    await dial(client, StatusCallback=handler.url, CustomField="ä & b", **BOTH)
    await emulator.finish_calls()
    first, _, last = handler.received
    if encoding == "urlencoded":
        assert last.content_type == "application/x-www-form-urlencoded"
        early, form = first.urlencoded, last.urlencoded
    else:
        early = {key: str(value) for key, value in (await first.multipart()).items()}
        form = {key: str(value) for key, value in (await last.multipart()).items()}
    legs = {
        f"Legs[{index}][{key}]"
        for index in (0, 1)
        for key in ("OnCallDuration", "Status", "AnsweredBy")
    }
    assert set(form) == LONG | legs
    assert form["Legs[0][OnCallDuration]"] == "35"
    assert form["Legs[1][Status]"] == "completed"
    assert form["CustomField"] == "ä & b"
    assert (early["EndTime"], early["Legs[1][Status]"], early["CustomField"]) == ("", "", "")


async def test_only_subscribed_events_come(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    for event in ("terminal", "answered"):
        parameters = {**AS_JSON, "StatusCallbackEvents[]": event}
        await dial(client, StatusCallback=handler.url, **parameters)
        await emulator.finish_calls()
    assert [event for event, _ in handler.events] == ["terminal", "answered", "answered"]


async def test_a_flow_call_gets_the_short_one_whatever_it_subscribes_to(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    await dial(client, Url=FLOW_URL, StatusCallback=handler.url, **BOTH, **AS_JSON)
    await emulator.finish_calls()
    (received,) = handler.received
    assert set(received.json) == SHORT


@pytest.mark.parametrize(
    ("agent", "customer", "expected"),
    [
        ("busy", "completed", [("terminal", "busy", None)]),
        ("failed", "completed", [("terminal", "failed", None)]),
        ("no-answer", "completed", [("terminal", "no-answer", None)]),
        *(
            ("completed", second, [("answered", "in-progress", None), ("terminal", word, second)])
            for second, word in UNREACHED
        ),
    ],
)
async def test_who_does_not_answer_is_not_told_as_answered(
    handler: Handler,
    agent: str,
    customer: str,
    expected: list[tuple[str, str, str | None]],
) -> None:
    """And the status is that of the party who did not."""
    scenario = Scenario(numbers={AGENT: Behaviour(agent), CUSTOMER: Behaviour(customer)})
    async with Emulator(scenario=scenario) as emulator, client_of(emulator) as client:
        await dial(client, StatusCallback=handler.url, **BOTH, **AS_JSON)
        await emulator.finish_calls()
    told = [received.json for received in handler.received]
    assert [(t["EventType"], t["Status"], second_leg(t)) for t in told] == expected
    assert told[-1]["ConversationDuration"] == 0


async def test_the_short_one_of_an_unreached_second_party(handler: Handler) -> None:
    scenario = Scenario(numbers={AGENT: Behaviour(), CUSTOMER: Behaviour("canceled")})
    async with Emulator(scenario=scenario) as emulator, client_of(emulator) as client:
        await dial(client, StatusCallback=handler.url, **AS_JSON)
        emulator.unreached_second = "completed"
        await dial(client, StatusCallback=handler.url, **AS_JSON)
        await emulator.finish_calls()
    assert sorted(str(r.json["Status"]) for r in handler.received) == ["completed", "failed"]


@pytest.mark.parametrize("nothing", ["", None])
async def test_in_json_what_there_is_not(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler, nothing: str | None
) -> None:
    """No recording, no leg yet: text without anything in it, or null."""
    emulator.unrecorded_url = emulator.undialled_leg = nothing  # type: ignore[assignment]
    await dial(client, StatusCallback=handler.url, **BOTH, **AS_JSON)
    await emulator.finish_calls()
    assert [received.json["RecordingUrl"] for received in handler.received] == [nothing] * 3
    assert second_leg(handler.received[0].json) == nothing


BARE: list[tuple[str, dict[str, str | list[str]], list[str]]] = [
    ("strict", {"StatusCallbackEvents": "terminal"}, ["short"]),
    ("strict", {"StatusCallbackEvents": ["terminal", "answered"]}, ["short"]),
    ("last", {"StatusCallbackEvents": ["terminal", "answered"]}, ["answered", "answered"]),
    ("last", {"StatusCallbackEvents": "terminal,answered"}, ["short"]),
    (
        "lenient",
        {"StatusCallbackEvents": "terminal,answered"},
        ["answered", "answered", "terminal"],
    ),
    (
        "lenient",
        {"StatusCallbackEvents": ["terminal", "answered"]},
        ["answered", "answered", "terminal"],
    ),
]


@pytest.mark.parametrize(("mode", "spelling", "expected"), BARE)
async def test_events_without_brackets(
    handler: Handler, mode: str, spelling: dict[str, str | list[str]], expected: list[str]
) -> None:
    """Not understood, they leave the short callback."""
    form = {**TWO_NUMBERS, **AS_JSON, "StatusCallback": handler.url, **spelling}
    scenario = Scenario.all_answered()
    async with Emulator(array_mode=mode, scenario=scenario) as emulator:  # type: ignore[arg-type]
        async with client_of(emulator) as client:
            assert (await client.post("Calls/connect", data=form)).status_code == 200
        await emulator.finish_calls()
    told = [received.json.get("EventType", "short") for received in handler.received]
    assert told == expected


async def test_callbacks_come_when_the_clock_says(handler: Handler) -> None:
    """Due 5, 10 and 40 emulator seconds after the dial, at 200 to a real one."""
    async with (
        Emulator(speed=200, scenario=Scenario.all_answered()) as emulator,
        client_of(emulator) as client,
    ):
        sid = await dial(client, StatusCallback=handler.url, **BOTH, **AS_JSON)
        await until(lambda: len(emulator.callbacks) >= 3)
        ages = [sent.sent - emulator.calls[sid].at for sent in emulator.callbacks]
    assert handler.events == ANSWERED_TWICE
    assert all(age >= due for age, due in zip(ages, (5, 10, 40), strict=True))


async def order_faults(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler, *faults: Fault, after: int = 0
) -> Sequence[str]:
    """Dial with those faults pending; which callbacks came, by first letter and second leg."""
    for fault in faults:
        emulator.faults.add(fault, path="/callback", after=after)
    await dial(client, StatusCallback=handler.url, **BOTH, **AS_JSON)
    await emulator.finish_calls()
    names = dict(zip(ANSWERED_TWICE, ("picked up", "bridged", "over"), strict=True))
    return [names[str(event), leg if leg is None else str(leg)] for event, leg in handler.events]


async def test_a_lost_callback(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    came = await order_faults(emulator, client, handler, Fault.callback_lost(), after=2)
    assert came == ["picked up", "bridged"]


async def test_a_duplicated_callback(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    came = await order_faults(emulator, client, handler, Fault.callback_duplicated(3), after=2)
    assert came == ["picked up", "bridged", "over", "over", "over"]
    assert len({received.body for received in handler.received[2:]}) == 1


async def test_reordered_callbacks(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    came = await order_faults(emulator, client, handler, Fault.callback_reordered(), after=1)
    assert came == ["picked up", "over", "bridged"]


async def test_two_cannot_be_reordered_at_once(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    faults = [Fault.callback_reordered(), Fault.callback_reordered()]
    came = await order_faults(emulator, client, handler, *faults)
    assert came == ["bridged", "picked up", "over"]


async def test_the_last_callback_of_a_call_cannot_be_reordered(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    emulator.faults.add(Fault.callback_reordered())
    await dial(client, StatusCallback=handler.url)
    await emulator.finish_calls()
    assert len(handler.received) == len(emulator.faults.pending) == 1


async def test_a_late_callback_holds_up_no_other(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    await order_faults(emulator, client, handler, Fault.callback_late(0.5), after=1)
    await until(lambda: len(handler.received) == 3)
    picked_up, bridged, over = ANSWERED_TWICE
    assert handler.events == [picked_up, over, bridged]


async def test_no_second_attempt_unless_asked_for(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    handler.status = 500
    await dial(client, StatusCallback=handler.url)
    await emulator.finish_calls()
    assert [(sent.attempt, sent.status) for sent in emulator.callbacks] == [(1, 500)]


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_further_attempts_until_2xx(handler: Handler, status: int) -> None:
    """The portal's pauses of 300 and 900 s, at 10,000 emulator seconds to a real one."""
    handler.status = status
    async with (
        Emulator(speed=10_000, callback_retries=(300, 900)) as emulator,
        client_of(emulator) as client,
    ):
        await dial(client, StatusCallback=handler.url)
        await until(lambda: len(emulator.callbacks) >= 3)
        sent = emulator.callbacks
        assert [one.attempt for one in sent] == [1, 2, 3]
        assert sent[1].sent - sent[0].sent >= 300
        assert sent[2].sent - sent[1].sent >= 900
        assert len({one.sid for one in sent}) == 1


async def test_a_handler_that_is_not_there_or_hangs(
    emulator: Emulator, client: httpx.AsyncClient
) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        emulator.callback_timeout = 0.1
        await dial(client, StatusCallback=f"http://127.0.0.1:{port}/")
        await emulator.finish_calls()
    emulator.callback_timeout = SOON
    await dial(client, StatusCallback=f"http://127.0.0.1:{port}/")
    await emulator.finish_calls()
    assert [sent.error for sent in emulator.callbacks] == ["ReadTimeout", "ConnectError"]
    assert [sent.status for sent in emulator.callbacks] == [None, None]
    assert emulator.callbacks[0].took >= 0.1
    assert [sent.answer for sent in emulator.callbacks] == ["", ""]


async def test_an_attempt_keeps_the_answer_and_how_long_it_took(
    emulator: Emulator, client: httpx.AsyncClient, application: Application
) -> None:
    long = "not found: " + 300 * "x"
    await dial(client, StatusCallback=application("/told", Reply(404, long, delay=0.05)))
    await emulator.finish_calls()
    (sent,) = emulator.callbacks
    assert (sent.status, sent.answer) == (404, long[:200])
    assert sent.took >= 0.05


@pytest.mark.slow(1)
async def test_callbacks_of_one_call_leave_one_after_the_other(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    await dial(client, StatusCallback=handler.url, **BOTH, **AS_JSON)
    await emulator.finish_calls()
    assert handler.events == ANSWERED_TWICE
    assert handler.most_open == 1
    handler.takes = 1.0
    for index in range(3):
        await dial(client, From=f"0981230010{index}", StatusCallback=handler.url)
    await emulator.finish_calls()
    assert handler.most_open == 3, "those of several calls do not wait for each other"


@pytest.mark.slow
async def test_nothing_is_sent_after_the_end(handler: Handler) -> None:
    """The call ends a real second after its dial, the emulator at once."""
    async with (
        Emulator(speed=40, scenario=Scenario.all_answered()) as emulator,
        client_of(emulator) as client,
    ):
        sid = await dial(client, StatusCallback=handler.url)
    await until(lambda: emulator.calls[sid].age > 80)
    assert handler.received == []


async def test_a_reset_forgets_what_waits(
    emulator: Emulator, client: httpx.AsyncClient, handler: Handler
) -> None:
    await dial(client, StatusCallback=handler.url)
    emulator.reset()
    await emulator.finish_calls()
    assert (handler.received, list(emulator.callbacks)) == ([], [])
