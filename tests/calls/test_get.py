"""Many `calls.get` at a time: the same results in fewer requests."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from exotel_async import (
    AsyncExotel,
    AuthenticationError,
    BadRequest,
    Call,
    ConfigurationError,
    DecodeError,
    NotFound,
    Permit,
    Priority,
    RateLimit,
    RateLimitTimeout,
    RequestTimeout,
    RetryPolicy,
    ServerError,
    TokenBucket,
)
from exotel_async.emulator import Dial, Emulator, Fault, Garbage, Scenario
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON, session

BULK = "Calls.json"
NEVER = RetryPolicy.never()
LONG_OVER = timedelta(hours=2)
SLOW = RateLimit(200, per=600.0, burst=1)
"""A token every three seconds: after the first request all wait."""


def finished(emulator: Emulator, number: int, *, ago: timedelta = LONG_OVER) -> list[str]:
    """Enter calls that are over, and their lengths and prices known."""
    emulator.scenario = Scenario.all_answered()
    dials = (Dial(from_=f"09{n:09}", to=AGENT, caller_id=EXOPHONE) for n in range(number))
    return [emulator.add_call(dial, ago=ago).sid for dial in dials]


def live(emulator: Emulator, number: int) -> list[str]:
    """Enter calls that go on for longer than any test."""
    emulator.scenario = Scenario.all_answered(talk=14_000)
    dials = (Dial(from_=f"08{n:09}", to=AGENT, caller_id=EXOPHONE) for n in range(number))
    return [emulator.add_call(dial).sid for dial in dials]


def unknown(number: int) -> list[str]:
    """Make up SIDs the service does not know."""
    return [f"{n:032x}" for n in range(number)]


async def all_of(gets: Sequence[Awaitable[Call]]) -> list[Any]:
    """Gather calls and errors."""
    return await asyncio.gather(*gets, return_exceptions=True)


def queries(emulator: Emulator) -> list[int]:
    """Return how many SIDs each query for many has named."""
    return [len(r.query["Sid"].split(",")) for r in emulator.requests if "Sid" in r.query]


def singles(emulator: Emulator) -> int:
    """Count the requests for one call."""
    return sum(r.method == "GET" and "/Calls/" in r.path for r in emulator.requests)


async def turns(number: int) -> None:
    """Let the event loop go round."""
    for _ in range(number):
        await asyncio.sleep(0)


def nobody_waits(exotel: AsyncExotel) -> bool:
    """Whether nobody waits for the budget."""
    now = exotel.limiter.statistics()
    return not (now.waiting_bulk or now.waiting_interactive)


# The fewest requests


@pytest.mark.slow
async def test_ten_thousand_gathered_gets(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = finished(emulator, 10_000)
    calls = await asyncio.gather(*(exotel.calls.get(sid) for sid in sids))
    assert [call.sid for call in calls] == sids
    assert len(emulator.requests) <= 102
    assert emulator.refused == 0


@pytest.mark.slow
async def test_those_that_go_on_cost_one_each(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = finished(emulator, 900) + live(emulator, 100)
    random.Random(3).shuffle(sids)
    calls = await asyncio.gather(*(exotel.calls.get(sid) for sid in sids))
    assert [call.sid for call in calls] == sids
    assert sum(not call.is_final for call in calls) == 100
    assert len(emulator.requests) <= (10 + 100) * 1.02


@pytest.mark.parametrize("number", [1, 2, 5])
async def test_a_few_go_singly_while_there_are_tokens(
    emulator: Emulator, exotel: AsyncExotel, number: int
) -> None:
    await exotel.account.balance()  # the first one, which holds up the others
    sids = finished(emulator, number)
    await asyncio.gather(*(exotel.calls.get(sid) for sid in sids))
    assert queries(emulator) == []
    assert singles(emulator) == number
    assert exotel.limiter.statistics().granted == 1 + number


async def test_more_than_a_few_go_together(emulator: Emulator, exotel: AsyncExotel) -> None:
    await exotel.account.balance()
    await asyncio.gather(*(exotel.calls.get(sid) for sid in finished(emulator, 6)))
    assert queries(emulator) == [6]
    assert singles(emulator) == 0


async def test_any_that_wait_leave_together(emulator: Emulator) -> None:
    limit = RateLimit(200, per=60.0, burst=1)
    async with session(emulator, rate_limit=limit) as exotel:
        await exotel.account.balance()
        gets = []
        for sid in finished(emulator, 4):
            gets.append(asyncio.create_task(exotel.calls.get(sid)))
            await turns(3)
        await asyncio.gather(*gets)
        assert exotel.limiter.statistics().granted == 2, "no token was taken in vain"
    assert queries(emulator) == [4]
    assert singles(emulator) == 0


async def test_a_few_that_wait_for_the_first_answer_leave_together(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    """The first request of all is sent alone. Then there are tokens for each of the others."""
    await asyncio.gather(*(exotel.calls.get(sid) for sid in finished(emulator, 5)))
    assert queries(emulator) == [4]
    assert singles(emulator) == 1
    assert exotel.limiter.statistics().granted == 2, "no token was taken in vain"


@pytest.mark.slow(1)
async def test_who_comes_while_a_query_waits_goes_along(emulator: Emulator) -> None:
    limit = RateLimit(200, per=120.0, burst=1)
    sids = finished(emulator, 150)
    async with session(emulator, rate_limit=limit) as exotel:
        await exotel.account.balance()
        first = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids[:50]]
        await turns(10)
        later = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids[50:]]
        await asyncio.gather(*first, *later)
    assert queries(emulator) == [100, 50]


async def test_the_same_call_twice_is_one_request(emulator: Emulator, exotel: AsyncExotel) -> None:
    await exotel.account.balance()
    (sid,) = finished(emulator, 1)
    one, two = await asyncio.gather(exotel.calls.get(sid), exotel.calls.get(sid))
    assert one == two
    assert len(emulator.requests) == 1 + 1
    crowd = await asyncio.gather(*(exotel.calls.get(sid) for _ in range(300)))
    assert {call.sid for call in crowd} == {sid}
    assert len(emulator.requests) == 1 + 2


async def test_one_after_the_other_they_go_singly(emulator: Emulator, exotel: AsyncExotel) -> None:
    for sid in finished(emulator, 3):
        assert (await exotel.calls.get(sid)).sid == sid
    assert singles(emulator) == 3


async def test_a_call_that_went_on_a_moment_ago_is_asked_for_singly_at_once(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = Scenario.all_answered(talk=14_000)
    dials = (exotel.calls.connect(AGENT, f"+9199999{n:05}", caller_id=EXOPHONE) for n in range(10))
    sids = [call.sid for call in await asyncio.gather(*dials)]
    calls = await asyncio.gather(*(exotel.calls.get(sid) for sid in sids))
    assert not any(call.is_final for call in calls)
    assert queries(emulator) == []
    assert singles(emulator) == 10


async def dialled(emulator: Emulator, exotel: AsyncExotel) -> str:
    """Dial a call that goes on for longer than any test."""
    emulator.scenario = Scenario.all_answered(talk=14_000)
    return (await exotel.calls.connect(AGENT, CUSTOMER, caller_id=EXOPHONE)).sid


@pytest.mark.parametrize("priority", list(Priority))
async def test_twenty_gets_of_a_call_that_goes_on_are_one_request(
    emulator: Emulator, exotel: AsyncExotel, priority: Priority
) -> None:
    sid = await dialled(emulator, exotel)
    calls = await asyncio.gather(*(exotel.calls.get(sid, priority=priority) for _ in range(20)))
    assert {call.sid for call in calls} == {sid}
    assert not calls[0].is_final
    assert singles(emulator) == 1
    assert exotel.limiter.statistics().granted == 1 + 1, "no token was taken in vain"


async def test_those_that_wait_for_the_budget_share_the_request_that_has_not_left(
    emulator: Emulator,
) -> None:
    async with session(emulator, rate_limit=RateLimit(200, per=60.0, burst=1)) as exotel:
        sid = await dialled(emulator, exotel)
        gets = []
        for _ in range(20):
            gets.append(asyncio.create_task(exotel.calls.get(sid)))
            await turns(3)
        await asyncio.gather(*gets)
    assert singles(emulator) == 1


async def test_a_get_is_not_answered_by_a_request_that_left_before_it(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    """Its answer may be older than what the caller has done meanwhile."""
    sid = await dialled(emulator, exotel)
    emulator.latency = lambda _: (0.0, 0.3)
    early = [asyncio.create_task(exotel.calls.get(sid)) for _ in range(3)]
    while not singles(emulator):
        await asyncio.sleep(0.005)
    await emulator.finish_calls()
    late = await asyncio.gather(*(exotel.calls.get(sid) for _ in range(3)))
    assert [call.is_final for call in late] == [True] * 3
    assert [call.is_final for call in await asyncio.gather(*early)] == [False] * 3
    assert singles(emulator) == 2


async def test_different_questions_about_a_call_that_goes_on(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sid = await dialled(emulator, exotel)
    validity = timedelta(minutes=10)
    calls = await asyncio.gather(
        *(exotel.calls.get(sid) for _ in range(3)),
        *(exotel.calls.get(sid, details=True) for _ in range(3)),
        *(exotel.calls.get(sid, recording_url_validity=validity) for _ in range(3)),
        *(exotel.calls.get(sid, priority=Priority.BULK) for _ in range(3)),
    )
    assert [bool(call.details) for call in calls] == [False] * 3 + [True] * 3 + [False] * 6
    assert singles(emulator) == 4
    await asyncio.gather(*(exotel.calls.get(sid, coalesce=False) for _ in range(3)))
    assert singles(emulator) == 4 + 3


async def test_who_leaves_a_shared_request_leaves_it_to_the_others(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sid = await dialled(emulator, exotel)
    for leaving in (1, 3):
        gets = [asyncio.create_task(exotel.calls.get(sid)) for _ in range(3)]
        await turns(2)
        for get in gets[:leaving]:
            get.cancel()
        ends = await all_of(gets)
        assert [type(end) for end in ends] == [asyncio.CancelledError] * leaving + [Call] * (
            3 - leaving
        )
    assert nobody_waits(exotel)
    assert singles(emulator) == 1
    assert exotel.calls.parts().coalescer._queues == {}, (
        "nothing is kept of calls that were asked for"
    )


async def test_each_that_shares_has_its_own_error_and_its_own_patience(
    emulator: Emulator,
) -> None:
    async with session(emulator, retry=NEVER) as exotel:
        sid = await dialled(emulator, exotel)
        emulator.faults.add(Fault.answer(500), method="GET")
        errors = await all_of([exotel.calls.get(sid) for _ in range(20)])
        assert {type(error) for error in errors} == {ServerError}
        assert len({id(error) for error in errors}) == 20
        assert singles(emulator) == 1
        emulator.faults.add(Fault.act_then_stall(), method="GET")
        late = await all_of([exotel.calls.get(sid, timeout=limit) for limit in (0.3, 0.4)])
        assert [type(error) for error in late] == [RequestTimeout] * 2
        assert ["timeout=0.3 s" in str(late[0]), "timeout=0.4 s" in str(late[1])] == [True] * 2
        assert singles(emulator) == 2
        await exotel.aclose(0)


async def test_max_wait_of_zero_takes_what_is_free(emulator: Emulator, exotel: AsyncExotel) -> None:
    sid, sids = await dialled(emulator, exotel), finished(emulator, 7)
    for asked in ([sid] * 20, sids, sids[:1] * 20):
        results = await all_of([exotel.calls.get(one, max_wait=0) for one in asked])
        assert [result.sid for result in results] == asked


async def test_max_wait_of_zero_does_not_wait(emulator: Emulator) -> None:
    sids = finished(emulator, 7)
    async with await spent(emulator) as exotel:
        errors = await all_of([exotel.calls.get(one, max_wait=0) for one in sids])
        assert {type(error) for error in errors} == {RateLimitTimeout}


async def test_calls_dialled_some_time_ago_share_requests(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever dials a campaign and then asks how it went has not heard of any call's end."""
    dials = (exotel.calls.connect(AGENT, f"+9199999{n:05}", caller_id=EXOPHONE) for n in range(50))
    sids = [call.sid for call in await asyncio.gather(*dials)]
    await emulator.finish_calls()
    known = exotel.calls.parts().seen
    for sid in sids:
        known._live[sid] -= 60
    await asyncio.gather(*(exotel.calls.get(sid) for sid in sids))
    assert queries(emulator) == [50]
    assert singles(emulator) == 0


