"""Ctrl-C, and the end of the interpreter, in programs of their own: each ends quietly."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sync.support import ran

pytestmark = pytest.mark.slow(2)

LEAVES = """
with Emulator(speed=30) as emulator:
    exotel = Exotel(**settings(emulator, rate_limit=RateLimit(20, per=2), on_orphaned_call=note))
    try:
        {}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    until(lambda: not exotel.limiter.statistics().waiting_interactive)
    until(lambda: not exotel.limiter.statistics().waiting_bulk)
    exotel.close(0.1)
"""
STALLED = """emulator.faults.add(Fault.act_then_stall(), path="Calls/connect", times=None)
        ctrl_c_when(lambda: emulator.calls)
        """
LOST = "orphan: CallOutcomeUnknown +919812300001\n"


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (
            """exotel = Exotel(**settings(emulator, rate_limit=1))
        exotel.account.balance()
        ctrl_c_when(lambda: exotel.limiter.statistics().waiting_interactive)
        dial(exotel)""",
            "",
        ),
        (STALLED + "dial(exotel)", LOST),
        (
            STALLED
            + """with exotel.calls.connect_many(
            ["+919812300001"], flow=926, caller_id="08030000000"
        ) as outcomes:
            for outcome in outcomes:
                pass""",
            LOST,
        ),
        (
            """emulator.scenario = Scenario.all_answered(talk=3600)
        sid = dial(exotel).sid
        ctrl_c_when(lambda: len(emulator.requests) >= 2)
        exotel.calls.wait(sid, interval=0.1)""",
            "",
        ),
        (
            """emulator.faults.add(Fault.act_then_stall(), path="Calls")
        ctrl_c_when(lambda: emulator.requests)
        for call in exotel.calls.list():
            pass""",
            "",
        ),
        (
            """def blocks():
            ctrl_c_when(lambda: True)
            time.sleep(60)
            yield "+919812300001"

        with exotel.calls.connect_many(blocks(), flow=926, caller_id="08030000000") as outcomes:
            for outcome in outcomes:
                pass""",
            "",
        ),
    ],
    ids=["budget", "answer", "stream", "wait", "list", "input"],
)
async def test_ctrl_c_leaves_at_once(what: str, told: str, tmp_path: Path) -> None:
    ended = await ran(LEAVES.format(what), tmp_path)
    assert ended.code == 0, ended.err
    assert sorted(ended.out.splitlines(keepends=True)) == sorted(
        f"interrupted\n{told}".splitlines(keepends=True)
    )
    assert "Traceback" not in ended.err


async def test_a_stream_can_be_read_on_after_its_input_was_interrupted(tmp_path: Path) -> None:
    ended = await ran(
        """
def targets():
    yield "+919812300001"
    yield "+919812300002"
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)

with Emulator(speed=30) as emulator, Exotel(**settings(emulator)) as exotel:
    with exotel.calls.connect_many(targets(), flow=926, caller_id="08030000000") as outcomes:
        seen = 0
        while True:
            try:
                for outcome in outcomes:
                    seen += 1
                break
            except KeyboardInterrupt:
                print("interrupted")
    print(seen)
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("interrupted\n2\n", "")


async def test_a_result_that_comes_as_ctrl_c_does_is_told_of(tmp_path: Path) -> None:
    """Of each call of a program that is interrupted again and again, it hears once."""
    ended = await ran(
        """
import random
chance = random.Random(7)
told, got = [], []

def interrupt():
    while going:
        time.sleep(chance.random() * 0.01)
        os.kill(os.getpid(), signal.SIGALRM)

class Interrupted(BaseException):
    pass

def raise_it(*_):
    if dialling:
        raise Interrupted

going, dialling = True, False
signal.signal(signal.SIGALRM, raise_it)
with Emulator(rate=10**6) as emulator:
    exotel = Exotel(**settings(
        emulator, rate_limit=RateLimit(10**5, per=1, burst=10**4),
        on_orphaned_call=lambda ended, _: told.append(ended.sid),
    ))
    exotel.account.balance()
    thread = threading.Thread(target=interrupt)
    thread.start()
    for n in range(200):
        try:
            dialling = n % 4 > 0  # a busy computer would let none end that may be interrupted
            sid = None
            sid = dial(exotel).sid
            dialling = False
        except Interrupted:
            dialling = False
        if sid:
            got.append(sid)
    going = False
    thread.join()
    exotel.close(10)
    until(lambda: len(told) + len(got) >= len(emulator.calls))
    assert sorted(told + got) == sorted(emulator.calls), (len(told), len(got), len(emulator.calls))
    print(bool(told), bool(got))
""",
        tmp_path,
    )
    assert ended.out == "True True\n", ended.err


