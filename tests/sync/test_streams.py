"""Streams that are read by `for`: their input, their ends, and who calls what in which thread."""

from __future__ import annotations

import asyncio
import queue
import signal
import sqlite3
import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from exotel_async import (
    Call,
    CallOutcomeUnknown,
    ConfigurationError,
    DialTarget,
    InvalidRequest,
    NotDialled,
)
from exotel_async.emulator import Dial, Emulator, Fault, Scenario
from exotel_async.sync import Exotel
from exotel_async.sync.loop_thread import loop_thread
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON
from tests.sync.support import sync_session, until

TO_FLOW: dict[str, Any] = {"flow": 926, "caller_id": EXOPHONE}


def numbers(most: int) -> list[str]:
    return [f"+9198123{n:05}" for n in range(most)]


def test_a_cursor_is_read_in_the_thread_that_opened_it(
    served: Emulator, sync_exotel: Exotel
) -> None:
    """SQLite refuses any other."""
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE lead (number)")
        database.executemany("INSERT INTO lead VALUES (?)", [(one,) for one in numbers(20)])

        def leads() -> Iterator[str]:
            for (number,) in database.execute("SELECT number FROM lead"):
                yield number

        with sync_exotel.calls.connect_many(leads(), **TO_FLOW) as outcomes:
            placed = [outcome.call for outcome in outcomes]
    database.close()
    assert len(served.calls) == 20
    assert all(placed)


@pytest.mark.parametrize("kind", [list, tuple, set, iter, dict.fromkeys])
def test_any_input(served: Emulator, sync_exotel: Exotel, kind: Any) -> None:
    with sync_exotel.calls.connect_many(kind(numbers(3)), **TO_FLOW) as outcomes:
        assert {outcome.target for outcome in outcomes} == set(numbers(3))
        assert outcomes.statistics().total == (None if kind is iter else 3)
    sids = [*served.calls]
    served.run(served.finish_calls())
    with sync_exotel.calls.get_many(kind(sids)) as results:
        assert {result.unwrap().sid for result in results} == set(sids)
    with sync_exotel.calls.as_completed(kind(sids), interval=0.2) as ends:
        assert {result.unwrap().sid for result in ends} == set(sids)


@pytest.mark.parametrize("wrong", ["+919812300001", 7, None])
def test_what_is_no_input_is_refused(sync_exotel: Exotel, wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match="must be an iterable"):
        sync_exotel.calls.connect_many(wrong, **TO_FLOW)


async def awaited(_: object) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (7, "must be a function that takes one argument, the statistics"),
        (lambda: 0, "must be a function that takes one argument, the statistics"),
        (awaited, "must be a plain function: it is called, not awaited"),
    ],
)
def test_an_on_progress_that_cannot_be_called_is_refused(
    sync_exotel: Exotel, wrong: Any, rule: str
) -> None:
    for begin in (
        partial(sync_exotel.calls.connect_many, [], **TO_FLOW),
        partial(sync_exotel.calls.get_many, []),
    ):
        with pytest.raises(InvalidRequest, match=f"^on_progress=.*: {rule}$"):
            begin(on_progress=wrong)


def test_input_is_read_as_it_is_needed(served: Emulator) -> None:
    """An endless one: no further than the dials go, and not before it is asked for."""
    read = count()
    with sync_session(served) as exotel:
        endless = (f"+9198123{next(read):05}" for _ in iter(int, 1))
        with exotel.calls.connect_many(endless, **TO_FLOW) as outcomes:
            for outcome in outcomes:
                assert outcome.call
                if len(served.calls) >= 20:
                    break
        assert next(read) <= len(served.calls) + 10


def test_a_result_that_is_there_comes_before_the_input_is_read_on(
    served: Emulator, sync_exotel: Exotel
) -> None:
    read: list[str] = []

    def targets() -> Iterator[str]:
        for number in numbers(1000):
            read.append(number)
            yield number

    served.latency = lambda _: (0.0, 0.2)  # several are in flight when the first outcome is there
    with sync_exotel.calls.connect_many(targets(), **TO_FLOW) as outcomes:
        next(outcomes)
        until(lambda: outcomes._held._out.qsize() > 1)
        before = len(read)
        next(outcomes)
        assert len(read) == before


def test_an_input_that_blocks_holds_up_nobody_else(served: Emulator, sync_exotel: Exotel) -> None:
    more: queue.Queue[str | None] = queue.Queue()
    waits = threading.Event()

    def blocking() -> Iterator[str]:
        yield CUSTOMER
        waits.set()
        while (number := more.get()) is not None:
            yield number

    def dial_all() -> list[object]:
        with sync_exotel.calls.connect_many(blocking(), **TO_FLOW) as outcomes:
            return [outcome.target for outcome in outcomes]

    with ThreadPoolExecutor() as pool:
        dialling = pool.submit(dial_all)
        assert waits.wait(SOON)
        assert sync_exotel.account.balance().amount  # the event loop is free
        more.put(AGENT)
        more.put(None)
        assert dialling.result(SOON) == [CUSTOMER, AGENT]