# The same results


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize("validity", [None, timedelta(minutes=30)])
async def test_the_result_is_what_a_request_for_one_gives(
    emulator: Emulator, exotel: AsyncExotel, details: bool, validity: timedelta | None
) -> None:
    emulator.scenario = Scenario()
    sids = [
        emulator.add_call(
            Dial(from_=f"09{n:09}", to=CUSTOMER, caller_id=EXOPHONE, record=True), ago=LONG_OVER
        ).sid
        for n in range(20)
    ]
    sids += live(emulator, 5) + unknown(3) + finished(emulator, 2, ago=timedelta(days=45))
    asked: dict[str, Any] = {"details": details, "recording_url_validity": validity}
    together = await all_of([exotel.calls.get(sid, **asked) for sid in sids])
    assert queries(emulator) == [30]
    singly = await all_of([exotel.calls.get(sid, coalesce=False, **asked) for sid in sids])
    assert queries(emulator) == [30]
    for one, other in zip(together, singly, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Call):
            assert _plain(one) == _plain(other)
            assert (one.details is not None) is details
        else:
            assert isinstance(one, NotFound)
            assert str(one) == str(other)


def _plain(call: Call) -> Call:
    # What was signed at another moment is another link, and legs of a call going on grow older.
    details = call.details if call.is_final else None
    return evolve(call, raw={}, presigned_recording_url=None, details=details)