INJECTED = """
from exotel_async.sync.loop_thread import loop_thread

signal.alarm(60)
import logging
logging.getLogger("exotel_async").setLevel(logging.CRITICAL)

class Inject:
    # Ctrl-C at the n-th beginning of a function: there Python handles signals.
    def __init__(self, n):
        self.left = n

    def __call__(self, frame, event, _):
        if event == "call" and not frame.f_code.co_name.endswith("remove"):  # of weak references
            self.left -= 1
            if not self.left:
                sys.settrace(None)
                raise KeyboardInterrupt

def injections():
    n, inject = 0, Inject(0)
    while inject.left <= 0:
        n += 1
        yield (inject := Inject(n))
    print("done", n > 10)

told, got = [], []
with Emulator(rate=10**6) as emulator:
    exotel = Exotel(**settings(
        emulator, rate_limit=RateLimit(10**5, per=1, burst=10**4),
        on_orphaned_call=lambda ended, _: told.append(ended.sid),
    ))
    exotel.account.balance()
    loop = loop_thread().loop
    for inject in injections():
        {}
    until(lambda: not loop_thread().blocks)
    exotel.close(10)
    print(len(told) + len(got) - len(emulator.calls), sorted(told + got) == sorted(emulator.calls))
"""
STREAM = """with exotel.calls.connect_many(
            {targets}, flow=1, caller_id="08030000000", on_progress=lambda now: None
        ) as outcomes:
            {first}
            try:
                sys.settrace(inject)
                got.append(next(outcomes).call.sid)
            except KeyboardInterrupt:
                pass
            sys.settrace(None)
            got += [outcome.call.sid for outcome in outcomes]"""
THREE = '[f"+9198123{n:05}" for n in range(3)]'


@pytest.mark.parametrize(
    "work",
    [
        """try:
            sys.settrace(inject)
            got.append(dial(exotel).sid)
        except KeyboardInterrupt:
            pass
        sys.settrace(None)""",
        STREAM.format(targets=THREE, first="until(lambda: outcomes.statistics().taken == 3)"),
        STREAM.format(targets=f"iter({THREE})", first=""),
        STREAM.format(targets=f"(one for one in {THREE})", first=""),
        STREAM.format(
            targets=THREE,
            first="busy = threading.Event(); loop.call_soon_threadsafe(busy.wait); "
            "threading.Timer(0.03, busy.set).start()",
        ),
        f"""try:
            sys.settrace(inject)
            with exotel.calls.connect_many(
                {THREE} * 40, flow=1, caller_id="08030000000"
            ) as outcomes:
                sys.settrace(None)
                got += [outcome.call.sid for outcome in outcomes]
        except KeyboardInterrupt:
            pass
        sys.settrace(None)""",
    ],
    ids=["dial", "list", "iterator", "generator", "busy", "enter"],
)
async def test_ctrl_c_at_any_point_loses_no_call(work: str, tmp_path: Path) -> None:
    """Each call is returned or reported; no stream goes on unread, or stands still."""
    ended = await ran(INJECTED.replace("{}", work), tmp_path)
    assert (ended.out, ended.code) == ("done True\n0 True\n", 0), ended.err
    assert ended.err == ""


async def test_a_second_ctrl_c_in_the_handling_of_the_first_loses_no_call(tmp_path: Path) -> None:
    ended = await ran(
        INJECTED.replace(
            "{}",
            """emulator.faults.add(Fault.act_then_stall(0.1), path="Calls/connect")
        before = len(emulator.calls)
        def first(*_):
            sys.settrace(inject)
            raise KeyboardInterrupt
        signal.signal(signal.SIGINT, first)
        ctrl_c_when(lambda: len(emulator.calls) > before)
        try:
            dial(exotel)
        except KeyboardInterrupt:
            pass
        sys.settrace(None)
        until(lambda: len(told) > before)""",
        ).replace("n > 10", "n > 3"),
        tmp_path,
    )
    assert (ended.out, ended.err) == ("done True\n0 True\n", "")


