"""The session: how it is set up, shared, cancelled and closed."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import pickle
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from exotel_async import (
    IST,
    APIError,
    AsyncExotel,
    AuthenticationError,
    BadRequest,
    Call,
    CallOutcomeUnknown,
    CallPage,
    CallStatus,
    ConfigurationError,
    ExotelError,
    InvalidRequest,
    LimiterStatistics,
    NotFound,
    PaymentRequired,
    PermissionDenied,
    Permit,
    Priority,
    RateLimit,
    RateLimitTimeout,
    Region,
    RetryPolicy,
    Timeouts,
    TokenBucket,
)
from exotel_async.config import SendOptions
from exotel_async.emulator import Dial, Emulator, Fault
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON, TLS, session

PAST = Dial(from_=CUSTOMER, to=AGENT, caller_id=EXOPHONE)
GIVEN: dict[str, Any] = {"account_sid": "acme1", "api_key": "key", "api_token": "token"}


# Setting up


@pytest.mark.parametrize("missing", GIVEN)
def test_a_missing_credential_names_its_variable(missing: str) -> None:
    given: dict[str, Any] = {name: value for name, value in GIVEN.items() if name != missing}
    with pytest.raises(ConfigurationError, match=f"EXOTEL_{missing.upper()}"):
        AsyncExotel(**given)
    with pytest.raises(ConfigurationError, match=missing):
        AsyncExotel(**given | {missing: " "})


async def test_the_environment_is_enough(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXOTEL_ACCOUNT_SID", emulator.account_sid)
    monkeypatch.setenv("EXOTEL_API_KEY", emulator.api_key)
    monkeypatch.setenv("EXOTEL_API_TOKEN", emulator.api_token)
    monkeypatch.setenv("EXOTEL_SUBDOMAIN", emulator.base_url)
    async with AsyncExotel() as exotel:
        assert (await exotel.account.balance()).currency == "INR"


@pytest.mark.parametrize(
    ("environment", "arguments", "expected"),
    [
        (None, {}, "api.exotel.com"),
        ("api.in.exotel.com", {}, "api.in.exotel.com"),
        ("@api.in.exotel.com", {}, "api.in.exotel.com"),
        (" Mumbai", {}, "api.in.exotel.com"),
        ("api.exotel.com", {"region": Region.MUMBAI}, "api.in.exotel.com"),
        ("api.exotel.com", {"base_url": "http://127.0.0.1:8080"}, "127.0.0.1"),
    ],
)
async def test_where_requests_go(
    monkeypatch: pytest.MonkeyPatch,
    environment: str | None,
    arguments: dict[str, Any],
    expected: str,
) -> None:
    if environment:
        monkeypatch.setenv("EXOTEL_SUBDOMAIN", environment)
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(404)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client:
        exotel = AsyncExotel(**GIVEN, **arguments, http_client=client)
        async with exotel:
            with pytest.raises(NotFound):
                await exotel.account.balance()
    assert asked[0].host == expected
    assert asked[0].path == "/v1/Accounts/acme1/Balance.json"
    assert asked[0].userinfo == b""


@pytest.mark.parametrize(
    "base_url",
    [
        "http://user:secret@host",
        "ftp://host",
        "host",
        "",
        "https://",
        "https://host:99999",
        "https://host?x=1",
        "https://ho st",
    ],
)
def test_an_impossible_base_url_is_refused(base_url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        AsyncExotel(**GIVEN, base_url=base_url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"region": Region.MUMBAI, "base_url": "http://host"},
        {"max_in_flight": 0},
        {"http_client": object()},
        {"http_client": "requests"},
        {"http_client": httpx.Client(verify=TLS)},
        {"http_client": httpx2.Client(verify=TLS)},
        {"http_client": httpx.AsyncClient(verify=TLS, limits=httpx.Limits(max_connections=10))},
        {"http_client": httpx2.AsyncClient(verify=TLS, limits=httpx2.Limits(max_connections=10))},
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        AsyncExotel(**GIVEN, **arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Timeouts(read=0),
        lambda: Timeouts(connect=float("nan")),
        lambda: RetryPolicy(attempts=0),
        lambda: RetryPolicy(total=-1),
        *(partial(Timeouts, read=wrong) for wrong in (True, 10**400, 1e300)),
        *(partial(RetryPolicy, backoff=wrong) for wrong in (True, 10**400)),
        *(partial(RetryPolicy, attempts=wrong) for wrong in (True, 10**400)),
        partial(RetryPolicy, refusals=False),
        partial(RetryPolicy, longest_pause=True),
        *(partial(RateLimit, wrong) for wrong in (True, 10**400)),
        *(partial(RateLimit, per=wrong) for wrong in (True, 10**400, 1e-320, 0.0009)),
        *(partial(RateLimit, burst=wrong) for wrong in (True, 10**400)),
        lambda: AsyncExotel(**GIVEN, rate_limit=10**400),
        lambda: AsyncExotel(**GIVEN, retry=10**400),
        lambda: AsyncExotel(**GIVEN, timeout=10**400),
    ],
)
def test_impossible_values_are_refused(make: Any) -> None:
    with pytest.raises(ConfigurationError, match=": must be "):
        make()


@pytest.mark.parametrize("priority", [True, False, 1 + 0j, 1.0, 2, "bulk"])
def test_what_is_no_priority_is_refused(priority: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^priority=.*: must be a Priority$"):
        AsyncExotel(**GIVEN).with_options(priority=priority)


def test_a_priority_may_be_its_number() -> None:
    number: Any = 1
    assert SendOptions().with_changes(priority=number).priority is Priority.BULK


def test_made_outside_a_loop_it_works_in_one() -> None:
    exotel = AsyncExotel(**GIVEN, base_url="http://127.0.0.1:1", retry=RetryPolicy.never())

    async def main() -> None:
        async with exotel:
            with pytest.raises(ExotelError):
                await exotel.account.balance()

    asyncio.run(main())


def test_another_loop_is_told_so() -> None:
    exotel = AsyncExotel(**GIVEN, base_url="http://127.0.0.1:1", retry=RetryPolicy.never())

    async def use() -> None:
        with contextlib.suppress(APIError):
            await exotel.account.balance()

    with contextlib.suppress(ExotelError):
        asyncio.run(use())
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(use())
    with pytest.raises(ConfigurationError, match="no event loop"):
        _ = exotel.limiter


# Requests, end to end


async def test_every_parameter_arrives(emulator: Emulator, exotel: AsyncExotel) -> None:
    call = await exotel.calls.connect(
        "098123 00002",
        "+91 98123-00001",
        caller_id="080-3000-0000",
        time_limit=timedelta(minutes=10),
        ring_timeout=30,
        wait_url="https://example.com/wait.wav",
        record=True,
        recording_channels="dual",
        recording_format="mp3-hq",
        custom_field='{"order": 7}',
        start_playback_to="Both",
        start_playback_url="https://example.com/hello.wav",
        status_callback="https://example.com/ended",
        status_callback_events=["terminal", "answered"],
        status_callback_content_type="application/json",
        extra={"StatusCallbackMethod": "POST"},
    )
    assert emulator.requests[0].form == {
        "From": "09812300002",
        "To": "+919812300001",
        "CallerId": "08030000000",
        "TimeLimit": "600",
        "TimeOut": "30",
        "WaitUrl": "https://example.com/wait.wav",
        "Record": "true",
        "RecordingChannels": "dual",
        "RecordingFormat": "mp3-hq",
        "CustomField": '{"order": 7}',
        "StartPlaybackToNew": "Both",
        "StartPlaybackValueNew": "https://example.com/hello.wav",
        "StatusCallback": "https://example.com/ended",
        "StatusCallbackEvents[0]": "terminal",
        "StatusCallbackEvents[1]": "answered",
        "StatusCallbackContentType": "application/json",
        "StatusCallbackMethod": "POST",
    }
    assert call.exophone == EXOPHONE


async def test_a_call_is_read_back(emulator: Emulator, exotel: AsyncExotel) -> None:
    call = await exotel.calls.connect_to_flow(CUSTOMER, flow=926, caller_id=EXOPHONE)
    assert call.status == CallStatus.IN_PROGRESS
    assert not call.is_final
    await emulator.finish_calls()
    ended = await exotel.calls.get(call.sid, details=True)
    assert ended.is_final
    assert ended.ended_at is not None
    assert ended.ended_at.utcoffset() == timedelta(hours=5, minutes=30)
    assert ended.details is not None


async def test_numbers_and_balance(exotel: AsyncExotel) -> None:
    known = await exotel.numbers.lookup("098123 00001")
    assert known.phone_number == "09812300001"
    assert (await exotel.account.balance()).amount > 0


async def test_nothing_is_sent_for_a_bad_argument(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(InvalidRequest, match="to="):
        await exotel.calls.connect(AGENT, "nobody", caller_id=EXOPHONE)
    with pytest.raises(InvalidRequest, match="caller_id="):
        await exotel.calls.connect(AGENT, CUSTOMER, caller_id="")
    with pytest.raises(InvalidRequest, match="max_wait"):
        await exotel.account.balance(max_wait=-1)
    with pytest.raises(InvalidRequest, match="timeout"):
        await exotel.account.balance(timeout="soon")  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest, match="priority"):
        exotel.with_options(priority=7)  # type: ignore[arg-type]
    assert emulator.requests == []
    assert exotel.limiter.statistics().granted == 0


def _every_method(exotel: AsyncExotel) -> dict[str, Callable[..., Any]]:
    """Return all that takes `RequestOptions`, with what else it needs."""
    calls, exophones = exotel.calls, exotel.exophones
    return {
        "connect": partial(calls.connect, CUSTOMER, AGENT, caller_id=EXOPHONE),
        "connect_to_flow": partial(calls.connect_to_flow, CUSTOMER, flow=926, caller_id=EXOPHONE),
        "connect_to_stream": partial(
            calls.connect_to_stream,
            CUSTOMER,
            stream_url="wss://bot.example/media",
            caller_id=EXOPHONE,
        ),
        "connect_many": partial(calls.connect_many, [CUSTOMER], flow=926, caller_id=EXOPHONE),
        "get": partial(calls.get, "abc"),
        "get_many": partial(calls.get_many, ["abc"]),
        "list": calls.list,
        "balance": exotel.account.balance,
        "lookup": partial(exotel.numbers.lookup, AGENT),
        "whitelist": partial(exotel.numbers.whitelist, AGENT, exophone=EXOPHONE),
        "whitelist_status": partial(exotel.numbers.whitelist_status, AGENT),
        "request": partial(exotel.request, "GET", "Balance.json"),
        "exophones.list": exophones.list,
        "exophones.get": partial(exophones.get, "abc"),
        "assign_flow": partial(exophones.assign_flow, "abc", 926),
        "rename": partial(exophones.rename, "abc", "sales"),
        "with_options": exotel.with_options,
    }


_EVERY_METHOD = tuple(_every_method(AsyncExotel(**GIVEN)))


@pytest.mark.parametrize("name", _EVERY_METHOD)
@pytest.mark.parametrize(
    "wrong",
    [{"max_wiat": 5}, {"time_zone": IST}, {"max_wait": -1}, {"timeout": "5"}, {"priority": 7}],
)
async def test_an_option_that_is_none_is_named_and_nothing_is_sent(
    emulator: Emulator, exotel: AsyncExotel, name: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises((TypeError, InvalidRequest), match=next(iter(wrong))):
        await _every_method(exotel)[name](**wrong)
    assert not emulator.requests


async def test_refusals_have_their_own_classes(emulator: Emulator) -> None:
    async with session(emulator, api_token="wrong") as exotel:
        with pytest.raises(AuthenticationError, match="region"):
            await exotel.account.balance()
    async with session(emulator, account_sid="other") as exotel:
        with pytest.raises(APIError):
            await exotel.account.balance()
    async with session(emulator) as exotel:
        with pytest.raises(NotFound):
            await exotel.calls.get("0" * 32)
        with pytest.raises(BadRequest):
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id="08099999999")
        emulator.balance_exhausted = True
        with pytest.raises(PaymentRequired):
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        emulator.balance_exhausted = False
        emulator.kyc = False
        with pytest.raises(PermissionDenied) as caught:
            await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
        assert caught.value.code == 340030


# Options


async def test_a_view_has_its_own_defaults_and_is_the_same_session(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    bulk = exotel.with_options(priority=Priority.BULK, max_wait=0.05)
    await exotel.account.balance()
    assert bulk.limiter is exotel.limiter
    emulator.faults.add(Fault.too_many_requests(retry_after=30))
    with pytest.raises(APIError):
        await exotel.account.balance(timeout=0.2)
    with pytest.raises(RateLimitTimeout):
        await bulk.account.balance()
    statistics = exotel.limiter.statistics()
    assert (statistics.waiting_bulk, statistics.waiting_interactive) == (0, 0)


async def first_page(records: Awaitable[CallPage]) -> CallPage:
    return await records


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0.2}, "timeout=0.2"),
        ({"max_wait": 0.2}, "max_wait=0.2"),
        ({"max_wait": 0.2, "timeout": 0.2}, "max_wait=0.2"),
        ({"max_wait": 0.2, "timeout": 5}, "max_wait=0.2"),
        ({"max_wait": 5, "timeout": 0.2}, "timeout=0.2"),
    ],
)
async def test_a_refusal_by_the_budget_names_what_was_passed(
    emulator: Emulator, options: dict[str, Any], said: str
) -> None:
    sids = [emulator.add_call(PAST).sid for _ in range(30)]
    async with session(emulator, rate_limit=RateLimit(1, per=60)) as exotel:
        await exotel.account.balance()
        get = exotel.calls.get
        errors = await asyncio.gather(
            exotel.account.balance(**options),
            exotel.with_options(**options).account.balance(),
            first_page(exotel.calls.list(**options)),
            get(sids[0], coalesce=False, **options),
            *(get(sid, **options) for sid in sids),
            *(get(sid, details=True, **options) for sid in sids),
            return_exceptions=True,
        )
    for error in errors:
        assert isinstance(error, RateLimitTimeout)
        assert error.max_wait == 0.2
        assert str(error).startswith(f"no rate-limit permit within {said} s (estimated wait ")
        again = pickle.loads(pickle.dumps(error))  # noqa: S301
        assert (str(again), vars(again)) == (str(error), vars(error))


async def test_one_that_gets_a_permit_too_late_names_the_timeout(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    with pytest.raises(
        RateLimitTimeout, match=r"^no rate-limit permit within timeout=0 s "
    ) as late:
        await exotel.account.balance(timeout=0)
    assert late.value.max_wait == 0
    assert emulator.requests == []


@pytest.mark.slow
async def test_an_interactive_call_overtakes_gathered_bulk_ones(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    granted: list[Priority] = []
    limiter = exotel.limiter
    acquire = limiter.acquire

    async def noted(priority: Priority, *args: Any, **options: Any) -> Permit:
        permit = await acquire(priority, *args, **options)
        granted.append(priority)
        return permit

    monkeypatch.setattr(limiter, "acquire", noted)
    bulk = exotel.with_options(priority=Priority.BULK)
    crowd = asyncio.gather(
        *(bulk.numbers.lookup(f"98123{n:05}") for n in range(10_000)), return_exceptions=True
    )
    await asyncio.sleep(0.2)
    for n in range(5):
        before = len(granted)
        await exotel.calls.connect(AGENT, f"+9199999{n:05}", caller_id=EXOPHONE)
        ahead = granted[before:].index(Priority.INTERACTIVE)
        assert ahead <= 4, "those of one token interval"
    crowd.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await crowd
    assert emulator.refused == 0


async def test_a_limiter_of_the_users_own(emulator: Emulator) -> None:
    class Counting(TokenBucket):
        asked = 0

        async def acquire(self, *args: Any, **options: Any) -> Permit:
            Counting.asked += 1
            return await super().acquire(*args, **options)

    async with session(emulator, rate_limit=Counting(RateLimit(50, per=1))) as exotel:
        await asyncio.gather(*(exotel.account.balance() for _ in range(10)))
    assert Counting.asked == 10


async def test_a_client_of_the_users_own_is_used_and_not_closed(
    library: ModuleType, emulator: Emulator
) -> None:
    async with library.AsyncClient(headers={"X-Ours": "1"}) as client:
        async with session(emulator, http_client=client) as exotel:
            await exotel.account.balance()
        assert not client.is_closed
    async with session(emulator, http_client=client, retry=RetryPolicy.never()) as exotel:
        with pytest.raises(ExotelError, match="closed"):
            await exotel.account.balance()


# One budget


@pytest.mark.slow
async def test_gathered_dials_keep_the_budget_and_none_is_lost() -> None:
    async with Emulator(rate=40, per=0.5) as emulator, session(emulator) as exotel:
        numbers = [f"+9198{n:08}" for n in range(80)]
        calls = await asyncio.gather(
            *(exotel.calls.connect(AGENT, number, caller_id=EXOPHONE) for number in numbers)
        )
        assert [call.sid for call in calls] == [call.sid for call in dict.fromkeys(calls)]
        assert {call.sid for call in calls} == set(emulator.calls)
        assert all(emulator.rung(number) == 1 for number in numbers)
        assert emulator.refused == 0
        assert emulator.busiest_window() <= 40


@pytest.mark.slow(1)
async def test_after_a_refusal_all_wait_and_one_goes_first(emulator: Emulator) -> None:
    answered_in = 0.05
    async with session(emulator) as exotel:
        await exotel.account.balance()
        emulator.latency = lambda _: (0.0, answered_in)
        emulator.faults.add(Fault.too_many_requests(retry_after=0.4))
        first = asyncio.create_task(exotel.account.balance())
        while not exotel.limiter.statistics().refused:
            await asyncio.sleep(0)
        await asyncio.gather(first, *(exotel.account.balance() for _ in range(40)))
        assert exotel.limiter.statistics().refused == 1
    arrivals = [request.arrived / emulator.speed for request in emulator.requests]
    _, refused, probe, second, *_ = arrivals
    assert probe - refused >= 0.4 - 0.001
    assert second - probe >= answered_in - 0.001


@pytest.mark.slow(1)
async def test_statistics_tell_how_the_limiter_stands(emulator: Emulator) -> None:
    async with session(emulator) as exotel:
        await asyncio.gather(*(exotel.account.balance() for _ in range(5)))
        emulator.latency = lambda _: (0.0, 1.0)
        crowd = asyncio.gather(*(exotel.account.balance() for _ in range(3)))
        while len(emulator.requests) < 8:
            await asyncio.sleep(0.01)
        statistics = exotel.limiter.statistics()
        assert isinstance(statistics, LimiterStatistics)
        for again in (copy.deepcopy(statistics), pickle.loads(pickle.dumps(statistics))):  # noqa: S301
            assert {again} == {statistics}
        assert statistics.granted == 8
        assert statistics.in_flight == 3
        assert statistics.in_flight <= statistics.window_used <= statistics.window_size
        assert statistics.window_size < emulator.rate
        assert statistics.waiting_interactive == statistics.waiting_bulk == 0
        assert (statistics.refused, statistics.paused_for, statistics.strict) == (0, 0.0, False)
        assert statistics.pace > 0
        await crowd
        assert exotel.limiter.statistics().in_flight == 0


@pytest.mark.slow(1)
async def test_sessions_of_an_account_share_its_budget() -> None:
    async with Emulator(rate=20, per=0.7) as emulator:
        async with session(emulator) as one, session(emulator) as two:
            assert one.limiter is two.limiter
            await asyncio.gather(*(x.account.balance() for x in (one, two) for _ in range(20)))
        with pytest.raises(ConfigurationError, match="one budget"):
            async with session(emulator, rate_limit=RateLimit(19, per=0.7)) as other:
                await other.account.balance()
    assert emulator.refused == 0
    assert emulator.busiest_window() <= 20


@pytest.mark.slow(1)
async def test_a_session_for_each_request_keeps_the_budget() -> None:
    async with Emulator(rate=20, per=0.7) as emulator:

        async def one_request() -> None:
            async with session(emulator) as exotel:
                await exotel.account.balance()

        for _ in range(8):
            await asyncio.gather(*(one_request() for _ in range(5)))
    assert emulator.refused == 0
    assert len(emulator.requests) == 40


@pytest.mark.slow
async def test_a_first_request_that_hangs_does_not_hold_the_others(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_stall())
    async with session(emulator) as exotel:
        hanging = asyncio.create_task(exotel.account.balance())
        await asyncio.sleep(0.05)
        # The probe holds the others for a thirtieth of the window: 67 ms of these two seconds.
        async with asyncio.timeout(SOON):
            await asyncio.gather(*(exotel.account.balance() for _ in range(10)))
        hanging.cancel()


async def test_an_unreachable_server_does_not_fail_the_others_one_by_one(
    emulator: Emulator,
) -> None:
    limit = RateLimit(2_000, per=20)
    exotel = session(emulator, rate_limit=limit, retry=RetryPolicy.never())
    async with exotel, emulator.unreachable():
        # Each might hold the others for a thirtieth of the window: 33 s in all.
        async with asyncio.timeout(SOON):
            failed = await asyncio.gather(
                *(exotel.account.balance() for _ in range(50)), return_exceptions=True
            )
    assert all(isinstance(error, ExotelError) for error in failed)


# Cancelling and closing


@pytest.mark.slow
async def test_2000_cancellations_lose_nothing() -> None:
    before = asyncio.all_tasks()
    chance = random.Random(7)
    orphans: list[Call | CallOutcomeUnknown] = []
    async with Emulator(
        rate=100_000, latency=lambda rng: (rng.random() * 0.02, rng.random() * 0.02)
    ) as emulator:
        exotel = session(
            emulator,
            rate_limit=RateLimit(10_000, per=6, burst=5_000),
            max_in_flight=16,
            on_orphaned_call=lambda ended, _: orphans.append(ended),
        )
        await exotel.account.balance()
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(exotel.account.balance() for _ in range(100)))
        a_while = 16 * (loop.time() - began)  # in which most of them would be answered
        dials = []
        for n in range(2000):
            dial = asyncio.create_task(
                exotel.calls.connect(AGENT, f"+9198{n:08}", caller_id=EXOPHONE)
            )
            loop.call_later(chance.random() * a_while, dial.cancel)
            dials.append(dial)
        results = await asyncio.gather(*dials, return_exceptions=True)
        got = {result.sid for result in results if isinstance(result, Call)}
        assert 0 < len(got) < 2000
        # Every pool slot is usable: as many as there are at once, and none waits for another.
        emulator.latency = lambda _: (0.3, 0.0)
        async with asyncio.timeout(SOON):
            await asyncio.gather(*(exotel.account.balance() for _ in range(16)))
        assert exotel.limiter.statistics().in_flight == 0
        await exotel.aclose()
        assert {orphan.sid for orphan in orphans} | got == set(emulator.calls)
        assert len(orphans) + len(got) == len(emulator.calls), "each call is reported once"
    assert asyncio.all_tasks() == before


async def test_an_orphaned_dial_is_told_of(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    orphans: list[Call | CallOutcomeUnknown] = []
    emulator.faults.add(Fault.act_then_drop(), path="Calls/connect", after=1)
    emulator.faults.add(Fault.answer(403), path="Calls/connect", after=1)
    with caplog.at_level(logging.WARNING, "exotel_async"):
        async with session(
            emulator, on_orphaned_call=lambda ended, _: orphans.append(ended)
        ) as exotel:
            await exotel.account.balance()
            emulator.latency = lambda _: (0.0, 0.5)
            for n in range(3):
                dial = asyncio.create_task(
                    exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)
                )
                while len(emulator.requests) < n + 2:
                    await asyncio.sleep(0.01)
                dial.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await dial
            await exotel.aclose(grace=SOON)
    made, unknown = orphans
    assert isinstance(made, Call)
    assert isinstance(unknown, CallOutcomeUnknown)
    assert len(caplog.records) == 2, "a refusal needs no telling: nobody was rung"


async def test_closing_waits_for_what_is_in_the_air(emulator: Emulator) -> None:
    emulator.latency = lambda _: (0.0, 0.2)
    exotel = session(emulator)
    dial = asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE))
    while not emulator.requests:
        await asyncio.sleep(0.01)
    await exotel.aclose()
    assert (await dial).sid in emulator.calls


@pytest.mark.parametrize("grace", [float("nan"), float("inf"), -1, None, "5", True, 10**400])
async def test_a_grace_that_is_none_closes_nothing(emulator: Emulator, grace: Any) -> None:
    async with session(emulator) as exotel:
        with pytest.raises(ConfigurationError, match=r"^grace=.*: must be seconds, from 0 to a"):
            await exotel.aclose(grace)
        await exotel.account.balance()


async def test_closing_cuts_off_what_takes_too_long(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_stall())
    exotel = session(emulator)
    dial = asyncio.create_task(exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE))
    while not emulator.calls:
        await asyncio.sleep(0.01)
    await exotel.aclose(grace=0.1)
    with pytest.raises(CallOutcomeUnknown, match="the exchange was cancelled"):
        await dial


async def test_closing_fails_those_that_wait(emulator: Emulator) -> None:
    exotel = session(emulator, rate_limit=RateLimit(2, per=6))
    await exotel.account.balance()
    waiting = [asyncio.create_task(exotel.account.balance()) for _ in range(100)]
    await asyncio.sleep(0.01)
    await exotel.aclose()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(error, ConfigurationError) for error in results)
    with pytest.raises(ConfigurationError, match="closed"):
        await exotel.account.balance()
    await exotel.aclose()


async def test_a_waiter_cancelled_while_the_session_closes_is_cancelled(
    emulator: Emulator,
) -> None:
    exotel = session(emulator, rate_limit=RateLimit(2, per=6))
    await exotel.account.balance()
    waiting = asyncio.create_task(exotel.account.balance())
    await asyncio.sleep(0.01)
    waiting.cancel()
    await exotel.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_a_session_is_not_pickled_and_does_not_show_its_token() -> None:
    exotel = AsyncExotel(**GIVEN)
    assert repr(exotel) == "<AsyncExotel account_sid='acme1'>"
    with pytest.raises(TypeError, match="token"):
        pickle.dumps(exotel)
    with pytest.raises(TypeError, match="token"):
        copy.copy(exotel)