async def test_each_raises_its_own_error(emulator: Emulator) -> None:
    emulator.faults.add(Fault.answer(500), times=None)
    async with session(emulator, retry=NEVER) as exotel:
        errors = await all_of([exotel.calls.get(sid) for sid in finished(emulator, 10)])
    assert {type(error) for error in errors} == {ServerError}
    assert len({id(error) for error in errors}) == 10


async def test_different_questions_do_not_share_a_request(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sids = finished(emulator, 10)
    validity = timedelta(minutes=10)
    await asyncio.gather(
        *(exotel.calls.get(sid) for sid in sids),
        *(exotel.calls.get(sid, details=True) for sid in sids),
        *(exotel.calls.get(sid, recording_url_validity=validity) for sid in sids),
    )
    asked = [
        (r.query.get("details"), r.query.get("RecordingUrlValidity")) for r in emulator.requests
    ]
    assert sorted(asked, key=str) == [("true", None), (None, "10"), (None, None)]


async def test_what_is_not_to_be_shared_is_not(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = finished(emulator, 10)
    await asyncio.gather(*(exotel.calls.get(sid, coalesce=False) for sid in sids))
    await asyncio.gather(*(exotel.calls.get(sid, extra={"New": "1"}) for sid in sids))
    assert queries(emulator) == []
    await asyncio.gather(*(exotel.calls.get(sid) for sid in sids))
    assert queries(emulator) == [10]
    async with session(emulator, coalesce=False) as never:
        await asyncio.gather(*(never.calls.get(sid) for sid in sids))
        assert queries(emulator) == [10]
        await asyncio.gather(*(never.calls.get(sid, coalesce=True) for sid in sids))
    assert queries(emulator) == [10, 10]


async def test_a_sid_that_cannot_be_listed_goes_singly(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sids = finished(emulator, 10)
    odd = f"{sids[0]},{sids[1]}"
    results = await all_of([exotel.calls.get(sid) for sid in [*sids, odd]])
    assert isinstance(results[-1], NotFound)
    assert all(isinstance(result, Call) for result in results[:-1])
    assert queries(emulator) == [10]


async def test_a_list_without_details_is_found_out(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.bulk_details = False
    sids = finished(emulator, 120)
    calls = await asyncio.gather(*(exotel.calls.get(sid, details=True) for sid in sids[:20]))
    assert all(call.details for call in calls)
    assert queries(emulator) == [20]
    assert singles(emulator) == 20
    calls = await asyncio.gather(*(exotel.calls.get(sid, details=True) for sid in sids[20:50]))
    assert all(call.details for call in calls)
    assert queries(emulator) == [20], "it is not asked for them again"
    await asyncio.gather(*(exotel.calls.get(sid) for sid in sids))
    first, *others = queries(emulator)  # the others are on their way side by side
    assert (first, sorted(others)) == (20, [20, 100]), "without them it is as good as ever"


@pytest.mark.slow(1)
async def test_those_in_line_do_not_ask_in_vain_either(emulator: Emulator) -> None:
    emulator.bulk_details = False
    sids = finished(emulator, 1_000)
    limit = RateLimit(200, per=20.0, burst=1)
    async with session(emulator, rate_limit=limit) as exotel:
        gets = [asyncio.create_task(exotel.calls.get(sid, details=True)) for sid in sids]
        while singles(emulator) < 10:
            await asyncio.sleep(0.01)
        # Ten queries stood in line. What shows it goes before them.
        assert len(queries(emulator)) <= 3
        for get in gets:
            get.cancel()
        await asyncio.gather(*gets, return_exceptions=True)


@pytest.mark.parametrize("before", [False, True])
async def test_rows_without_details(emulator: Emulator, exotel: AsyncExotel, before: bool) -> None:
    sids = finished(emulator, 10)

    async def details() -> int:
        asked = len(emulator.requests)
        calls = await asyncio.gather(*(exotel.calls.get(sid, details=True) for sid in sids))
        assert all(call.details for call in calls)
        return len(emulator.requests) - asked

    if before:
        assert await details() == 1
    emulator.faults.add(Fault.rows_without_details(), path=BULK)
    assert await details() == 1 + 10
    assert await details() == (1 if before else 10)


# Queries that fail


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.answer(401), AuthenticationError),
        (Fault.answer(400), BadRequest),
        (Fault.answer(404), NotFound),
        (Fault.answer(500), ServerError),
        (Fault.act_then_garbage(Garbage.HTML), DecodeError),
        (Fault.drop_before(), RequestTimeout),
    ],
    ids=["401", "400", "404", "500", "HTML", "dropped"],
)
async def test_when_all_requests_fail_all_gets_do(
    emulator: Emulator, fault: Fault, kind: type[Exception]
) -> None:
    emulator.faults.add(fault, times=None)
    async with session(emulator, retry=NEVER) as exotel:
        errors = await all_of([exotel.calls.get(sid) for sid in finished(emulator, 50)])
    assert {type(error) for error in errors} == {kind}
    if kind is not NotFound:
        assert singles(emulator) == 1, "one shows that the others need not try"


@pytest.mark.parametrize(
    "fault",
    [
        Fault.answer(401),
        Fault.answer(403),
        Fault.answer(400),
        Fault.answer(404),
        Fault.answer(500),
        Fault.act_then_garbage(Garbage.HTML),
        Fault.drop_before(),
    ],
    ids=["401", "403", "400", "404", "500", "HTML", "dropped"],
)
async def test_when_only_the_list_fails_each_is_asked_for_singly(
    emulator: Emulator, fault: Fault
) -> None:
    """The result is what a request for one gives."""
    sids = finished(emulator, 20)
    (missing,) = unknown(1)
    emulator.faults.add(fault, path=BULK, times=None)
    async with session(emulator, retry=NEVER) as exotel:
        results = await all_of([exotel.calls.get(sid) for sid in [*sids, missing]])
    assert [result.sid for result in results[:-1]] == sids
    assert isinstance(results[-1], NotFound)
    assert singles(emulator) == 21


async def test_a_refusal_by_the_budget_is_tried_again_for_all(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=0.05))
    sids = finished(emulator, 20)
    calls = await asyncio.gather(*(exotel.calls.get(sid) for sid in sids))
    assert [call.sid for call in calls] == sids
    assert queries(emulator) == [20, 20]


