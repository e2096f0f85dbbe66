"""The texts of requests that failed: what failed, at which host, and why, each said once."""

from __future__ import annotations

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote

import pytest

from exotel_async import (
    AsyncExotel,
    AuthenticationError,
    BadRequest,
    CallOutcomeUnknown,
    ConnectionFailed,
    InvalidRequest,
    NotFound,
    RateLimitTimeout,
    RecordingUnavailable,
    RequestTimeout,
    RetryPolicy,
    Timeouts,
)
from exotel_async.emulator import Emulator, Fault
from exotel_async.http.failure import describe
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session
from tests.support.raw_server import Connection, answer, raw_server

RESET = Fault.act_then_drop(reset=True), "Connection reset by peer (ReadError)"
DROPPED = (
    Fault.act_then_drop(),
    "Server disconnected without sending a response (RemoteProtocolError)",
)
STALLED = Fault.act_then_stall(), "timed out (ReadTimeout)"


def once(emulator: Emulator) -> AsyncExotel:
    return session(emulator, retry=RetryPolicy.never(), timeout=Timeouts(read=0.2))


async def test_a_host_that_refuses_connections(emulator: Emulator) -> None:
    async with emulator.unreachable(), once(emulator) as exotel:
        with pytest.raises(ConnectionFailed) as caught:
            await exotel.account.balance()
    host = emulator.base_url.removeprefix("http://")
    assert str(caught.value) == (
        f"{host} cannot be reached: Connection refused (ConnectError); nothing was sent"
    )


@pytest.mark.parametrize(("fault", "reason"), [RESET, DROPPED, STALLED])
async def test_a_request_without_an_answer(emulator: Emulator, fault: Fault, reason: str) -> None:
    host = emulator.base_url.removeprefix("http://")
    emulator.faults.add(fault, times=2)
    async with once(emulator) as exotel:
        with pytest.raises(RequestTimeout) as read:
            await exotel.account.balance()
        with pytest.raises(CallOutcomeUnknown) as dialled:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    assert str(read.value) == f"no usable answer from {host}: {reason}"
    assert dialled.value.reason == str(read.value)
    assert str(dialled.value) == (
        "it is not known whether the call +********0002 -> +********0001 was placed: "
        f"no usable answer from {host}: {reason}. It was not dialled again: look for it in the "
        "call records before you dial the number again"
    )


async def test_a_dial_whose_answer_cannot_be_read(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_garbage("html"))
    async with once(emulator) as exotel:
        with pytest.raises(CallOutcomeUnknown) as caught:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    assert caught.value.reason == "HTTP 200, the answer cannot be read"


async def test_errors_say_what_they_were_about(emulator: Emulator) -> None:
    sid = "0123456789abcdef0123456789abcdef"
    host = emulator.base_url.removeprefix("http://")
    async with once(emulator) as exotel:
        alone, together = await asyncio.gather(
            exotel.calls.get(sid, coalesce=False), exotel.calls.get(sid), return_exceptions=True
        )
        with pytest.raises(NotFound) as waited:
            await exotel.calls.wait(sid)
        for error in (alone, together, waited.value):
            assert isinstance(error, NotFound)
            assert (error.sid, error.method, error.path) == (sid, "GET", f"Calls/{sid}.json")
            assert str(error).endswith(f" (call SID {sid})")
        made = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        sid = made.sid
        with pytest.raises(RequestTimeout, match=sid) as late:
            await exotel.calls.wait(sid, timeout=0.01)
        assert (late.value.sid, late.value.path) == (sid, None)
        with pytest.raises(RecordingUnavailable) as missing:
            await exotel.calls.download_recording(made, "nowhere")
        assert (missing.value.sid, missing.value.method) == (sid, None)
        with pytest.raises(InvalidRequest) as refused:
            await exotel.calls.connect(AGENT, f"{CUSTOMER} x", caller_id=EXOPHONE)
        assert (refused.value.method, refused.value.value) == (None, f"{CUSTOMER} x")
        emulator.faults.add(Fault.answer(400, message=f"no, {CUSTOMER}"))
        with pytest.raises(BadRequest) as bad:
            await exotel.numbers.lookup(CUSTOMER)
        assert bad.value.path == f"Numbers/{quote(CUSTOMER)}.json"
        assert bad.value.message == f"no, {CUSTOMER}"
        assert CUSTOMER[3:] not in f"{bad.value} {bad.value!r} {bad.value.args}"
        emulator.faults.add(Fault.answer(400))
        with pytest.raises(BadRequest) as dialled:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        named = (dialled.value.sid, dialled.value.method, dialled.value.path)
        assert named == (None, "POST", "Calls/connect.json")
    async with emulator.unreachable(), once(emulator) as exotel:
        with pytest.raises(ConnectionFailed) as unreached:
            await exotel.calls.get(sid)
        assert (unreached.value.host, unreached.value.sid) == (host, sid)
        view = exotel.with_options(max_wait=0.0)
        with pytest.raises(RateLimitTimeout) as full:
            await asyncio.gather(*(view.account.balance() for _ in range(50)))
        assert (full.value.method, full.value.path) == ("GET", "Balance.json")


