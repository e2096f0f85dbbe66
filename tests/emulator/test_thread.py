"""An emulator in a thread of its own: for code that is not async, and for any event loop."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from exotel_async.emulator import (
    Dial,
    EmulatedCall,
    Emulator,
    Fault,
    Faults,
    Flow,
    Greeting,
    Hangup,
    Passthru,
    Scenario,
)
from exotel_async.emulator.server import Listener, bind
from exotel_async.emulator.thread import ThreadLoop
from tests.conftest import SOON, TLS, session
from tests.emulator.application import running
from tests.emulator.support import AGENT, CUSTOMER, EXOPHONE, TWO_NUMBERS, client_of, dial

PAST = Dial(from_=AGENT, to=CUSTOMER, caller_id=EXOPHONE)


def threads() -> list[threading.Thread]:
    """Those of emulators."""
    return [thread for thread in threading.enumerate() if thread.name == "exotel-emulator"]


@pytest.fixture(scope="module")
def shared() -> Iterator[Emulator]:
    """One for the tests that only use it."""
    with Emulator(
        rate=10**6,
        speed=60,
        scenario=Scenario.all_answered(),
        flows=[Flow(926, start=Greeting(text="Hello", then=Hangup()))],
        exophone_flows={EXOPHONE: 926},
    ) as emulator:
        yield emulator
    assert not threads()
    gc.collect()  # an unclosed socket or loop would warn here, and warnings are errors


@pytest.fixture
def threaded(shared: Emulator) -> Emulator:
    """The same, as at its start."""
    shared.reset()
    return shared


def blocking_client(emulator: Emulator) -> httpx.Client:
    """A client that is not async."""
    return httpx.Client(
        base_url=f"{emulator.base_url}/v1/Accounts/{emulator.account_sid}/",
        auth=(emulator.api_key, emulator.api_token),
        trust_env=False,
        verify=TLS,
    )


def test_blocking_clients_use_it(threaded: Emulator) -> None:
    with blocking_client(threaded) as client:
        sid = client.post("Calls/connect.json", data=TWO_NUMBERS).json()["Call"]["Sid"]
        assert [request.status for request in threaded.requests] == [200]
        threaded.run(threaded.finish_calls())
        passwords = urllib.request.HTTPPasswordMgrWithPriorAuth()
        key, token = threaded.api_key, threaded.api_token
        passwords.add_password(None, threaded.base_url, key, token, is_authenticated=True)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPBasicAuthHandler(passwords)
        )
        with opener.open(f"{client.base_url}Calls/{sid}.json", timeout=SOON) as answer:
            assert json.load(answer)["Call"]["Status"] == "completed"
    assert threaded.calls[sid].ended
    assert threaded.rung(AGENT) == 1


def test_its_coroutines_are_run_from_code_that_is_not_async(threaded: Emulator) -> None:
    call = threaded.run(threaded.incoming_call(CUSTOMER, EXOPHONE))
    threaded.run(threaded.finish_calls())
    threaded.run(asyncio.wait_for(call.over(), SOON))
    assert call.status == "completed"
    assert call.transcript.step("Greeting")
    with pytest.raises(ValueError, match="no flow is assigned"):
        threaded.run(threaded.incoming_call(CUSTOMER, "08039999999"))

    async def enter() -> EmulatedCall:
        return threaded.add_call(PAST)

    assert threaded.run(enter()).sid in threaded.calls


def test_all_that_changes_it_is_done_in_its_thread(
    threaded: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at_by, elapsed = set(), threaded.clock.elapsed

    def seconds() -> float:
        looked_at_by.add(threading.current_thread())
        return elapsed()

    monkeypatch.setattr(threaded.clock, "elapsed", seconds)
    threaded.add_call(PAST)
    assert looked_at_by == set(threads())
    named = {name for name in dir(Emulator) if not name.startswith("_")}
    methods = {name for name in named if callable(getattr(Emulator, name))}
    plain = {name for name in methods if not hasattr(getattr(Emulator, name), "__wrapped__")}
    reads = {"rung", "busiest_window", "statistics", "recording"}
    assert plain == reads | {"run", "unreachable"}, "others need `runs_in_own_loop`"


def test_a_loop_where_nothing_happens_is_told_of_an_end(threaded: Emulator) -> None:
    async def follow() -> None:
        call = await threaded.incoming_call(CUSTOMER, EXOPHONE)
        assert call.run is not None
        assert call.run.get_loop() is threaded._loop
        loop = asyncio.get_running_loop()
        guard = loop.call_later(SOON, lambda: None)
        await call.over()
        assert loop.time() < guard.when(), "it was the guard that has woken it"
        guard.cancel()
        assert call.status == "completed"
        await call.over()  # it is already

    asyncio.run(follow())


async def test_any_loop_may_await_its_coroutines(threaded: Emulator) -> None:
    """The application that it asks, and tells, lives in that loop too."""
    async with running() as application, client_of(threaded) as client:
        await dial(client, StatusCallback=f"{application.url}/status")
        call = await threaded.incoming_call(CUSTOMER, EXOPHONE)
        over = asyncio.create_task(call.over())
        await threaded.finish_calls()
        await over
        (sent,) = threaded.callbacks
        assert sent.status == 200
        assert len(application.at("/status")) == 1
        async with threaded.unreachable():
            with pytest.raises(httpx.ConnectError):
                await client.get("Balance")
        assert (await client.get("Balance")).status_code == 200
    async with session(threaded) as exotel:
        assert (await exotel.account.balance()).amount


def test_it_can_be_unreachable_for_code_that_is_not_async(threaded: Emulator) -> None:
    with blocking_client(threaded) as client:
        with threaded.unreachable(), pytest.raises(httpx.ConnectError):
            client.get("Balance")
        assert client.get("Balance").status_code == 200


def test_threads_use_it_side_by_side(threaded: Emulator) -> None:
    """What they enter, forget and read meets what clients dial; nothing is lost."""
    rounds, workers = 60, 3
    stop = threading.Event()

    def enter(number: int) -> None:
        for turn in range(rounds):
            call = threaded.add_call(PAST, ago=timedelta(seconds=turn * 7 % 50 + number / 10))
            if turn % 2:
                threaded.forget(call.sid)

    def read() -> int:
        turns = 0
        while not stop.is_set():
            for call in threaded.calls.values():
                assert call.status
            threaded.statistics()
            threaded.faults.add(Fault.delay_before(0), path="no such path")
            threaded.faults.clear()
            turns += 1
            time.sleep(0)
        return turns

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor() as pool, blocking_client(threaded) as client:
            reading = pool.submit(read)
            entering = [pool.submit(enter, number) for number in range(workers)]
            for _ in range(10):
                assert client.post("Calls/connect.json", data=TWO_NUMBERS).status_code == 200
                assert client.get("Calls.json").status_code == 200
            for work in entering:
                work.result()
            stop.set()
            assert reading.result()
    finally:
        stop.set()
        sys.setswitchinterval(before)
    in_order = list(threaded._book.between(-1e9, 1e9, live=True))
    assert len(in_order) == len(threaded.calls) == workers * rounds // 2 + 10
    assert in_order == sorted(threaded.calls.values(), key=lambda call: (call.at, call.sid))
    assert threaded.rung(AGENT) == workers * rounds + 10


def test_faults_cleared_while_a_request_meets_one_do_not_hurt_it() -> None:
    faults = Faults()
    clearing = threading.Thread(target=faults.clear)

    class Path(str):
        """Has the faults cleared by another thread when it is looked at."""

        __slots__ = ()

        def __contains__(self, part: object) -> bool:
            clearing.start()
            clearing.join(0.05)  # it may have to wait until the fault is taken
            return True

    faults.add(Fault.too_many_requests(), path="Balance")
    assert faults.take_for_request("GET", Path("/")) == Fault.too_many_requests()
    clearing.join()
    assert not faults.pending


async def test_it_asks_and_tells_past_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")
    async with running() as application, Emulator() as emulator, client_of(emulator) as client:
        emulator.flows = [Flow(926, start=Passthru(url=f"{application.url}/ask", ok=Hangup()))]
        emulator.exophone_flows[EXOPHONE] = 926
        await dial(client, StatusCallback=f"{application.url}/status")
        await emulator.incoming_call(CUSTOMER, EXOPHONE)
        await emulator.finish_calls()
        assert {asked.path for asked in application.asked} == {"/ask", "/status"}


def test_the_end_is_prompt_and_leaves_nothing() -> None:
    before = threads()
    with Emulator() as emulator, ThreadPoolExecutor() as pool, blocking_client(emulator) as client:
        emulator.faults.add(Fault.act_then_stall(), path="connect")
        hanging = pool.submit(client.post, "Calls/connect.json", data=TWO_NUMBERS)
        waiting = pool.submit(emulator.run, asyncio.Event().wait())
        while not (emulator.calls and len(asyncio.all_tasks(emulator._loop)) > 2):
            threading.Event().wait(0.001)
        emulator.__exit__(None, None, None)
        with pytest.raises(httpx.TransportError):
            hanging.result(SOON)
        with pytest.raises(CancelledError):
            waiting.result(SOON)
    assert threads() == before
    assert len(emulator.calls) == emulator.statistics().requests == 1
    emulator.add_call(PAST)  # as when it runs in no thread
    assert len(emulator.calls) == 2
    gc.collect()


def test_the_end_waits_for_no_name_server() -> None:
    """Nor for anything else that is asked in a thread, and cannot be cancelled there."""
    answered, over = threading.Event(), threading.Event()

    async def ask() -> None:
        asyncio.get_running_loop().run_in_executor(None, answered.wait)

    def use() -> None:
        with Emulator() as emulator:
            emulator.run(ask())
        over.set()

    using = threading.Thread(target=use)
    using.start()
    in_time = over.wait(SOON)
    answered.set()
    using.join()
    assert in_time


def test_what_is_begun_in_its_last_moment_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for it would do so for ever."""
    before, taken = threads(), []

    class Gate:
        """Has another thread begin something just before its loop takes nothing any more."""

        def __init__(self, loop: ThreadLoop) -> None:
            self._loop, self._lock = loop, loop._gate

        def __enter__(self) -> None:
            if threading.current_thread() in set(threads()) - set(before):
                late = threading.Thread(
                    target=lambda: taken.append(self._loop.submit(asyncio.Event().wait))
                )
                late.start()
                late.join()
            self._lock.acquire()

        def __exit__(self, *_: object) -> None:
            self._lock.release()

    with Emulator() as emulator:
        assert isinstance(emulator._loop, ThreadLoop)
        monkeypatch.setattr(emulator._loop, "_gate", Gate(emulator._loop))
    (future,) = taken
    assert future is not None
    with pytest.raises(CancelledError):
        future.result(SOON)
    assert threads() == before


