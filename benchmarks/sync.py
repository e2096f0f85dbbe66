"""What dials through `exotel_async.sync` cost over the same through asyncio: CPU."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from benchmarks import tables
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN, Server, running
from benchmarks.tables import Spread, Target
from exotel_async import AsyncExotel, RateLimit
from exotel_async.sync import Exotel

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CPU: Final = 1.5
DIALS: Final = 300
AT_ONCE: Final = 8

_FROM, _TO = "09810000001", "09810000002"


def report(*, quick: bool) -> list[Target]:
    """Print the table; return the target."""
    rounds = 5 if quick else 25
    tables.heading(
        "sync",
        f"CPU (process_time) of {DIALS} dials by Exotel in {AT_ONCE} threads, against {DIALS} by "
        f"AsyncExotel in {AT_ONCE} tasks,",
        "both on one emulator in another process. The budget never makes them wait.",
        f"Runs: {rounds} rounds, one after the other in turn; median (least-most).",
    )
    server = Server(rate=10**9, per=1.0)
    with running(server) as base_url:
        asyncio_took, threads_took = _measure(base_url, rounds)
    ratio = Spread.of([ours / bare for ours, bare in zip(threads_took, asyncio_took, strict=True)])
    tables.table(
        "CPU for each dial, µs",
        ("through", "CPU", "of asyncio"),
        [
            (f"AsyncExotel, {AT_ONCE} tasks", Spread.of(asyncio_took).show(".0f"), "1"),
            (f"Exotel, {AT_ONCE} threads", Spread.of(threads_took).show(".0f"), ratio.show()),
        ],
    )
    return [
        Target(
            f"CPU of calls.connect in {AT_ONCE} threads",
            f"{ratio.median:.2f} of asyncio",
            f"at most {MAX_CPU}",
            ratio.median <= MAX_CPU,
        )
    ]


def _measure(base_url: str, rounds: int) -> tuple[list[float], list[float]]:
    settings: dict[str, Any] = {
        "account_sid": ACCOUNT,
        "api_key": KEY,
        "api_token": TOKEN,
        "base_url": base_url,
        "rate_limit": RateLimit(10**6, per=1, burst=10**4),
    }
    # There are two event loops on one account, which is warned of.
    logging.getLogger("exotel_async").setLevel(logging.ERROR)
    by_asyncio: list[float] = []
    by_threads: list[float] = []
    with (
        asyncio.Runner() as runner,
        Exotel(**settings) as exotel,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        session = AsyncExotel(**settings)

        async def dial_all() -> None:
            async def some(numbers: Iterator[int]) -> None:
                for _ in numbers:
                    await session.calls.connect(_FROM, _TO, caller_id=EXOPHONE)

            numbers = iter(range(DIALS))
            await asyncio.gather(*(some(numbers) for _ in range(AT_ONCE)))

        def dial(_: int) -> None:
            exotel.calls.connect(_FROM, _TO, caller_id=EXOPHONE)

        def by_loop() -> None:
            runner.run(dial_all())

        def by_pool() -> None:
            list(pool.map(dial, range(DIALS)))

        runner.run(dial_all())  # connections, caches
        by_pool()
        for number in range(rounds):
            # Each goes first in every other round.
            order = [(by_loop, by_asyncio), (by_pool, by_threads)][:: 1 if number % 2 else -1]
            gc.collect()
            for work, took in order:
                began = time.process_time()
                work()
                took.append((time.process_time() - began) / DIALS * 1e6)
        runner.run(session.aclose())
    return by_asyncio, by_threads
