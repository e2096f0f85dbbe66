"""A synchronous session: from any thread, without await."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import pickle
import threading
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exotel_async import (
    AuthenticationError,
    Call,
    CallFound,
    CallOutcomeUnknown,
    CallStatus,
    ConfigurationError,
    DialTarget,
    InvalidRequest,
    NotFound,
    RateLimit,
    RateLimitTimeout,
    Timeouts,
    TokenBucket,
)
from exotel_async.emulator import Behaviour, Dial, Emulator, Fault, Scenario
from exotel_async.sync import Exotel
from exotel_async.sync.loop_call import LoopCall
from exotel_async.sync.loop_thread import loop_thread
from tests.conftest import AGENT, CUSTOMER, EXOPHONE, SOON
from tests.sync.support import ran, sync_session, until
from tests.test_otel import Recorded

PAST = Dial(from_=CUSTOMER, to=AGENT, caller_id=EXOPHONE)


def test_each_resource_answers(served: Emulator, sync_exotel: Exotel) -> None:
    exotel = sync_exotel
    call = exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE, custom_field="order-7")
    assert exotel.calls.get(call.sid).sid == call.sid
    served.run(served.finish_calls())
    assert exotel.calls.wait(call.sid, timeout=SOON, interval=0.1).status is CallStatus.FAILED
    (result,) = exotel.calls.wait(iter([call.sid]), timeout=SOON)
    assert result.unwrap().sid == call.sid
    assert exotel.account.balance().amount > 0
    assert exotel.numbers.lookup(CUSTOMER).circle
    exophone = exotel.exophones.list().pages().__next__().exophones[0]
    assert exotel.exophones.rename(exophone.sid, "shop").friendly_name == "shop"
    assert exotel.exophones.get(exophone.sid).friendly_name == "shop"
    assert exotel.limiter.statistics().granted >= 4
    assert exotel.exophones.limiter.statistics().granted == 3
    assert repr(exotel) == f"<Exotel account_sid={served.account_sid!r}>"


def generate(ended: object, target: object) -> Iterator[None]:
    yield


def test_a_bad_setting_is_refused_at_once() -> None:
    with pytest.raises(ConfigurationError, match="account_sid, api_key and api_token are missing"):
        Exotel()
    keys: dict[str, Any] = {"account_sid": "acme1", "api_key": "k", "api_token": "t"}
    with pytest.raises(ConfigurationError, match="must take two arguments"):
        Exotel(**keys, on_orphaned_call=lambda: None)  # type: ignore[arg-type, misc]
    with pytest.raises(ConfigurationError, match="must be a function"):
        Exotel(**keys, on_orphaned_call=7)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="must not contain yield"):
        Exotel(**keys, on_orphaned_call=generate)
    with pytest.raises(InvalidRequest, match="max_wait"):
        Exotel(**keys).with_options(max_wait=-1)


@pytest.mark.slow(1)
async def test_making_one_begins_no_thread(tmp_path: Path) -> None:
    ended = await ran(
        """
exotel = Exotel(account_sid="acme1", api_key="k", api_token="t")
exotel.with_options(max_wait=3).close()
print(threading.active_count())
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("1\n", "")


def test_errors_are_the_same_objects_with_a_traceback_to_both_threads(served: Emulator) -> None:
    error = None

    class Broken:
        async def acquire(self, *_: Any, **__: Any) -> Any:
            nonlocal error
            error = RuntimeError("broken")
            raise error

        def statistics(self) -> Any:
            raise NotImplementedError

    with (
        sync_session(served, rate_limit=Broken()) as exotel,
        pytest.raises(RuntimeError) as raised,
    ):
        exotel.account.balance()
    assert raised.value is error
    functions = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    places = [functions.index(name) for name in ("balance", "wait", "send", "acquire")]
    assert places == sorted(places)
    assert error is not None
    assert error.__context__ is None


def test_context_variables_of_the_caller_are_seen_in_the_loop(served: Emulator) -> None:
    """So a trace that begins in the caller's thread continues there."""
    variable: ContextVar[str] = ContextVar("variable")
    seen: list[str] = []

    class Watching(TokenBucket):
        async def acquire(self, *arguments: Any, **keywords: Any) -> Any:
            seen.append(variable.get())
            return await super().acquire(*arguments, **keywords)

    def ask(value: str) -> None:
        variable.set(value)
        exotel.account.balance()

    with sync_session(served, rate_limit=Watching()) as exotel, ThreadPoolExecutor() as pool:
        list(pool.map(ask, ["one", "two", "three"]))
    assert sorted(seen) == ["one", "three", "two"]


