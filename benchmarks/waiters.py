"""Many waiting requests: their cost, their order, and what is left when half of them leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import leaving, parked, processes, tables
from benchmarks.parked import MemoryCase, Parked
from benchmarks.tables import Spread, Target

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_CPU: Final = 3.0
MAX_MEMORY: Final = {Parked.ACQUIRE: 1.5, Parked.GET: 2.75, Parked.CONNECT: 2.75}
_NOISE: Final = 1.1  # a ratio that grows by less does not rise


def report(*, quick: bool) -> list[Target]:
    """Print the tables; return the targets."""
    numbers = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    runs = 3 if quick else 7
    tables.heading(
        "limiter: waiters",
        "CPU (process_time) for each request that waits in limiter.acquire at 200 a minute, in "
        "virtual time, its task",
        "included, against as many tasks awaiting one bare asyncio.Event; the permit is finished "
        f"at once, or after {parked.RESPONSE * 1e3:g} ms.",
        "Memory of a task parked in the SDK, against a bare task awaiting a future, by "
        "tracemalloc and by RSS.",
        f"Runs: {runs} (memory: 1 traced, 3 RSS), each in a fresh process; median (least-most).",
    )
    return [
        *_cpu(numbers, runs),
        *(target for number in numbers[1:] for target in _memory(number)),
        *leaving.targets(10_000),
    ]


def _cpu(numbers: Sequence[int], runs: int) -> list[Target]:
    took = {number: processes.run_all(parked.cpu, [number] * runs, at_once=1) for number in numbers}
    ratios = {
        number: Spread.of([one.acquire / one.event for one in took[number]]) for number in numbers
    }
    later = {
        number: Spread.of([one.answered_later / one.event for one in took[number]])
        for number in numbers
    }
    tables.table(
        "CPU for each waiter, µs",
        ("waiting", "Event", "acquire", "ratio", "answered later", "ratio"),
        [
            (
                f"{number:,}",
                Spread.of([one.event for one in took[number]]).show(".1f"),
                Spread.of([one.acquire for one in took[number]]).show(".1f"),
                ratios[number].show(),
                Spread.of([one.answered_later for one in took[number]]).show(".1f"),
                later[number].show(),
            )
            for number in numbers
        ],
    )
    first, *_, last = ratios.values()
    inversions = sum(one.inversions for runs_of in took.values() for one in runs_of)
    return [
        *(
            Target(
                f"CPU for each acquire, {number:,} waiting",
                f"{ratios[number].median:.2f} of an Event",
                f"at most {MAX_CPU:g}",
                ratios[number].median <= MAX_CPU,
            )
            for number in numbers
        ),
        Target(
            "that ratio, the more wait",
            " → ".join(f"{ratio.median:.2f}" for ratio in ratios.values()),
            "not rising",
            last.median <= first.median * _NOISE,
        ),
        Target("order they are let go in", f"{inversions} inversions", "0", inversions == 0),
    ]


def _memory(number: int) -> list[Target]:
    traced = {
        kind: processes.run(parked.memory, MemoryCase(kind, number, traced=True)) for kind in Parked
    }
    resident = {
        kind: Spread.of(
            processes.run_all(
                parked.memory, [MemoryCase(kind, number, traced=False)] * 3, at_once=1
            )
        ).median
        for kind in Parked
    }
    tables.table(
        f"Memory for each of {number:,} waiting tasks, bytes",
        ("waits in", "tracemalloc", "ratio", "RSS", "ratio"),
        [
            (
                kind.value,
                f"{traced[kind]:.0f}",
                f"{traced[kind] / traced[Parked.FUTURE]:.2f}",
                f"{resident[kind]:.0f}",
                f"{resident[kind] / resident[Parked.FUTURE]:.2f}",
            )
            for kind in Parked
        ],
    )
    reached = []
    for kind, most in MAX_MEMORY.items():
        ratios = [by[kind] / by[Parked.FUTURE] for by in (traced, resident)]
        reached.append(
            Target(
                f"memory of a waiting {kind.value}, {number:,} waiting",
                f"{ratios[0]:.2f} of a bare task, by RSS {ratios[1]:.2f}",
                f"at most {most:g}",
                max(ratios) <= most,
            )
        )
    return reached
