"""One budget for many processes: what they reach together, and how others would share it."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

from benchmarks import processes, tables
from benchmarks.sharing import MEAN_GAP, WAITING, Case, Way, run
from benchmarks.tables import Target
from benchmarks.traffic import LOG, MINUTE, RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

PROCESSES: Final = (1, 2, 4, 8)
OF_ONE: Final = 0.98
SHARES: Final = 0.10
ROUND_TRIPS: Final = 0.25
INTERVALS: Final = 2
_BULK_PROCESSES: Final = 10


def report(per: float, *, quick: bool) -> list[Target]:
    """Print the tables; return the targets."""
    windows = 4 if quick else 10
    numbers = (1, 2, 8) if quick else PROCESSES
    reached = _saturated(per, windows, numbers)
    return [*reached, *_idle(per, windows), *_interactive(per, windows if quick else 20)]


def _saturated(per: float, windows: int, numbers: Sequence[int]) -> list[Target]:
    tables.heading(
        "shared: windows",
        f"Processes that always have {WAITING} numbers.lookup waiting at bulk priority, with one "
        f"budget of {RATE} in W = {per:g} s on a Valkey",
        "of their own, against an emulator with a sliding log. Response times log-normal 20 to "
        "400 ms, 1 % stalled for 2 s, times W/60.",
        f"Rate: accepted requests in {windows} windows after the first two; one run each.",
    )
    most = max(numbers)
    cases = [
        _case(Way.ALONE, per, windows, bulk=1),
        *(_case(Way.SHARED, per, windows, bulk=number) for number in numbers),
        *(_case(way, per, windows, bulk=4) for way in (Way.LIMITS, Way.PYRATE)),
    ]
    results = processes.run_all(run, cases, at_once=1)
    alone = results[0].rate
    tables.table(
        "All processes together",
        (
            "limiter",
            "processes",
            "rate, of one alone",
            "429s",
            "shares, least-most",
            "scripts a request",
        ),
        [
            (
                case.way.value,
                str(case.bulk),
                f"{result.rate / alone:.2%}",
                str(result.refused),
                f"{min(result.shares):.3f}-{max(result.shares):.3f}",
                f"{result.scripts:.3f}",
            )
            for case, result in zip(cases, results, strict=True)
        ],
    )
    ours = [
        (case, result)
        for case, result in zip(cases, results, strict=True)
        if case.way is Way.SHARED
    ]
    return [
        Target(
            f"rate of {numbers[0]} to {most} processes together",
            " ".join(f"{result.rate / alone:.2%}" for _, result in ours),
            f"at least {OF_ONE:.0%} of one alone",
            all(result.rate >= alone * OF_ONE for _, result in ours),
        ),
        Target(
            "429s",
            " ".join(str(result.refused) for _, result in ours),
            "0",
            not any(result.refused for _, result in ours),
        ),
        Target(
            "shares, most by least",
            " ".join(f"{max(one.shares) / min(one.shares) - 1:.1%}" for _, one in ours),
            f"within {SHARES:.0%}",
            all(max(one.shares) <= min(one.shares) * (1 + SHARES) for _, one in ours),
        ),
        Target(
            "scripts for each request",
            " ".join(f"{result.scripts:.3f}" for _, result in ours),
            f"at most {ROUND_TRIPS}",
            all(result.scripts <= ROUND_TRIPS for _, result in ours),
        ),
    ]


def _idle(per: float, windows: int) -> list[Target]:
    case = _case(Way.SHARED, per, windows, bulk=1, idle=True)
    result = processes.run(run, case)
    sent = result.rate * per
    return [
        Target(
            f"scripts for each request of one process that sends {sent:.0f} in W, one by one",
            f"{result.scripts:.3f}",
            "one for each lease: at most 3 in W",
            result.scripts * sent < 3.5,  # the last W may end just behind one
        )
    ]


def _interactive(per: float, windows: int) -> list[Target]:
    interval = per / RATE
    tables.heading(
        "shared: interactive",
        f"While {_BULK_PROCESSES} processes saturate the budget at bulk priority, another one "
        f"sends interactive requests at random, one in {MEAN_GAP * per / MINUTE:g} s on average.",
        f"Their wait in limiter.acquire. {windows} windows.",
    )
    case = _case(Way.SHARED, per, windows, bulk=_BULK_PROCESSES, interactive=1)
    result = processes.run(run, case)
    waits = sorted(result.waits)
    p99 = waits[int(len(waits) * 0.99)]
    tables.table(
        f"Wait, ms (one token comes each {interval * 1e3:g} ms)",
        ("requests", "p50", "p90", "p99", "most", "429s", "scripts a request"),
        [
            (
                str(len(waits)),
                f"{statistics.median(waits) * 1e3:.1f}",
                f"{waits[int(len(waits) * 0.9)] * 1e3:.1f}",
                f"{p99 * 1e3:.1f}",
                f"{waits[-1] * 1e3:.1f}",
                str(result.refused),
                f"{result.scripts:.3f}",
            )
        ],
    )
    return [
        Target(
            f"wait of {len(waits)} interactive requests, p99",
            f"{p99 / interval:.2f} token intervals, most {waits[-1] / interval:.2f}",
            f"at most {INTERVALS}",
            p99 <= INTERVALS * interval,
        ),
        Target("429s meanwhile", str(result.refused), "0", result.refused == 0),
    ]


def _case(way: Way, per: float, windows: int, **settings: Any) -> Case:
    return Case(way=way, kind=LOG, per=per, windows=windows, **settings)