async def test_a_limiter_that_breaks_fails_those_that_wait(emulator: Emulator) -> None:
    class Broken(TokenBucket):
        async def acquire(self, *args: Any, **options: Any) -> Permit:
            await asyncio.sleep(0.01)
            raise OSError("no limiter")

    async with session(emulator, rate_limit=Broken()) as exotel:
        for number in (1, 20):
            async with asyncio.timeout(SOON):
                errors = await all_of([exotel.calls.get(sid) for sid in unknown(number)])
            assert {str(error) for error in errors} == {"no limiter"}


# Patience


async def spent(emulator: Emulator, **options: Any) -> AsyncExotel:
    """Make a session whose next token is seconds away."""
    exotel = session(emulator, rate_limit=SLOW, **options)
    await exotel.account.balance()
    return exotel


@pytest.mark.parametrize("argument", ["max_wait", "timeout"])
async def test_patience_ends_in_any_case(emulator: Emulator, argument: str) -> None:
    sids = finished(emulator, 300)
    async with await spent(emulator) as exotel:
        patience: dict[str, Any] = {argument: 0.2}
        errors = await all_of([exotel.calls.get(sid, **patience) for sid in sids])
        assert {type(error) for error in errors} == {RateLimitTimeout}
        assert {error.max_wait for error in errors} == {0.2}
        await turns(3)
        assert nobody_waits(exotel)
    assert len(emulator.requests) == 1


