"""Waiting for calls: one poll for all, callbacks, and whatever can go wrong with either."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from exotel_async import (
    AsyncExotel,
    AuthenticationError,
    Call,
    CallResult,
    CallStatus,
    ConfigurationError,
    ExotelError,
    InvalidRequest,
    NotFound,
    Priority,
    RateLimit,
    RequestTimeout,
    RetryPolicy,
    ServerError,
)
from exotel_async.calls import wait as waiting
from exotel_async.calls.wait_state import WaitOptions
from exotel_async.emulator import Dial, Emulator, Fault, Outcome, ReceivedRequest, Scenario
from tests.conftest import CUSTOMER, EXOPHONE, SOON, session

FAST = 0.05  # seconds between polls
UNKNOWN = "0" * 32
SHORT = Scenario.all_answered(ring=3, talk=6)  # seconds of the emulator: a tenth of one of ours
LONG = Scenario.all_answered(ring=3, talk=36_000)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A local Exotel with calls of a tenth of a second."""
    async with Emulator(speed=90, scenario=SHORT, rate=100_000) as emulator:
        yield emulator


async def dial(exotel: AsyncExotel) -> str:
    return (await exotel.calls.connect_to_flow(CUSTOMER, flow=926, caller_id=EXOPHONE)).sid


def foreign(emulator: Emulator, number: int = 1) -> list[str]:
    """Enter calls that no session has dialled."""
    dials = (
        Dial(from_=f"+9198{n:08}", to=None, caller_id=EXOPHONE, url="x") for n in range(number)
    )
    return [emulator.add_call(one).sid for one in dials]


def ours(exotel: AsyncExotel, emulator: Emulator, number: int) -> list[str]:
    """Enter calls as if this session had dialled them."""
    sids = foreign(emulator, number)
    for sid in sids:
        exotel.calls.parts().seen.dialled(Call(sid=sid, status=CallStatus.IN_PROGRESS))
    return sids


def lists(emulator: Emulator) -> Sequence[ReceivedRequest]:
    return [r for r in emulator.requests if r.path.endswith("/Calls.json")]


def singles(emulator: Emulator) -> Sequence[str]:
    """The SIDs that were asked for singly, in order."""
    paths = (r.path for r in emulator.requests if r.method == "GET" and "/Calls/" in r.path)
    return [path.rpartition("/")[2].removesuffix(".json") for path in paths]


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON):
        while not what():
            await asyncio.sleep(0.01)


async def left(exotel: AsyncExotel, before: Iterable[asyncio.Task[Any]]) -> None:
    """Everything that was begun has ended, and holds no place."""
    await until(lambda: exotel.limiter.statistics().in_flight == 0)
    await until(lambda: asyncio.all_tasks() <= set(before))
    statistics = exotel.limiter.statistics()
    assert (statistics.waiting_interactive, statistics.waiting_bulk) == (0, 0)
    assert exotel.calls.parts().watcher._waiters == {}


# One, and many


async def test_one_call_is_waited_for(emulator: Emulator, exotel: AsyncExotel) -> None:
    sid = await dial(exotel)
    call = await exotel.calls.wait(sid, interval=FAST)
    assert (call.sid, call.status) == (sid, CallStatus.COMPLETED)
    assert emulator.calls[sid].ended


