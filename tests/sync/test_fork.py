"""Forked processes, as those of Celery and of gunicorn --preload, on a real fork."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sync.support import Ended, ran

pytestmark = pytest.mark.slow(1)

WITH_A_CHILD = """
with Emulator(speed=30) as emulator:
    exotel = Exotel(**settings(emulator, {settings}))
    {parent}
    def child():
        try:
            {child}
        except ConfigurationError as error:
            print(error, flush=True)
    in_a_child(child)
    print(exotel.account.balance().currency)
"""


async def with_a_child(
    folder: Path, child: str, parent: str = "exotel.account.balance()", settings: str = ""
) -> Ended:
    """Fork, and see what both have printed."""
    text = WITH_A_CHILD.format(child=child, parent=parent, settings=settings)
    ended = await ran(text, folder)
    assert ended.err == ""
    return ended


@pytest.mark.parametrize("parent", ["pass", "exotel.account.balance()"])
async def test_a_session_of_the_parent_works_in_the_child(parent: str, tmp_path: Path) -> None:
    ended = await with_a_child(
        tmp_path,
        """print(exotel.account.balance().currency, threading.active_count())
            with exotel.calls.get_many(["a" * 32]) as results:
                print([type(result.error).__name__ for result in results])
            print(exotel.with_options(max_wait=9).account.balance().currency)
            exotel.close()""",
        parent,
    )
    assert ended.out == "INR 2\n['NotFound']\nINR\nchild: 0\nINR\n"


async def test_a_view_is_one_of_the_childs_session(tmp_path: Path) -> None:
    ended = await with_a_child(
        tmp_path,
        "print(view.account.balance().currency)",
        "view = exotel.with_options(max_wait=9); view.account.balance()",
    )
    assert ended.out == "INR\nchild: 0\nINR\n"


async def test_a_session_that_the_parent_has_closed_is_closed(tmp_path: Path) -> None:
    ended = await ran(
        """
with Emulator(speed=30) as emulator:
    exotel = Exotel(**settings(emulator))
    exotel.account.balance()
    exotel.close()
    def child():
        exotel.close()
        try:
            exotel.account.balance()
        except ConfigurationError as error:
            print(error)
    in_a_child(child)
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("this session is closed\nchild: 0\n", "")


