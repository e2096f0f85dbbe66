"""Requests to pages that the SDK does not know, against the emulator, over a real socket."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import traceback
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from exotel_async import (
    APIError,
    AsyncExotel,
    ConfigurationError,
    ConnectionFailed,
    DecodeError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    Priority,
    RateLimit,
    RateLimited,
    RateLimitTimeout,
    RawResponse,
    RequestOutcomeUnknown,
    RequestTimeout,
    RetryPolicy,
    Timeouts,
)
from exotel_async.emulator import Emulator, Fault, Garbage
from tests.conftest import CUSTOMER, EXOPHONE, session
from tests.support.raw_server import Connection, answer, raw_server

PAGE = "CustomerWhitelist/"
FORM = {"VirtualNumber": EXOPHONE, "Number": CUSTOMER}
SHORT = Timeouts(connect=0.5, write=0.5, read=0.3, exchange=0.8)


async def allow(exotel: AsyncExotel, **options: Any) -> RawResponse:
    """Do something that shows in the emulator."""
    return await exotel.request("POST", PAGE, form=FORM, **options)


@pytest.fixture
async def exophones() -> AsyncIterator[tuple[Emulator, AsyncExotel]]:
    """An emulator and a session at the budget of ExoPhones."""
    async with Emulator(speed=30) as emulator:
        rate = RateLimit(emulator.exophone_rate, per=emulator.per / emulator.speed)
        async with session(emulator, exophone_rate_limit=rate) as exotel:
            yield emulator, exotel


# What is sent, and what comes back


async def test_a_page_in_json(emulator: Emulator, exotel: AsyncExotel) -> None:
    got = await exotel.request("GET", "Calls.json", params={"PageSize": "5", "x": "a b&c"})
    assert got.status == 200
    assert got.headers["content-type"] == "application/json"
    assert got.json()["Metadata"]["Total"] == 0
    assert got.json() == json.loads(got.text) == json.loads(got.content)
    (request,) = emulator.requests
    assert (request.method, request.path) == ("GET", "/v1/Accounts/acme1/Calls.json")
    assert request.query == {"PageSize": "5", "x": "a b&c"}
    assert request.body == b""


async def test_a_page_in_xml(exotel: AsyncExotel) -> None:
    got = await exotel.request("get", "ActiveStreams")
    assert "<ActiveStreamCount>0</ActiveStreamCount>" in got.text
    with pytest.raises(DecodeError, match="is XML or HTML") as caught:
        got.json()
    assert caught.value.status == 200
    assert caught.value.content_type == "application/xml"
    assert caught.value.__context__ is None, "it would hold the whole body"


async def test_a_form(emulator: Emulator, exotel: AsyncExotel) -> None:
    got = await allow(exotel, params={"a": "b"})
    assert "<Message>Success</Message>" in got.text
    assert CUSTOMER in emulator.whitelist
    (request,) = emulator.requests
    assert (request.method, request.path) == ("POST", "/v1/Accounts/acme1/CustomerWhitelist/")
    assert request.form == FORM
    assert request.query == {"a": "b"}


async def test_exophones_have_their_version_and_their_budget(
    exophones: tuple[Emulator, AsyncExotel],
) -> None:
    emulator, exotel = exophones
    page = "IncomingPhoneNumbers"
    listed = await exotel.request("GET", page, category="exophones")
    sid = listed.json()["incoming_phone_numbers"][0]["sid"]
    got = await exotel.request(
        "PUT", f"{page}/{sid}", form={"FriendlyName": "Sales"}, category="exophones"
    )
    assert got.json()["friendly_name"] == "Sales"
    assert [r.path for r in emulator.requests] == [
        f"/v2_beta/Accounts/acme1/{page}",
        f"/v2_beta/Accounts/acme1/{page}/{sid}",
    ]
    assert exotel.exophones.limiter.statistics().window_used == 2
    assert exotel.limiter.statistics().window_used == 0
    await exotel.request("GET", f"{page}.json")
    assert exotel.limiter.statistics().window_used == 1


async def test_a_delete_has_no_body() -> None:
    async def serve(connection: Connection) -> None:
        await connection.request()
        await connection.say(answer(body=b"", status="204 No Content"))

    async with raw_server(serve) as server, server.session() as exotel:
        got = await exotel.request("DELETE", "Things/1")
    assert (got.status, got.content, got.text) == (204, b"", "")
    (sent,) = server.requests
    assert sent.startswith(b"DELETE /v1/Accounts/acme1/Things/1 HTTP/1.1\r\n")
    assert sent.endswith(b"\r\n\r\n")
    assert b"content-type" not in sent.lower()


async def test_a_success_is_returned_whatever_its_body_is(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    for body in (b"", b"\xff\xfe\x00", b"[1, 2", "é".encode("latin-1")):
        kind = "text/plain; Charset=ISO-8859-1"
        emulator.faults.add(Fault.act_then_body(body, content_type=kind, status=202))
        got = await exotel.request("POST", PAGE, form=FORM)
        assert (got.status, got.content) == (202, body)
    assert got.text == "é"
    with pytest.raises(DecodeError, match="is not JSON"):
        got.json()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/plain", "\ufffd"),
        ('text/plain; charset="latin-1"', "é"),
        ("text/plain; charset=nonsense", "\ufffd"),
        ("text/plain; charset=rot13", "\ufffd"),
        ("text/plain; charset=undefined", "\ufffd"),
        ("", "\ufffd"),
    ],
)
def test_the_text_of_a_body(kind: str, text: str) -> None:
    got = RawResponse(status=200, headers={"content-type": kind}, content="é".encode("latin-1"))
    assert got.text == text


@pytest.mark.parametrize("body", [b"", b"x", b"\xff", b"[" * 200_000, b"1" * 10_000, b"{]"])
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(DecodeError, match="is not JSON"):
        RawResponse(status=200, content=body).json()


def test_a_response_is_a_frozen_value_that_shows_nothing() -> None:
    got = RawResponse(status=200, headers={"x-number": CUSTOMER}, content=CUSTOMER.encode())
    assert repr(got) == "RawResponse(status=200, content=<13 bytes>)"
    assert pickle.loads(pickle.dumps(got)) == copy.copy(got) == got  # noqa: S301
    assert hash(got) == hash(copy.deepcopy(got))
    assert got != attrs.evolve(got, headers={})
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        got.status = 201  # type: ignore[misc]


# What is refused


async def test_a_dial_is_not_sent(emulator: Emulator, exotel: AsyncExotel) -> None:
    for path in ("Calls/connect", "calls%2FCONNECT.json", "https://api.exotel.com/Calls/connect"):
        with pytest.raises(InvalidRequest, match=r"use calls\.connect"):
            await exotel.request("POST", path, form={"From": CUSTOMER})
    with pytest.raises(InvalidRequest, match="below the account"):
        await exotel.request("GET", "../acme2/Balance.json")
    with pytest.raises(InvalidRequest, match="max_wait"):
        await exotel.request("GET", "Balance.json", max_wait=-1)
    with pytest.raises(TypeError, match=r"request\(\) got .*did you mean 'params'"):
        await exotel.request("GET", "Balance.json", param={})  # type: ignore[call-arg]
    assert emulator.requests == []
    assert exotel.limiter.statistics().window_used == 0


async def test_errors_are_those_of_all_requests(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(NotFound) as caught:
        await exotel.request("GET", f"Nonsense/{CUSTOMER}.json")
    error = caught.value
    assert (error.status, error.method, error.attempts) == (404, "GET", 1)
    assert error.path == "Nonsense/%2B919812300001.json"
    assert error.message == "The requested resource was not found"
    assert error.headers["content-type"] == "application/json"
    with pytest.raises(NotFound) as caught:
        await exotel.request("GET", "Calls/0123456789abcdef.json")
    assert caught.value.sid == "0123456789abcdef"
    emulator.faults.add(Fault.answer(403, message="no KYC"))
    with pytest.raises(PermissionDenied, match="no KYC"):
        await allow(exotel)
    assert len(emulator.requests) == 3


# What is sent again

ACT_THEN = {
    "drop": Fault.act_then_drop(),
    "reset": Fault.act_then_drop(reset=True),
    "500": Fault.act_then_status(500),
    "503 with Retry-After": Fault.act_then_status(503, retry_after=0.1),
    "599": Fault.act_then_status(599),
    "408": Fault.act_then_status(408),
    "stall": Fault.act_then_stall(),
    "drip": Fault.act_then_drip(0.1),
    "303": Fault.act_then_status(303),
    "302": Fault.act_then_status(302),
    "cut": Fault.act_then_cut(),
    "cut and reset": Fault.act_then_cut(reset=True),
}


@pytest.mark.parametrize("fault", ACT_THEN.values(), ids=ACT_THEN)
async def test_acted_and_then_trouble_is_done_once_and_is_unknown(
    emulator: Emulator, fault: Fault
) -> None:
    emulator.faults.add(fault)
    began = datetime.now(UTC)
    async with session(emulator, timeout=SHORT) as exotel:
        with pytest.raises(RequestOutcomeUnknown, match="whether POST CustomerWhitelist/ was") as c:
            await allow(exotel)
    assert len(emulator.requests) == 1
    assert CUSTOMER in emulator.whitelist
    error = c.value
    assert (error.method, error.path, error.sid) == ("POST", PAGE, None)
    assert began <= error.sent_at <= error.lost_at <= datetime.now(UTC)
    came = emulator.requests[0].status
    if fault.status is not None:
        assert error.status == fault.status
        assert isinstance(error.__cause__, APIError)
        assert error.message == error.__cause__.message
    elif came is not None and error.status is not None:
        assert (error.status, type(error.__cause__)) == (200, DecodeError)
    else:
        assert type(error.__cause__) is RequestTimeout


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_whatever_the_method(emulator: Emulator, exotel: AsyncExotel, method: str) -> None:
    emulator.faults.add(Fault.answer(502, message=f"no {CUSTOMER}"))
    with pytest.raises(RequestOutcomeUnknown) as caught:
        await exotel.request(method, f"Things/{CUSTOMER}")
    assert len(emulator.requests) == 1
    error = caught.value
    assert (error.method, error.status, error.message) == (method, 502, f"no {CUSTOMER}")
    shown = "".join(traceback.format_exception(error)) + repr(error.args[0])
    assert "981230" not in shown
    assert "*0001" in str(error)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert (str(again), vars(again)) == (str(error), vars(error))


@pytest.mark.parametrize(
    "fault",
    [
        Fault.drop_before(),
        Fault.act_then_drop(),
        Fault.act_then_status(500),
        Fault.answer(408),
        Fault.act_then_stall(),
    ],
)
async def test_a_read_is_sent_again(emulator: Emulator, fault: Fault) -> None:
    emulator.faults.add(fault)
    async with session(emulator, timeout=SHORT) as exotel:
        assert (await exotel.request("GET", "Balance.json")).status == 200
    assert len(emulator.requests) == 2


async def test_a_read_that_fails_is_no_unknown_outcome(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.act_then_status(303), times=None)
    with pytest.raises(APIError):
        await exotel.request("GET", "Balance.json")
    emulator.faults.clear()
    emulator.faults.add(Fault.act_then_cut())
    with pytest.raises(DecodeError, match="broke off"):
        await exotel.request("GET", "Balance.json")
    emulator.faults.add(Fault.act_then_stall())
    with pytest.raises(RequestTimeout):
        await exotel.request("GET", "Balance.json", timeout=0.2)
    assert len(emulator.requests) == 3
    await exotel.aclose(0)  # what stalls is not waited for


async def test_a_429_is_sent_again(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.faults.add(Fault.too_many_requests(), times=2)
    assert (await allow(exotel)).status == 200
    assert len(emulator.requests) == 3
    assert exotel.limiter.statistics().refused == 2
    emulator.faults.add(Fault.too_many_requests(retry_after=0), times=None)
    async with session(emulator, retry=False) as one:
        with pytest.raises(RateLimited):
            await allow(one)


async def test_what_was_never_written_is_sent_again(emulator: Emulator) -> None:
    async with session(emulator, retry=RetryPolicy(attempts=10_000, backoff_cap=0.05)) as exotel:
        async with emulator.unreachable():
            asked = asyncio.create_task(allow(exotel))
            while exotel.limiter.statistics().in_flight == 0:
                await asyncio.sleep(0.01)
            assert not asked.done()
        assert (await asked).status == 200
    assert len(emulator.requests) == 1


async def test_nothing_was_sent_to_where_nobody_listens(emulator: Emulator) -> None:
    async with session(emulator) as exotel, emulator.unreachable():
        with pytest.raises(ConnectionFailed):
            await allow(exotel)


# Times, cancellation, closing


async def test_a_timeout_leaves_the_outcome_unknown_once_it_was_sent(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.act_then_stall())
    with pytest.raises(RequestOutcomeUnknown, match=r"no answer within timeout=0\.2 s"):
        await allow(exotel, timeout=0.2)
    assert len(emulator.requests) == 1
    await exotel.aclose(0)  # what stalls is not waited for


async def test_waiting_for_the_budget(emulator: Emulator) -> None:
    async with session(emulator, rate_limit=RateLimit(1, per=60)) as exotel:
        await exotel.request("GET", "Balance.json")
        for method in ("GET", "POST"):
            with pytest.raises(RateLimitTimeout):
                await exotel.request(method, PAGE, max_wait=0.01)
            with pytest.raises(RateLimitTimeout):
                await exotel.with_options(timeout=0.01).request(method, PAGE)
    assert len(emulator.requests) == 1


async def test_its_priority(emulator: Emulator) -> None:
    ended: list[str] = []

    async def ask(exotel: AsyncExotel, name: str, priority: Priority) -> None:
        await exotel.request("GET", f"{name}.json", priority=priority)
        ended.append(name)

    async with session(emulator, max_in_flight=1) as exotel:
        first = asyncio.create_task(ask(exotel, "Calls", Priority.BULK))
        while exotel.limiter.statistics().in_flight == 0:
            await asyncio.sleep(0)
        bulk = asyncio.create_task(ask(exotel, "Balance", Priority.BULK))
        while exotel.limiter.statistics().waiting_bulk == 0:
            await asyncio.sleep(0)
        single = asyncio.create_task(ask(exotel, "ActiveStreams", Priority.INTERACTIVE))
        await asyncio.gather(first, bulk, single)
    paths = [request.path.rpartition("/")[2] for request in emulator.requests]
    assert paths == ["Calls.json", "ActiveStreams.json", "Balance.json"]
    assert len(ended) == 3


@pytest.mark.slow
async def test_one_whose_caller_leaves_ends_by_itself(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    orphans: list[object] = []
    emulator.latency = lambda _: (0.0, 1.5)
    async with session(
        emulator,
        timeout=Timeouts(connect=1.0, write=1.0),
        on_orphaned_call=lambda *ended: orphans.append(ended),
    ) as exotel:
        asked = asyncio.create_task(allow(exotel))
        while not emulator.requests:
            await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.wait({asked})
        assert asked.cancelled()
        assert exotel.limiter.statistics().in_flight == 1
        while exotel.limiter.statistics().in_flight:
            await asyncio.sleep(0.01)
        (connection,) = exotel._pipeline.transport._made._transport._pool.connections  # type: ignore[union-attr]
        assert connection.is_idle()
    assert [request.status for request in emulator.requests] == [200]
    assert CUSTOMER in emulator.whitelist
    assert orphans == []
    assert not [record for record in caplog.records if record.levelname != "DEBUG"]


async def test_one_that_is_cut_off_by_closing(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_stall())
    exotel = session(emulator)
    asked = asyncio.create_task(allow(exotel))
    while not emulator.requests:
        await asyncio.sleep(0.01)
    await exotel.aclose(grace=0)
    with pytest.raises(RequestOutcomeUnknown):
        await asked
    with pytest.raises(ConfigurationError):
        await allow(exotel)


async def test_garbage_is_nothing_to_it(emulator: Emulator, exotel: AsyncExotel) -> None:
    for kind in Garbage:
        emulator.faults.add(Fault.act_then_garbage(kind))
        assert (await allow(exotel)).status == 200
    assert len(emulator.requests) == len(Garbage)