@pytest.mark.slow
async def test_a_wait_that_is_too_long_is_refused_at_once(emulator: Emulator) -> None:
    sids = finished(emulator, 3_000)
    async with await spent(emulator) as exotel:
        gets = [asyncio.create_task(exotel.calls.get(sid, max_wait=20.0)) for sid in sids]
        await turns(10)
        refused = [get.exception() for get in gets if get.done()]
        # Thirty queries, three seconds each: seven or so fit into twenty.
        assert 2_000 <= len(refused) <= 2_500
        assert not any(get.done() for get in gets[:500])
        assert all(isinstance(e, RateLimitTimeout) and e.wait > 20 for e in refused)
        for get in gets:
            get.cancel()
        await asyncio.gather(*gets, return_exceptions=True)


@pytest.mark.parametrize("argument", ["max_wait", "timeout"])
async def test_one_that_waits_twice_is_refused_for_the_whole_of_its_patience(
    emulator: Emulator, argument: str
) -> None:
    """For a query of many that gives no details, and then for a request of its own."""
    emulator.bulk_details = False
    sids = finished(emulator, 20)
    patience: dict[str, Any] = {argument: 5}
    async with session(emulator, rate_limit=RateLimit(3, per=600, burst=3)) as exotel:
        asked = [exotel.calls.get(sid, details=True, **patience) for sid in sids]
        errors = [one for one in await all_of(asked) if not isinstance(one, Call)]
    assert len(errors) >= 17
    for error in errors:
        assert isinstance(error, RateLimitTimeout)
        assert str(error).startswith(f"no rate-limit permit within {argument}=5 s (estimated")
        assert (error.max_wait, error.method) == (5, "GET")


