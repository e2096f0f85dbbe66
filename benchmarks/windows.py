"""The steady rate and the refusals against each way of counting, and how others fare there."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from attrs import frozen

from benchmarks import bare, processes, tables
from benchmarks.server import ACCOUNT, KEY, TOKEN, refused_so_far, running
from benchmarks.tables import Spread, Target
from benchmarks.traffic import (
    COUNTER,
    KINDS,
    LOG,
    RATE,
    SIDE_BY_SIDE,
    Kind,
    Recorder,
    Steady,
    steady,
)
from exotel_async import AsyncExotel, Priority, RateLimit

if TYPE_CHECKING:
    from collections.abc import Sequence

OF_CEILING: Final = 0.995
OF_CEILING_COUNTER: Final = 0.97
REFUSED_COUNTER: Final = 3
_LONG: Final = 50  # windows
_OTHERS: Final = (bare.Way.LIMITER, bare.Way.SAFE_LIMITER, bare.Way.RETRY_ONLY)
_RETRYING_AT_ONCE: Final = os.cpu_count() or 1  # without a limiter they do not wait


@frozen
class Case:
    """2,000 requests, or as many as there are, against one emulator."""

    kind: Kind
    per: float
    seed: int
    requests: int


@frozen
class Result:
    """How it went; `of_ideal` is the time it took, by the ideal one."""

    refused: int
    steady: Steady
    of_ideal: float


def report(per: float, seeds: int, *, quick: bool, long: bool) -> list[Target]:
    """Print the tables; return the targets."""
    requests, retrying = (1_200, 400) if quick else (2_000, 2_000)
    tables.heading(
        "limiter: windows",
        f"{requests:,} gathered numbers.lookup at bulk priority through AsyncExotel, {RATE} in W = "
        f"{per:g} s, each against an emulator",
        "of its own in another process. Response times log-normal 20 to 400 ms, 1 % stalled for "
        "2 s, times W/60. Rate: accepted",
        "requests in whole windows after the first, against L = 199 / (W + mean response).",
        f"Runs: {seeds} (one for bare httpx); median (least-most).",
    )
    cases = [Case(kind, per, seed, requests) for kind in KINDS for seed in range(seeds)]
    # By seed, so that runs of the same kind are not at the same time.
    cases.sort(key=lambda case: case.seed)
    results = processes.run_all(run, cases, at_once=SIDE_BY_SIDE)
    by_kind = {
        kind: [one for case, one in zip(cases, results, strict=True) if case.kind == kind]
        for kind in KINDS
    }
    tables.table(
        "AsyncExotel",
        (
            "the service counts by",
            "429s, worst run",
            "rate, % of L",
            "mean response, ms",
            "windows",
        ),
        [
            (
                kind.name,
                str(max(one.refused for one in runs)),
                Spread.of([one.steady.of_ceiling * 100 for one in runs]).show(),
                f"{Spread.of([one.steady.response * 1e3 for one in runs]).median:.0f}",
                str(runs[0].steady.windows),
            )
            for kind, runs in by_kind.items()
        ],
    )
    _others(per, requests, retrying, [runs[0].steady.ceiling for runs in by_kind.values()])
    reached = [target for kind, runs in by_kind.items() for target in _targets(kind, runs)]
    return [*reached, _long(per)] if long else reached


def run(case: Case) -> Result:
    """Measure one case."""
    with running(case.kind.server(case.per, case.seed)) as base_url:
        return asyncio.run(_run(case, base_url))


async def _run(case: Case, base_url: str) -> Result:
    recorder = Recorder(RateLimit(RATE, per=case.per))
    async with AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=base_url,
        rate_limit=recorder,
    ) as exotel:
        lookup = exotel.with_options(priority=Priority.BULK).numbers.lookup
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(lookup(bare.number(index)) for index in range(case.requests)))
        took = asyncio.get_running_loop().time() - began
    return Result(
        await refused_so_far(base_url),
        steady(recorder.sent, case.per),
        took * RATE / case.requests / case.per,
    )


def _targets(kind: Kind, runs: Sequence[Result]) -> list[Target]:
    most = REFUSED_COUNTER if kind == COUNTER else 0
    least = OF_CEILING_COUNTER if kind == COUNTER else OF_CEILING
    refused = max(one.refused for one in runs)
    rate = Spread.of([one.steady.of_ceiling for one in runs])
    return [
        Target(
            f"429s, {kind.name}",
            f"{refused} (worst run)",
            f"at most {most}" if most else "0",
            refused <= most,
        ),
        Target(
            f"steady rate, {kind.name}",
            f"{rate.median:.2%} of L, worst {rate.least:.2%}",
            f"at least {least:.1%}",
            rate.median >= least,
        ),
    ]


def _long(per: float) -> Target:
    result = processes.run(run, Case(LOG, per, 0, RATE * (_LONG + 2)))
    rate = result.steady
    return Target(
        f"429s and steady rate over {rate.windows} windows, {LOG.name}",
        f"{result.refused} and {rate.of_ceiling:.2%} of L",
        f"0 and at least {OF_CEILING:.1%}",
        result.refused == 0 and rate.of_ceiling >= OF_CEILING,
    )


def _others(per: float, requests: int, retrying: int, ceilings: Sequence[float]) -> None:
    by_way: list[list[bare.Ended]] = []
    for way in _OTHERS:
        alone = way is bare.Way.RETRY_ONLY
        cases = [bare.Case(kind, per, way, retrying if alone else requests) for kind in KINDS]
        at_once = _RETRYING_AT_ONCE if alone else SIDE_BY_SIDE
        by_way.append(processes.run_all(bare.run, cases, at_once=at_once))
    tables.table(
        "Bare httpx beside it: 429s / rate, % of L / time by the ideal one (requests / 200 x W)",
        ("the service counts by", *(way.label(per) for way in _OTHERS)),
        [
            (kind.name, *(ended.show(ceiling) for ended in row))
            for kind, ceiling, row in zip(KINDS, ceilings, zip(*by_way, strict=True), strict=True)
        ],
    )
    tables.console.print(
        f"A 429 is sent again: after a random part of 1, 2, 4 ... 60 s x W/60, and through the "
        f"limiter where there is one.\n'stopped' at {bare.PATIENCE:g} times the ideal time with so "
        f"many of {retrying:,} (retry only) or {requests:,} done.",
        markup=False,
    )
