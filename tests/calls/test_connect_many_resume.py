"""The documentation's program that may be interrupted: started again, it rings nobody twice."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from exotel_async import AsyncExotel, RateLimit
from exotel_async.emulator import Emulator, Fault
from tests.docs.pages import blocks

NUMBERS = 2_000
INTERRUPTIONS = 10
IN_FLIGHT = 8  # at most
RUN = "try:\n    asyncio.run(main())\n"
PLACED = "A call was placed, but the task that dialled it was cancelled"


class Line(httpx.AsyncBaseTransport):
    """The socket where something is interrupted, and a short cut for the many in between."""

    def __init__(self, emulator: Emulator, is_near: Callable[[], bool]) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await emulator._app({**scope, "state": {"transport": None}}, receive, send)

        limits = httpx.Limits(keepalive_expiry=1)
        self._socket = httpx.AsyncHTTPTransport(verify=False, limits=limits)  # no TLS here
        self._short_cut = httpx.ASGITransport(app)
        self._is_near = is_near

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        line = self._socket if self._is_near() else self._short_cut
        return await line.handle_async_request(request)

    async def aclose(self) -> None:
        await self._socket.aclose()


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


@pytest.mark.slow(15)
async def test_interrupted_ten_times_it_rings_nobody_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (block,) = blocks("how-to/connect-many", "python")
    program = compile(scaled(block), "connect-many.md", "exec")
    random = Random(12)
    moments: list[int | None] = [*sorted(random.sample(range(20, NUMBERS - 20), INTERRUPTIONS))]
    upcoming = 0

    def is_near() -> bool:
        return upcoming - len(emulator.calls) <= 2 * IN_FLIGHT

    def latency(random: Random) -> tuple[float, float]:
        """200 ms where something is interrupted, some of it on the way there."""
        if not is_near():
            return 0.0, 0.0
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
        for lost in moments[::4]:  # on the socket
            assert lost is not None
            emulator.faults.add(Fault.act_then_drop(), path="Calls/connect", after=lost - IN_FLIGHT)
        with caplog.at_level(logging.WARNING, "exotel_async"):
            for moment in [*moments, None]:
                upcoming = NUMBERS * 2 if moment is None else moment
                # A process of its own, but for the interpreter: all it knows is in its file.
                process: dict[str, Any] = {"__name__": "example"}
                exec(program, process)  # noqa: S102 - our own page
                for cheap in ("synchronous = OFF", "journal_mode = MEMORY"):  # no power fails here
                    process["db"].execute(f"PRAGMA {cheap}")
                fast = RateLimit(1_000_000, per=60)
                client = httpx.AsyncClient(transport=Line(emulator, is_near))
                process["AsyncExotel"] = partial(AsyncExotel, rate_limit=fast, http_client=client)
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
                await client.aclose()
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