@pytest.mark.slow(1)
async def test_who_comes_later_has_his_own_patience(emulator: Emulator) -> None:
    sids = finished(emulator, 3)
    loop = asyncio.get_running_loop()
    left: list[str] = []
    async with await spent(emulator) as exotel:

        async def refused_after(sid: str, max_wait: float) -> float:
            began = loop.time()
            with pytest.raises(RateLimitTimeout):
                await exotel.calls.get(sid, max_wait=max_wait)
            left.append(sid)
            return loop.time() - began

        first = asyncio.create_task(refused_after(sids[0], 1.0))
        await asyncio.sleep(0.2)
        others = refused_after(sids[1], 1.0), refused_after(sids[2], 0.1)
        waited = await asyncio.gather(first, *others)
        assert left == [sids[2], sids[0], sids[1]]
        assert min(waited[:2]) >= 1.0
        assert nobody_waits(exotel)


async def test_the_patient_stay_when_the_impatient_leave(emulator: Emulator) -> None:
    limit = RateLimit(200, per=60.0, burst=1)
    sids = finished(emulator, 20)
    async with session(emulator, rate_limit=limit) as exotel:
        await exotel.account.balance()
        stay = [
            exotel.calls.get(sid, max_wait=m)
            for sid, m in zip(sids[:10], (None, 5.0) * 5, strict=True)
        ]
        leave = [exotel.calls.get(sid, max_wait=0.05) for sid in sids[10:]]
        results = await all_of([*stay, *leave])
    assert [result.sid for result in results[:10]] == sids[:10]
    assert {type(result) for result in results[10:]} == {RateLimitTimeout}


async def test_made_up_deadlines_share_requests_too(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    """A program may count down to a deadline: each get has another `max_wait`."""
    sids = finished(emulator, 1_000)
    gets = (exotel.calls.get(sid, max_wait=9.0 + n / 1e3) for n, sid in enumerate(sids))
    calls = await asyncio.gather(*gets)
    assert [call.sid for call in calls] == sids
    assert queries(emulator) == [100] * 10


@pytest.mark.slow(1)
async def test_a_second_request_does_not_wait_as_long_again(emulator: Emulator) -> None:
    sids = live(emulator, 10)
    limit = RateLimit(200, per=60.0, burst=1)
    async with session(emulator, rate_limit=limit) as exotel:
        await exotel.account.balance()
        results = await all_of([exotel.calls.get(sid, max_wait=1.4) for sid in sids])
    assert queries(emulator) == [10]
    assert {type(result) for result in results} <= {Call, RateLimitTimeout}
    # A token every 0.3 s, and the query has taken one of the four.
    assert 0 < sum(isinstance(result, Call) for result in results) < 4


@pytest.mark.slow(2)
async def test_a_timeout_takes_in_the_exchange(emulator: Emulator, exotel: AsyncExotel) -> None:
    await exotel.account.balance()
    emulator.latency = lambda _: (0.0, 2.6)
    sids = finished(emulator, 12)
    with pytest.raises(RequestTimeout, match=r"timeout=2\.\d"):
        await exotel.calls.get(sids[0], timeout=2.1)
    results = await all_of(
        [exotel.calls.get(sid, timeout=2.1 if n % 2 else 3.9) for n, sid in enumerate(sids)]
    )
    assert queries(emulator) == [12]
    assert [result.sid for result in results[::2]] == sids[::2]
    assert {type(result) for result in results[1::2]} == {RequestTimeout}


# Leaving


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4, 6, 10])
async def test_all_of_them_leave(emulator: Emulator, steps: int) -> None:
    sids = finished(emulator, 500)
    async with await spent(emulator) as exotel:
        tasks = asyncio.all_tasks()
        gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids]
        await turns(steps)
        for get in gets:
            get.cancel()
        assert {type(end) for end in await all_of(gets)} == {asyncio.CancelledError}
        await turns(5)
        assert nobody_waits(exotel)
        assert asyncio.all_tasks() - tasks == set()
        assert exotel.limiter.statistics().granted == 1
    assert len(emulator.requests) == 1


