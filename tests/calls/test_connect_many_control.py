"""Dialling many: what is missing, how far it is, stopping it, and how the calls have ended."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from exotel_async import (
    AsyncExotel,
    Call,
    CallOutcomeUnknown,
    ConfigurationError,
    DialOutcome,
    DialStatistics,
    DialTarget,
    InvalidRequest,
    NotDialled,
    PlaybackTo,
    TargetOptions,
)
from exotel_async.emulator import Emulator, Fault, Garbage
from tests.calls.test_connect_many import (
    AHEAD,
    DIAL,
    LONG,
    SHORT,
    AsyncSource,
    Source,
    all_of,
    many,
    numbers,
    to_flow,
    until,
)
from tests.conftest import CUSTOMER, EXOPHONE, SOON, session


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A local Exotel with short calls and any number of requests."""
    async with Emulator(speed=30, scenario=SHORT, rate=100_000) as emulator:
        yield emulator


# What was passed


async def test_calls_carry_their_targets(emulator: Emulator, exotel: AsyncExotel) -> None:
    own = DialTarget(from_="+91 98123 00011", to=CUSTOMER, tag=object())
    outcomes = await all_of(to_flow(exotel, [own, "098123 00014"], custom_field="order-7"))
    by_tag = {outcome.tag: outcome.call for outcome in outcomes}
    first, second = by_tag[own.tag], by_tag[None]
    assert first is not None
    assert first.target is own
    assert second is not None
    assert second.target == DialTarget(
        from_="098123 00014", flow=926, caller_id=EXOPHONE, options={"custom_field": "order-7"}
    )


async def test_orphans_come_with_their_targets(emulator: Emulator) -> None:
    """Those in flight, and those whose outcome waits to be taken; known and unknown."""
    told: list[tuple[Call | CallOutcomeUnknown, DialTarget]] = []
    emulator.faults.add(Fault.act_then_drop(), path=DIAL, after=2, times=3)
    targets = [DialTarget(from_=number, tag=row) for row, number in enumerate(many(200))]
    mixed = [target if row % 2 else target.from_ for row, target in enumerate(targets)]
    async with session(emulator, on_orphaned_call=lambda *what: told.append(what)) as exotel:
        async with to_flow(exotel, mixed):
            await until(lambda: len(emulator.calls) == AHEAD - 1)
        await exotel.aclose(grace=SOON)
    rung = {call.dial.from_ for call in emulator.calls.values()}
    assert {target.from_ for _, target in told} == rung
    assert len(told) == len(rung)
    assert sum(isinstance(ended, CallOutcomeUnknown) for ended, _ in told) == 3
    for ended, target in told:
        given = mixed[many(200).index(target.from_)]
        if isinstance(given, DialTarget):
            assert target is given
        else:
            assert (target.flow, target.caller_id) == (926, EXOPHONE)
        if isinstance(ended, Call):
            assert ended.target == target


# What is missing

MISSING: dict[str, dict[str, Any]] = {
    "caller_id": {"flow": 926},
    "to": {"caller_id": EXOPHONE},
    "flow": {"caller_id": EXOPHONE, "to": CUSTOMER, "flow": 926},
}


@pytest.mark.parametrize("argument", MISSING)
@pytest.mark.parametrize(
    "targets",
    [
        many(3),
        tuple(many(1)),
        [DialTarget(from_=CUSTOMER, flow=1, caller_id=EXOPHONE), *many(1)],
        [DialTarget(from_=number, tag=1) for number in many(2)],
    ],
    ids=["list", "tuple", "mixed", "targets"],
)
async def test_what_is_missing_is_said_at_once(
    exotel: AsyncExotel, argument: str, targets: Any
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        exotel.calls.connect_many(targets, **MISSING[argument])
    assert caught.value.argument == argument


@pytest.mark.parametrize("argument", ["caller_id", "to"])
@pytest.mark.parametrize("make", [iter, Source, AsyncSource])
async def test_what_is_missing_in_a_lazy_input_ends_the_stream(
    emulator: Emulator, exotel: AsyncExotel, argument: str, make: Any
) -> None:
    good = [DialTarget(from_=number, flow=7, caller_id=EXOPHONE) for number in many(3)]
    outcomes: list[DialOutcome] = []
    async with exotel.calls.connect_many(make([*good, *many(100)]), **MISSING[argument]) as dials:
        with pytest.raises(InvalidRequest) as caught:
            async for outcome in dials:
                outcomes.append(outcome)  # noqa: PERF401 - those before the error count
    assert caught.value.argument == argument
    assert [outcome.call is not None for outcome in outcomes] == [True] * 3
    assert len(emulator.requests) == 3


async def test_targets_may_bring_all_themselves(emulator: Emulator, exotel: AsyncExotel) -> None:
    to, flow = many(2)
    targets = [
        DialTarget(from_=to, to=CUSTOMER, caller_id=EXOPHONE),
        DialTarget(from_=flow, flow=7, caller_id=EXOPHONE),
    ]
    outcomes = await all_of(exotel.calls.connect_many(targets))
    assert all(outcome.call for outcome in outcomes)


async def awaited(_: object) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    "arguments",
    [
        {"caller_id": "nobody"},
        {"caller_id": ""},
        {"flow": 0},
        {"flow": None, "to": "nobody"},
        {"flow": None, "to": CUSTOMER, "max_live": 1},
        {"on_progress": 7},
        {"on_progress": lambda: 0},
        {"on_progress": awaited},
        {"on_progress": partial(awaited)},
    ],
    ids="-".join,
)
async def test_what_no_dial_can_use_is_refused_at_once(
    exotel: AsyncExotel, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest):
        to_flow(exotel, iter([]), **arguments)


