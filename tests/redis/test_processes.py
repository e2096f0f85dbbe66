"""Processes that die, stop and come back, and a Valkey that does: never more than the budget.

What counts is the emulator's own log of what arrived, and it counts on a clock of its own.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from exotel_async.emulator import Emulator
from tests.redis.conftest import Valkey
from tests.support import fork_server
from tests.support.ports import free_port

LIMIT, PER, EXCHANGE = 40, 1.5, 1.5
SETTLE = 2.0  # as it is with a `per` of a minute; else real processes on a busy computer are late
LEASE, HOLD = PER / 2, EXCHANGE + PER
CEILING = (LIMIT - 2) / PER  # requests a second; one permit stays in the middle

Scenario = Callable[[Path], Coroutine[Any, Any, None]]

pytestmark = [pytest.mark.slow(30), pytest.mark.timeout(180)]


class Workers:
    """Processes on one account."""

    def __init__(self, emulator: Emulator, valkey: str) -> None:
        self.emulator = emulator
        self._valkey = valkey
        self.running: list[fork_server.Process] = []

    async def start(self, number: int = 1, **options: Any) -> None:
        """Start some; the first one ever has a clock that is an hour off."""
        for _ in range(number):
            off = "3600" if not self.running else "0"
            arguments = {
                "valkey": self._valkey,
                "exotel": self.emulator.base_url,
                "limit": LIMIT,
                "per": PER,
                "exchange": EXCHANGE,
                "settle": SETTLE,
                "clock-off": off,
                **options,
            }
            process = await fork_server.start(
                "tests.redis.worker",
                [f"--{name}={value}" for name, value in arguments.items()],
                env={**os.environ, "PYTHONWARNINGS": "error"},
                cwd=str(Path(__file__).parents[2]),
            )
            self.running.append(process)

    async def kill(self, process: fork_server.Process) -> None:
        """What `kill -9` does."""
        self.running.remove(process)
        process.kill()
        await process.communicate()

    async def end(self) -> None:
        """Let them end by themselves; none of them may have failed."""
        for process in self.running:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        shown = [await process.communicate() for process in self.running]
        codes = [process.returncode for process in self.running]
        assert codes == [0] * len(codes), shown

    def arrived(self) -> int:
        return len(self.emulator.requests)

    async def rate(self, seconds: float) -> float:
        """Requests a second that arrive, of the most that may."""
        time = asyncio.get_running_loop().time
        before, began = self.arrived(), time()
        await asyncio.sleep(seconds)
        return (self.arrived() - before) / (time() - began) / CEILING


@asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[tuple[Emulator, Valkey, Workers]]:
    """An emulator, a Valkey, and processes that end with the block."""
    server = Valkey(folder, free_port())
    server.start()
    async with Emulator(rate=LIMIT, per=60, speed=60 / PER) as emulator:
        some = Workers(emulator, server.url)
        try:
            yield emulator, server, some
        finally:
            for process in some.running:
                if process.returncode is None:
                    process.kill()
                    await process.communicate()
            server.kill()


def within_the_budget(emulator: Emulator) -> bool:
    return emulator.busiest_window() <= LIMIT and emulator.refused == 0


async def until_busy(some: Workers) -> None:
    """Wait until they have found the pace."""
    rates = list[float]()
    try:
        async with asyncio.timeout(60):
            while not rates or rates[-1] < 0.9:
                rates.append(await some.rate(PER))
    except TimeoutError:
        raise AssertionError(f"they do not find the pace: {rates}") from None


# Each takes ten seconds or more, in which this computer has little to do: some run side by side,
# the longest one from the beginning.


async def kill_9_of_one_of_four_again_and_again(folder: Path) -> None:
    chance = random.Random(0)
    async with stage(folder) as (emulator, _, some):
        await some.start(4)
        await until_busy(some)
        for _ in range(60):
            await asyncio.sleep(0.2)
            await some.kill(chance.choice(some.running))
            await some.start()
        await until_busy(some)  # what the dead held is back
        await some.end()
    assert within_the_budget(emulator)


async def stopped_for_longer_than_the_lease(folder: Path) -> None:
    async with stage(folder) as (emulator, _, some):
        await some.start(3)
        await until_busy(some)
        for seconds in (LEASE * 1.5, LEASE + HOLD + 1):
            some.running[0].send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            some.running[0].send_signal(signal.SIGCONT)
            await asyncio.sleep(PER)
        await until_busy(some)
        await some.end()
    assert within_the_budget(emulator)


async def restarted_with_its_data(folder: Path) -> None:
    await _restarted(folder, "kept")


async def restarted_without_its_data(folder: Path) -> None:
    await _restarted(folder, "lost")


async def _restarted(folder: Path, data: str) -> None:
    async with stage(folder) as (emulator, server, some):
        await some.start(3)
        await until_busy(some)
        for down in (0.2, LEASE + PER):
            server.kill()
            await asyncio.sleep(down)
            server.start(data=data)
            await until_busy(some)
        await some.end()
    assert within_the_budget(emulator)


async def an_outage_and_a_fallback(folder: Path) -> None:
    async with stage(folder) as (emulator, server, some):
        await some.start(3, fallback=0.5)
        await until_busy(some)
        server.kill()
        await asyncio.sleep(LEASE + PER)
        rate = 0.0
        async with asyncio.timeout(60):
            while rate < 0.35:
                rate = await some.rate(2 * PER)
                assert rate <= 0.6
        server.start(data="lost")
        await until_busy(some)
        await some.end()
    assert within_the_budget(emulator)


SCENARIOS = (
    kill_9_of_one_of_four_again_and_again,
    stopped_for_longer_than_the_lease,
    restarted_with_its_data,
    restarted_without_its_data,
    an_outage_and_a_fallback,
)
SIDE_BY_SIDE = 3


@pytest.fixture(scope="module")
def going(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Scenario, Future[None]]]:
    """All of them, on their way, some at a time."""

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {
            scenario: pool.submit(asyncio.run, scenario(tmp_path_factory.mktemp("valkey")))
            for scenario in SCENARIOS
        }


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_never_more_than_the_budget_and_nothing_stuck(
    scenario: Scenario, going: dict[Scenario, Future[None]]
) -> None:
    going[scenario].result()