async def test_a_signal_handler_may_use_a_session_while_the_first_use_begins(
    tmp_path: Path,
) -> None:
    ended = await ran(
        """
signal.alarm(20)
signal.signal(signal.SIGUSR1, lambda *_: print("handler", exotel.account.balance().currency))

def trace(frame, event, _):
    if event == "call" and frame.f_code.co_name == "new_event_loop":
        sys.settrace(None)
        signal.raise_signal(signal.SIGUSR1)

with Emulator() as emulator, Exotel(**settings(emulator)) as exotel:
    before = threading.active_count()
    sys.settrace(trace)
    print(exotel.account.balance().currency, threading.active_count() - before)
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("handler INR\nINR 1\n", "")


async def test_after_the_end_it_says_so_and_may_be_closed(tmp_path: Path) -> None:
    ended = await ran(
        """
def afterwards():
    exotel.close()
    try:
        Exotel(**settings(emulator)).account.balance()
    except ConfigurationError as error:
        print(error)

after_all.append(afterwards)
emulator = Emulator(speed=30).__enter__()
exotel = Exotel(**settings(emulator))
print(exotel.account.balance().currency)
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("INR\nthe interpreter is shutting down\n", "")


async def test_the_end_waits_for_what_a_slow_listener_is_told(tmp_path: Path) -> None:
    """Of each call whose outcome was not read: no thread is left that prints while all ends."""
    ended = await ran(
        """
told = []

def slowly(ended, target):
    time.sleep(0.2)
    told.append(ended.sid)
    print("told", flush=True)

emulator = Emulator(speed=30).__enter__()
exotel = Exotel(**settings(emulator, on_orphaned_call=slowly))
numbers = [f"+9198123{n:05}" for n in range(100)]
outcomes = exotel.calls.connect_many(numbers, flow=1, caller_id="08030000000").__enter__()
read = next(outcomes).call.sid
after_all.append(lambda: print(sorted([*told, read]) == sorted(emulator.calls)))
""",
        tmp_path,
    )
    assert ended.out.splitlines()[-1:] == ["True"], ended
    assert ended.code == 0


@pytest.mark.parametrize(
    ("end", "out"),
    [
        ("exotel.account.balance()", ""),
        ("records = iter(exotel.calls.list()); next(records, None)", ""),
        (
            "outcomes = exotel.calls.connect_many(iter(lambda: '+919812300001', 0), flow=1, "
            "caller_id='08030000000').__enter__(); next(outcomes)",
            None,
        ),
        (
            "emulator.faults.add(Fault.act_then_stall(0.5), path='Calls/connect'); "
            "threading.Thread(target=dial, args=[exotel], daemon=True).start(); "
            "until(lambda: emulator.calls)",
            "",
        ),
        (
            "emulator.faults.add(Fault.act_then_stall(), path='Calls/connect'); "
            "ctrl_c_when(lambda: emulator.calls)\n"
            "try: dial(exotel)\n"
            "except KeyboardInterrupt: pass",
            LOST,
        ),
        ("exotel.account.balance(); threading.Thread(target=later).start()", "a thread\n"),
    ],
    ids=["used", "list", "stream", "in flight", "cut off", "threads"],
)
async def test_a_session_that_is_never_closed_ends_quietly(
    end: str, out: str | None, tmp_path: Path
) -> None:
    ended = await ran(
        f"""
emulator = Emulator(speed=30).__enter__()
url = emulator.base_url.replace("127.0.0.1", "localhost")
made = {{**settings(emulator, on_orphaned_call=note), "base_url": url}}
exotel = Exotel(**made)

def later():
    # The main thread has ended, and with it the pool in which asyncio looks up hosts.
    threading.main_thread().join()
    Exotel(**made).account.balance()
    print("a thread", flush=True)

{end}
""",
        tmp_path,
    )
    assert ended.code == 0, ended.err
    if out is not None:
        assert ended.out == out
    quiet = [
        line
        for line in ended.err.splitlines()
        if not line.startswith(("The task of a", "A call was"))
    ]
    assert quiet == []
