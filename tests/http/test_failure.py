"""The texts of requests that failed: what failed, at which host, and why, each said once."""

from __future__ import annotations

import socket

import pytest

from exotel_async import (
    AsyncExotel,
    CallOutcomeUnknown,
    ConnectionFailed,
    RequestTimeout,
    RetryPolicy,
    Timeouts,
)
from exotel_async.emulator import Emulator, Fault
from exotel_async.http.failure import describe
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, session

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
