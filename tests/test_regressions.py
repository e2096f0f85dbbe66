"""Things that went wrong once, or nearly: each of them stays mended."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from exotel_async import (
    APIError,
    AsyncExotel,
    Call,
    CallOutcomeUnknown,
    ConfigurationError,
    ConnectionFailed,
    DialTarget,
    ExotelError,
    InvalidRequest,
    NotFound,
    RateLimit,
    RateLimited,
    RateLimitTimeout,
    RequestOutcome,
    RetryPolicy,
    ServerError,
    Timeouts,
    TokenBucket,
)
from exotel_async.emulator import Emulator, Fault
from exotel_async.http.retry import Facts, Retry, verdict
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON, session
from tests.support.virtual_time import run

DIAL = "Calls/connect"
GIVEN: dict[str, Any] = {"account_sid": "acme1", "api_key": "key", "api_token": "token"}


async def dial(exotel: AsyncExotel, **options: Any) -> Call:
    return await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE, **options)


# Clients of the user's own


async def test_a_silent_transport_proves_nothing(library: ModuleType, emulator: Emulator) -> None:
    class Silent(library.AsyncHTTPTransport):  # type: ignore[misc, name-defined]
        """A transport that does not tell what it does."""

        async def handle_async_request(self, request: Any) -> Any:
            request.extensions = {"timeout": request.extensions["timeout"]}
            return await super().handle_async_request(request)

    client = library.AsyncClient(transport=Silent())
    async with client, session(emulator, http_client=client) as exotel:
        assert (await dial(exotel)).sid in emulator.calls
        emulator.faults.add(Fault.act_then_drop(), path=DIAL, times=None)
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel)
        assert exotel.limiter.statistics().window_used == 2
        async with emulator.unreachable():
            with pytest.raises(CallOutcomeUnknown):
                await dial(exotel)
    assert emulator.rung(CUSTOMER) == 2


async def test_a_client_that_follows_redirects_does_not_follow_ours(
    library: ModuleType, emulator: Emulator
) -> None:
    page = b"moved"
    emulator.faults.add(Fault.answer(307, body=page), path=DIAL)
    client = library.AsyncClient(follow_redirects=True)
    async with client, session(emulator, http_client=client) as exotel:
        with pytest.raises(CallOutcomeUnknown) as caught:
            await dial(exotel)
    assert caught.value.status == 307
    assert len(emulator.requests) == 1


async def test_a_client_whose_hook_raises_for_the_status(
    library: ModuleType, emulator: Emulator
) -> None:
    async def check(response: Any) -> None:
        response.raise_for_status()

    emulator.faults.add(Fault.too_many_requests(), path=DIAL)
    client = library.AsyncClient(event_hooks={"response": [check]})
    async with client, session(emulator, http_client=client) as exotel:
        assert (await dial(exotel)).sid in emulator.calls
        assert exotel.limiter.statistics().refused == 1
        with pytest.raises(NotFound):
            await exotel.calls.get("0" * 32)


@pytest.mark.parametrize("error", ["ConnectError", "InvalidURL", "PoolTimeout"])
async def test_a_hook_that_fails_after_the_answer_proves_nothing(
    library: ModuleType, emulator: Emulator, error: str
) -> None:
    async def audit(_: object) -> None:
        raise getattr(library, error)("the collector is down")

    client = library.AsyncClient(event_hooks={"response": [audit]})
    async with client, session(emulator, http_client=client) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel)
    assert emulator.rung(CUSTOMER) == 1


async def test_a_proxy_that_refuses_has_passed_nothing_on(library: ModuleType) -> None:
    asked = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with library.AsyncClient(proxy=proxy) as client:
            retry = RetryPolicy(attempts=2, backoff=0.01)
            exotel = AsyncExotel(
                **GIVEN, base_url="https://exotel.invalid", http_client=client, retry=retry
            )
            async with exotel:
                with pytest.raises(ConnectionFailed):
                    await dial(exotel)
    assert len(asked) == 2


# What must not lose a call that was made


async def test_a_limiter_that_fails_loses_no_call(emulator: Emulator) -> None:
    class Failing:
        def finish(self, _: RequestOutcome) -> None:
            raise ConnectionError("the limiter's server went away")

        def release(self) -> None: ...

    class Limiter(TokenBucket):
        async def acquire(self, *_: Any, **__: Any) -> Any:
            return Failing()

    async with session(emulator, rate_limit=Limiter()) as exotel:
        assert (await dial(exotel)).sid in emulator.calls


async def test_a_defect_in_reading_loses_no_call(emulator: Emulator, exotel: AsyncExotel) -> None:
    def defective(_: object) -> Call:
        raise TypeError("a defect")

    exotel.calls.parts().read_dialled = defective
    with pytest.raises(CallOutcomeUnknown) as caught:
        await dial(exotel)
    assert caught.value.sid in emulator.calls


@pytest.mark.parametrize("limit", ["14400.0", "9" * 30, "soon", ""])
async def test_a_time_limit_of_the_users_own_loses_no_call(emulator: Emulator, limit: str) -> None:
    emulator.faults.add(Fault.act_then_status(504), path=DIAL)
    async with session(emulator) as exotel:
        with pytest.raises((CallOutcomeUnknown, APIError)):
            await dial(exotel, extra={"TimeLimit": limit})


@pytest.mark.slow(1)
async def test_a_coroutine_may_be_told_of_orphans(emulator: Emulator) -> None:
    told = []

    async def tell(ended: Call | CallOutcomeUnknown, _: DialTarget) -> None:
        await asyncio.sleep(0.05)
        told.append(ended.sid)

    emulator.latency = lambda _: (0.0, 1.0)
    async with session(emulator, on_orphaned_call=tell) as exotel:
        with pytest.raises(CallOutcomeUnknown):
            await dial(exotel, timeout=0.4)
    assert told == list(emulator.calls)


# Time


async def test_the_total_bounds_what_a_pause_prolongs(emulator: Emulator) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=60), path=DIAL)
    async with asyncio.timeout(SOON), session(emulator, retry=RetryPolicy(total=0.5)) as exotel:
        with pytest.raises(RateLimited):
            await dial(exotel)
    assert emulator.rung(CUSTOMER) == 0


async def test_no_time_at_all_rings_nobody(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(RateLimitTimeout):
        await dial(exotel, timeout=0)
    assert emulator.requests == []
    assert exotel.limiter.statistics().window_used == 0


async def test_a_cold_start_refuses_nobody_for_the_probe_is_answered_soon() -> None:
    async with Emulator(latency=lambda _: (0.02, 0.02)) as emulator, session(emulator) as exotel:
        await asyncio.gather(*(exotel.account.balance(timeout=SOON) for _ in range(4)))


def test_many_refusals_and_tries_overflow_nothing() -> None:
    async def main() -> None:
        bucket = TokenBucket()
        for _ in range(1100):
            (await bucket.acquire()).finish(RequestOutcome(status=429))
        assert bucket.statistics().paused_for == pytest.approx(60, abs=0.1)

    run(main())
    policy = RetryPolicy(attempts=9999, total=1e6)
    judged = verdict(Facts(must_not_repeat=False, written=False, tries=5000), policy, jitter=1.0)
    assert judged == Retry(policy.backoff_cap)


# Everything is cancelled


def test_cancelling_all_tasks_does_not_stop_the_limiter() -> None:
    async def main() -> int:
        bucket = TokenBucket(RateLimit(5, per=60, burst=1))
        (await bucket.acquire()).finish(RequestOutcome(status=200))
        through = 0

        async def worker() -> None:
            nonlocal through
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            (await bucket.acquire()).finish(RequestOutcome(status=200))  # a last request
            through += 1

        parked = asyncio.create_task(bucket.acquire())
        tasks = [asyncio.create_task(worker()) for _ in range(5)]
        await asyncio.sleep(1)
        me = asyncio.current_task()
        for task in asyncio.all_tasks() - {me}:
            task.cancel()
        await asyncio.gather(*tasks, parked, return_exceptions=True)
        return through

    assert run(main()) == 5


async def test_cancelled_while_it_closes_it_closes_all_the_same(emulator: Emulator) -> None:
    before = asyncio.all_tasks()
    emulator.faults.add(Fault.act_then_stall(), path=DIAL)
    exotel = session(emulator)
    dialling = asyncio.create_task(dial(exotel))
    while not emulator.calls:
        await asyncio.sleep(0.01)
    closing = asyncio.create_task(exotel.aclose(grace=30))
    await asyncio.sleep(0.05)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    with pytest.raises(CallOutcomeUnknown):
        await dialling
    await exotel.aclose()
    assert asyncio.all_tasks() == before
    made = exotel._pipeline.transport._made
    assert made is not None
    assert made.is_closed


@pytest.mark.slow(1)
async def test_a_report_that_takes_long_does_not_hold_up_a_cancelled_closing(
    emulator: Emulator,
) -> None:
    async def tell(*_: object) -> None:
        await asyncio.Event().wait()

    emulator.faults.add(Fault.act_then_stall(), path=DIAL)
    exotel = session(emulator, on_orphaned_call=tell)
    dialling = asyncio.create_task(dial(exotel))
    while not emulator.calls:
        await asyncio.sleep(0.01)
    dialling.cancel()
    closing = asyncio.create_task(exotel.aclose(grace=60))
    await asyncio.sleep(0.05)
    closing.cancel()
    async with asyncio.timeout(SOON):
        with pytest.raises(asyncio.CancelledError):
            await closing


@pytest.mark.slow(1)
async def test_a_report_that_refuses_to_end_does_not_hold_up_the_closing(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exotel_async.http.closing._REPORT_SECONDS", 0.2)
    release = asyncio.Event()

    async def tell(*_: object) -> None:
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()

    emulator.latency = lambda _: (0.0, 1.0)
    exotel = session(emulator, on_orphaned_call=tell)
    with pytest.raises(CallOutcomeUnknown):
        await dial(exotel, timeout=0.4)
    async with asyncio.timeout(SOON):
        await exotel.aclose(grace=0.2)
    release.set()


async def test_a_closing_that_is_itself_cancelled_closes_and_can_be_repeated(
    emulator: Emulator,
) -> None:
    emulator.faults.add(Fault.act_then_stall(), path=DIAL)
    exotel = session(emulator)
    dialling = asyncio.create_task(dial(exotel))
    while not emulator.calls:
        await asyncio.sleep(0.01)
    before = asyncio.all_tasks()
    closing = asyncio.create_task(exotel.aclose(grace=30))
    await asyncio.sleep(0.05)
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    await exotel.aclose(grace=0.1)
    with pytest.raises(CallOutcomeUnknown):
        await dialling
    made = exotel._pipeline.transport._made
    assert made is not None
    assert made.is_closed


async def test_one_who_waits_while_being_cancelled_is_told_of_the_closing(
    emulator: Emulator,
) -> None:
    exotel = session(emulator, rate_limit=RateLimit(2, per=6))
    await exotel.account.balance()

    async def last_words() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await exotel.account.balance()

    task = asyncio.create_task(last_words())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0.05)
    await exotel.aclose()
    with pytest.raises(ConfigurationError, match="closed"):
        await task


async def test_whoever_closes_second_waits_as_well(emulator: Emulator) -> None:
    emulator.latency = lambda _: (0.0, 0.2)
    exotel = session(emulator)
    dialling = asyncio.create_task(dial(exotel))
    while not emulator.calls:
        await asyncio.sleep(0.01)
    first = asyncio.create_task(exotel.aclose())
    await asyncio.sleep(0.01)
    await exotel.aclose()
    assert dialling.done()
    await first


async def test_an_exchange_cancelled_before_it_began_is_no_cancellation(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    await exotel.account.balance()
    asking = asyncio.create_task(exotel.account.balance())
    while not exotel._pipeline._lifetime._tasks:
        await asyncio.sleep(0)
    for exchange in exotel._pipeline._lifetime._tasks:
        exchange.cancel()
    with suppress(ExotelError):
        await asking
    assert exotel.limiter.statistics().in_flight == 0


async def test_closing_ends_those_that_wait_to_try_again(emulator: Emulator) -> None:
    retry = RetryPolicy(attempts=9, backoff=30, backoff_cap=30)
    exotel = session(emulator, retry=retry)
    async with emulator.unreachable():
        asking = asyncio.create_task(exotel.account.balance())
        await asyncio.sleep(0.2)
        async with asyncio.timeout(SOON):
            await exotel.aclose()
            with pytest.raises(ConfigurationError, match="closed"):
                await asking


async def test_a_session_is_closed_in_its_own_loop(exotel: AsyncExotel) -> None:
    await exotel.account.balance()
    with pytest.raises(ConfigurationError, match="another event loop"):
        await asyncio.to_thread(lambda: asyncio.run(exotel.aclose()))


# One account, one budget


async def test_the_usual_port_is_the_same_host() -> None:
    one = AsyncExotel(**GIVEN, base_url="https://api.exotel.com")
    two = AsyncExotel(**GIVEN, base_url="https://api.exotel.com:443/")
    assert one.limiter is two.limiter


@pytest.mark.slow(1)
async def test_a_small_session_does_not_slow_the_others(emulator: Emulator) -> None:
    async with session(emulator) as large, session(emulator, max_in_flight=1) as small:
        await small.account.balance()
        emulator.latency = lambda _: (0.0, 1.0)
        async with asyncio.timeout(6):  # one after the other it would take 8
            await asyncio.gather(*(large.account.balance() for _ in range(8)))


async def test_what_waits_for_the_exchanges_before_it_is_given_up_in_time(
    emulator: Emulator,
) -> None:
    settings: dict[str, Any] = {
        "max_in_flight": 1,
        "timeout": Timeouts(exchange=0.5),
        "retry": RetryPolicy(attempts=1),
    }
    async with session(emulator) as large, session(emulator, **settings) as small:
        await large.account.balance()  # and so more may be in flight for the limiter
        async with small._pipeline.transport._gate:  # as an exchange has it that does not end
            with pytest.raises(ConnectionFailed, match=r"the exchange took longer than 0\.5 s"):
                await small.numbers.lookup(CUSTOMER)
        assert len(emulator.requests) == 1


# Arguments


class Exophone(str, enum.Enum):  # noqa: UP042 - people have these
    SALES = EXOPHONE


class Flows(enum.IntEnum):
    HELLO = 926


async def test_words_of_other_enums_are_sent_by_their_value(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    await exotel.calls.connect_to_flow(CUSTOMER, flow=Flows.HELLO, caller_id=Exophone.SALES)
    form = emulator.requests[0].form
    assert form["CallerId"] == EXOPHONE
    assert form["Url"].endswith("/926")


async def test_a_short_token_garbles_no_answer() -> None:
    async with Emulator(api_token="t", speed=30) as emulator, session(emulator) as exotel:
        call = await dial(exotel)
        assert call.raw["Status"] == "in-progress"


async def test_an_error_keeps_what_support_asks_for() -> None:
    said = {"X-Request-Id": "1234567890123", "X-RateLimit-Reset": "1795430000"}

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(500, headers=said)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        exotel = AsyncExotel(**GIVEN, http_client=client, retry=RetryPolicy.never())
        async with exotel:
            with pytest.raises(ServerError) as caught:
                await exotel.account.balance()
    assert {k: caught.value.headers[k.lower()] for k in said} == said


def generate(ended: object, target: object) -> Iterator[None]:
    yield


class Unhashable(ZoneInfo):
    __hash__ = None  # type: ignore[assignment]


class LikePytz(ZoneInfo):
    def localize(self) -> None: ...


@pytest.mark.parametrize(
    "arguments",
    [
        {"rate_limit": 0.5},
        {"timeout": "30"},
        {"retry": 1.5},
        {"region": "nowhere"},
        {"base_url": httpx.URL("https://api.exotel.com")},
        {"max_in_flight": True},
        {"on_orphaned_call": []},
        {"on_orphaned_call": [].append},
        {"on_orphaned_call": generate},
        {"time_zone": "Asia/Kolkata"},
        {"time_zone": Unhashable("UTC")},
        {"time_zone": LikePytz("UTC")},
        {"account_sid": "x/../acme1/Numbers/1?z="},
        {"api_token": "tok\udcff"},
        {"api_key": "two words"},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_arguments_of_the_wrong_kind(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(arguments))) as caught:
        AsyncExotel(**GIVEN | arguments)
    assert "tok\udcff" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"extra": "x=1"},
        {"extra": [("a", "b")]},
        {"time_limit": 10**5000},
        {"timeout": 10**400},
        {"timeout": True},
        {"max_wait": float("nan")},
    ],
)
async def test_requests_of_the_wrong_kind(
    emulator: Emulator, exotel: AsyncExotel, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(arguments))):
        await dial(exotel, **arguments)
    with pytest.raises(InvalidRequest, match="flow"):
        await exotel.calls.connect_to_flow(CUSTOMER, flow=10**5000, caller_id=EXOPHONE)
    with pytest.raises(InvalidRequest, match="details"):
        await exotel.calls.get("0" * 32, details="no")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="recording_url_validity"):
        await exotel.calls.get("0" * 32, recording_url_validity=timedelta(hours=2))
    assert emulator.requests == []
