"""The last check before the first byte: what it refuses never leaves, and costs nobody anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from exotel_async import (
    AsyncExotel,
    Call,
    CallOutcomeUnknown,
    ConnectionFailed,
    ExotelError,
    LimiterStatistics,
    NotDialled,
    Priority,
    RateLimit,
    RateLimited,
    RateLimitTimeout,
    RequestOutcome,
    RetryPolicy,
)
from exotel_async.config import SendOptions
from exotel_async.emulator import Emulator, Fault
from exotel_async.limiter.token_bucket import TokenBucket
from exotel_async.wire import requests
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON, session
from tests.support.raw_server import CERTIFICATE, GIVEN, Connection, answer, call, raw_server

pytestmark = pytest.mark.usefixtures("library")


class Check:
    """Lets a number of looks pass, and refuses all from then on."""

    def __init__(self, passes: int, error: Exception | None = None) -> None:
        self.error = error or NotDialled("it is past nine in the evening")
        self.looks = 0
        self._passes = passes

    def __call__(self) -> None:
        self.looks += 1
        if self.looks > self._passes:
            raise self.error


async def dial(exotel: AsyncExotel, before_send: Callable[[], None], **more: Any) -> Call:
    request = requests.connect(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)
    options = SendOptions(before_send=before_send)
    calls = exotel.calls
    return await calls._pipeline.send(request, calls.parts().read_dialled, options, **more)


async def refused(exotel: AsyncExotel, check: Check) -> None:
    with pytest.raises(NotDialled) as caught:
        await dial(exotel, check)
    assert caught.value is check.error
    assert caught.value.method == "POST"
    assert exotel.limiter.statistics().window_used == 0
    assert list(exotel.calls._pipeline.dials.as_lost()) == []


async def serve(connection: Connection) -> None:
    """Answer each dial, and keep what is no whole request as well."""
    try:
        while await connection.request():
            await connection.say(answer(call(From=AGENT, To=CUSTOMER)))
    except asyncio.IncompleteReadError as end:
        connection.requests.extend([end.partial] if end.partial else [])


async def closed(connection: Connection) -> None:
    """Wait until the client has closed a connection."""
    async with asyncio.timeout(SOON):
        while not connection.reader.at_eof() and connection.reader.exception() is None:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("tls", [False, True])
async def test_on_a_new_connection_not_a_byte_is_written(
    tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    async with raw_server(serve, tls=tls) as server:
        async with server.session() as exotel:
            check = Check(1)
            await refused(exotel, check)
            assert check.looks == 2
            # Its connection was opened for it, and is not left half used.
            assert len(server.connections) == 1
            await closed(server.connections[0])
            assert bytes(server.connections[0].reader._buffer) == b""  # type: ignore[attr-defined]
        assert server.requests == []


async def test_on_a_connection_kept_alive_not_a_byte_is_written() -> None:
    async with raw_server(serve) as server:
        async with server.session() as exotel:
            await dial(exotel, Check(2))
            (first,) = server.connections
            with pytest.raises(NotDialled):
                await dial(exotel, Check(1))
            await closed(first)
            await dial(exotel, Check(2))
        assert len(server.requests) == 2


@pytest.mark.slow(4)
async def test_a_process_that_was_suspended_after_the_headers_does_not_send_the_body() -> None:
    """The last check may be long ago then. Of headers alone no call can come."""

    def check() -> None:
        # Others run when the headers are written, and one of them takes long.
        asyncio.get_running_loop().call_soon(time.sleep, 1.1)

    async with raw_server(serve) as server:
        async with server.session() as exotel:
            with pytest.raises(CallOutcomeUnknown, match="was suspended"):
                await dial(exotel, check)
            (connection,) = server.connections
            await closed(connection)
            await dial(exotel, Check(2))
        *incomplete, whole = server.requests
        assert not [one for one in incomplete if b"CallerId" in one]
        assert b"CallerId" in whole


async def test_what_fails_at_once_takes_no_connection() -> None:
    async with raw_server(serve) as server, server.session() as exotel:
        check = Check(0)
        await refused(exotel, check)
        assert check.looks == 1
        assert server.connections == []


async def test_no_place_in_the_pool_is_lost() -> None:
    fast = RateLimit(1_000, burst=1_000)
    async with (
        raw_server(serve) as server,
        server.session(max_in_flight=1, rate_limit=fast) as exotel,
    ):
        pool = 1 + 12  # what httpx may open at once for such a session
        for _ in range(2 * pool):
            await refused(exotel, Check(1))
        async with asyncio.timeout(SOON):
            await dial(exotel, Check(2))
    assert len(server.requests) == 1


async def test_others_in_flight_notice_nothing(emulator: Emulator) -> None:
    async with session(emulator) as exotel:
        ended = await asyncio.gather(
            *(dial(exotel, Check(2 if position % 2 else 1)) for position in range(10)),
            return_exceptions=True,
        )
    assert [type(one) for one in ended] == [NotDialled, Call] * 5
    assert emulator.rung(CUSTOMER) == len(emulator.requests) == 5


async def test_each_send_is_checked(emulator: Emulator) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=0.02), times=None)
    async with session(emulator) as exotel:
        check = Check(3)
        with pytest.raises(NotDialled):
            await dial(exotel, check)
    # Twice before the first send, which was refused, and before the second it was too late.
    assert check.looks == 4
    assert len(emulator.requests) == 1
    assert emulator.rung(CUSTOMER) == 0


async def test_a_transport_that_tells_nothing_is_asked_for_nothing(library: ModuleType) -> None:
    asked = []

    def take(request: object) -> Any:
        asked.append(request)
        return library.Response(200, json=call(From=AGENT, To=CUSTOMER))

    async with (
        library.AsyncClient(transport=library.MockTransport(take)) as client,
        AsyncExotel(**GIVEN, http_client=client) as exotel,
    ):
        await refused(exotel, Check(0))
        assert asked == []
        check = Check(1)
        await dial(exotel, check)
    assert check.looks == len(asked) == 1


async def test_a_tunnel_is_not_the_request(library: ModuleType) -> None:
    async def refuse_tunnels(connection: Connection) -> None:
        await connection.request()
        await connection.say(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    async with (
        raw_server(refuse_tunnels) as proxy,
        library.AsyncClient(proxy=proxy.url) as client,
        AsyncExotel(**GIVEN, http_client=client, retry=RetryPolicy.never()) as exotel,
    ):
        check = Check(1)
        with pytest.raises(ExotelError) as caught:
            await dial(exotel, check)
    assert caught.value is not check.error
    assert check.looks == 1
    assert [request.split(b" ")[0] for request in proxy.requests] == [b"CONNECT"]


async def test_a_proxy_gets_not_a_byte_of_it(library: ModuleType) -> None:
    async with (
        raw_server(serve) as proxy,
        library.AsyncClient(proxy=proxy.url) as client,
        AsyncExotel(
            **GIVEN, base_url="http://exotel.example", allow_http=True, http_client=client
        ) as exotel,
    ):
        await refused(exotel, Check(1))
    assert len(proxy.connections) == 1
    assert proxy.requests == []


async def test_what_was_written_before_a_second_try_of_the_transport_counts(
    library: ModuleType,
) -> None:
    """A transport of the user's own sends again by itself: the first time may have rung."""

    class Again(library.AsyncHTTPTransport):  # type: ignore[misc, name-defined]
        async def handle_async_request(self, request: Any) -> Any:
            try:
                return await super().handle_async_request(request)
            except library.TransportError:
                return await super().handle_async_request(request)

    async def hang_up(connection: Connection) -> None:
        await connection.request()

    async with (
        raw_server(hang_up) as server,
        library.AsyncClient(transport=Again()) as client,
        server.session(http_client=client) as exotel,
    ):
        check = Check(2)
        with pytest.raises(ExotelError, match="not known whether"):
            await dial(exotel, check)
    assert check.looks == 3
    assert len(server.requests) == 1