def test_errors_have_their_classes(served: Emulator) -> None:
    with sync_session(served, api_token="wrong") as exotel, pytest.raises(AuthenticationError):
        exotel.account.balance()
    with sync_session(served) as exotel:
        with pytest.raises(NotFound) as missing:
            exotel.calls.get("f" * 32)
        assert missing.value.sid == "f" * 32
        with pytest.raises(TypeError, match="did you mean 'record'"):
            exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE, recorded=True)  # type: ignore[call-arg]
        with pytest.raises(InvalidRequest):
            exotel.calls.notify(SimpleNamespace(status="completed"))


def test_a_raised_error_makes_no_circle(sync_exotel: Exotel) -> None:
    def turns() -> int:
        return sum(isinstance(one, LoopCall) for one in gc.get_objects())

    gc.collect()
    gc.disable()
    before = turns()
    try:
        for _ in range(20):
            with suppress(InvalidRequest):
                sync_exotel.calls.get("")
        until(lambda: turns() <= before)
    finally:
        gc.enable()


def test_time_limits_hold(served: Emulator) -> None:
    with sync_session(served, rate_limit=RateLimit(1)) as exotel:
        exotel.account.balance()
        with pytest.raises(RateLimitTimeout):
            exotel.with_options(max_wait=0.01).account.balance()
        with pytest.raises(RateLimitTimeout):
            exotel.account.balance(timeout=0.01)


def test_a_lost_dial_is_found() -> None:
    over_at_once = Scenario(numbers={CUSTOMER: Behaviour("busy", ring=0)})
    with (
        Emulator(scenario=over_at_once) as emulator,
        sync_session(emulator, timeout=Timeouts(read=0.3)) as exotel,
    ):
        emulator.faults.add(Fault.act_then_stall(), path="Calls/connect")
        with pytest.raises(CallOutcomeUnknown) as lost:
            exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE)
        found = exotel.calls.reconcile(lost.value, timeout=SOON, interval=0.1)
        assert isinstance(found, CallFound)


def test_a_callback_ends_a_wait_of_another_thread(served: Emulator, sync_exotel: Exotel) -> None:
    served.scenario = Scenario.all_answered(talk=3600)
    call = sync_exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE)
    over = Call(sid=call.sid, status=CallStatus.COMPLETED)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(sync_exotel.calls.wait, call.sid, interval=3600.0)
        until(lambda: sync_exotel.calls.notify(over) or waiting.done())
        assert waiting.result(SOON).status is CallStatus.COMPLETED


def test_a_view_has_its_own_defaults_and_is_the_same_session(served: Emulator) -> None:
    with sync_session(served, rate_limit=RateLimit(1)) as exotel:
        view = exotel.with_options(max_wait=0.01)
        view.account.balance()
        with pytest.raises(RateLimitTimeout):
            view.account.balance()
        view.close()
        with pytest.raises(ConfigurationError, match="this session is closed"):
            exotel.account.balance()


def test_a_session_that_is_closed_says_so(served: Emulator) -> None:
    used, unused = sync_session(served), sync_session(served)
    used.account.balance()
    for exotel in (used, unused):
        exotel.close()
        exotel.close()
        with pytest.raises(ConfigurationError, match="this session is closed"):
            exotel.account.balance()
        with pytest.raises(ConfigurationError, match="this session is closed"):
            exotel.limiter.statistics()


@pytest.mark.parametrize("grace", [float("nan"), -1, None, "5"])
def test_a_grace_that_is_none_closes_nothing(served: Emulator, grace: Any) -> None:
    with sync_session(served) as exotel:
        for one in (exotel, exotel.with_options(timeout=5)):
            with pytest.raises(ConfigurationError, match=r"^grace=.*: must be seconds, from 0"):
                one.close(grace)
        exotel.account.balance()


def test_a_session_that_is_forgotten_is_closed(served: Emulator) -> None:
    before = len(loop_thread().sessions)
    exotel = sync_session(served)
    exotel.account.balance()
    assert len(loop_thread().sessions) == before + 1
    del exotel
    until(lambda: len(loop_thread().sessions) == before)