async def test_many_come_in_their_order(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = [await dial(exotel) for _ in range(4)]
    asked = [sids[2], sids[0], UNKNOWN, sids[3], sids[0], sids[1]]
    results = await exotel.calls.wait(asked, interval=FAST)
    assert [result.sid for result in results] == asked
    assert isinstance(results[2].error, NotFound)
    assert all(result.unwrap().is_final for result in results if result.sid != UNKNOWN)


async def test_none_at_all_are_waited_for_no_time(emulator: Emulator, exotel: AsyncExotel) -> None:
    assert await exotel.calls.wait([]) == []
    assert emulator.requests == []


async def test_the_interval_grows(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    sid = await dial(exotel)
    began = emulator.clock.elapsed() / emulator.speed
    wait = asyncio.create_task(exotel.calls.wait(sid, interval=FAST))
    await until(lambda: len(emulator.requests) == 1 + 6)
    wait.cancel()
    after = [r.arrived / emulator.speed - began for r in emulator.requests[1:]]
    # However late a request is: the next one comes an interval after its answer.
    pauses = [FAST * 1.5 ** max(0, n - 1) for n in range(6)]
    assert all(at > sum(pauses[: n + 1]) - 0.001 for n, at in enumerate(after))


async def test_the_wait_has_an_end(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    sid = await dial(exotel)
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(SOON):
        with pytest.raises(RequestTimeout, match=r"timeout=0\.3"):
            await exotel.calls.wait(sid, timeout=0.3, interval=60)
    assert asyncio.get_running_loop().time() - began >= 0.3


@pytest.mark.parametrize("timeout", [0.5, 3.0])
async def test_it_asks_before_it_says_that_a_call_was_not_over(
    emulator: Emulator, exotel: AsyncExotel, timeout: float
) -> None:
    sid = await dial(exotel)
    await emulator.finish_calls()
    assert (await exotel.calls.wait(sid, timeout=timeout)).is_final
    sids = [await dial(exotel) for _ in range(2)]
    await emulator.finish_calls()
    async with exotel.calls.as_completed(sids, timeout=timeout) as results:
        assert [result.unwrap().is_final async for result in results] == [True, True]


@pytest.mark.slow(1)
async def test_what_is_late_is_told_for_each(emulator: Emulator, exotel: AsyncExotel) -> None:
    ended = await dial(exotel)
    await emulator.finish_calls()
    emulator.scenario = LONG
    goes_on = await dial(exotel)
    results = await exotel.calls.wait([goes_on, ended], timeout=1, interval=FAST)
    assert isinstance(results[0].error, RequestTimeout)
    assert results[1].unwrap().is_final


@pytest.mark.parametrize(
    "arguments",
    [{"timeout": 0}, {"interval": 0}, {"interval": -1}, {"settled": 1}, {"details": "yes"}],
    ids=str,
)
async def test_what_makes_no_sense_is_refused(
    emulator: Emulator, exotel: AsyncExotel, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(arguments))):
        await exotel.calls.wait(UNKNOWN, **arguments)
    with pytest.raises(InvalidRequest, match="sid"):
        await exotel.calls.wait([UNKNOWN, ""])
    assert emulator.requests == []


@pytest.mark.parametrize("sid", [None, 5, b"sid", Call(sid="sid")], ids=repr)
async def test_what_is_no_sid_and_not_several_is_refused(exotel: AsyncExotel, sid: Any) -> None:
    with pytest.raises(
        InvalidRequest, match=r"must be a call's SID, such as call\.sid, or several"
    ):
        await exotel.calls.wait(sid)


# What it costs


@pytest.mark.slow
async def test_1000_waiting_calls_cost_10_requests_a_round(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    sids = ours(exotel, emulator, 1000)
    # Each for itself, and in two views: they share the poll of the session.
    bulk = exotel.with_options(priority=Priority.BULK)
    waits = [
        asyncio.create_task(view.calls.wait(sid, interval=600))
        for view, part in ((exotel, sids[:500]), (bulk, sids[500:]))
        for sid in part
    ]
    watcher = exotel.calls.parts().watcher
    await until(lambda: len(watcher._waiters) == 1000)
    for rounds in (1, 2, 3):
        for [waiter] in watcher._waiters.values():
            waiter.due = 0.0  # its interval has passed
        watcher._wakeup.set()
        await until(lambda: len(emulator.requests) >= 10 * rounds and not watcher._requests)  # noqa: B023
        asked = Counter(sid for r in emulator.requests for sid in r.query["Sid"].split(","))
        assert asked == dict.fromkeys(sids, rounds), "each round has asked for all"
        assert len(emulator.requests) == 10 * rounds
    for sid in sids:
        assert exotel.calls.notify(SimpleNamespace(sid=sid, status="completed"))
    calls = await asyncio.gather(*waits)
    assert [call.sid for call in calls] == sids
    assert len(emulator.requests) == 30


async def test_none_with_callbacks(emulator: Emulator, exotel: AsyncExotel) -> None:
    sids = ours(exotel, emulator, 1000)
    waits = asyncio.create_task(exotel.calls.wait(sids))
    await asyncio.sleep(0)
    for sid in sids:
        exotel.calls.notify(SimpleNamespace(sid=sid, status="completed"))
    assert [result.unwrap().sid for result in await waits] == sids
    assert emulator.requests == []


@pytest.mark.slow(1)
async def test_callbacks_one_after_the_other_share_what_is_asked_after_them(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sids = ours(exotel, emulator, 50)
    await emulator.finish_calls()
    waits = asyncio.create_task(exotel.calls.wait(sids, details=True, interval=1))
    for sid in sids:
        await asyncio.sleep(0.005)
        exotel.calls.notify(SimpleNamespace(sid=sid, status="completed"))
    results = await waits
    assert all(result.unwrap().details for result in results)
    assert len(emulator.requests) <= 3


@pytest.mark.slow
async def test_calls_dialled_one_after_the_other_are_polled_together(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_GROWTH", 1.0)
    emulator.scenario = LONG
    sids = ours(exotel, emulator, 40)
    waits = []
    for sid in sids:
        waits.append(asyncio.create_task(exotel.calls.wait(sid, interval=0.6)))
        await asyncio.sleep(0.002)
    await until(lambda: len(lists(emulator)) >= 4)
    assert len(emulator.requests) <= 8, "forty calls, several times each"
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


# Which are there


async def test_an_unknown_one_alone_is_told_soon(emulator: Emulator, exotel: AsyncExotel) -> None:
    with pytest.raises(NotFound):
        await exotel.calls.wait(UNKNOWN, timeout=SOON, interval=60)
    assert singles(emulator) == [UNKNOWN]
    assert len(emulator.requests) == 1


async def test_one_of_another_session_is_looked_up_at_once(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    [sid] = foreign(emulator)
    await emulator.finish_calls()
    assert (await exotel.calls.wait(sid, timeout=SOON, interval=60)).is_final
    assert singles(emulator) == [sid]


@pytest.mark.slow
async def test_several_of_others_are_listed_first_and_the_rest_asked_for_singly(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    ended = foreign(emulator, 5)
    await emulator.finish_calls()
    emulator.scenario = LONG
    going_on = foreign(emulator, 7)[5:]
    results = asyncio.create_task(exotel.calls.wait([*going_on, *ended, UNKNOWN], timeout=1.5))
    await until(lambda: len(singles(emulator)) == 3)
    assert len(lists(emulator)) == 1
    assert set(singles(emulator)) == {*going_on, UNKNOWN}
    errors = [result.error for result in await results]
    assert [type(error) for error in errors[:2]] == [RequestTimeout] * 2
    assert errors[2:7] == [None] * 5
    assert isinstance(errors[7], NotFound)
    assert len(singles(emulator)) == 3, "not once more within the first interval"


@pytest.mark.slow(1)
@pytest.mark.parametrize("apart", [0, 3])
async def test_waits_for_calls_of_others_share_their_first_look(
    emulator: Emulator, apart: int
) -> None:
    """A hundred handlers of a web application, each with its own call."""
    waits = []
    async with session(emulator, rate_limit=RateLimit(200, per=60.0)) as exotel:
        await exotel.account.balance()
        ended = foreign(emulator, 97)
        await emulator.finish_calls()
        emulator.scenario = LONG
        going_on = foreign(emulator, 100)[97:]
        before = len(emulator.requests)
        for sid in [*ended, *going_on]:
            waits.append(asyncio.create_task(exotel.calls.wait(sid, interval=60)))
            for _ in range(apart):
                await asyncio.sleep(0)
        calls = await asyncio.gather(*waits[:97])
        assert [call.sid for call in calls] == ended
        assert all(call.is_final for call in calls)
        await until(lambda: set(going_on) <= set(singles(emulator)))
        # While there are tokens, ten at once and three a second, who comes alone does not wait.
        assert len(singles(emulator)) < (4 if apart == 0 else 50)
        assert len(emulator.requests) - before <= len(singles(emulator)) + 2
    await asyncio.gather(*waits, return_exceptions=True)


async def test_one_that_was_seen_to_be_over_is_not_waited_for(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sid = await dial(exotel)
    await emulator.finish_calls()
    await exotel.calls.get(sid)
    assert (await exotel.calls.wait(sid, timeout=SOON, interval=60)).is_final


async def test_one_that_vanishes_is_told_alone(emulator: Emulator, exotel: AsyncExotel) -> None:
    sid = await dial(exotel)
    emulator.forget(sid)
    with pytest.raises(NotFound):
        await exotel.calls.wait(sid, timeout=SOON, interval=FAST)
    assert singles(emulator) == [sid, sid], "one answer may be mistaken"


async def test_one_that_vanishes_is_told_among_many(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_GROWTH", 1.0)
    emulator.scenario = LONG
    sids = ours(exotel, emulator, 120)
    emulator.forget(sids[0])
    wait = asyncio.create_task(exotel.calls.wait(sids, timeout=SOON, interval=0.05))
    await until(lambda: singles(emulator).count(sids[0]) == 2)
    asked = [r for r in emulator.requests if r.path.endswith(("/Calls.json", f"{sids[0]}.json"))]
    first, second = (n for n, r in enumerate(asked) if sids[0] in r.path)
    assert second - first <= 1 + 2 * 2, "in the next round, or while that one began"
    await emulator.finish_calls()
    results = await wait
    assert [result.sid for result in results if result.error] == [sids[0]]
    assert isinstance(results[0].error, NotFound)


@pytest.mark.slow(1)
async def test_one_that_vanishes_after_it_was_long_alone_is_told(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    sids = ours(exotel, emulator, 4)
    alone = asyncio.create_task(exotel.calls.wait(sids[0], interval=0.005))
    await until(lambda: len(singles(emulator)) >= 12)
    emulator.forget(sids[0])
    others = asyncio.create_task(exotel.calls.wait(sids[1:], interval=0.005))
    with pytest.raises(NotFound):
        async with asyncio.timeout(SOON):
            await alone
    others.cancel()


async def test_a_sid_that_cannot_be_listed_is_asked_for_singly(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sid = await dial(exotel)
    results = await exotel.calls.wait(["a,b", sid], timeout=SOON, interval=FAST)
    assert isinstance(results[0].error, NotFound)
    assert results[1].unwrap().is_final
    assert all("a,b" not in r.query.get("Sid", "") for r in lists(emulator))


@pytest.mark.slow
async def test_rows_of_calls_that_go_on_are_no_ends(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.bulk_live = True
    sids = [await dial(exotel) for _ in range(3)]
    emulator.scenario = LONG
    going_on = [await dial(exotel) for _ in range(2)]
    results = await exotel.calls.wait([*going_on, *sids], timeout=1.5, interval=FAST)
    assert all(isinstance(result.error, RequestTimeout) for result in results[:2])
    assert [result.error and result.error.sid for result in results[:2]] == going_on
    assert all(result.unwrap().is_final for result in results[2:])
    assert singles(emulator) == []


async def test_a_new_word_for_the_end_is_an_end_if_it_has_a_time(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    body = b'{"Call":{"Sid":"%s","Status":"voicemail","EndTime":"2026-03-02 11:21:10"}}'
    sid = await dial(exotel)
    emulator.faults.add(Fault.act_then_body(body % sid.encode()), method="GET")
    call = await exotel.calls.wait(sid, timeout=SOON, interval=FAST)
    assert call.status == "voicemail"


@pytest.mark.slow(1)
async def test_what_never_ends_is_not_waited_for_for_ever(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LONGEST_WATCH", 0.3)
    emulator.scenario = LONG
    sids = [await dial(exotel) for _ in range(2)]
    with pytest.raises(RequestTimeout, match="still in progress"):
        await exotel.calls.wait(sids[0], interval=FAST)
    results = await exotel.calls.wait(sids, interval=FAST)
    assert all(isinstance(result.error, RequestTimeout) for result in results)


# Callbacks


class Event:
    """What a web framework may make of a callback."""

    def __init__(self, sid: str, status: str) -> None:
        self.sid, self.status = sid, status


class Convertible:
    def __init__(self, call: Call) -> None:
        self.call = call

    def to_call(self) -> Call:
        return self.call


@pytest.mark.parametrize(
    "make",
    [
        Event,
        lambda sid, status: SimpleNamespace(sid=sid, status=CallStatus(status)),
        lambda sid, status: Call(sid=sid, status=CallStatus(status)),
        lambda sid, status: Convertible(Call(sid=sid, status=CallStatus(status))),
    ],
    ids=["event", "namespace", "call", "convertible"],
)
async def test_a_callback_ends_a_wait(
    emulator: Emulator, exotel: AsyncExotel, make: Callable[[str, str], Any]
) -> None:
    emulator.scenario = LONG
    before, during = [await dial(exotel) for _ in range(2)]
    assert not exotel.calls.notify(make(before, "busy"))
    assert (await exotel.calls.wait(before)).status == CallStatus.BUSY
    wait = asyncio.create_task(exotel.calls.wait(during))
    await asyncio.sleep(0)
    assert not exotel.calls.notify(make(during, "in-progress"))
    await asyncio.sleep(0.05)
    assert not wait.done()
    assert exotel.calls.notify(make(during, "Completed"))
    assert (await wait).status == CallStatus.COMPLETED
    assert not exotel.calls.notify(make(during, "completed")), "it came twice"
    # One that was delayed is older than what is known.
    assert not exotel.calls.notify(make(during, "in-progress"))
    assert (await exotel.calls.wait(during)).status == CallStatus.COMPLETED
    assert len(emulator.requests) == 2


async def test_a_callback_that_comes_while_it_is_asked_for_is_heard(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    sid = await dial(exotel)
    emulator.faults.add(Fault.act_then_stall(0.8), method="GET")
    wait = asyncio.create_task(exotel.calls.wait(sid, interval=FAST))
    await until(lambda: singles(emulator))
    exotel.calls.notify(Event(sid, "completed"))
    assert (await wait).is_final
    await exotel.aclose(0)


@pytest.mark.parametrize(
    "event", [None, "completed", SimpleNamespace(sid="x"), SimpleNamespace(sid="x", status=7)]
)
async def test_what_is_no_callback_is_refused(exotel: AsyncExotel, event: Any) -> None:
    with pytest.raises(InvalidRequest, match="event"):
        exotel.calls.notify(event)


async def test_a_callback_in_a_thread_is_told_so(exotel: AsyncExotel) -> None:
    wait = asyncio.create_task(exotel.calls.wait(UNKNOWN))
    await asyncio.sleep(0)
    with pytest.raises(ConfigurationError, match="event loop"):
        await asyncio.to_thread(exotel.calls.notify, Event(UNKNOWN, "completed"))
    wait.cancel()


async def test_old_callbacks_are_forgotten(emulator: Emulator, exotel: AsyncExotel) -> None:
    for n in range(waiting._REMEMBERED + 10):
        exotel.calls.notify(Event(f"{n:032}", "completed"))
    assert len(exotel.calls.parts().watcher._reported) == waiting._REMEMBERED
    assert (await exotel.calls.wait(f"{waiting._REMEMBERED:032}")).is_final
    assert emulator.requests == []


# Numbers and details


async def test_settled_waits_for_the_numbers(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = Scenario.all_answered(ring=3, talk=3, settle=15)
    sids = [await dial(exotel) for _ in range(2)]
    results = await exotel.calls.wait(sids, settled=True, interval=FAST)
    for call in [result.unwrap() for result in results]:
        assert None not in {call.duration, call.price, call.ended_at}
        assert emulator.calls[call.sid].settled
    one = await dial(exotel)
    assert (await exotel.calls.wait(one, settled=True, interval=FAST)).price is not None


@pytest.mark.parametrize("early", [True, False])
async def test_settled_goes_on_after_the_callback(
    emulator: Emulator, exotel: AsyncExotel, early: bool
) -> None:
    emulator.scenario = Scenario.all_answered(ring=3, talk=3, settle=15)
    sid = await dial(exotel)
    wait = asyncio.create_task(exotel.calls.wait(sid, settled=True, interval=FAST))
    if not early:
        await asyncio.sleep(0)
    exotel.calls.notify(Event(sid, "completed"))
    assert (await wait).duration is not None


async def test_numbers_that_do_not_come_are_not_waited_for_for_ever(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_SETTLING", 0.5)
    emulator.scenario = Scenario.all_answered(ring=3, talk=3, settle=36_000)
    sids = [await dial(exotel) for _ in range(2)]
    began = asyncio.get_running_loop().time()
    for result in await exotel.calls.wait(sids, settled=True, interval=FAST, timeout=SOON):
        assert result.unwrap().price is None
    assert asyncio.get_running_loop().time() - began > 0.5


@pytest.mark.slow(2)
@pytest.mark.parametrize("bulk_details", [True, False])
@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("number", [1, 3])
async def test_details_come_along(
    emulator: Emulator, exotel: AsyncExotel, bulk_details: bool, settled: bool, number: int
) -> None:
    emulator.scenario = Scenario.all_answered(ring=3, talk=3, settle=9)
    emulator.bulk_details = bulk_details
    # All at one moment: when some have ended, one that is left alone is asked for singly.
    sids = ours(exotel, emulator, number)
    results = await exotel.calls.wait(
        sids, details=True, settled=settled, interval=0.2, timeout=SOON
    )
    for result in results:
        call = result.unwrap()
        assert call.details is not None
        assert call.talk_time is not None
        assert not settled or call.price is not None
    if bulk_details and number > 1:
        assert singles(emulator) == []


async def test_details_that_lists_lack_cost_one_request_for_each(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.bulk_details = False
    sids = ours(exotel, emulator, 30)
    await emulator.finish_calls()
    results = await exotel.calls.wait(sids, details=True, interval=FAST, timeout=SOON)
    assert all(result.unwrap().details for result in results)
    assert sorted(singles(emulator)) == sorted(sids)


async def test_details_that_one_list_lacks_are_asked_for(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sids = ours(exotel, emulator, 3)
    await emulator.finish_calls()
    assert (await exotel.calls.wait(sids, details=True, interval=FAST))[0].unwrap().details
    assert singles(emulator) == []
    emulator.faults.add(Fault.rows_without_details(), times=None)
    others = ours(exotel, emulator, 6)[3:]
    await emulator.finish_calls()
    results = await exotel.calls.wait(others, details=True, interval=FAST, timeout=SOON)
    assert all(result.unwrap().details for result in results)


async def test_one_who_wants_details_does_not_keep_the_others_waiting(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.bulk_details = False
    one, other = ours(exotel, emulator, 2)
    await emulator.finish_calls()
    wants = asyncio.create_task(exotel.calls.wait(one, details=True, interval=FAST))
    call = await exotel.calls.wait(other, interval=FAST, timeout=SOON)
    assert call.is_final
    assert (await wants).details is not None


async def test_one_who_comes_while_it_is_asked_for_without_details_gets_them(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    [sid] = foreign(emulator)
    await emulator.finish_calls()
    emulator.latency = lambda _: (0.0, 0.2)
    plain = asyncio.create_task(exotel.calls.wait(sid, interval=FAST))
    await until(lambda: singles(emulator))
    detailed = await exotel.calls.wait(sid, details=True, interval=FAST)
    assert detailed.details is not None
    assert (await plain).details is None


# What goes wrong


@pytest.mark.parametrize(
    "fault", [Fault.answer(500), Fault.act_then_drop(), Fault.answer(409), Fault.answer(408)]
)
@pytest.mark.parametrize("number", [1, 2])
async def test_passing_failures_are_borne(
    emulator: Emulator, fault: Fault, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exotel_async.polls")
    async with session(emulator, retry=RetryPolicy.never()) as exotel:
        sids = [await dial(exotel) for _ in range(number)]
        emulator.faults.add(fault, method="GET", times=3)
        results = await exotel.calls.wait(sids, interval=FAST, timeout=SOON)
        assert all(result.unwrap().is_final for result in results)
    assert emulator.faults.pending == []
    # What is lost may be lost for the size of its query, and calls are asked for singly then.
    is_size = number > 1 and fault == Fault.act_then_drop()
    polls = [one for one in caplog.records if one.name == "exotel_async.polls"]
    assert len(polls) == (0 if is_size else 3)


@pytest.mark.parametrize("number", [1, 2])
async def test_failures_that_persist_are_told(emulator: Emulator, number: int) -> None:
    async with session(emulator, retry=RetryPolicy.never()) as exotel:
        sids = [await dial(exotel) for _ in range(number)]
        emulator.faults.add(Fault.answer(500), method="GET", times=None)
        results = await exotel.calls.wait(sids, interval=0.02, timeout=SOON)
    assert all(isinstance(result.error, ServerError) for result in results)
    assert len(emulator.requests) == number + waiting._FAILURES_BORNE
    assert len({id(result.error) for result in results}) == number, "each has its own"


@pytest.mark.parametrize("number", [1, 2])
async def test_lasting_failures_are_told_at_once(
    emulator: Emulator, exotel: AsyncExotel, number: int
) -> None:
    sids = [await dial(exotel) for _ in range(number)]
    emulator.api_token = "another"
    results = await exotel.calls.wait(sids, interval=FAST, timeout=SOON)
    assert all(isinstance(result.error, AuthenticationError) for result in results)
    assert len(emulator.requests) == number + 1


async def test_a_list_that_is_not_found_tells_nothing_of_its_calls(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.answer(404), path="Calls.json", times=4)
    sids = [*ours(exotel, emulator, 2), *foreign(emulator, 3)[2:]]
    results = await exotel.calls.wait(sids, interval=FAST, timeout=SOON)
    assert all(result.unwrap().is_final for result in results)


async def test_one_answer_404_is_not_believed_of_a_call_that_was_dialled(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sid = await dial(exotel)
    emulator.faults.add(Fault.answer(404), method="GET")
    assert (await exotel.calls.wait(sid, interval=FAST, timeout=SOON)).is_final


async def test_nobody_is_told_twice(emulator: Emulator, exotel: AsyncExotel) -> None:
    """A callback ends one wait while a request is under way that then fails for both."""
    watcher = exotel.calls.parts().watcher
    [sid] = foreign(emulator)
    plain: list[Call | ExotelError] = []
    settled: list[Call | ExotelError] = []
    emulator.latency = lambda _: (0.0, 0.2)
    emulator.faults.add(Fault.answer(403), method="GET")
    watcher.add(sid, WaitOptions(), plain.append)
    watcher.add(sid, WaitOptions(settled=True), settled.append)
    await until(lambda: singles(emulator))
    exotel.calls.notify(Event(sid, "completed"))
    await until(lambda: settled)
    assert [type(how) for how in plain] == [Call]
    assert len(settled) == 1


async def test_a_query_that_hangs_holds_up_nobody_else(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    bulk = exotel.with_options(priority=Priority.BULK)
    emulator.faults.add(Fault.act_then_stall(), path="Calls.json")
    hanging = asyncio.create_task(bulk.calls.wait(ours(exotel, emulator, 3), interval=FAST))
    await until(lambda: lists(emulator))
    with pytest.raises(NotFound):
        await exotel.calls.wait(UNKNOWN, timeout=SOON)
    hanging.cancel()
    await exotel.aclose(0)


async def test_who_is_in_a_hurry_does_not_wait_for_one_who_is_not(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    [sid] = foreign(emulator)
    await emulator.finish_calls()
    emulator.faults.add(Fault.act_then_stall(), method="GET")
    bulk = exotel.with_options(priority=Priority.BULK)
    patient = asyncio.create_task(bulk.calls.wait(sid))
    await until(lambda: singles(emulator))
    async with asyncio.timeout(SOON):
        assert (await exotel.calls.wait(sid)).is_final
        assert (await patient).is_final, "what is heard is heard by all"
    await exotel.aclose(0)


# Leaving


async def test_cancelling_some_leaves_the_others(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    sids = [await dial(exotel) for _ in range(6)]
    waits = [asyncio.create_task(exotel.calls.wait(sid, interval=FAST)) for sid in sids]
    await until(lambda: lists(emulator))
    for wait in waits[::2]:
        wait.cancel()
    await emulator.finish_calls()
    ended = await asyncio.gather(*waits, return_exceptions=True)
    assert all(isinstance(how, asyncio.CancelledError) for how in ended[::2])
    assert all(isinstance(how, Call) for how in ended[1::2])
    later = emulator.requests[-1].query.get("Sid", "").split(",")
    assert not set(later) & set(sids[::2]), "they are not asked for any more"


@pytest.mark.parametrize("moment", ["before", "paused", "asking many", "asking one"])
async def test_cancelling_all_leaves_nothing(
    emulator: Emulator, exotel: AsyncExotel, moment: str
) -> None:
    emulator.scenario = LONG
    sids = ours(exotel, emulator, 1 if moment == "asking one" else 3)
    await exotel.account.balance()
    before = asyncio.all_tasks()
    emulator.latency = lambda _: (0.0, 0.2)
    interval = FAST if moment.startswith("asking") else 60.0
    waits = [asyncio.create_task(exotel.calls.wait(sid, interval=interval)) for sid in sids]
    await asyncio.sleep(0 if moment == "before" else 0.05)
    if moment.startswith("asking"):
        await until(lambda: len(emulator.requests) > 1)
    for wait in waits:
        wait.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    await left(exotel, before)


async def test_one_who_leaves_and_comes_again_is_served_at_once(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.latency = lambda _: (0.1, 0.0)
    wait = asyncio.create_task(exotel.calls.wait(UNKNOWN))
    await asyncio.sleep(0.05)
    wait.cancel()
    with pytest.raises(asyncio.CancelledError):
        await wait
    with pytest.raises(NotFound):
        await exotel.calls.wait(UNKNOWN, timeout=SOON, interval=60)


async def test_a_wait_that_times_out_leaves_nothing(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    sid = await dial(exotel)
    before = asyncio.all_tasks()
    with pytest.raises(RequestTimeout):
        await exotel.calls.wait(sid, timeout=0.2, interval=0.05)
    await left(exotel, before)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("asking", [True, False])
async def test_closing_ends_all_waits_at_once(
    emulator: Emulator, number: int, asking: bool
) -> None:
    before = asyncio.all_tasks()
    exotel = session(emulator)
    sids = ours(exotel, emulator, number)
    if asking:
        emulator.faults.add(Fault.act_then_stall(), method="GET")
    wait = asyncio.create_task(exotel.calls.wait(sids, interval=FAST if asking else 60))
    await until(lambda: emulator.requests if asking else True)
    await asyncio.sleep(0.02)
    closing = asyncio.create_task(exotel.aclose(grace=60))
    async with asyncio.timeout(SOON):
        results: Sequence[CallResult] = await wait
    assert all(isinstance(result.error, ConfigurationError) for result in results)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    with pytest.raises(ConfigurationError, match="closed"):
        await exotel.calls.wait(sids[0])
    await until(lambda: asyncio.all_tasks() == before)


# A poll that dies must not do so silently


async def test_cancelling_all_tasks_ends_the_waits(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    sids = ours(exotel, emulator, 2)
    waits = [asyncio.create_task(exotel.calls.wait(sid, interval=FAST)) for sid in sids]
    await asyncio.sleep(0.02)
    poll = exotel.calls.parts().watcher._polling
    assert poll is not None
    poll.cancel()
    ended = await asyncio.gather(*waits, return_exceptions=True)
    assert all(isinstance(error, ConfigurationError) for error in ended)
    with pytest.raises(NotFound):
        await exotel.calls.wait(UNKNOWN, timeout=SOON)


@pytest.mark.parametrize("part", ["_begin_round", "_update"])
async def test_a_defect_ends_the_waits(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def defective(*_: Any, **__: Any) -> None:
        raise KeyError("a defect")

    sid = await dial(exotel)
    await emulator.finish_calls()
    monkeypatch.setattr(exotel.calls.parts().watcher, part, defective)
    with pytest.raises(ExotelError, match="KeyError"):
        await exotel.calls.wait(sid, interval=FAST, timeout=SOON)
    monkeypatch.undo()
    assert (await exotel.calls.wait(sid, interval=FAST, timeout=SOON)).is_final


async def test_one_that_is_told_of_a_failure_may_begin_again(
    emulator: Emulator, exotel: AsyncExotel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `connect_many` does: it must know when a call is over."""
    watcher = exotel.calls.parts().watcher
    told: list[Call | ExotelError] = []

    def follow(sid: str) -> None:
        def deliver(how: Call | ExotelError) -> None:
            told.append(how)
            if not isinstance(how, Call):
                monkeypatch.undo()
                follow(sid)

        watcher.add(sid, WaitOptions(interval=FAST), deliver)

    def defective() -> float:
        raise KeyError("a defect")

    sids = [await dial(exotel) for _ in range(2)]
    monkeypatch.setattr(watcher, "_begin_round", defective)
    for sid in sids:
        follow(sid)
    await until(lambda: len(told) == 4)
    assert [type(how) for how in told[2:]] == [Call, Call]


async def test_a_request_that_somebody_cancels_is_made_again(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    sids = [await dial(exotel) for _ in range(2)]
    emulator.faults.add(Fault.act_then_stall(0.8), method="GET")
    wait = asyncio.create_task(exotel.calls.wait(sids, interval=FAST))
    await until(lambda: lists(emulator))
    for request in exotel.calls.parts().watcher._requests:
        request.cancel()
    assert all(result.unwrap().is_final for result in await wait)
    await exotel.aclose(0)


async def test_the_emulators_own_outcomes_are_told(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = Scenario(busy=0.3, no_answer=0.3, failed=0.3, ring=(1, 3), talk=(3, 6))
    sids = [await dial(exotel) for _ in range(12)]
    results = await exotel.calls.wait(sids, interval=FAST, timeout=SOON)
    told = [result.unwrap().status for result in results]
    assert told == [emulator.calls[sid].status for sid in sids]
    assert {Outcome.BUSY, Outcome.NO_ANSWER} <= set(map(str, told))
