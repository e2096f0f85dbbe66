"""`exotel-async dial` killed again and again, and started again by the same command."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random

import pytest

from exotel_async.emulator import Emulator, Scenario
from tests.cli.support import EAGER, EXOPHONE, TOKEN, Ended, Running, pointing_at, started
from tests.conftest import SOON

pytestmark = [pytest.mark.anyio, pytest.mark.slow(20), pytest.mark.timeout(480)]

KILLS = 20
NUMBERS = [f"+9198123{n:05}" for n in range(20_001, 20_301)]
OPTIONS = (
    *("--flow", "926", "--caller-id", EXOPHONE, "--hours", "00:00-24:00"),
    *("--rate", "3000", "--channels", "30", "--time-limit", "60", "--poll-interval", "0.1"),
)


def dialling(folder: Path, exotel: Emulator) -> AbstractAsyncContextManager[Running]:
    """Start the command."""
    where = (str(folder / "people.csv"), "--ledger", str(folder / "campaigns.db"))
    return started("dial", *where, *OPTIONS, command=EAGER, env=pointing_at(exotel))


async def killed(folder: Path, exotel: Emulator, more: int) -> Ended | None:
    """Kill the command at the moment when so many more dials have come; how it ended, if it did."""
    until = dials(exotel) + more
    async with dialling(folder, exotel) as running:
        ending = asyncio.create_task(running.end())
        async with asyncio.timeout(SOON):
            while dials(exotel) < until and not ending.done():
                await asyncio.sleep(0.001)
        if ending.done():
            return await ending
        running.process.kill()
        await asyncio.gather(ending, return_exceptions=True)
    return None


def dials(exotel: Emulator) -> int:
    return len(exotel.calls)


def table(report: str, title: str) -> Counter[str]:
    """Return the numbers of a table of the report, by their words."""
    rows = report.partition(f"\n{title} ")[2].partition("\n\n")[0].splitlines()[1:]
    found = [re.match(r"(.+?) {2,}([\d,]+)", row) for row in rows]
    return Counter({one[1]: int(one[2].replace(",", "")) for one in found if one is not None})


async def test_nobody_is_rung_twice_and_nobody_is_forgotten(tmp_path: Path) -> None:
    rows = "".join(f"{number},{index}\n" for index, number in enumerate(NUMBERS))
    (tmp_path / "people.csv").write_text(f"Mobile,id\n{rows}")
    scenario = Scenario(ring=(1, 5), talk=(5, 50), ring_timeout=10, settle=(1, 5))
    random = Random(15)
    async with Emulator(
        api_token=TOKEN,
        speed=60,
        rate=1_000_000,
        scenario=scenario,
        latency=lambda _: (0.01, 0.01),
        seed=15,
    ) as exotel:
        for _ in range(KILLS):
            assert await killed(tmp_path, exotel, random.randint(1, 20)) is None
        in_flight = dials(exotel)
        assert in_flight < len(NUMBERS)
        async with dialling(tmp_path, exotel) as running:
            ended = await running.end()

        rung = {number: exotel.rung(number) for number in NUMBERS}
        assert max(rung.values()) == 1
        contacts, calls = table(ended.out, "contacts"), table(ended.out, "calls")
        unresolved = contacts["unresolved"]
        assert ended.code == (4 if unresolved else 0)
        assert sum(rung.values()) >= len(NUMBERS) - unresolved
        statuses = Counter(call.status.replace("-", " ") for call in exotel.calls.values())
        assert contacts["in all"] == len(NUMBERS)
        assert contacts["reached"] + contacts["not reached"] + unresolved == len(NUMBERS)
        if not unresolved:
            assert contacts["reached"] == statuses["completed"]
            assert calls["in all"] == len(exotel.calls)
            assert {word: calls[word] for word in statuses} == statuses