def test_an_input_that_fails_does_so_behind_what_it_gave(sync_exotel: Exotel) -> None:
    broken = OSError("the database has gone")

    def failing(given: list[str]) -> Iterator[str]:
        yield from given
        raise broken

    with sync_exotel.calls.connect_many(failing(numbers(3)), **TO_FLOW) as outcomes:
        calls = [next(outcomes).call for _ in range(3)]
        with pytest.raises(OSError, match="has gone") as raised:
            next(outcomes)
        assert raised.value is broken
    with sync_exotel.calls.get_many(failing([one.sid for one in calls if one])) as results:
        assert [next(results).call is not None for _ in range(3)] == [True] * 3
        with pytest.raises(OSError, match="has gone"):
            next(results)


def test_an_input_may_use_the_session(served: Emulator, sync_exotel: Exotel) -> None:
    for number in numbers(3):
        past = Dial(from_=number, to=AGENT, caller_id=EXOPHONE)
        served.add_call(past, ago=timedelta(hours=1))

    def called_before() -> Iterator[str]:
        for call in sync_exotel.calls.list():
            assert call.from_
            yield call.from_

    with sync_exotel.calls.connect_many(called_before(), **TO_FLOW) as outcomes:
        assert len([outcome.call for outcome in outcomes if outcome.call]) == 3


def test_a_generator_cleans_up_in_its_own_thread_when_the_block_is_left(
    sync_exotel: Exotel,
) -> None:
    closed: list[threading.Thread] = []

    def endless() -> Iterator[str]:
        try:
            while True:
                yield CUSTOMER
        finally:
            closed.append(threading.current_thread())

    with sync_exotel.calls.connect_many(endless(), **TO_FLOW) as outcomes:
        for _ in outcomes:
            break
    assert closed == [threading.current_thread()]


def test_a_stream_is_for_its_block_and_for_once(sync_exotel: Exotel) -> None:
    results = sync_exotel.calls.get_many([])
    with pytest.raises(RuntimeError, match="use it in `with`"):
        list(results)
    with results:
        assert list(results) == []
    with pytest.raises(RuntimeError, match="can be read once"), results:
        pass


def test_progress_is_told_in_the_thread_that_reads(served: Emulator, sync_exotel: Exotel) -> None:
    told: list[tuple[int, threading.Thread]] = []
    with sync_exotel.calls.connect_many(
        numbers(5),
        on_progress=lambda now: told.append((now.done, threading.current_thread())),
        **TO_FLOW,
    ) as outcomes:
        for number, _ in enumerate(outcomes, 1):
            assert told[-1][0] >= number
    assert {thread for _, thread in told} == {threading.current_thread()}
    assert told[-1][0] == 5


def test_progress_that_fails_loses_no_call(served: Emulator) -> None:
    told: list[Call | CallOutcomeUnknown] = []

    def fail(_: object) -> None:
        raise OSError("the disk is full")

    with (
        sync_session(served, on_orphaned_call=lambda ended, _: told.append(ended)) as exotel,
        pytest.raises(OSError, match="the disk is full"),
        exotel.calls.connect_many(numbers(3), on_progress=fail, **TO_FLOW) as outcomes,
    ):
        list(outcomes)
    until(lambda: {call.sid for call in told} == {*served.calls})
    assert len(told) == len(served.calls)


def test_progress_that_raises_stop_iteration_does_not_end_the_stream_unnoticed(
    sync_exotel: Exotel,
) -> None:
    messages = iter(["first"])
    with (
        pytest.raises(RuntimeError, match="on_progress raised StopIteration"),
        sync_exotel.calls.connect_many(
            numbers(5), on_progress=lambda _: next(messages), **TO_FLOW
        ) as outcomes,
    ):
        list(outcomes)


@pytest.mark.parametrize("given", [dict.fromkeys(numbers(5)).keys(), deque(numbers(5))])
def test_the_number_of_all_is_known_of_what_is_in_memory(given: Any, sync_exotel: Exotel) -> None:
    with sync_exotel.calls.connect_many(given, **TO_FLOW) as outcomes:
        assert outcomes.statistics().total == 5


def test_leaving_early_reports_what_was_not_read(served: Emulator) -> None:
    told: list[Call | CallOutcomeUnknown] = []
    with (
        sync_session(served, on_orphaned_call=lambda ended, _: told.append(ended)) as exotel,
        exotel.calls.connect_many(numbers(100), **TO_FLOW) as outcomes,
    ):
        until(lambda: len(served.calls) >= 3)
        first = next(iter(outcomes))
    assert first.call is not None
    read = first.call.sid
    until(lambda: {call.sid for call in told} == {*served.calls} - {read})