def test_what_fails_a_test_reaches_it_and_the_emulator_goes_on() -> None:
    """What pytest raises is no `Exception`, and passes what looks for those alone."""

    async def check() -> None:
        pytest.fail("no call came")

    with Emulator() as emulator, blocking_client(emulator) as client:
        with pytest.raises(pytest.fail.Exception, match="no call came"):
            emulator.run(check())
        assert client.get("Balance").status_code == 200
        emulator.run(emulator.finish_calls())


def test_what_ends_a_program_reaches_it_and_the_emulator_leaves_nothing_open() -> None:
    before = threads()

    async def leave() -> None:
        sys.exit(3)

    with pytest.raises(SystemExit) as caught, Emulator(tls=True) as emulator:
        emulator.run(leave())
    assert caught.value.code == 3
    assert threads() == before
    del caught, emulator
    gc.collect()


def test_an_interrupted_start_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    before, opens = threads(), Listener.open

    async def interrupt(listener: Listener) -> None:
        await opens(listener)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        await asyncio.sleep(0.01)  # as what has more to do: it is let finish

    monkeypatch.setattr(Listener, "open", interrupt)
    with pytest.raises(KeyboardInterrupt):
        Emulator(tls=True).__enter__()
    assert threads() == before
    gc.collect()


def test_an_interruption_while_the_thread_begins_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In `Thread.start`, before the thread runs as well as behind it."""
    before, starts = threads(), threading.Thread.start

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def interrupted_within(thread: Any) -> None:
        thread._started.wait = interrupt
        starts(thread)

    def interrupted_behind(thread: threading.Thread) -> None:
        starts(thread)
        interrupt()

    for interrupted in (interrupted_within, interrupted_behind):
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Emulator().__enter__()
        monkeypatch.undo()
        until = time.monotonic() + SOON
        while threads() != before and time.monotonic() < until:
            time.sleep(0.01)  # one that was interrupted before it ran ends by itself
        assert threads() == before
    gc.collect()


def test_it_is_used_once() -> None:
    with Emulator() as emulator, pytest.raises(RuntimeError, match="once"):
        emulator.__enter__()
    with pytest.raises(RuntimeError, match="once"):
        emulator.__enter__()


def test_a_port_that_is_taken_is_told_at_the_start() -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        taken.listen()
        Emulator(port=taken.getsockname()[1]).__enter__()
    gc.collect()


@pytest.mark.parametrize("failing", [False, True])
def test_a_crash_in_the_thread_reaches_the_test(*, failing: bool) -> None:
    """As an exception of its own, or as a note of that which the test ends with."""

    def crash() -> None:
        raise LookupError("a mistake in the emulator")

    with pytest.raises(ZeroDivisionError if failing else LookupError) as caught:  # noqa: SIM117
        with Emulator() as emulator:
            assert isinstance(emulator._loop, ThreadLoop)
            emulator._loop.call_soon_threadsafe(crash)
            if failing:
                emulator.run(asyncio.sleep(0))
                _ = 1 / 0
    notes = getattr(caught.value, "__notes__", [])
    assert ["a mistake in the emulator" in note for note in notes] == [True] * failing


def test_running_a_coroutine_needs_a_thread_and_no_loop(threaded: Emulator) -> None:
    async def within() -> None:
        with pytest.raises(RuntimeError, match=r"an event loop runs here.*await this instead"):
            threaded.run(threaded.finish_calls())
        async with Emulator() as guest:
            with pytest.raises(RuntimeError, match="await this instead"):
                guest.run(guest.finish_calls())
            with pytest.raises(RuntimeError, match="await this instead"), guest.unreachable():
                pass

    asyncio.run(within())
    with Emulator() as ended:
        pass
    for emulator in (Emulator(), ended):
        with pytest.raises(RuntimeError, match=r"in no thread.*begin it with `with`"):
            emulator.run(asyncio.sleep(0))


def test_a_loop_that_is_none_of_asyncio_is_told_so(threaded: Emulator) -> None:
    with pytest.raises(RuntimeError, match=r"under asyncio alone.*another thread call"):
        threaded.finish_calls().send(None)  # as trio begins it


def test_a_loop_that_is_not_its_own_is_told_so() -> None:
    async def elsewhere() -> None:
        with pytest.raises(RuntimeError, match=r"in another event loop.*begin the emulator with"):
            await emulator.finish_calls()
        with pytest.raises(RuntimeError, match="another event loop"):
            await emulator.unreachable().__aenter__()

    with asyncio.Runner() as runner:
        flow = Flow(926, start=Hangup())
        emulator = Emulator(speed=60, flows=[flow], exophone_flows={EXOPHONE: 926})
        runner.run(emulator.__aenter__())
        asyncio.run(elsewhere())
        call = runner.run(emulator.incoming_call(CUSTOMER, EXOPHONE))
        runner.run(emulator.finish_calls())
        runner.run(emulator.__aexit__(None, None, None))
    asyncio.run(call.over())  # it is, in every loop
