"""Several event loops in one process, on one account, over a real socket."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from exotel_async.emulator import Emulator
from tests.conftest import session


@pytest.fixture
def served() -> Iterator[Emulator]:
    """An emulator in a thread of its own, which no loop of a test ends."""
    emulator = Emulator(rate=10, per=60, speed=60)
    begun, end = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with emulator:
            begun.set()
            await end.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    begun.wait()
    yield emulator
    loop.call_soon_threadsafe(end.set)
    thread.join()
    loop.close()


async def task(emulator: Emulator, number: int = 1) -> None:
    async with session(emulator) as exotel:
        for _ in range(number):
            await exotel.account.balance()


@pytest.mark.slow
def test_a_loop_for_each_task_is_refused_nothing(
    served: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "exotel_async"):
        for _ in range(25):  # two and a half windows, as fast as they go
            asyncio.run(task(served))
    assert served.refused == 0
    assert served.busiest_window() <= served.rate
    assert not caplog.records


def test_loops_side_by_side_are_told_of_once(
    served: Emulator, caplog: pytest.LogCaptureFixture
) -> None:
    together = threading.Barrier(4)

    async def one() -> None:
        async with session(served) as exotel:
            await exotel.account.balance()
            await asyncio.to_thread(together.wait)
            await exotel.account.balance()

    with caplog.at_level(logging.WARNING, "exotel_async"), ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(asyncio.run, one()) for _ in range(4)]:
            done.result()
    told = [one for one in caplog.messages if "EXOTEL_RATE_LIMIT_URL" in one]
    assert len(told) == 1
