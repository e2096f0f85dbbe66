"""Dialling many: lazily, within the channels, one outcome for each target, and nobody lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count, islice
from types import SimpleNamespace
from typing import Any

import pytest

from exotel_async import (
    AsyncExotel,
    Call,
    CallOutcomeUnknown,
    CallStatus,
    ConfigurationError,
    DialOutcome,
    Dials,
    DialTarget,
    InvalidRequest,
    PermissionDenied,
    Priority,
    RateLimit,
    RetryPolicy,
    Timeouts,
    TokenBucket,
)
from exotel_async.emulator import Dial, Emulator, Fault, Garbage, Scenario
from tests.conftest import CUSTOMER, EXOPHONE, SOON, session

DIAL = "Calls/connect"
FAST = 0.1  # seconds between polls
SHORT = Scenario.all_answered(ring=3, talk=6)  # seconds of the emulator: less than a third of ours
LONG = Scenario.all_answered(ring=3, talk=36_000)
AHEAD = 2 * 8 + 1
"""Targets read beyond those taken out: at most that many are dialled, or about to be."""


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A local Exotel with short calls and any number of requests."""
    async with Emulator(speed=30, scenario=SHORT, rate=100_000) as emulator:
        yield emulator


def numbers(first: int = 0) -> Iterator[str]:
    return (f"+9198{n:08}" for n in count(first))


def many(number: int) -> list[str]:
    return list(islice(numbers(), number))


def to_flow(exotel: AsyncExotel, targets: Any, **options: Any) -> Dials:
    chosen: dict[str, Any] = {"flow": 926, "caller_id": EXOPHONE, "interval": FAST}
    return exotel.calls.connect_many(targets, **(chosen | options))


async def all_of(dials: Dials) -> list[DialOutcome]:
    async with asyncio.timeout(SOON), dials as outcomes:
        return [outcome async for outcome in outcomes]


async def until(what: Callable[[], object]) -> None:
    async with asyncio.timeout(SOON):
        while not what():
            await asyncio.sleep(0.005)


def refused(emulator: Emulator) -> list[str]:
    """The parties of dials that found no channel free."""
    return [r.form["From"] for r in emulator.requests if r.status == emulator.channels_status]


def live_legs(emulator: Emulator) -> int:
    return sum(call.channels for call in emulator.calls.values() if not call.ended)


class Source:
    """Targets that count how many of them were read."""

    def __init__(self, targets: Iterable[Any]) -> None:
        self.targets = iter(targets)
        self.read = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        target = next(self.targets)
        self.read += 1
        return target


class AsyncSource:
    def __init__(self, targets: Iterable[Any]) -> None:
        self.inner = Source(targets)

    @property
    def read(self) -> int:
        return self.inner.read

    async def __aiter__(self) -> AsyncIterator[Any]:
        for target in self.inner:
            await asyncio.sleep(0)
            yield target


# One outcome for each target


async def test_each_target_has_one_outcome(emulator: Emulator, exotel: AsyncExotel) -> None:
    targets = many(30)
    outcomes = await all_of(to_flow(exotel, targets))
    assert sorted(str(outcome.target) for outcome in outcomes) == targets
    assert {outcome.call.sid for outcome in outcomes if outcome.call} == set(emulator.calls)
    assert all(emulator.rung(number) == 1 for number in targets)
    assert len(emulator.requests) == 30, "without max_live nothing is polled"


async def test_nothing_to_dial_is_dialled_at_once(emulator: Emulator, exotel: AsyncExotel) -> None:
    assert await all_of(to_flow(exotel, [])) == []
    assert emulator.requests == []