@pytest.mark.slow(1)
async def test_those_who_leave_cost_nothing(emulator: Emulator) -> None:
    limit = RateLimit(60, per=60.0, burst=1)  # those who leave have a second for it
    sids = finished(emulator, 300)
    async with session(emulator, rate_limit=limit) as exotel:
        await exotel.account.balance()
        gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids]
        await turns(5)
        for get in gets[:250]:
            get.cancel()
        ends = await all_of(gets)
        assert [call.sid for call in ends[250:]] == sids[250:]
        statistics = exotel.limiter.statistics()
        assert statistics.granted == 2
        assert statistics.window_used == 2
    assert queries(emulator) == [50]


@pytest.mark.slow
@pytest.mark.parametrize("leave", ["cancel", "time out"])
async def test_nothing_is_tried_again_for_nobody(emulator: Emulator, leave: str) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=0.6))
    sids = finished(emulator, 50)
    options: dict[str, Any] = {"timeout": 0.3} if leave == "time out" else {}
    async with session(emulator) as exotel:
        tasks = asyncio.all_tasks()
        gets = [asyncio.create_task(exotel.calls.get(sid, **options)) for sid in sids]
        while not (emulator.requests and exotel.limiter.statistics().refused):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        if leave == "cancel":
            for get in gets:
                get.cancel()
        await all_of(gets)
        await turns(5)
        assert nobody_waits(exotel)
        await asyncio.sleep(0.8)
        assert asyncio.all_tasks() - tasks == set()
    assert len(emulator.requests) == 1


async def test_one_who_stays_is_served(emulator: Emulator) -> None:
    emulator.faults.add(Fault.too_many_requests(retry_after=0.3))
    sids = finished(emulator, 50)
    async with session(emulator) as exotel:
        gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids]
        while not exotel.limiter.statistics().refused:
            await asyncio.sleep(0.01)
        for get in gets[1:]:
            get.cancel()
        ends = await all_of(gets)
    assert ends[0].sid == sids[0]


async def test_one_of_two_who_want_the_same_leaves(emulator: Emulator) -> None:
    sids = finished(emulator, 10)
    async with session(emulator, rate_limit=RateLimit(200, per=30.0, burst=1)) as exotel:
        await exotel.account.balance()
        gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids * 2]
        await turns(5)
        for get in gets[:10]:
            get.cancel()
        ends = await all_of(gets)
    assert [call.sid for call in ends[10:]] == sids


@pytest.mark.slow
async def test_cancelled_at_random_nothing_is_lost(emulator: Emulator) -> None:
    """Some leave in line, some before they are sent, some after; the others are all served."""
    chance = random.Random(11)
    sids = finished(emulator, 1_500) + live(emulator, 50)
    emulator.latency = lambda rng: (rng.random() * 0.02, rng.random() * 0.02)
    async with session(emulator, rate_limit=RateLimit(200, per=2.0)) as exotel:
        loop = asyncio.get_running_loop()
        tasks = asyncio.all_tasks()
        gets, leaving = [], set()
        for sid in sids:
            get = asyncio.create_task(exotel.calls.get(sid))
            gets.append(get)
            if chance.random() < 0.5:
                leaving.add(get)
                loop.call_later(chance.random() * 0.5, get.cancel)
            if chance.random() < 0.02:
                await asyncio.sleep(0)
        async with asyncio.timeout(SOON):
            ends = await all_of(gets)
        for sid, get, end in zip(sids, gets, ends, strict=True):
            if get not in leaving:
                assert end.sid == sid
        async with asyncio.timeout(SOON):
            while exotel.limiter.statistics().in_flight:
                await asyncio.sleep(0.01)
        assert nobody_waits(exotel)
        own = {task for task in asyncio.all_tasks() - tasks if "calls" in repr(task.get_coro())}
        assert own == set()
    assert emulator.refused == 0


