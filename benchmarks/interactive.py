"""One call among ten thousand: how long an interactive request waits while a batch runs."""

from __future__ import annotations

import asyncio
import random
import statistics
from typing import TYPE_CHECKING, Final

from attrs import frozen

from benchmarks import processes, tables
from benchmarks.bare import number
from benchmarks.server import ACCOUNT, KEY, TOKEN, refused_so_far, running
from benchmarks.tables import Target
from benchmarks.traffic import KINDS, MINUTE, RATE, SIDE_BY_SIDE, Kind, Recorder, steady
from exotel_async import AsyncExotel, Priority, RateLimit

if TYPE_CHECKING:
    from collections.abc import Sequence

OF_CEILING: Final = 0.985
_BULK: Final = 10_000
_MEAN_GAP: Final = 7.0  # seconds of a minute's window between two interactive requests


@frozen
class Case:
    """One batch with interactive requests in between."""

    kind: Kind
    per: float
    windows: int
    fifo: bool


@frozen
class Result:
    """How it went.

    Attributes:
        waits: seconds in `limiter.acquire`, of the interactive requests that were let go.
        kept: how many interactive requests were not let go by the end.
        of_ceiling: the rate of all requests, as a part of L.
        refused: answers 429.
    """

    waits: Sequence[float]
    kept: int
    of_ceiling: float
    refused: int


def report(per: float, *, quick: bool) -> list[Target]:
    """Print the table; return the targets."""
    windows = 6 if quick else 15
    interval = per / RATE
    tables.heading(
        "limiter: interactive",
        f"While {_BULK:,} numbers.lookup wait at bulk priority, interactive ones come at random, "
        f"one in {_MEAN_GAP * per / MINUTE:g} s on average,",
        "from the second window on. Their wait in limiter.acquire, and the rate of all requests "
        "by L; against one line for all,",
        "where each has the whole batch before it.",
        f"Runs: one of {windows} windows of {per:g} s for each way of counting; p99 over all.",
    )
    results: dict[bool, list[Result]] = {}
    for fifo in (False, True):
        cases = [Case(kind, per, windows, fifo) for kind in KINDS]
        results[fifo] = processes.run_all(run, cases, at_once=SIDE_BY_SIDE)
    tables.table(
        f"Wait of interactive requests, ms (one token comes each {interval * 1e3:g} ms)",
        ("the service counts by", "line", "let go", "p50", "p99", "most", "rate, % of L", "429s"),
        [
            (kind.name, "one for all" if fifo else "priorities", *_row(result))
            for index, kind in enumerate(KINDS)
            for fifo, result in ((False, results[False][index]), (True, results[True][index]))
        ],
    )
    waits = [wait for result in results[False] for wait in result.waits]
    p99 = _p99(waits)
    slowest = min(zip(results[False], KINDS, strict=True), key=lambda pair: pair[0].of_ceiling)
    return [
        Target(
            f"wait of {len(waits)} interactive requests, p99",
            f"{p99 * 1e3:.1f} ms",
            f"at most one token interval, {interval * 1e3:g} ms",
            p99 <= interval,
        ),
        Target(
            "rate of all meanwhile, lowest",
            f"{slowest[0].of_ceiling:.2%} of L ({slowest[1].name})",
            f"at least {OF_CEILING:.1%}",
            slowest[0].of_ceiling >= OF_CEILING,
        ),
    ]


def run(case: Case) -> Result:
    """Measure one batch."""
    with running(case.kind.server(case.per, seed=0)) as base_url:
        return asyncio.run(_run(case, base_url))


async def _run(case: Case, base_url: str) -> Result:
    recorder = Recorder(RateLimit(RATE, per=case.per), fifo=case.fifo)
    rng = random.Random(0)
    async with AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=base_url,
        rate_limit=recorder,
    ) as exotel:
        lookup = exotel.numbers.lookup
        tasks = [
            asyncio.create_task(lookup(number(index), priority=Priority.BULK))
            for index in range(_BULK)
        ]

        async def come_now_and_then() -> None:
            while True:
                await asyncio.sleep(rng.expovariate(MINUTE / _MEAN_GAP / case.per))
                tasks.append(asyncio.create_task(lookup(number(0), priority=Priority.INTERACTIVE)))

        await asyncio.sleep(case.per)
        coming = asyncio.create_task(come_now_and_then())
        # Whole windows are counted from the first answer on, which is a little later.
        await asyncio.sleep(case.per * (case.windows + 0.2))
        coming.cancel()
        sent = list(recorder.sent)
        refused = await refused_so_far(base_url)
        for task in tasks:
            task.cancel()
        await asyncio.gather(coming, *tasks, return_exceptions=True)
    interactive = [one for one in sent if one.priority is Priority.INTERACTIVE]
    waits = [one.granted - one.asked for one in interactive if one.granted is not None]
    return Result(waits, len(interactive) - len(waits), steady(sent, case.per).of_ceiling, refused)


def _row(result: Result) -> tuple[str, ...]:
    asked = len(result.waits) + result.kept
    times = ("-", "-", "-")
    if result.waits:
        p50, p99, most = statistics.median(result.waits), _p99(result.waits), max(result.waits)
        times = (f"{p50 * 1e3:.1f}", f"{p99 * 1e3:.1f}", f"{most * 1e3:.1f}")
    return (
        f"{len(result.waits)} of {asked}",
        *times,
        f"{result.of_ceiling:.2%}",
        str(result.refused),
    )


def _p99(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[int(len(ordered) * 0.99)]