class OwnPermit:
    def __init__(self, told: list[str]) -> None:
        self._told = told

    def finish(self, outcome: RequestOutcome) -> None:
        self._told.append(f"finished: {outcome.status}")

    def release(self) -> None:
        self._told.append("released")


class OwnLimiter:
    def __init__(self) -> None:
        self.told: list[str] = []

    async def acquire(
        self,
        priority: Priority = Priority.INTERACTIVE,
        max_wait: float | None = None,
        *,
        retry: bool = False,
    ) -> OwnPermit:
        return OwnPermit(self.told)

    def statistics(self) -> LimiterStatistics:
        return TokenBucket().statistics()


async def test_its_permit_is_given_back_as_never_tried() -> None:
    limiter = OwnLimiter()
    async with raw_server(serve) as server, server.session(rate_limit=limiter) as exotel:
        for passes in (0, 1, 2):
            if passes < 2:
                with pytest.raises(NotDialled):
                    await dial(exotel, Check(passes))
            else:
                await dial(exotel, Check(passes))
    assert limiter.told == ["released", "released", "finished: 200"]


async def test_a_probe_that_was_stopped_opens_nothing(emulator: Emulator) -> None:
    async with session(emulator, retry=RetryPolicy.never()) as exotel:
        emulator.faults.add(Fault.too_many_requests(retry_after=0.05))
        with pytest.raises(RateLimited):
            await exotel.account.balance()
        with pytest.raises(NotDialled):
            await dial(exotel, Check(1))
        bucket = exotel.limiter
        assert isinstance(bucket, TokenBucket)
        assert bucket._gate.half_open
        assert not bucket._gate.probe_sent
        await exotel.account.balance()
        assert not bucket._gate.half_open