async def test_who_cancels_all_tasks_does_not_strand_the_others(emulator: Emulator) -> None:
    sids = finished(emulator, 20)
    async with session(emulator, rate_limit=RateLimit(200, per=30.0, burst=1)) as exotel:
        await exotel.account.balance()
        gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids]
        await turns(5)
        for sender in list(exotel._pipeline._lifetime._tasks):
            sender.cancel()
        async with asyncio.timeout(SOON):
            calls = await asyncio.gather(*gets)
    assert [call.sid for call in calls] == sids


# Closing


async def test_closing_fails_those_that_wait_at_once(emulator: Emulator) -> None:
    sids = finished(emulator, 300)
    tasks = asyncio.all_tasks()
    exotel = await spent(emulator)
    gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids]
    await turns(5)
    await exotel.aclose()
    assert asyncio.all_tasks() - tasks <= set(gets), "no task of ours is left"
    await turns(5)
    assert all(get.done() for get in gets)
    errors = await all_of(gets)
    assert {type(error) for error in errors} == {ConfigurationError}
    with pytest.raises(ConfigurationError, match="closed"):
        await exotel.calls.get(sids[0])


@pytest.mark.parametrize("steps", range(8))
async def test_closing_at_any_step(emulator: Emulator, steps: int) -> None:
    sids = finished(emulator, 30)
    tasks = asyncio.all_tasks()
    exotel = session(emulator)
    gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids]
    await turns(steps)
    async with asyncio.timeout(SOON):
        await exotel.aclose(grace=0.5)
        ends = await all_of(gets)
    assert all(isinstance(end, Call | ConfigurationError) for end in ends)
    assert {task for task in asyncio.all_tasks() - tasks if "exotel" in repr(task)} == set()


async def test_closing_waits_for_a_query_in_the_air(emulator: Emulator) -> None:
    emulator.latency = lambda _: (0.0, 0.2)
    sids = finished(emulator, 20)
    exotel = session(emulator)
    gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in sids]
    while not emulator.requests:
        await asyncio.sleep(0.01)
    await exotel.aclose()
    assert [call.sid for call in await asyncio.gather(*gets)] == sids


async def test_closing_cuts_off_a_query_that_takes_too_long(emulator: Emulator) -> None:
    emulator.faults.add(Fault.act_then_stall())
    exotel = session(emulator)
    gets = [asyncio.create_task(exotel.calls.get(sid)) for sid in finished(emulator, 20)]
    while not emulator.requests:
        await asyncio.sleep(0.01)
    await exotel.aclose(grace=0.05)
    assert {type(error) for error in await all_of(gets)} == {ConfigurationError}


# Who goes first


async def test_an_interactive_get_does_not_wait_with_bulk_ones(emulator: Emulator) -> None:
    sids = finished(emulator, 2_001)
    async with session(emulator, rate_limit=RateLimit(200, per=60.0)) as exotel:
        bulk = exotel.with_options(priority=Priority.BULK)
        crowd = [asyncio.create_task(bulk.calls.get(sid)) for sid in sids[1:]]
        await asyncio.sleep(0.3)
        ahead = len(emulator.requests)
        assert (await exotel.calls.get(sids[0])).sid == sids[0]
        arrived = ["Sid" in request.query for request in emulator.requests[ahead:]]
        assert arrived.index(False) <= 2
        assert sum(get.done() for get in crowd) < 1_000
        for get in crowd:
            get.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)


@pytest.mark.slow(1)
async def test_the_first_to_come_is_the_first_to_go(emulator: Emulator) -> None:
    sids = finished(emulator, 400)
    async with session(emulator, rate_limit=RateLimit(200, per=60.0, burst=1)) as exotel:
        await exotel.account.balance()
        await asyncio.gather(*map(exotel.calls.get, sids))
    # By what has arrived: answers to requests on their way together may come in any order.
    arrived = [r.query["Sid"].split(",") for r in emulator.requests if "Sid" in r.query]
    assert [sid for query in arrived for sid in query] == sids


@pytest.mark.slow
async def test_refusing_ten_thousand_takes_no_longer_for_each(emulator: Emulator) -> None:
    async with await spent(emulator) as exotel:

        async def seconds_for_each(number: int) -> float:
            gets = [exotel.calls.get(sid, max_wait=10.0) for sid in unknown(number)]
            crowd = [asyncio.create_task(get) for get in gets]
            began = time.process_time()  # whatever else the machine does
            await turns(8)
            took = time.process_time() - began
            for task in crowd:
                task.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
            assert nobody_waits(exotel)
            return took / number

        few = min([await seconds_for_each(1_000) for _ in range(3)])
        many = min([await seconds_for_each(10_000) for _ in range(2)])
        assert many < 4 * few, "ten times, if each had to look at all the others"