def test_a_session_is_not_pickled() -> None:
    exotel = Exotel(account_sid="acme1", api_key="k", api_token="a-token")
    with pytest.raises(TypeError, match="a session is not pickled"):
        pickle.dumps(exotel)
    assert "a-token" not in repr(exotel)


async def test_in_async_code_it_names_what_is_to_be_used_there(served: Emulator) -> None:
    exotel = sync_session(served)
    with pytest.raises(ConfigurationError, match="await AsyncExotel instead"):
        exotel.account.balance()
    with pytest.raises(ConfigurationError, match="await AsyncExotel instead"):
        exotel.calls.list()
    with pytest.raises(ConfigurationError, match="await AsyncExotel instead"), exotel:
        raise AssertionError("its block is not entered")
    assert not served.requests
    assert (await asyncio.to_thread(exotel.account.balance)).amount
    await asyncio.to_thread(exotel.close)


@pytest.mark.slow
async def test_the_cells_of_a_notebook_wait_in_its_loop(tmp_path: Path) -> None:
    ended = await ran(
        """
import asyncio
os.environ["IPYTHONDIR"] = os.getcwd()  # its history is not the one of other tests
warnings.simplefilter("default")  # IPython has some of its own
from IPython.core.interactiveshell import InteractiveShell

CELLS = (
    "from exotel_async.sync import Exotel; exotel = Exotel(**settings(emulator))",
    "assert asyncio.get_running_loop(); print(exotel.account.balance().currency)",
    "print(len(list(exotel.calls.list())))",
)

async def main():
    shell = InteractiveShell.instance()
    shell.push({"emulator": emulator, "settings": settings, "asyncio": asyncio})
    for cell in CELLS:
        # As ipykernel does: a cell without await, too, runs in the loop.
        ended = await shell.run_cell_async(cell, transformed_cell=shell.transform_cell(cell))
        ended.raise_error()

async def handler():
    try:
        exotel.account.balance()
    except ConfigurationError as error:
        print("of a server in a thread:", str(error)[:30])

with Emulator() as emulator:
    asyncio.run(main())
    exotel = Exotel(**settings(emulator))
    thread = threading.Thread(target=asyncio.run, args=[handler()])
    thread.start()
    thread.join()
""",
        tmp_path,
    )
    said = "INR\n0\nof a server in a thread: this thread runs an event loop\n"
    assert (ended.out, ended.code) == (said, 0), ended.err


@pytest.mark.parametrize(
    ("patcher", "module", "function"),
    [
        ("gevent", "gevent.monkey", "is_module_patched"),
        ("eventlet", "eventlet.patcher", "is_monkey_patched"),
    ],
)
@pytest.mark.parametrize("patched", ["socket", "time"])
async def test_patched_threads_are_refused_by_name(
    patcher: str, module: str, function: str, patched: str, tmp_path: Path
) -> None:
    """Which would otherwise stand still, or say that a loop runs here."""
    ended = await ran(
        f"""
from types import SimpleNamespace
sys.modules["{module}"] = SimpleNamespace({function}="{patched}".__eq__)
with Emulator() as emulator:
    try:
        print(Exotel(**settings(emulator)).account.balance().currency)
    except ConfigurationError as error:
        print(error)
""",
        tmp_path,
    )
    said = (
        f"{patcher} has patched the standard library, and exotel_async.sync needs threads: use it "
        f"in a process that {patcher} does not patch\n"
    )
    assert (ended.out, ended.err) == (said if patched == "socket" else "INR\n", "")


@pytest.mark.slow(1)
def test_a_listener_may_block_and_use_the_session(served: Emulator) -> None:
    told: list[tuple[object, DialTarget, str, Any]] = []
    done = threading.Event()

    def on_orphan(ended: Call | CallOutcomeUnknown, target: DialTarget) -> None:
        told.append((ended, target, threading.current_thread().name, exotel.account.balance()))
        done.set()

    with sync_session(served, on_orphaned_call=on_orphan) as exotel:
        served.faults.add(Fault.act_then_stall(1), path="Calls/connect")
        with pytest.raises(CallOutcomeUnknown):
            exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE, timeout=0.5)
        assert done.wait(SOON)
    ((ended, target, thread, balance),) = told
    assert isinstance(ended, Call)
    assert target.from_ == CUSTOMER
    assert thread == "exotel-sync-helper"
    assert balance.amount