async def test_what_the_parent_has_connected_is_not_used(tmp_path: Path) -> None:
    """The emulator would answer the parent's connection to the child, or the other way round."""
    ended = await ran(
        """
with Emulator(rate=10**6) as emulator:
    exotel = Exotel(**settings(emulator, rate_limit=RateLimit(10**5, per=1, burst=10**4)))
    for _ in range(3):
        exotel.account.balance()
    def child():
        for _ in range(50):
            assert exotel.numbers.lookup("+919812300001")
    children = []
    for _ in range(3):
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            try:
                child()
                os._exit(0)
            finally:
                os._exit(1)
        children.append(pid)
    for _ in range(50):
        assert exotel.account.balance().currency == "INR"
    print([os.waitpid(pid, 0)[1] for pid in children])
    print(len(emulator.requests))
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("[0, 0, 0]\n203\n", "")


@pytest.mark.parametrize(
    "settings",
    ["http_client=httpx.AsyncClient(headers={'Connection': 'close'})", "rate_limit=TokenBucket()"],
)
async def test_what_belongs_to_the_parents_loop_is_refused(settings: str, tmp_path: Path) -> None:
    argument = settings.partition("=")[0]
    ended = await with_a_child(
        tmp_path,
        "exotel.account.balance()",
        settings=settings.replace("httpx.", "__import__('httpx')."),
    )
    said = (
        f"{argument}: it was used before the process was forked, and belongs to "
        "the parent process: make the session in the process that uses it\n"
    )
    assert ended.out == f"{said}child: 0\nINR\n"


async def test_a_stream_of_the_parent_is_refused(tmp_path: Path) -> None:
    ended = await with_a_child(
        tmp_path,
        """next(calls)""",
        "calls = iter(exotel.calls.list())",
    )
    said = (
        "this was made before the process was forked, and belongs to the parent process: make "
        "it in the process that uses it\n"
    )
    assert ended.out == f"{said}child: 0\nINR\n"


async def test_children_of_a_busy_parent_do_not_hang(tmp_path: Path) -> None:
    """Forked at any moment, also when the loop's thread holds a lock, as that of the log."""
    ended = await ran(
        """
import logging
logging.basicConfig(stream=open(os.devnull, "w"), level=logging.DEBUG)
with Emulator(rate=10**6) as emulator:
    exotel = Exotel(**settings(emulator, rate_limit=RateLimit(10**5, per=1, burst=10**4)))
    going = True
    def work():
        while going:
            exotel.account.balance()
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(emulator.requests) > 50)
    for _ in range(12):
        in_a_child(lambda: print(exotel.account.balance().currency))
    going = False
    for thread in threads:
        thread.join()
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("INR\nchild: 0\n" * 12, "")


BUSY = """
from exotel_async.sync.loop_thread import loop_thread

signal.alarm(20)
with Emulator(speed=30) as emulator:
    exotel = Exotel(**settings(emulator))
    exotel.account.balance()
    busy, go = threading.Event(), threading.Event()
    loop_thread().loop.call_soon_threadsafe(lambda: (busy.set(), go.wait()))
    busy.wait()
    threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
    threading.Timer(0.3, go.set).start()
    {}
    print(exotel.account.balance().currency)
"""
FORK = """if (pid := os.fork()) == 0:
            os._exit(0)"""


async def test_a_signal_handler_may_use_a_session_while_a_fork_waits(tmp_path: Path) -> None:
    ended = await ran(
        BUSY.replace(
            "{}",
            f"""signal.signal(signal.SIGINT, lambda *_: print(exotel.account.balance().currency))
    if True:
        {FORK}
    os.waitpid(pid, 0)""",
        ),
        tmp_path,
    )
    assert (ended.out, ended.err) == ("INR\nINR\n", "")


async def test_ctrl_c_while_a_fork_waits_comes_after_it(tmp_path: Path) -> None:
    ended = await ran(
        BUSY.replace(
            "{}",
            f"""began = time.monotonic()
    try:
        {FORK}
        print("forked", flush=True)
        os.waitpid(pid, 0)
        time.sleep(10)
    except KeyboardInterrupt:
        print("interrupted", time.monotonic() - began < 9)""",
        ),
        tmp_path,
    )
    assert (ended.out, ended.err) == ("forked\ninterrupted True\nINR\n", "")


async def test_closing_beside_the_first_use_in_the_child(tmp_path: Path) -> None:
    """What is made anew meanwhile is closed, and sends nothing."""
    ended = await with_a_child(
        tmp_path,
        """from exotel_async.sync import loop_thread, session
            making, made = threading.Event(), session.AsyncExotel
            def slow(**arguments):
                making.set()
                time.sleep(0.2)
                return made(**arguments)
            session.AsyncExotel = slow
            placed = []
            def use():
                try:
                    placed.append(dial(exotel))
                except ConfigurationError as error:
                    print(error)
            thread = threading.Thread(target=use)
            thread.start()
            making.wait()
            exotel.close()
            thread.join()
            print(placed, len(loop_thread.loop_thread().sessions))""",
    )
    assert ended.out == "this session is closed\n[] 0\nchild: 0\nINR\n"


async def test_closing_in_a_child_that_has_not_used_it_begins_no_thread(tmp_path: Path) -> None:
    ended = await with_a_child(tmp_path, "exotel.close(); print(threading.active_count())")
    assert ended.out == "1\nchild: 0\nINR\n"


async def test_a_pool_of_multiprocessing(tmp_path: Path) -> None:
    ended = await ran(
        """
import multiprocessing

def place(number):
    return exotel.calls.connect_to_flow(number, flow=926, caller_id="08030000000").sid

with Emulator(speed=30) as emulator:
    exotel = Exotel(**settings(emulator))
    exotel.account.balance()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sids = pool.map(place, [f"+91981230000{n}" for n in range(8)])
        pool.close()
        pool.join()
    print(len(set(sids)), len(emulator.calls))
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("8 8\n", "")


async def test_a_child_that_ends_as_a_program_does_is_quiet(tmp_path: Path) -> None:
    """Its interpreter tears down what is left of the parent's loop."""
    ended = await ran(
        """
emulator = Emulator(speed=30).__enter__()
exotel = Exotel(**settings(emulator))
exotel.account.balance()
sys.stdout.flush()
if (pid := os.fork()) == 0:
    print(exotel.account.balance().currency)
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), exotel.account.balance().currency)
""",
        tmp_path,
    )
    assert (ended.out, ended.err) == ("INR\n7 INR\n", "")