async def test_the_region_is_in_doubt_until_a_request_has_succeeded(emulator: Emulator) -> None:
    async with once(emulator) as exotel:
        with pytest.raises(NotFound, match="the wrong region looks like this too") as first:
            await exotel.calls.get("0123456789abcdef", coalesce=False)
        await exotel.account.balance()
        with pytest.raises(NotFound) as second:
            await exotel.calls.get("0123456789abcdef", coalesce=False)
        assert str(second.value) == (
            f"HTTP 404: {second.value.message} (call SID 0123456789abcdef)"
        )
        assert (second.value.message, second.value.hint) == (first.value.message, None)
    async with session(emulator, api_token="another-token") as exotel:
        with pytest.raises(AuthenticationError, match="wrong region"):
            await exotel.account.balance()


async def test_a_lost_dial_says_what_exotel_said(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_status(503))
    async with once(emulator) as exotel:
        with pytest.raises(CallOutcomeUnknown) as caught:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    error = caught.value
    assert error.message
    assert (error.status, error.reason) == (503, f"HTTP 503: {error.message}")
    assert f"was placed: HTTP 503: {error.message}. It was not dialled again" in str(error)
    assert (error.account_sid, error.path) == (emulator.account_sid, "Calls/connect.json")
    # The emulator's `Date` has whole seconds.
    assert error.clock_offset is not None
    assert abs(error.clock_offset) < timedelta(minutes=1)
    assert (error.sid, error.method) == (None, "POST")


async def test_a_lost_dial_whose_answer_shows_its_sid_was_placed(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_garbage("xml"))
    async with once(emulator) as exotel:
        with pytest.raises(CallOutcomeUnknown) as caught:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    (sid,) = emulator.calls
    assert str(caught.value) == (
        "the call +********0002 -> +********0001 was placed, but without a usable answer: HTTP 200,"
        " the answer cannot be read. It was not dialled again: read the call by its SID before you "
        f"dial the number again (call SID {sid})"
    )


@pytest.mark.parametrize("ahead", [None, timedelta(hours=2), timedelta(hours=-2)])
async def test_a_lost_dial_knows_how_far_the_clocks_are_apart(ahead: timedelta | None) -> None:
    async def lose(connection: Connection) -> None:
        await connection.request()
        shown = format_datetime(datetime.now(UTC) + (ahead or timedelta()), usegmt=True)
        date = "" if ahead is None else f"Date: {shown}\r\n"
        await connection.say(answer(status="502 Bad Gateway", headers=date, body=b""))

    async with raw_server(lose) as server, server.session() as exotel:
        with pytest.raises(CallOutcomeUnknown) as caught:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    offset = caught.value.clock_offset
    assert (offset is None) == (ahead is None)
    if offset is not None and ahead is not None:
        assert abs(offset - ahead) < timedelta(minutes=1)


def test_each_reason_of_several_addresses_is_given_once() -> None:
    refused = [ConnectionRefusedError(111, f"Connect call failed ('::{n}', 9)") for n in range(2)]
    away = OSError(113, "Connect call failed ('10.0.0.1', 9)")
    error = OSError("All connection attempts failed")
    error.__cause__ = ExceptionGroup("several", [*refused, away])
    assert describe(error) == "Connection refused, No route to host (OSError)"


@pytest.mark.parametrize(
    ("error", "below", "text"),
    [
        (ValueError("ours"), ConnectionRefusedError(111, "theirs"), "ours (ValueError)"),
        (ValueError(), ConnectionResetError(104, ""), "Connection reset by peer (ValueError)"),
        (ValueError(), socket.gaierror(-2, "Name not known"), "Name not known (ValueError)"),
        (TimeoutError(), KeyError("a timer"), "timed out (TimeoutError)"),
        (ValueError(), None, "ValueError"),
    ],
)
def test_a_reason_is_the_first_text_that_is_one(
    error: Exception, below: Exception | None, text: str
) -> None:
    error.__context__ = below
    assert describe(error) == text
