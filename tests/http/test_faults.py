"""Every row of the table of retries, against the emulator, over a real socket."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from exotel_async import (
    APIError,
    AsyncExotel,
    CallOutcomeUnknown,
    CallStatus,
    Conflict,
    ConnectionFailed,
    DecodeError,
    PermissionDenied,
    RateLimit,
    RateLimited,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    Timeouts,
    TokenBucket,
)
from exotel_async.emulator import Emulator, Fault, Garbage
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON, session

pytestmark = pytest.mark.usefixtures("library")

DIAL = "Calls/connect"
SHORT = Timeouts(connect=0.5, write=0.5, read=0.3, exchange=0.8)

ACT_THEN = {
    "drop": Fault.act_then_drop(),
    "reset": Fault.act_then_drop(reset=True),
    "500": Fault.act_then_status(500),
    "502": Fault.act_then_status(502),
    "503": Fault.act_then_status(503),
    "503 with Retry-After": Fault.act_then_status(503, retry_after=0.1),
    "504": Fault.act_then_status(504),
    "520": Fault.act_then_status(520),
    "408": Fault.act_then_status(408),
    "truncated": Fault.act_then_garbage(Garbage.TRUNCATED),
    "html": Fault.act_then_garbage(Garbage.HTML),
    "xml": Fault.act_then_garbage(Garbage.XML),
    "empty": Fault.act_then_garbage(Garbage.EMPTY),
    "not utf-8": Fault.act_then_garbage(Garbage.NOT_UTF8),
    "a list": Fault.act_then_garbage(Garbage.LIST),
    "cut": Fault.act_then_cut(),
    "cut and reset": Fault.act_then_cut(reset=True),
    "stall": Fault.act_then_stall(),
    "drip": Fault.act_then_drip(0.1),
}


@pytest.mark.parametrize("fault", ACT_THEN.values(), ids=ACT_THEN)
async def test_acted_and_then_trouble_rings_once_and_is_unknown(
    emulator: Emulator, fault: Fault
) -> None:
    emulator.faults.add(fault, path=DIAL)
    began = datetime.now(UTC)
    async with session(emulator, timeout=SHORT) as exotel:
        with pytest.raises(CallOutcomeUnknown) as caught:
            await exotel.calls.connect(
                AGENT, CUSTOMER, caller_id=EXOPHONE, custom_field="order-7", time_limit=600
            )
    assert emulator.rung(CUSTOMER) == emulator.rung(AGENT) == 1
    assert len(emulator.requests) == 1
    error = caught.value
    assert (error.from_, error.to, error.caller_id) == (AGENT, CUSTOMER, EXOPHONE)
    assert (error.custom_field, error.time_limit) == ("order-7", timedelta(minutes=10))
    assert began <= error.sent_at <= error.lost_at <= datetime.now(UTC)


async def test_the_sid_of_an_accepted_dial_is_read_out_of_xml(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_garbage(Garbage.XML), path=DIAL)
    async with session(emulator) as exotel:
        with pytest.raises(CallOutcomeUnknown) as caught:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        assert [caught.value.sid] == list(emulator.calls)
        assert caught.value.status == 200


NOT_ACTED = {
    "429": Fault.too_many_requests(),
    "429 with seconds": Fault.too_many_requests(retry_after=0.1),
    "429 with a date": Fault.too_many_requests(retry_after=datetime(2020, 1, 1, tzinfo=UTC)),
    "429 with nonsense": Fault.too_many_requests(retry_after="soon"),
}


@pytest.mark.parametrize("fault", NOT_ACTED.values(), ids=NOT_ACTED)
async def test_refused_before_acting_rings_once_and_gives_the_call(
    emulator: Emulator, fault: Fault
) -> None:
    emulator.faults.add(fault, path=DIAL, times=2)
    async with session(emulator) as exotel:
        call = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        assert call.status == CallStatus.IN_PROGRESS
        assert exotel.limiter.statistics().refused == 2
    assert emulator.rung(CUSTOMER) == 1
    assert len(emulator.requests) == 3


async def test_a_refused_connection_rings_once_and_gives_the_call(emulator: Emulator) -> None:
    async with session(emulator, retry=RetryPolicy(attempts=10_000, backoff_cap=0.05)) as exotel:
        async with emulator.unreachable():
            dial = asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE))
            await asyncio.sleep(0.1)
            assert not dial.done()
        call = await dial
    assert call.sid in emulator.calls
    assert emulator.rung(CUSTOMER) == 1


async def test_dropped_unread_is_unknown_too_for_the_facts_are_the_same(
    emulator: Emulator,
) -> None:
    emulator.faults.add(Fault.drop_before(), path=DIAL)
    async with session(emulator) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    assert emulator.rung(CUSTOMER) == 0


async def test_a_connection_that_breaks_while_it_is_written_to_is_unknown(
    library: ModuleType,
) -> None:
    class Breaking(library.AsyncBaseTransport):  # type: ignore[misc, name-defined]
        """A socket breaks at this moment only by luck."""

        async def handle_async_request(self, request: Any) -> Any:
            await request.extensions["trace"]("http11.send_request_headers.started", {})
            raise library.WriteError("broken pipe")

    async with library.AsyncClient(transport=Breaking()) as client:
        exotel = AsyncExotel(account_sid="a", api_key="k", api_token="t", http_client=client)
        async with exotel:
            with pytest.raises(CallOutcomeUnknown, match="broken pipe"):
                await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)


async def test_a_handshake_that_fails_has_written_nothing() -> None:
    tries = 0

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        exotel = AsyncExotel(
            account_sid="a",
            api_key="k",
            api_token="t",
            base_url=f"https://127.0.0.1:{port}",
            retry=RetryPolicy(attempts=3, backoff=0.01),
        )
        async with exotel:
            with pytest.raises(ConnectionFailed) as caught:
                await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
            assert exotel.limiter.statistics().window_used == 0
    assert caught.value.attempts == tries == 3


async def test_a_host_that_does_not_exist() -> None:
    exotel = AsyncExotel(
        account_sid="a",
        api_key="k",
        api_token="t",
        base_url="https://exotel.invalid",
        retry=RetryPolicy(attempts=2, backoff=0.01),
    )
    async with exotel:
        with pytest.raises(ConnectionFailed) as caught:
            await exotel.account.balance()
    assert re.fullmatch(
        r"exotel\.invalid cannot be reached: .+ \(ConnectError\); nothing was sent",
        str(caught.value),
    )


READ_AGAIN = {
    "drop": Fault.act_then_drop(),
    "drop unread": Fault.drop_before(),
    "reset": Fault.act_then_drop(reset=True),
    "500": Fault.act_then_status(500),
    "502": Fault.act_then_status(502),
    "503": Fault.act_then_status(503),
    "503 with Retry-After": Fault.act_then_status(503, retry_after=0.1),
    "504": Fault.act_then_status(504),
    "520": Fault.act_then_status(520),
    "408": Fault.act_then_status(408),
    "stall": Fault.act_then_stall(),
    "429": Fault.too_many_requests(),
}


@pytest.mark.parametrize("fault", READ_AGAIN.values(), ids=READ_AGAIN)
async def test_a_read_is_sent_again(emulator: Emulator, fault: Fault) -> None:
    async with session(emulator, timeout=SHORT) as exotel:
        call = await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        emulator.faults.add(fault, method="GET", times=2)
        assert (await exotel.calls.get(call.sid)).sid == call.sid
    assert len(emulator.requests) == 4


UNREADABLE = [Garbage.TRUNCATED, Garbage.HTML, Garbage.XML, Garbage.EMPTY, Garbage.NOT_UTF8]


@pytest.mark.parametrize("kind", [*UNREADABLE, Garbage.LIST])
async def test_a_read_whose_answer_is_garbage_fails_at_once(
    emulator: Emulator, exotel: AsyncExotel, kind: Garbage
) -> None:
    emulator.faults.add(Fault.act_then_garbage(kind))
    with pytest.raises(DecodeError) as caught:
        await exotel.account.balance()
    assert caught.value.status == 200
    assert len(emulator.requests) == 1


async def test_a_read_whose_answer_breaks_off_fails_at_once(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.act_then_cut())
    with pytest.raises(DecodeError, match="broke off"):
        await exotel.account.balance()
    assert len(emulator.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 304, 307, 308])
async def test_a_redirect_may_be_what_acting_looks_like(
    emulator: Emulator, exotel: AsyncExotel, status: int
) -> None:
    emulator.faults.add(Fault.act_then_status(status), times=None)
    with pytest.raises(CallOutcomeUnknown, match=f"HTTP {status}"):
        await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    assert emulator.rung(CUSTOMER) == 1
    with pytest.raises(APIError) as caught:
        await exotel.account.balance()
    assert caught.value.status == status
    assert len(emulator.requests) == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 418, 422])
@pytest.mark.parametrize("dial", [True, False])
async def test_a_clear_no_fails_at_once(
    emulator: Emulator, exotel: AsyncExotel, status: int, dial: bool
) -> None:
    emulator.faults.add(Fault.answer(status, message="no"))
    with pytest.raises(APIError) as caught:
        if dial:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        else:
            await exotel.account.balance()
    assert (caught.value.status, caught.value.attempts) == (status, 1)
    assert emulator.rung(CUSTOMER) == 0
    assert len(emulator.requests) == 1
    expected = {403: PermissionDenied, 409: Conflict}.get(status, APIError)
    assert isinstance(caught.value, expected)


async def test_retries_of_a_read_are_bounded(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.faults.add(Fault.act_then_status(500), times=None)
    with pytest.raises(ServerError) as caught:
        await exotel.account.balance()
    assert caught.value.attempts == len(emulator.requests) == 4


async def test_refusals_are_bounded(emulator: Emulator) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=0.02), times=None)
    async with session(emulator, retry=RetryPolicy(refusals=3)) as exotel:
        with pytest.raises(RateLimited) as caught:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
    assert caught.value.attempts == len(emulator.requests) == 4
    assert emulator.rung(CUSTOMER) == 0


async def test_never_means_never(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_status(500), times=None)
    async with session(emulator, retry=RetryPolicy.never()) as exotel:
        with pytest.raises(ServerError):
            await exotel.account.balance()
    assert len(emulator.requests) == 1


async def test_a_retry_passes_the_limiter_again(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.faults.add(Fault.act_then_status(500), times=2)
    await exotel.account.balance()
    assert exotel.limiter.statistics().window_used == 3


async def test_the_read_timeout_ends_a_read(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_stall(), times=None)
    async with session(emulator, timeout=SHORT, retry=RetryPolicy.never()) as exotel:
        time = asyncio.get_running_loop().time
        began = time()
        with pytest.raises(RequestTimeout):
            await exotel.account.balance()
        # It may still arrive: the permit stays out for the read timeout more.
        bucket = exotel.limiter
        assert isinstance(bucket, TokenBucket)
        ended = bucket._window.returns[0] - (bucket.rate.per + SHORT.read)
        assert began + SHORT.read <= ended <= time()


@pytest.mark.slow(2)
@pytest.mark.parametrize("dial", [True, False])
async def test_timeout_bounds_everything_together(
    emulator: Emulator, exotel: AsyncExotel, dial: bool
) -> None:
    emulator.faults.add(Fault.act_then_stall())
    async with asyncio.timeout(SOON):
        with pytest.raises(CallOutcomeUnknown if dial else RequestTimeout, match=r"timeout=0\.5"):
            if dial:
                await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, timeout=0.5)
            else:
                await exotel.account.balance(timeout=0.5)
    assert emulator.rung(CUSTOMER) == dial
    await exotel.aclose(0)  # what stalls is not waited for


async def test_timeout_while_a_refusal_is_waited_out_tells_of_the_refusal(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=30))
    with pytest.raises(RateLimited):
        await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, timeout=4)
    assert emulator.rung(CUSTOMER) == 0


async def test_a_429_pauses_the_others_as_well(emulator: Emulator) -> None:
    async with session(emulator) as exotel:
        await exotel.account.balance()
        emulator.faults.add(Fault.too_many_requests(retry_after=0.3))
        first = asyncio.create_task(exotel.account.balance())
        while not exotel.limiter.statistics().refused:
            await asyncio.sleep(0.01)
        await asyncio.gather(first, *(exotel.account.balance() for _ in range(7)))
    _, refused, *later = (request.arrived / emulator.speed for request in emulator.requests)
    assert len(later) == 8
    assert min(later) - refused >= 0.3 - 0.001


async def test_a_body_without_end_is_given_up() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        writer.close()

    async with await asyncio.start_server(flood, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        exotel = AsyncExotel(
            account_sid="a", api_key="k", api_token="t", base_url=f"http://127.0.0.1:{port}"
        )
        async with exotel:
            with pytest.raises(DecodeError, match="longer than any"):
                await exotel.account.balance()


async def test_a_handshake_that_cannot_be_is_no_exception_of_ssl() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    async def never(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    # Without a certificate the server cannot finish a handshake with anybody.
    async with await asyncio.start_server(never, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        exotel = AsyncExotel(
            account_sid="a",
            api_key="k",
            api_token="t",
            base_url=f"https://127.0.0.1:{port}",
            retry=RetryPolicy.never(),
            rate_limit=RateLimit(100),
        )
        async with exotel:
            with pytest.raises(ConnectionFailed) as caught:
                await exotel.account.balance()
    said = rf"127\.0\.0\.1:{port} cannot be reached: \[SSL.+ \(ConnectError\); nothing was sent"
    assert re.fullmatch(said, str(caught.value))