async def test_targets_have_their_own_options(emulator: Emulator, exotel: AsyncExotel) -> None:
    targets = [
        DialTarget(from_="+919812300011"),
        DialTarget(from_="+919812300012", to=CUSTOMER, options={"custom_field": "order-8"}),
        DialTarget(from_="+919812300013", flow=7, caller_id="08030000001", tag=object()),
        "098123 00014",
    ]
    emulator.exophones = frozenset({"08030000000", "08030000001"})
    options = {"custom_field": "order-7", "time_limit": 600, "record": True}
    outcomes = await all_of(to_flow(exotel, targets, **options))
    assert {id(outcome.target) for outcome in outcomes} == {id(target) for target in targets}
    forms = {r.form["From"]: r.form for r in emulator.requests}
    assert forms["+919812300011"]["CustomField"] == "order-7"
    assert forms["+919812300012"]["CustomField"] == "order-8"
    assert forms["+919812300012"]["To"] == CUSTOMER
    assert "Url" not in forms["+919812300012"]
    assert forms["+919812300013"]["Url"].endswith("/7")
    assert forms["+919812300013"]["CallerId"] == "08030000001"
    assert forms["09812300014"]["Url"].endswith("/926")
    assert all((f["TimeLimit"], f["Record"]) == ("600", "true") for f in forms.values())


async def test_events_given_once_are_meant_for_all(emulator: Emulator, exotel: AsyncExotel) -> None:
    outcomes = await all_of(
        to_flow(
            exotel,
            many(3),
            status_callback="http://127.0.0.1:9/",
            status_callback_events=iter(["terminal", "answered"]),
        )
    )
    assert all(outcome.call for outcome in outcomes)
    assert all("StatusCallbackEvents[1]" in r.form for r in emulator.requests)


