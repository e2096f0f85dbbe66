"""What a session reports to `on_event`."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextvars import Context, ContextVar
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exotel_async import (
    AsyncExotel,
    Call,
    CallOutcomeUnknown,
    ConfigurationError,
    ConnectionFailed,
    ExotelError,
    RateLimit,
    RateLimitTimeout,
    RetryPolicy,
)
from exotel_async.config import SendOptions
from exotel_async.emulator import Dial, Emulator, Fault
from exotel_async.events import (
    OperationEnded,
    OperationStarted,
    RequestAnswered,
    RequestEnded,
    RequestEvent,
    RequestGranted,
    RequestLost,
    RequestQueued,
    RequestRetried,
    RequestSent,
    RequestsPaused,
    SessionEvent,
)
from exotel_async.http.listener_reports import ListenerReports
from exotel_async.wire.raw_request import raw_request
from exotel_async.wire.request import Request, get_request
from exotel_async.wire.responses import read_raw
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON, session
from tests.support.ports import free_port

PAST = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
EVENTS_OF_A_DIAL = [
    *(OperationStarted, RequestQueued, RequestGranted, RequestSent),
    *(RequestAnswered, RequestEnded, OperationEnded),
]


def kinds(heard: list[SessionEvent]) -> list[str]:
    return [type(event).__name__ for event in heard]


def only(heard: list[SessionEvent], kind: type[Any]) -> Any:
    [event] = [event for event in heard if isinstance(event, kind)]
    return event


async def test_a_dial_from_its_beginning_to_its_end(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    async with session(emulator, on_event=heard.append) as exotel:
        call = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    assert kinds(heard) == [
        "OperationStarted",
        "RequestQueued",
        "RequestGranted",
        "RequestSent",
        "RequestAnswered",
        "RequestEnded",
        "OperationEnded",
    ]
    started, ended = only(heard, OperationStarted), only(heard, OperationEnded)
    assert (started.operation, started.operation_id) == ("calls.connect", ended.operation_id)
    assert (ended.error, ended.sid) == (None, call.sid)
    requests = [event for event in heard if isinstance(event, RequestEvent)]
    assert {(one.method, one.route, one.attempt) for one in requests} == {
        ("POST", "Calls/connect", 1)
    }
    assert {(one.operation, one.operation_id) for one in requests} == {
        ("calls.connect", started.operation_id)
    }
    assert len({one.request_id for one in requests}) == 1
    assert only(heard, RequestQueued).priority == "interactive"
    answered = only(heard, RequestAnswered)
    assert answered.status == 200
    assert 0 < answered.seconds <= only(heard, RequestEnded).seconds <= ended.seconds


async def test_a_request_that_is_sent_again(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    emulator.faults.add(Fault.answer(503))
    async with session(emulator, on_event=heard.append) as exotel:
        await exotel.account.balance()
    assert kinds(heard)[1:-1] == [
        *("RequestQueued", "RequestGranted", "RequestSent", "RequestAnswered", "RequestRetried"),
        *("RequestQueued", "RequestGranted", "RequestSent", "RequestAnswered", "RequestEnded"),
    ]
    answered = [event for event in heard if isinstance(event, RequestAnswered)]
    assert [(event.attempt, event.status) for event in answered] == [(1, 503), (2, 200)]
    retried = only(heard, RequestRetried)
    assert (retried.attempt, retried.reason) == (1, "ServerError")
    assert only(heard, RequestEnded).error is None


async def test_a_429_pauses_the_requests(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    emulator.faults.add(Fault.answer(429, retry_after=0.05))
    async with session(emulator, on_event=heard.append) as exotel:
        await exotel.account.balance()
    paused, retried = only(heard, RequestsPaused), only(heard, RequestRetried)
    assert paused.status == 429
    assert paused.seconds > 0
    assert retried.reason == "RateLimited"


async def test_a_dial_whose_response_is_lost(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    emulator.faults.add(Fault.act_then_drop())
    async with session(emulator, on_event=heard.append) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    lost = only(heard, RequestLost)
    assert lost.may_have_arrived
    assert lost.reason
    assert only(heard, RequestEnded).error == "CallOutcomeUnknown"
    assert only(heard, OperationEnded).error == "CallOutcomeUnknown"


async def test_a_service_that_is_not_there() -> None:
    heard: list[SessionEvent] = []
    exotel = AsyncExotel(
        account_sid="acme1",
        api_key="key",
        api_token="token",
        base_url=f"http://127.0.0.1:{free_port()}",
        retry=RetryPolicy.never(),
        on_event=heard.append,
    )
    async with exotel:
        with pytest.raises(ConnectionFailed):
            await exotel.account.balance()
    assert not only(heard, RequestLost).may_have_arrived
    assert only(heard, RequestEnded).error == "ConnectionFailed"


async def test_a_request_that_the_budget_refuses(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    limit = RateLimit(2, per=600)
    async with session(emulator, rate_limit=limit, on_event=heard.append) as exotel:
        await exotel.account.balance()
        heard.clear()
        with pytest.raises(RateLimitTimeout):
            await exotel.account.balance(max_wait=0)
    assert kinds(heard)[1:-1] == ["RequestQueued", "RequestEnded"]
    assert only(heard, RequestEnded).error == "RateLimitTimeout"


async def test_a_task_that_is_cancelled_while_its_dial_is_in_flight(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    sent, told = asyncio.Event(), asyncio.Event()

    def hear(event: SessionEvent) -> None:
        heard.append(event)
        if isinstance(event, RequestSent):
            sent.set()

    emulator.faults.add(Fault.delay_before(0.2))
    async with session(emulator, on_event=hear, on_orphaned_call=lambda *_: told.set()) as exotel:
        dial = asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE))
        await sent.wait()
        dial.cancel()
        await asyncio.wait([dial])
        async with asyncio.timeout(SOON):
            await told.wait()
    # The dial goes on without its task.
    assert kinds(heard)[3:] == ["RequestSent", "RequestEnded", "OperationEnded", "RequestAnswered"]
    assert only(heard, RequestEnded).error == "CancelledError"


async def test_gets_that_share_a_request_are_operations_of_their_own(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    async with session(emulator, on_event=heard.append) as exotel:
        calls = [emulator.add_call(PAST, ago=timedelta(hours=1)) for _ in range(8)]
        await asyncio.gather(*(exotel.calls.get(call.sid) for call in calls))
    assert Counter(kinds(heard)) == {
        "OperationStarted": 8,
        "OperationEnded": 8,
        # Each waits, and so does the one that is sent for all of them.
        "RequestQueued": 9,
        "RequestGranted": 9,
        "RequestSent": 1,
        "RequestAnswered": 1,
        "RequestEnded": 9,
    }
    waits = [event for event in heard if isinstance(event, RequestGranted)]
    assert len({event.operation_id for event in waits}) == 9
    assert {(event.method, event.route) for event in waits} == {(None, None)}
    sent = only(heard, RequestSent)
    assert (sent.method, sent.route, sent.attempt) == ("GET", "Calls", 1)
    assert sent.operation is None
    ended = [event for event in heard if isinstance(event, OperationEnded)]
    assert {event.sid for event in ended} == {call.sid for call in calls}


async def test_the_requests_of_a_stream_are_of_no_operation(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    async with session(emulator, on_event=heard.append) as exotel:
        _ = [call async for call in exotel.calls.list()]
        _ = [exophone async for exophone in exotel.exophones.list()]
    assert not any(isinstance(event, OperationStarted) for event in heard)
    sent = [event for event in heard if isinstance(event, RequestSent)]
    assert {event.route for event in sent} == {"Calls", "IncomingPhoneNumbers"}
    assert {event.operation for event in sent} == {None}


async def test_what_begins_ends_and_what_is_sent_is_answered_or_lost(emulator: Emulator) -> None:
    """Whatever happens: faults, refusals by the budget, cancelled tasks, a session that closes."""
    heard: list[SessionEvent] = []
    async with session(emulator, on_event=heard.append) as exotel:
        call = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        for fault in (
            Fault.answer(503),
            Fault.answer(429, retry_after=0.02),
            Fault.act_then_drop(),
            Fault.delay_before(0.05),
            Fault.act_then_stall(),
        ):
            emulator.faults.add(fault, times=3, after=2)
        tasks: list[asyncio.Task[Any]] = []
        for turn in range(40):
            tasks += (
                asyncio.create_task(exotel.calls.get(call.sid, max_wait=turn / 20)),
                asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)),
                asyncio.create_task(exotel.numbers.lookup(CUSTOMER, timeout=1)),
            )
        await asyncio.sleep(0.1)
        for task in tasks[::5]:
            task.cancel()
        await asyncio.sleep(0.3)
        await exotel.aclose(grace=0.1)
        for end in await asyncio.gather(*tasks, return_exceptions=True):
            assert not isinstance(end, Exception) or isinstance(end, ExotelError)
    operations = Counter(
        (type(event), event.operation_id)
        for event in heard
        if isinstance(event, OperationStarted | OperationEnded)
    )
    assert set(operations.values()) == {1}
    assert len(operations) == 2 * (1 + len(tasks))
    by_request: dict[int, list[RequestEvent]] = defaultdict(list)
    for event in heard:
        if isinstance(event, RequestEvent):
            by_request[event.request_id].append(event)
    assert len(by_request) > 40
    for events in by_request.values():
        assert isinstance(events[0], RequestQueued)
        assert sum(isinstance(event, RequestEnded) for event in events) == 1
        sent = [event.attempt for event in events if isinstance(event, RequestSent)]
        ends = [
            event.attempt for event in events if isinstance(event, RequestAnswered | RequestLost)
        ]
        assert sent == sorted(ends) == list(range(1, len(sent) + 1))
        granted = [event.attempt for event in events if isinstance(event, RequestGranted)]
        assert sent == granted or not sent
        [ended] = [event for event in events if isinstance(event, RequestEnded)]
        assert ended.times_sent == len(sent)


async def test_what_a_listener_raises_is_logged_and_changes_nothing(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: SessionEvent) -> None:
        raise RuntimeError(type(event).__name__)

    async with session(emulator, on_event=fail) as exotel:
        assert (await exotel.account.balance()).currency == "INR"
    assert len(caplog.records) == 7
    assert all(record.message.endswith("fail has failed") for record in caplog.records)


@pytest.mark.parametrize("listener", [7, "print", lambda: None, lambda a, b: None])
def test_a_listener_that_cannot_be_called_is_refused(listener: Any) -> None:
    with pytest.raises(ConfigurationError, match="on_event: must be a function that takes one"):
        AsyncExotel(account_sid="a", api_key="k", api_token="t", on_event=listener)


def test_a_decorated_listener_is_called_with_what_its_decorator_takes() -> None:
    def note(event: SessionEvent, to: str) -> None: ...

    def nothing() -> None: ...

    @functools.wraps(note)
    def with_place(event: SessionEvent) -> None:
        note(event, "here")

    @functools.wraps(nothing)
    def without_event(event: SessionEvent) -> None:
        nothing()

    @functools.wraps(with_place)
    def of_two(event: SessionEvent, to: str) -> None: ...

    keys: dict[str, Any] = {"account_sid": "a", "api_key": "k", "api_token": "t"}
    for listener in (with_place, without_event):
        AsyncExotel(**keys, on_event=listener)
    with pytest.raises(ConfigurationError, match="on_event: must be a function that takes one"):
        AsyncExotel(**keys, on_event=of_two)  # type: ignore[arg-type]


def test_what_would_not_run_when_it_is_called_is_refused() -> None:
    async def listen(event: SessionEvent) -> None: ...

    def generate(event: SessionEvent) -> Iterator[None]:
        yield

    async def generate_async(event: SessionEvent) -> AsyncIterator[None]:
        yield

    class Listener:
        async def __call__(self, event: SessionEvent) -> None: ...

    for listener in (listen, Listener(), generate, generate_async):
        with pytest.raises(ConfigurationError, match="plain function"):
            AsyncExotel(account_sid="a", api_key="k", api_token="t", on_event=listener)


@given(st.text() | st.from_regex(r"[A-Z][a-z]+/[+0-9 %.-]{7,20}(\.json)?/?"), st.booleans())
def test_no_route_has_a_digit(path: str, raw: bool) -> None:
    assert not any(char.isdigit() for char in Request("GET", path, is_raw=raw).route)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("Calls/connect.json", "Calls/connect"),
        ("Calls.json", "Calls"),
        ("Calls/b6e1f2a3.json", "Calls/{id}"),
        ("Numbers/%2B919812300001.json", "Numbers/{id}"),
        ("CustomerWhitelist/", "CustomerWhitelist"),
    ],
)
def test_routes(path: str, route: str) -> None:
    assert Request("GET", path).route == route


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("Apps/secretword/ring.json", "Apps/{path}"),
        ("ActiveStreams", "ActiveStreams"),
        ("98123", "{id}"),
    ],
)
def test_of_a_path_of_the_callers_own_only_the_first_part_shows(path: str, route: str) -> None:
    assert raw_request("GET", path).route == route


async def test_a_get_that_has_to_wait_has_no_request_that_failed(emulator: Emulator) -> None:
    heard: list[SessionEvent] = []
    sid = emulator.add_call(PAST, ago=timedelta(hours=1)).sid
    limit = RateLimit(4, per=0.2, burst=1)
    async with session(emulator, rate_limit=limit, on_event=heard.append) as exotel:
        await exotel.calls.get(sid)
        await exotel.calls.get(sid)
    ended = [event for event in heard if isinstance(event, RequestEnded)]
    assert {event.error for event in ended} == {None}
    operations = {event.operation_id for event in heard if isinstance(event, OperationStarted)}
    waits = [event for event in heard if isinstance(event, RequestGranted) if event.operation_id]
    assert [event.operation_id for event in waits] == sorted(operations)


async def test_a_session_closed_before_a_permit_is_used_is_no_success(
    emulator: Emulator,
) -> None:
    heard: list[SessionEvent] = []
    exotel = session(emulator, on_event=heard.append)
    pipeline = exotel.calls.parts().pipeline
    permit = await pipeline.acquire(SendOptions())
    await exotel.aclose()
    with pytest.raises(ConfigurationError):
        await pipeline.send(
            get_request("Balance.json", {}, None), read_raw, SendOptions(), permit=permit
        )
    assert only(heard, RequestEnded).error == "ConfigurationError"
    assert only(heard, RequestEnded).times_sent == 0


async def test_the_poll_for_calls_is_of_no_operation() -> None:
    """It may continue long after the one that began it."""
    heard: list[SessionEvent] = []
    async with Emulator(speed=100) as emulator, session(emulator, on_event=heard.append) as exotel:
        first = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        heard.clear()
        await exotel.calls.wait(first.sid, interval=0.02)
    requests = [event for event in heard if isinstance(event, RequestEvent)]
    assert requests
    assert {event.operation for event in requests} == {None}


@pytest.mark.parametrize(
    ("where", "how"),
    [
        *((where, "raise") for where in EVENTS_OF_A_DIAL),
        # After these it is the caller's own task that is cancelled, with the call in its hand.
        *((where, "cancel") for where in EVENTS_OF_A_DIAL[:-2]),
        *((where, "cancel both") for where in EVENTS_OF_A_DIAL[:-2]),
    ],
)
async def test_no_listener_hides_a_call(emulator: Emulator, where: type[Any], how: str) -> None:
    """One may raise the CancelledError of another task, or cancel the one it is called in."""
    told: list[object] = []
    done = asyncio.Event()

    def hear(event: SessionEvent) -> None:
        if not isinstance(event, where):
            return
        if how == "raise":
            raise asyncio.CancelledError
        tasks = {asyncio.current_task(), dial if how == "cancel both" else None}
        for task in tasks - {None}:
            assert task is not None
            task.cancel()

    def note(ended: object, _: object) -> None:
        told.append(ended)
        done.set()

    exotel = session(emulator, on_event=hear, on_orphaned_call=note)
    dial = asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE))
    [end] = await asyncio.gather(dial, return_exceptions=True)
    async with asyncio.timeout(SOON):
        while exotel.limiter.statistics().in_flight:
            await asyncio.sleep(0.005)
        if emulator.calls and isinstance(end, asyncio.CancelledError):
            await done.wait()
    known = [one for one in (end, *told) if isinstance(one, Call | CallOutcomeUnknown)]
    assert len(emulator.calls) <= len(known)
    if how == "raise":
        assert isinstance(end, Call)
    await exotel.aclose()


async def test_a_listener_of_an_orphan_is_called_in_the_context_of_the_caller(
    emulator: Emulator,
) -> None:
    """Not in that of the operation: what it does is no part of that."""
    seen: list[object] = []
    sent, told = asyncio.Event(), asyncio.Event()
    name: ContextVar[str] = ContextVar("name", default="")

    def hear(event: SessionEvent) -> None:
        if isinstance(event, OperationStarted):
            name.set("of the operation")
        if isinstance(event, RequestSent):
            sent.set()

    def note(*_: object) -> None:
        seen.append(name.get())
        told.set()

    emulator.faults.add(Fault.delay_before(0.1))
    async with session(emulator, on_event=hear, on_orphaned_call=note) as exotel:
        name.set("of the caller")
        dial = asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE))
        await sent.wait()
        dial.cancel()
        async with asyncio.timeout(SOON):
            await told.wait()
    assert seen == ["of the caller"]


def test_an_operation_that_is_collected_has_an_end_without_noise() -> None:
    """With a loop that was closed before its end: then it ends in another context."""
    heard: list[SessionEvent] = []
    operation = ListenerReports(heard.append).operation("calls.wait")
    Context().run(operation.__enter__)
    operation.__exit__(GeneratorExit)
    assert only(heard, OperationEnded).error == "GeneratorExit"


async def test_records_of_the_log_have_fields(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "exotel_async")
    emulator.faults.add(Fault.answer(429, retry_after=0.05))
    async with session(emulator) as exotel:
        await exotel.numbers.lookup(CUSTOMER)
    warning, *requests = [vars(record) for record in caplog.records]
    assert warning["exotel_status"] == 429
    assert warning["exotel_seconds"] > 0
    assert [record["exotel_status"] for record in requests] == [429, 200]
    assert {record["exotel_method"] for record in requests} == {"GET"}
    assert {record["exotel_path"] for record in requests} == {"Numbers/+********0001.json"}
    assert "exotel_method" not in warning