async def test_a_check_that_is_defective_says_so_and_nothing_is_written() -> None:
    async with raw_server(serve) as server, server.session() as exotel:
        check = Check(1, ZeroDivisionError("a defect"))
        with pytest.raises(ZeroDivisionError):
            await dial(exotel, check)
        assert exotel.limiter.statistics().window_used == 0
    assert server.requests == []


async def test_a_caller_that_has_left_leaves_no_dial_behind() -> None:
    async with raw_server(serve) as server, server.session() as exotel:

        def leave() -> None:
            dialling.cancel()
            raise ZeroDivisionError

        dialling = asyncio.create_task(dial(exotel, leave))
        await asyncio.wait({dialling})
        assert dialling.cancelled()
        async with asyncio.timeout(SOON):
            while list(exotel.calls._pipeline.dials.as_lost()):
                await asyncio.sleep(0)
    assert server.connections == []


# A policy for one request


async def test_one_request_may_be_sent_once_where_others_are_sent_again(
    emulator: Emulator,
) -> None:
    async with session(emulator) as exotel:
        emulator.faults.add(Fault.too_many_requests(retry_after=5))
        with pytest.raises(RateLimited) as caught:
            await dial(exotel, Check(2), retry=RetryPolicy.never())
        assert caught.value.attempts == len(emulator.requests) == 1
        # The limiter pauses all the same.
        assert exotel.limiter.statistics().paused_for > 0
        with pytest.raises(RateLimitTimeout):
            await exotel.account.balance(max_wait=0)
    assert emulator.rung(CUSTOMER) == 0


async def test_a_refused_connection_is_tried_once_where_the_request_says_so() -> None:
    async with raw_server(serve) as server:
        pass  # nobody listens there any more
    async with server.session() as exotel:
        check = Check(100)
        with pytest.raises(ConnectionFailed) as caught:
            await dial(exotel, check, retry=RetryPolicy.never())
        assert caught.value.attempts == check.looks == 1
        assert exotel.limiter.statistics().window_used == 0


async def test_one_request_may_be_sent_more_often_than_others(emulator: Emulator) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=0.02), times=2)
    async with session(emulator, retry=RetryPolicy.never()) as exotel:
        await dial(exotel, Check(100), retry=RetryPolicy(refusals=2))
    assert len(emulator.requests) == 3
    assert emulator.rung(CUSTOMER) == 1