BAD: list[Any] = [
    "nobody",
    "",
    9812300001,
    None,
    DialTarget(from_="+919812300001", to="+919812300002", flow=926),
    DialTarget(from_=7),  # type: ignore[arg-type]
    DialTarget(from_=EXOPHONE),
    DialTarget(from_="+919812300001", flow=0),
    DialTarget(from_="+919812300001", options={"time_limit": 10**9}),
    DialTarget(from_="+919812300001", options={"tme_limit": 5}),  # type: ignore[typeddict-unknown-key]
    DialTarget(from_="+919812300001", options={"from_": "x"}),  # type: ignore[typeddict-unknown-key]
    DialTarget(from_="+919812300001", options={"wait_url": "http://x/"}),
    DialTarget(from_="+919812300001", options=None),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("max_live", [None, 2])
async def test_a_bad_target_does_not_spoil_the_others(
    emulator: Emulator, exotel: AsyncExotel, max_live: int | None
) -> None:
    good = many(3)
    outcomes = await all_of(to_flow(exotel, [good[0], *BAD, *good[1:]], max_live=max_live))
    failed = [outcome for outcome in outcomes if outcome.error]
    assert len(outcomes) == len(BAD) + 3
    assert all(isinstance(outcome.error, InvalidRequest) for outcome in failed)
    assert {id(outcome.target) for outcome in failed} == {id(target) for target in BAD}
    assert sorted(r.form["From"] for r in emulator.requests if r.method == "POST") == good
    assert "9812300001" not in repr(outcomes)


async def test_every_failure_is_the_outcome_of_its_target(emulator: Emulator) -> None:
    targets = many(9)
    emulator.ndnc = frozenset({"0" + targets[8][3:]})
    for fault in (
        Fault.answer(400),
        Fault.answer(402),
        Fault.act_then_drop(),
        Fault.answer(503),
        Fault.act_then_garbage(Garbage.HTML),
        Fault.act_then_garbage(Garbage.XML),
        Fault.too_many_requests(),
    ):
        emulator.faults.add(fault, path=DIAL)
    async with session(emulator, retry=RetryPolicy(attempts=1)) as exotel:
        outcomes = await all_of(to_flow(exotel, targets[:8]))
        outcomes += await all_of(to_flow(exotel, targets[8:]))
    assert sorted(str(outcome.target) for outcome in outcomes) == targets
    assert sum(outcome.is_unknown for outcome in outcomes) == 4
    refusals = [outcome.error for outcome in outcomes if outcome.error and not outcome.is_unknown]
    assert len(refusals) == 3
    assert isinstance(refusals[-1], PermissionDenied)
    assert sum(outcome.call is not None for outcome in outcomes) == 2
    assert all(emulator.rung(number) <= 1 for number in targets)


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_live": 0},
        {"max_live": True},
        {"max_live": 1.5},
        {"to": CUSTOMER},
        {"interval": 0},
        {"targets": "+919812300001"},
        {"targets": 7},
        {"status_callback_events": "sometimes"},
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_refused_at_once(
    emulator: Emulator, exotel: AsyncExotel, arguments: dict[str, Any]
) -> None:
    targets = arguments.pop("targets", many(1))
    with pytest.raises(InvalidRequest):
        to_flow(exotel, targets, **arguments)
    assert emulator.requests == []


async def test_a_call_of_two_numbers_does_not_fit_into_one_channel(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    targets = [DialTarget(from_=number, to=CUSTOMER) for number in many(2)]
    outcomes = await all_of(to_flow(exotel, [*targets, "+919812300009"], max_live=1))
    assert [type(o.error) for o in outcomes].count(InvalidRequest) == 2
    assert [r.form["From"] for r in emulator.requests] == ["+919812300009"]


async def test_it_is_used_in_a_block_and_once(exotel: AsyncExotel) -> None:
    dials = to_flow(exotel, many(1))
    with pytest.raises(RuntimeError, match="async with"):
        await anext(dials)
    await all_of(dials)
    with pytest.raises(RuntimeError, match="once"):
        await all_of(dials)
    with pytest.raises(StopAsyncIteration):
        await anext(dials)


# The source


@pytest.mark.slow(2)
@pytest.mark.parametrize("make", [Source, AsyncSource])
@pytest.mark.parametrize("max_live", [None, 4])
async def test_no_more_is_read_than_is_needed(
    emulator: Emulator, exotel: AsyncExotel, make: Callable[[Any], Any], max_live: int | None
) -> None:
    source = make(numbers())
    async with to_flow(exotel, source, max_live=max_live) as outcomes:
        taken = 0
        async for _ in outcomes:
            taken += 1
            await asyncio.sleep(0.02)
            assert source.read <= taken + AHEAD + 2 * (make is AsyncSource)
            if taken == 20:
                break
    read = source.read
    await asyncio.sleep(0.1)
    assert source.read == read
    assert len(emulator.calls) <= taken + AHEAD


async def test_a_slow_consumer_holds_up_the_dialling(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    async with to_flow(exotel, numbers()) as outcomes:
        await anext(outcomes)
        await until(lambda: len(emulator.calls) == AHEAD)
        await asyncio.sleep(0.2)
        assert len(emulator.calls) == AHEAD


@pytest.mark.parametrize("max_live", [1, 2])
async def test_one_target_at_most_waits_for_room(
    emulator: Emulator, exotel: AsyncExotel, max_live: int
) -> None:
    emulator.scenario = LONG
    source = Source(numbers())
    async with to_flow(exotel, source, max_live=max_live) as outcomes:
        for _ in range(max_live):
            await anext(outcomes)
        await asyncio.sleep(0.1)
        assert source.read == max_live + 1


@pytest.mark.parametrize("make", [iter, AsyncSource])
async def test_the_end_is_found_while_calls_go_on(
    emulator: Emulator, exotel: AsyncExotel, make: Callable[[Any], Any]
) -> None:
    emulator.scenario = LONG
    async with asyncio.timeout(SOON):
        outcomes = await all_of(to_flow(exotel, make(many(2)), max_live=2))
    assert len(outcomes) == 2


@pytest.mark.parametrize("asynchronous", [True, False])
@pytest.mark.parametrize("max_live", [None, 8])
async def test_a_source_that_fails_loses_no_outcome(
    emulator: Emulator, exotel: AsyncExotel, asynchronous: bool, max_live: int | None
) -> None:
    def failing() -> Iterator[str]:
        yield from many(7)
        raise OSError("the file has gone")

    async def failing_async() -> AsyncIterator[str]:
        for number in failing():
            yield number

    emulator.latency = lambda _: (0.0, 0.1)
    orphans: list[Any] = []
    exotel._pipeline.orphans._listener = lambda ended, _: orphans.append(ended)
    outcomes: list[DialOutcome] = []
    source = failing_async() if asynchronous else failing()
    async with to_flow(exotel, source, max_live=max_live) as dials:
        with pytest.raises(OSError, match="gone"):
            async for outcome in dials:
                outcomes.append(outcome)  # noqa: PERF401 - those before the error count
    assert sorted(str(outcome.target) for outcome in outcomes) == many(7)
    assert {outcome.call.sid for outcome in outcomes if outcome.call} == set(emulator.calls)
    assert orphans == []


async def test_a_limiter_that_fails_ends_the_stream(emulator: Emulator) -> None:
    class Failing(TokenBucket):
        asked = 0

        async def acquire(self, *args: Any, **options: Any) -> Any:
            Failing.asked += 1
            if Failing.asked == 4:
                raise OSError("its server has gone")
            return await super().acquire(*args, **options)

    taken: list[DialOutcome] = []
    exotel = session(emulator, rate_limit=Failing(RateLimit(100_000, per=60)))
    async with asyncio.timeout(SOON), exotel, to_flow(exotel, numbers(), max_live=40) as outcomes:
        with pytest.raises(OSError, match="gone"):
            while True:
                taken.append(await anext(outcomes))
    assert {outcome.call.sid for outcome in taken if outcome.call} == set(emulator.calls)


# Channels


@pytest.mark.slow
async def test_the_channels_are_never_exceeded(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.channels = 7
    emulator.scenario = Scenario.all_answered(ring=3, talk=9)
    most = 0
    targets = [
        DialTarget(from_=number, to=CUSTOMER if n % 3 else None, flow=None if n % 3 else 926)
        for n, number in enumerate(many(24))
    ]
    dials = exotel.calls.connect_many(targets, caller_id=EXOPHONE, max_live=7, interval=FAST)
    taken = 0
    async with asyncio.timeout(SOON), dials as outcomes:
        async for outcome in outcomes:
            assert outcome.call is not None
            taken += 1
            most = max(most, live_legs(emulator))
            assert dials.live <= 7
    assert taken == 24
    assert refused(emulator) == []
    assert 6 <= most <= 7, "nor are they left idle"


async def test_callbacks_free_channels_without_a_request(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.channels = 4
    emulator.scenario = LONG
    targets = many(12)
    async with asyncio.timeout(SOON), to_flow(exotel, targets, max_live=4, interval=60) as outcomes:
        async for outcome in outcomes:
            assert outcome.call is not None
            call = emulator.calls[outcome.call.sid]
            call.run_ahead(call.timeline.ended)
            exotel.calls.notify(SimpleNamespace(sid=call.sid, status="completed"))
            exotel.calls.notify(SimpleNamespace(sid=call.sid, status="completed"))
    assert len(emulator.calls) == 12
    assert len(emulator.requests) == 12
    assert refused(emulator) == []


async def test_a_callback_that_comes_before_the_answer_frees_its_channels(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    emulator.latency = lambda _: (0.0, 0.2)
    async with to_flow(exotel, many(2), max_live=1, interval=60) as outcomes:
        await until(lambda: emulator.calls)
        exotel.calls.notify(SimpleNamespace(sid=next(iter(emulator.calls)), status="busy"))
        async with asyncio.timeout(SOON):
            assert len([outcome async for outcome in outcomes]) == 2


async def test_refused_dials_free_their_channels(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.kyc = False
    outcomes = await all_of(to_flow(exotel, many(10), max_live=1))
    assert [type(outcome.error) for outcome in outcomes] == [PermissionDenied] * 10


async def test_a_call_that_vanishes_frees_its_channels(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    async with asyncio.timeout(SOON), to_flow(exotel, many(2), max_live=1) as outcomes:
        first = await anext(outcomes)
        assert first.call is not None
        emulator.forget(first.call.sid)
        assert (await anext(outcomes)).call is not None


async def test_a_poll_that_fails_frees_nothing(emulator: Emulator) -> None:
    """It may go on: whoever cannot read that it is over must not dial another one."""
    emulator.channels = 1
    emulator.faults.add(Fault.answer(403), method="GET", times=3)
    emulator.faults.add(Fault.answer(500), method="GET", times=8)
    async with session(emulator, retry=RetryPolicy.never()) as exotel:
        outcomes = await all_of(to_flow(exotel, many(2), max_live=1, interval=0.02))
    assert all(outcome.call for outcome in outcomes)
    assert refused(emulator) == []
    assert emulator.faults.pending == []


# Those of which it is not known


@pytest.mark.slow(2)
@pytest.mark.parametrize(
    "fault",
    [Fault.act_then_drop(), Fault.act_then_garbage(Garbage.EMPTY), Fault.act_then_stall(4.0)],
    ids=["drop", "garbage", "stall"],
)
async def test_an_unknown_one_keeps_its_channels_until_it_is_found(
    emulator: Emulator, fault: Fault
) -> None:
    emulator.channels = 2
    emulator.faults.add(fault, path=DIAL, after=1)
    async with session(emulator, timeout=Timeouts(read=1.0)) as exotel:
        dials = to_flow(exotel, many(6), max_live=2)
        outcomes = []
        async with asyncio.timeout(SOON), dials:
            async for outcome in dials:
                outcomes.append(outcome)
                if outcome.is_unknown:
                    assert dials.live >= 1
    assert [outcome.is_unknown for outcome in outcomes].count(True) == 1
    assert refused(emulator) == []
    assert len(emulator.calls) == 6


async def test_an_unknown_one_whose_sid_is_known_is_watched(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.scenario = LONG
    emulator.faults.add(Fault.act_then_garbage(Garbage.XML), path=DIAL)
    async with to_flow(exotel, many(2), max_live=1, interval=60) as outcomes:
        unknown = (await anext(outcomes)).error
        assert isinstance(unknown, CallOutcomeUnknown)
        assert unknown.sid is not None
        exotel.calls.notify(SimpleNamespace(sid=unknown.sid, status="completed"))
        async with asyncio.timeout(SOON):
            assert (await anext(outcomes)).call is not None
    assert len(emulator.requests) == 2


@pytest.mark.slow(1)
async def test_one_that_goes_on_keeps_its_channels(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    emulator.faults.add(Fault.act_then_drop(), path=DIAL)
    source = Source(numbers())
    async with to_flow(exotel, source, max_live=1, interval=0.05) as outcomes:
        assert (await anext(outcomes)).is_unknown
        await until(lambda: len(emulator.requests) >= 5)
        assert outcomes.live == 1
        assert len(emulator.calls) == 1
        await emulator.finish_calls()
        async with asyncio.timeout(SOON):
            assert (await anext(outcomes)).call is not None


async def test_unknown_ones_are_looked_for_together(emulator: Emulator) -> None:
    """After an outage there are many, and each look reads all records of those minutes."""
    emulator.scenario = LONG
    for n in range(200):
        emulator.add_call(Dial(from_=f"+9197{n:08}", to=None, caller_id=EXOPHONE, url="x"))
    await emulator.finish_calls()
    emulator.faults.add(Fault.act_then_status(503), path=DIAL, times=None)
    exotel = session(emulator)
    async with exotel, to_flow(exotel, numbers(), max_live=40, interval=1) as outcomes:
        for _ in range(40):
            assert (await anext(outcomes)).is_unknown
        # Three pages for a look; and those that come while it is made share the next.
        await until(lambda: len([r for r in emulator.requests if r.method == "GET"]) >= 3)
        await asyncio.sleep(0.5)
        assert len([r for r in emulator.requests if r.method == "GET"]) < 40


# Cost


@pytest.mark.slow
async def test_there_is_no_task_for_each_target(emulator: Emulator, exotel: AsyncExotel) -> None:
    before = len(asyncio.all_tasks())
    most = 0
    async with to_flow(exotel, many(10_000), max_live=200) as outcomes:
        async for _ in islice_async(outcomes, 400):
            most = max(most, len(asyncio.all_tasks()) - before)
    # Workers, what they have in flight with the emulator's side of it, and the poll: some thirty.
    assert most < 100


async def islice_async(
    source: AsyncIterator[DialOutcome], number: int
) -> AsyncIterator[DialOutcome]:
    for _ in range(number):
        yield await anext(source)


async def test_it_dials_at_bulk_priority() -> None:
    async with Emulator(rate=20, per=4) as emulator, session(emulator) as exotel:
        await exotel.account.balance()
        async with to_flow(exotel, numbers()) as outcomes:
            await anext(outcomes)
            await until(lambda: exotel.limiter.statistics().waiting_bulk == 8)
            assert exotel.limiter.statistics().waiting_interactive == 0
            before = len(emulator.requests)
            await exotel.account.balance()
            arrived = ["Balance" in request.path for request in emulator.requests[before:]]
            assert arrived.index(True) <= 3
        async with to_flow(exotel, numbers(9), priority=Priority.INTERACTIVE) as outcomes:
            await until(lambda: exotel.limiter.statistics().waiting_interactive)


async def test_closing_ends_a_stream_whose_input_gives_no_more(emulator: Emulator) -> None:
    async def idle() -> AsyncIterator[str]:
        yield CUSTOMER
        await asyncio.Event().wait()

    exotel = session(emulator)
    async with asyncio.timeout(SOON), to_flow(exotel, idle()) as outcomes:
        assert (await anext(outcomes)).call is not None
        await exotel.aclose()
        with pytest.raises(ConfigurationError, match="closed"):
            await anext(outcomes)


# Leaving


async def settled(exotel: AsyncExotel, before: set[asyncio.Task[Any]]) -> None:
    await until(lambda: exotel.limiter.statistics().in_flight == 0)
    await until(lambda: asyncio.all_tasks() <= before)
    statistics = exotel.limiter.statistics()
    assert (statistics.waiting_interactive, statistics.waiting_bulk) == (0, 0)
    assert exotel.calls.parts().watcher._waiters == {}
    assert exotel.calls.parts().reconciler._searches == []


@pytest.mark.parametrize("how", ["break", "raise", "cancel"])
@pytest.mark.parametrize("max_live", [None, 12])
async def test_nobody_is_lost_on_leaving(
    emulator: Emulator, how: str, max_live: int | None
) -> None:
    orphans: list[Call | CallOutcomeUnknown] = []
    emulator.latency = lambda random: (0.02 * random.random(), 0.1 * random.random())
    emulator.faults.add(Fault.act_then_drop(), path=DIAL, after=5, times=3)
    async with session(emulator, on_orphaned_call=lambda ended, _: orphans.append(ended)) as exotel:
        await exotel.account.balance()
        before = asyncio.all_tasks()
        taken: list[DialOutcome] = []

        async def consume() -> None:
            async with to_flow(exotel, numbers(), max_live=max_live) as outcomes:
                async for outcome in outcomes:
                    taken.append(outcome)
                    await asyncio.sleep(0.02)
                    if len(taken) == 9:
                        if how == "raise":
                            raise LookupError
                        if how == "cancel":
                            await asyncio.sleep(60)
                        break

        consumer = asyncio.create_task(consume())
        await until(lambda: len(taken) == 9 or consumer.done())
        await asyncio.sleep(0.03)
        if how == "cancel":
            consumer.cancel()
        with suppress(LookupError, asyncio.CancelledError):
            await consumer
        await settled(exotel, before)
    made = {o.call.sid for o in taken if o.call} | {o.sid for o in orphans if isinstance(o, Call)}
    unknown = [o for o in taken if o.is_unknown]
    unknown_orphans = [o for o in orphans if isinstance(o, CallOutcomeUnknown)]
    # Each call was told of once, or is one of those whose answer was lost.
    assert len(taken) + len(orphans) == len(emulator.calls)
    assert len(emulator.calls) - len(made) == len(unknown) + len(unknown_orphans) == 3
    assert len(made) + 3 == len(taken) + len(orphans)


async def test_leaving_while_it_waits_for_room(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    emulator.faults.add(Fault.act_then_drop(), path=DIAL)
    await exotel.account.balance()
    before = asyncio.all_tasks()
    async with to_flow(exotel, AsyncSource(numbers()), max_live=3) as outcomes:
        for _ in range(3):
            await anext(outcomes)
        await asyncio.sleep(0.1)
    await settled(exotel, before)
    assert len(emulator.calls) == 3


async def test_leaving_that_is_cancelled_loses_nobody_either(emulator: Emulator) -> None:
    orphans: list[Call | CallOutcomeUnknown] = []
    async with session(emulator, on_orphaned_call=lambda ended, _: orphans.append(ended)) as exotel:
        await exotel.account.balance()
        before = asyncio.all_tasks()
        dials = to_flow(exotel, numbers(), max_live=40)
        await dials.__aenter__()
        await until(lambda: len(emulator.calls) == AHEAD - 1)
        await asyncio.sleep(0.05)
        leaving = asyncio.create_task(dials.__aexit__(None, None, None))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        await settled(exotel, before)
    assert {orphan.sid for orphan in orphans} == set(emulator.calls)
    assert len(orphans) == len(emulator.calls)


async def test_a_report_that_fails_does_not_lose_the_others(emulator: Emulator) -> None:
    told = []

    def tell(orphan: Call | CallOutcomeUnknown, _: DialTarget) -> None:
        told.append(orphan.sid)
        raise OSError("the database has gone")

    exotel = session(emulator, on_orphaned_call=tell)
    async with exotel, to_flow(exotel, numbers()):
        await until(lambda: len(emulator.calls) == AHEAD - 1)
        await asyncio.sleep(0.05)
    assert sorted(told, key=str) == sorted(emulator.calls)


async def test_a_consumer_that_waits_is_told_when_another_task_leaves(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.latency = lambda _: (0.0, 0.3)
    async with to_flow(exotel, numbers()) as outcomes:
        waiting = asyncio.create_task(anext(outcomes))
        await asyncio.sleep(0.05)
    with pytest.raises(RuntimeError, match="left"):
        async with asyncio.timeout(SOON):
            await waiting


@pytest.mark.parametrize("max_live", [None, 3])
@pytest.mark.parametrize("fault", [None, Fault.act_then_drop()], ids=["known", "unknown"])
async def test_closing_the_session_ends_it(
    emulator: Emulator, max_live: int | None, fault: Fault | None
) -> None:
    """Whatever takes up the channels, nobody waits for them any more."""
    emulator.scenario = LONG
    before = asyncio.all_tasks()
    exotel = session(emulator)
    if fault is not None:
        emulator.faults.add(fault, path=DIAL, times=None)
    outcomes: list[DialOutcome] = []
    async with asyncio.timeout(SOON), to_flow(exotel, many(30), max_live=max_live) as dials:
        outcomes += [await anext(dials) for _ in range(3)]
        await asyncio.sleep(0.05)
        await exotel.aclose()
        outcomes += [outcome async for outcome in dials]
    assert sorted(str(outcome.target) for outcome in outcomes) == many(30)
    assert isinstance(outcomes[-1].error, ConfigurationError)
    told = [outcome for outcome in outcomes if outcome.call or outcome.is_unknown]
    assert len(told) == len(emulator.calls)
    await until(lambda: asyncio.all_tasks() == before)


async def test_a_dial_in_the_air_when_the_session_is_closed_is_not_lost(
    emulator: Emulator,
) -> None:
    emulator.latency = lambda _: (0.0, 0.3)
    exotel = session(emulator)
    outcomes = []
    async with asyncio.timeout(SOON), to_flow(exotel, many(3), max_live=1) as dials:
        await until(lambda: emulator.calls)
        await exotel.aclose(grace=2)
        outcomes = [outcome async for outcome in dials]
    assert [o.call.sid for o in outcomes if o.call] == list(emulator.calls)
    assert [type(o.error) for o in outcomes[1:]] == [ConfigurationError] * 2


async def test_cancelling_all_tasks_ends_the_stream(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    async with to_flow(exotel, numbers()) as outcomes:
        await anext(outcomes)
        for worker in outcomes._workers._tasks:
            worker.cancel()
        with pytest.raises(ConfigurationError, match="cancelled"):
            async with asyncio.timeout(SOON):
                while True:
                    await anext(outcomes)


async def test_nobody_is_followed_after_leaving(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    async with to_flow(exotel, many(2), max_live=2, interval=0.05) as outcomes:
        sids = [outcome.call.sid async for outcome in outcomes if outcome.call]
        await until(lambda: len(emulator.requests) > 3)
    asked = len(emulator.requests)
    await asyncio.sleep(0.3)
    assert len(emulator.requests) <= asked + 1
    assert exotel.calls.notify(SimpleNamespace(sid=sids[0], status="completed")) is False


async def test_the_stream_says_how_the_order_was_taken(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    [outcome] = await all_of(to_flow(exotel, many(1), max_live=1))
    assert outcome.call is not None
    assert outcome.call.status == CallStatus.IN_PROGRESS
    assert not outcome.is_unknown


async def test_a_view_has_the_parts_of_its_session(exotel: AsyncExotel) -> None:
    parts, view = exotel.calls.parts(), exotel.with_options(priority=Priority.BULK).calls.parts()
    assert parts.watcher is view.watcher
    assert parts.reconciler is view.reconciler
    assert "token" not in repr(parts)
