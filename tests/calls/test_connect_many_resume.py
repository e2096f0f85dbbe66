"""The README's program that may be interrupted: started again, it rings nobody twice."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from exotel_async import AsyncExotel, RateLimit
from exotel_async.emulator import Emulator, Fault
from tests.test_readme import blocks, heading_of

NUMBERS = 2_000
INTERRUPTIONS = 10
IN_FLIGHT = 8  # at most
RUN = "try:\n    asyncio.run(main())\n"
PLACED = "A call was placed, but the task that dialled it was cancelled"


def scaled(block: str) -> str:
    """The program for many numbers, none of whose calls is waited for, up to where it is run."""
    for small, large in (
        ("range(1, 11)", f"range(1, {NUMBERS + 1})"),
        ("max_live=5", "max_live=None"),
    ):
        assert small in block
        block = block.replace(small, large)
    program, run, _ = block.partition(RUN)
    assert run
    return program


@pytest.mark.slow(30)
async def test_interrupted_ten_times_it_rings_nobody_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (block,) = (b for b in blocks("python") if heading_of(b) == "Dialling within your channels")
    program = compile(scaled(block), "README.md", "exec")
    random = Random(12)
    moments: list[int | None] = [*sorted(random.sample(range(20, NUMBERS - 20), INTERRUPTIONS))]
    upcoming = 0

    def latency(random: Random) -> tuple[float, float]:
        """200 ms where something is interrupted, some of it on the way there."""
        if upcoming - len(emulator.calls) > 2 * IN_FLIGHT:
            return 0.0, 0.002
        there = 0.2 * random.random()
        return there, 0.2 - there

    monkeypatch.chdir(tmp_path)
    async with Emulator(speed=60, rate=1_000_000, latency=latency) as emulator:
        for name, value in (
            ("SUBDOMAIN", emulator.base_url),
            ("ACCOUNT_SID", emulator.account_sid),
            ("API_KEY", emulator.api_key),
            ("API_TOKEN", emulator.api_token),
        ):
            monkeypatch.setenv(f"EXOTEL_{name}", value)
        emulator.faults.add(Fault.act_then_drop(), path="Calls/connect", after=300, times=3)
        with caplog.at_level(logging.WARNING, "exotel_async"):
            for moment in [*moments, None]:
                upcoming = NUMBERS * 2 if moment is None else moment
                # A process of its own, but for the interpreter: all it knows is in its file.
                process: dict[str, Any] = {"__name__": "example"}
                exec(program, process)  # noqa: S102 - our own README
                process["db"].execute("PRAGMA synchronous = OFF")  # no power fails here
                fast = RateLimit(1_000_000, per=60)
                process["AsyncExotel"] = partial(AsyncExotel, rate_limit=fast)
                running = asyncio.create_task(process["main"]())
                while moment is not None and len(emulator.calls) < moment:
                    assert not running.done()
                    await asyncio.sleep(0.005)
                presses = 0 if moment is None else random.randint(1, 3)
                for _ in range(presses):
                    await asyncio.sleep(0.2 * random.random() / presses)
                    if not running.done():
                        signal.raise_signal(signal.SIGINT)
                with suppress(asyncio.CancelledError):
                    await running
                rows = process["db"].execute("SELECT number, state, sid FROM dials").fetchall()
                process["db"].close()
    assert len(rows) == NUMBERS
    assert all(emulator.rung(number) <= 1 for number, _, _ in rows)
    made = {sid for _, state, sid in rows if state == "placed"}
    unknown = [number for number, state, _ in rows if state == "unknown"]
    assert len(made) + len(unknown) == NUMBERS, "none is left, and none has failed"
    assert made <= set(emulator.calls)
    assert 3 <= len(unknown) <= 3 + INTERRUPTIONS * IN_FLIGHT
    orphans = [one for one in caplog.records if one.getMessage().startswith(PLACED)]
    assert len(orphans) >= INTERRUPTIONS, "it was interrupted with dials in flight"