def test_closing_the_session_reports_what_was_not_read(served: Emulator) -> None:
    told: list[Call | CallOutcomeUnknown] = []
    exotel = sync_session(served, on_orphaned_call=lambda ended, _: told.append(ended))
    outcomes = exotel.calls.connect_many(numbers(100), **TO_FLOW).__enter__()
    until(lambda: len(served.calls) >= 3)
    first = next(outcomes)
    exotel.close()
    with pytest.raises(ConfigurationError, match="this session is closed"):
        list(outcomes)
    assert first.call is not None
    read = first.call.sid
    until(lambda: {call.sid for call in told} == {*served.calls} - {read})
    assert not loop_thread().blocks


def test_stopping_by_a_signal(served: Emulator, sync_exotel: Exotel) -> None:
    """The handler uses the session in the middle of another call of its thread."""
    before = signal.signal(signal.SIGUSR1, lambda *_: outcomes.stop())
    read = []

    def targets() -> Iterator[str]:
        for number in numbers(1000):
            read.append(number)
            yield number

    try:
        with sync_exotel.calls.connect_many(targets(), **TO_FLOW) as outcomes:
            seen = []
            for outcome in outcomes:
                seen.append(outcome)
                if len(seen) == 5:
                    threading.Timer(0.02, signal.raise_signal, [signal.SIGUSR1]).start()
    finally:
        signal.signal(signal.SIGUSR1, before)
    # Of what was taken out of the input, nothing is lost.
    assert Counter(str(outcome.target) for outcome in seen) == Counter(read)
    assert len(read) < 1000
    assert all(outcome.call or isinstance(outcome.error, NotDialled) for outcome in seen)
    assert len(served.calls) == sum(outcome.call is not None for outcome in seen)


def test_stopping_while_an_item_is_read_loses_none(served: Emulator, sync_exotel: Exotel) -> None:
    reading, go = threading.Event(), threading.Event()

    def targets() -> Iterator[DialTarget]:
        yield DialTarget(from_=CUSTOMER, tag="first")
        reading.set()
        go.wait(SOON)
        yield DialTarget(from_=AGENT, tag="second")
        yield DialTarget(from_=AGENT, tag="never read")

    with (
        sync_exotel.calls.connect_many(targets(), **TO_FLOW) as outcomes,
        ThreadPoolExecutor() as pool,
    ):

        def stop() -> None:
            assert reading.wait(SOON)
            outcomes.stop()
            go.set()

        stopping = pool.submit(stop)
        seen = {outcome.tag: outcome for outcome in outcomes}
        stopping.result(SOON)
    assert seen.keys() == {"first", "second"}
    assert isinstance(seen["second"].error, NotDialled)
    assert len(served.calls) == 1


@pytest.mark.slow(1)
def test_the_ends_of_calls(served: Emulator, sync_exotel: Exotel) -> None:
    served.scenario = Scenario.all_answered(talk=5)
    with (
        sync_exotel.calls.connect_many(numbers(6), max_live=4, interval=0.2, **TO_FLOW) as outcomes,
        ThreadPoolExecutor() as pool,
    ):
        ends = pool.submit(list, outcomes.ended())
        placed = {outcome.call.sid for outcome in outcomes if outcome.call}
        assert {call.sid for call in ends.result(SOON)} == placed == {*served.calls}
        assert outcomes.live == 0


def test_the_session_is_closed_while_the_input_is_read(served: Emulator) -> None:
    exotel = sync_session(served)

    def targets() -> Iterator[str]:
        yield CUSTOMER
        exotel.close()
        yield AGENT

    with (
        exotel.calls.connect_many(targets(), **TO_FLOW) as outcomes,
        pytest.raises(ConfigurationError, match="this session is closed"),
    ):
        list(outcomes)
    assert len(served.calls) <= 1


def test_recordings(served: Emulator, sync_exotel: Exotel, tmp_path: Path) -> None:
    served.scenario = Scenario.all_answered(talk=20)
    call = sync_exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE, record=True)
    served.run(served.finish_calls())
    path = sync_exotel.calls.download_recording(call.sid, tmp_path / "call.mp3")
    with sync_exotel.calls.open_recording(call.sid) as recording:
        assert recording.size == path.stat().st_size
        assert b"".join(recording) == path.read_bytes()
    with sync_exotel.calls.open_recording(call.sid) as recording:
        for _ in recording:
            break


def test_nothing_is_left_in_the_loop(served: Emulator) -> None:
    loop = loop_thread().loop
    for _ in range(5):
        with sync_session(served) as exotel:
            served.faults.add(Fault.answer(500), path="Calls")
            with exotel.calls.connect_many(iter(numbers(50)), **TO_FLOW) as outcomes:
                for _ in outcomes:
                    break
            for _ in exotel.calls.list(concurrency=4):
                break
    until(lambda: not asyncio.all_tasks(loop))