async def test_what_two_numbers_take_can_be_said_for_all_and_for_one(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    first, second = many(2)
    options: TargetOptions = {"wait_url": "http://own.example/a.wav"}
    dials = exotel.calls.connect_many(
        [first, DialTarget(from_=second, options=options)],
        to=CUSTOMER,
        caller_id=EXOPHONE,
        wait_url="http://all.example/a.wav",
        start_playback_to="both",
        start_playback_url="http://all.example/b.wav",
    )
    assert all(outcome.call for outcome in await all_of(dials))
    forms = {request.form["From"]: request.form for request in emulator.requests}
    assert forms[first]["WaitUrl"] == "http://all.example/a.wav"
    assert forms[second]["WaitUrl"] == "http://own.example/a.wav"
    assert all(form["StartPlaybackToNew"] == PlaybackTo.BOTH for form in forms.values())


KINDS: list[Any] = [
    ({"to": CUSTOMER}, "between two numbers", "sample_rate", 8000),
    ({"flow": 926}, "to a flow", "wait_url", "http://key:secret@all.example/a.wav"),
    ({"stream_url": "wss://bot.example/"}, "to a stream", "ring_timeout", 20),
]


@pytest.mark.parametrize(("kind", "words", "option", "value"), KINDS)
async def test_an_option_of_another_kind_of_call_is_named(
    exotel: AsyncExotel, kind: dict[str, Any], words: str, option: str, value: object
) -> None:
    chosen = {**kind, option: value}
    (outcome,) = await all_of(exotel.calls.connect_many(many(1), caller_id=EXOPHONE, **chosen))
    assert str(outcome.error) == f"options={option!r}: is not for a call {words}"


@pytest.mark.parametrize("kind", [kind for kind, *_ in KINDS])
async def test_an_option_that_is_none_is_as_if_it_was_left_out(
    emulator: Emulator, exotel: AsyncExotel, kind: dict[str, Any]
) -> None:
    nothing = dict.fromkeys(TargetOptions.__optional_keys__ - kind.keys())
    chosen: dict[str, Any] = {**nothing, **kind}
    (outcome,) = await all_of(exotel.calls.connect_many(many(1), caller_id=EXOPHONE, **chosen))
    assert outcome.error is None
    (request,) = emulator.requests
    assert request.form.keys() <= {"From", "To", "Url", "CallerId", "StreamUrl", "StreamType"}


# How far it is


@pytest.mark.parametrize("sized", [True, False])
async def test_its_statistics(emulator: Emulator, exotel: AsyncExotel, sized: bool) -> None:
    emulator.scenario = LONG
    emulator.faults.add(Fault.act_then_drop(), path=DIAL, times=2)
    emulator.faults.add(Fault.answer(400), path=DIAL)
    told: list[DialStatistics] = []
    targets: list[Any] = [*many(9), "nobody"]
    dials = to_flow(
        exotel, targets if sized else iter(targets), max_live=20, on_progress=told.append
    )
    empty = dials.statistics()
    assert (empty.taken, empty.done, empty.live, empty.time_left) == (0, 0, 0, None)
    async with asyncio.timeout(SOON), dials as outcomes:
        taken = 0
        async for _ in outcomes:
            taken += 1
            now = outcomes.statistics()
            assert now.done == taken == now.placed + now.failed + now.unknown
            assert now.taken == now.done + now.waiting
            assert now.rate > 0
        end = outcomes.statistics()
    assert (end.taken, end.placed, end.failed, end.unknown, end.waiting) == (10, 6, 2, 2, 0)
    assert end.live == 8
    assert end.total == (10 if sized else None)
    assert (end.time_left is None) is not sized
    assert [one.done for one in told] == list(range(1, 11))


async def test_an_outcome_that_on_progress_keeps_from_the_consumer_is_reported(
    emulator: Emulator,
) -> None:
    def fail(_: DialStatistics) -> None:
        raise OSError("no terminal")

    orphans: dict[str, Any] = {}

    def note(ended: Any, target: DialTarget) -> None:
        orphans[ended.sid] = target.from_

    async with session(emulator, on_orphaned_call=note) as exotel:
        with pytest.raises(OSError, match="no terminal"):
            async with to_flow(exotel, many(3), on_progress=fail) as outcomes:
                async for _ in outcomes:
                    pass
    assert orphans.keys() == emulator.calls.keys()


async def test_what_on_progress_raises_reaches_the_consumer(exotel: AsyncExotel) -> None:
    def fail(_: DialStatistics) -> None:
        raise LookupError

    async with to_flow(exotel, many(3), on_progress=fail) as outcomes:
        with pytest.raises(LookupError):
            await anext(outcomes)


# Stopping it


@pytest.mark.slow
@pytest.mark.parametrize("make", [list, iter, AsyncSource])
async def test_stopping_delivers_what_is_in_flight(emulator: Emulator, make: Any) -> None:
    """By a signal, as a program does it."""
    emulator.latency = lambda _: (0.0, 0.2)
    orphans: list[object] = []
    targets = many(500)
    loop = asyncio.get_running_loop()
    async with session(emulator, on_orphaned_call=lambda *what: orphans.append(what)) as exotel:
        await exotel.account.balance()
        async with asyncio.timeout(SOON), to_flow(exotel, make(targets)) as dials:
            loop.add_signal_handler(signal.SIGUSR1, dials.stop)
            try:
                outcomes = [await anext(dials)]
                signal.raise_signal(signal.SIGUSR1)
                outcomes += [outcome async for outcome in dials]
            finally:
                loop.remove_signal_handler(signal.SIGUSR1)
            assert dials.statistics().waiting == 0
    assert orphans == []
    assert {o.call.sid for o in outcomes if o.call} == set(emulator.calls)
    assert len(emulator.calls) <= AHEAD
    # No target that was read is without an outcome, and one that was not dialled says so.
    taken = sorted(str(outcome.target) for outcome in outcomes)
    assert taken == targets[: len(taken)]
    assert all(isinstance(o.error, NotDialled) for o in outcomes if o.call is None)


async def test_stopping_does_not_wait_for_room(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    async with asyncio.timeout(SOON), to_flow(exotel, numbers(), max_live=2) as dials:
        outcomes = [await anext(dials) for _ in range(2)]
        dials.stop()
        dials.stop()
        outcomes += [outcome async for outcome in dials]
    assert [type(outcome.error) for outcome in outcomes] == [type(None), type(None), NotDialled]
    assert len(emulator.calls) == 2


@pytest.mark.parametrize("cancellable", [True, False])
async def test_stopping_does_not_wait_for_a_source_that_gives_nothing(
    exotel: AsyncExotel, cancellable: bool
) -> None:
    release = asyncio.Event()
    closed = []

    async def idle() -> AsyncIterator[str]:
        try:
            yield CUSTOMER
            while not release.is_set():
                if cancellable:
                    await release.wait()
                with suppress(asyncio.CancelledError):
                    await release.wait()
                    return
                release.set()
        finally:
            closed.append(True)

    async with asyncio.timeout(SOON), to_flow(exotel, idle()) as dials:
        assert (await anext(dials)).call is not None
        dials.stop()
        assert [outcome async for outcome in dials] == []
    assert closed == [True]


async def test_one_that_was_stopped_before_dials_nobody(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    for source in (Source(numbers()), AsyncSource(numbers())):
        dials = to_flow(exotel, source)
        dials.stop()
        assert await all_of(dials) == []
        assert source.read == 0
    assert emulator.requests == []


# How the calls have ended


@pytest.mark.slow
@pytest.mark.parametrize("max_live", [None, 5])
async def test_each_call_is_among_the_ends_once(
    emulator: Emulator, exotel: AsyncExotel, max_live: int | None
) -> None:
    targets = [DialTarget(from_=number, tag=row) for row, number in enumerate(many(20))]
    async with asyncio.timeout(SOON), to_flow(exotel, targets, max_live=max_live) as outcomes:
        ends = outcomes.ended()
        assert outcomes.ended() is ends
        made = {outcome.call.sid: outcome.tag async for outcome in outcomes if outcome.call}
        over = [call async for call in ends]
        assert [call async for call in ends] == []
    assert sorted(call.sid for call in over) == sorted(made)
    assert all(call.is_final for call in over)
    assert {call.sid: call.target.tag for call in over if call.target} == made
    assert all(emulator.calls[call.sid].ended for call in over)


async def test_unknown_calls_that_are_found_are_among_the_ends(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    emulator.faults.add(Fault.act_then_drop(), path=DIAL)
    emulator.faults.add(Fault.act_then_garbage(Garbage.XML), path=DIAL)
    emulator.faults.add(Fault.answer(400), path=DIAL)
    async with asyncio.timeout(SOON), to_flow(exotel, many(4)) as outcomes:
        ends = outcomes.ended()
        assert sum([outcome.is_unknown async for outcome in outcomes]) == 2
        over = [call async for call in ends]
    assert {call.sid for call in over} == set(emulator.calls)
    assert sorted(call.target.from_ for call in over if call.target) == sorted(
        call.dial.from_ for call in emulator.calls.values()
    )


async def test_the_ends_cost_no_requests_but_the_poll(
    emulator: Emulator, exotel: AsyncExotel
) -> None:
    """Callbacks say it all here: the poll does not come to ask."""
    emulator.scenario = LONG
    async with asyncio.timeout(SOON), to_flow(exotel, many(30), interval=600) as outcomes:
        ends = outcomes.ended()
        async for outcome in outcomes:
            assert outcome.call is not None
            exotel.calls.notify(SimpleNamespace(sid=outcome.call.sid, status="busy"))
        assert len([call async for call in ends]) == 30
    assert len(emulator.requests) == 30


async def test_the_ends_go_on_after_stopping(emulator: Emulator, exotel: AsyncExotel) -> None:
    async with asyncio.timeout(SOON), to_flow(exotel, numbers()) as outcomes:
        ends = outcomes.ended()
        await anext(outcomes)
        outcomes.stop()
        async for _ in outcomes:
            pass
        over = {call.sid async for call in ends}
    assert over == set(emulator.calls)


async def test_nothing_to_dial_has_no_ends(exotel: AsyncExotel) -> None:
    async with asyncio.timeout(SOON), to_flow(exotel, []) as outcomes:
        assert [call async for call in outcomes.ended()] == []


async def test_leaving_the_block_ends_the_ends(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    async with asyncio.timeout(SOON):
        async with to_flow(exotel, many(2)) as outcomes:
            reading = asyncio.ensure_future(anext(outcomes.ended()))
            assert len([outcome async for outcome in outcomes]) == 2
        with pytest.raises(RuntimeError, match="left"):
            await reading


async def test_closing_the_session_ends_the_ends(emulator: Emulator, exotel: AsyncExotel) -> None:
    emulator.scenario = LONG
    async with asyncio.timeout(SOON), to_flow(exotel, many(2)) as outcomes:
        ends = outcomes.ended()
        assert len([outcome async for outcome in outcomes]) == 2
        await exotel.aclose()
        with pytest.raises(ConfigurationError):
            await anext(ends)


async def test_ends_are_asked_for_in_time(exotel: AsyncExotel) -> None:
    """A stream of some of them would be taken for one of all."""
    async with asyncio.timeout(SOON), to_flow(exotel, many(2)) as outcomes:
        await anext(outcomes)
        with pytest.raises(RuntimeError, match="before the first"):
            outcomes.ended()


@pytest.mark.slow(1)
async def test_ends_that_nobody_reads_are_not_kept(emulator: Emulator, exotel: AsyncExotel) -> None:
    def kept() -> int:
        gc.collect()
        return sum(isinstance(one, Call) and one.is_final for one in gc.get_objects())

    def targets() -> Iterator[str]:
        yield from many(40)

    before = kept()
    async with asyncio.timeout(SOON), to_flow(exotel, targets(), max_live=10) as outcomes:
        ends = outcomes.ended()
        del ends
        async for _ in outcomes:
            pass
        await until(lambda: outcomes.live == 0)
        assert kept() - before <= 1