@pytest.mark.slow(3)
@pytest.mark.parametrize("kind", ["raises", "coroutine", "object", "decorated"])
def test_listeners_of_any_kind(
    served: Emulator, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def fails(*_: object) -> None:
        told.append("raises")
        raise SystemExit(7)

    async def awaited(*_: object) -> None:
        await asyncio.sleep(0)
        told.append("coroutine")

    class Notes:
        def __call__(self, *_: object) -> None:
            told.append("object")

    def note(ended: object, target: object, where: list[str]) -> None:
        where.append("decorated")

    @functools.wraps(note)
    def decorated(ended: object, target: object) -> None:
        note(ended, target, told)

    listener: Any = {
        "raises": fails,
        "coroutine": awaited,
        "object": Notes(),
        "decorated": decorated,
    }[kind]
    with sync_session(served, on_orphaned_call=listener) as exotel:
        served.faults.add(Fault.act_then_stall(1), path="Calls/connect")
        with pytest.raises(CallOutcomeUnknown):
            exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE, timeout=0.5)
        until(lambda: told == [kind])
        assert exotel.account.balance().amount  # the loop goes on
    assert ("on_orphaned_call has failed" in caplog.messages) == (kind == "raises")


def test_what_breaks_out_of_the_loop_does_not_end_it(
    sync_exotel: Exotel, caplog: pytest.LogCaptureFixture
) -> None:
    def leave() -> None:
        raise SystemExit

    loop_thread().loop.call_soon_threadsafe(leave)
    until(lambda: "it was restarted" in caplog.text)
    assert sync_exotel.account.balance().amount


@pytest.mark.slow(1)
def test_8_threads_dial_300_at_one_budget_and_none_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each thread with a session of its own, as a view of Django may have it."""
    with Emulator(rate=200, speed=60) as emulator, ThreadPoolExecutor(8) as pool:
        own = threading.local()

        def dial(_: int) -> str:
            if not hasattr(own, "exotel"):
                own.exotel = sync_session(emulator)
            exotel: Exotel = own.exotel
            return exotel.calls.connect(CUSTOMER, AGENT, caller_id=EXOPHONE).sid

        with caplog.at_level(logging.WARNING, "exotel_async"):
            sids = set(pool.map(dial, range(300)))
        assert len(sids) == len(emulator.calls) == 300
        assert emulator.refused == 0
        assert emulator.busiest_window() <= emulator.rate
    assert not caplog.records


def test_lists_and_changes(served: Emulator, sync_exotel: Exotel) -> None:
    for hours in range(1, 31):
        served.add_call(PAST, ago=timedelta(hours=hours))
    calls = sync_exotel.calls
    records = calls.list()
    seen = [call.sid for call in records]
    assert len(seen) == 30
    assert [one.sid for page in calls.list().pages() for one in page.calls] == seen
    assert [one.sid for one in calls.list(limit=5).first_page().calls] == seen[:5]
    some = calls.list()
    for number, _ in enumerate(some):
        if number == 9:
            break
    assert [one.sid for one in calls.list(resume=some.resume_token)] == seen[10:]
    changes = calls.changes()
    assert len(list(changes)) == 30
    assert list(calls.changes(since=changes.token)) == []
    assert changes.gap is None


def test_a_list_that_is_left_ends_its_generator(served: Emulator, sync_exotel: Exotel) -> None:
    for hours in range(1, 4):
        served.add_call(PAST, ago=timedelta(hours=hours))
    loop = loop_thread().loop
    before = len(loop._asyncgens)  # type: ignore[attr-defined]
    with sync_exotel.calls.list(concurrency=4) as records:
        for _ in records:
            break
        for _ in records.pages():
            break
    until(lambda: len(loop._asyncgens) <= before)  # type: ignore[attr-defined]


async def test_its_limiter_is_watched_by_telemetry(emulator: Emulator) -> None:
    recorded = Recorded()

    def read() -> list[Any]:
        with sync_session(emulator, on_event=recorded.telemetry) as exotel:
            recorded.telemetry.watch(exotel.limiter)
            exotel.account.balance()
            used = recorded.metrics()["exotel.rate_limit.window.used"]
        assert "exotel.rate_limit.window.used" not in recorded.metrics()  # it is closed
        return used

    assert [point.value for point in await asyncio.to_thread(read)] == [1]
    assert recorded.tree() >= {("account.balance", "HTTP GET")}
