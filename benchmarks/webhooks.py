"""Status callbacks: how many a second, beside a route that only reads them, and in what memory."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import Final

from attrs import frozen
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from benchmarks import processes, tables
from benchmarks.callbacks import (
    CONNECTIONS,
    Encoding,
    Side,
    Taken,
    Template,
    application,
    give,
    other_core,
    post,
    running,
)
from benchmarks.tables import Spread, Target
from exotel_async.webhooks import MemoryClaims

LEAST: Final[dict[Encoding, float]] = {"json": 0.4, "multipart": 0.15}
MAX_GROWTH: Final = 2.0  # MB

_ENCODINGS: Final[tuple[Encoding, ...]] = ("json", "multipart", "urlencoded")
_SIDES: Final[tuple[Side, ...]] = ("hooks", "bare")
_DIFFERENT: Final = 1_000
_REMEMBERED: Final = 10_000  # so that it has found its size soon


@frozen
class Compared:
    """Both sides in one encoding."""

    encoding: Encoding
    taken: dict[Side, list[Taken]]

    def rate(self, side: Side) -> Spread:
        """Callbacks a second."""
        return Spread.of([taken.per_second for taken in self.taken[side]])

    def p99(self, side: Side) -> Spread:
        """Milliseconds."""
        return Spread.of([taken.p99 for taken in self.taken[side]])

    def cpu(self, side: Side) -> Spread:
        """Microseconds for each."""
        return Spread.of([taken.cpu for taken in self.taken[side]])

    @property
    def rate_ratio(self) -> Spread:
        """By the rounds."""
        return Spread.of([h.per_second / b.per_second for h, b in self._rounds()])

    @property
    def p99_ratio(self) -> Spread:
        """By the rounds."""
        return Spread.of([h.p99 / b.p99 for h, b in self._rounds()])

    @property
    def cpu_ratio(self) -> Spread:
        """By the rounds, the other way round: how many of ours the CPU of one of theirs pays."""
        return Spread.of([b.cpu / h.cpu for h, b in self._rounds()])

    def _rounds(self) -> list[tuple[Taken, Taken]]:
        return list(zip(self.taken["hooks"], self.taken["bare"], strict=True))


@frozen
class MemoryCase:
    """So many callbacks, of which so many are different, and when to look first."""

    callbacks: int
    different: int
    early: int


@frozen
class Memory:
    """Megabytes of the process at the first look, and at the end."""

    early: float
    late: float
    handled: int


def report(*, quick: bool) -> list[Target]:
    """Print the tables; return the targets."""
    rounds, count = (6, 1_000) if quick else (30, 1_500)
    duplicates = 60_000 if quick else 1_000_000
    parser = AutoHTTPProtocol.__name__
    tables.heading(
        "webhooks: callbacks a second",
        f"Long status callbacks, all different, posted on {CONNECTIONS} connections, each the next "
        "one upon the answer.",
        "hooks: ExotelWebhooks with a handler that counts. bare: a Starlette route that awaits "
        "request.body().",
        f"Each by uvicorn ({parser}, asyncio) in a process of its own on one core; the sender has "
        "another one.",
        f"Runs: {rounds} rounds of {count:,} each, in turn; median (least-most); ratios by round.",
        "What is bare may wait for its sender, and both for what else the machine does: the CPU of "
        "the server does not.",
    )
    compared = asyncio.run(_compare(rounds, count))
    tables.table(
        "Callbacks a second",
        ("encoding", "hooks", "bare", "ratio"),
        [
            (c.encoding, *(c.rate(side).show(",.0f") for side in _SIDES), c.rate_ratio.show())
            for c in compared
        ],
    )
    tables.table(
        "p99, ms",
        ("encoding", "hooks", "bare", "ratio"),
        [
            (c.encoding, *(c.p99(side).show(".1f") for side in _SIDES), c.p99_ratio.show())
            for c in compared
        ],
    )
    tables.table(
        "CPU of the server for each, µs",
        ("encoding", "hooks", "bare", "bare / hooks"),
        [
            (c.encoding, *(c.cpu(side).show(".0f") for side in _SIDES), c.cpu_ratio.show())
            for c in compared
        ],
    )
    return [*_reached(compared), *_memory(duplicates)]


def _reached(compared: list[Compared]) -> list[Target]:
    targets: list[Target] = []
    for one in compared:
        least = LEAST.get(one.encoding)
        if least is None:
            continue
        rate, p99, cpu = (r.median for r in (one.rate_ratio, one.p99_ratio, one.cpu_ratio))
        targets += [
            Target(
                f"callbacks a second, {one.encoding}",
                f"{rate:.2f} of a route that reads",
                f"at least {least}",
                rate >= least,
            ),
            Target(
                f"callbacks for the same CPU, {one.encoding}",
                f"{cpu:.2f} of a route that reads",
                f"at least {least}",
                cpu >= least,
            ),
            Target(
                f"p99, {one.encoding}",
                f"{p99:.2f} of a route that reads",
                f"at most 1 / {least} = {1 / least:.2f}",
                p99 <= 1 / least,
            ),
        ]
    return targets


def _memory(duplicates: int) -> list[Target]:
    tables.heading(
        "webhooks: memory",
        "Callbacks given to the application without a server, in a fresh process for each line.",
        "RSS at the end, and early: when a tenth of the duplicates were taken; of different ones "
        "when the store",
        f"of claims, which remembers {_REMEMBERED:,} here, has been filled 15 times.",
    )
    full = 15 * _REMEMBERED
    different = full + duplicates // 2
    cases = {
        "duplicates": MemoryCase(duplicates, _DIFFERENT, early=duplicates // 10),
        "all different": MemoryCase(different, different, early=full),
    }
    found = {name: processes.run(measure, case) for name, case in cases.items()}
    for name, case in cases.items():
        assert found[name].handled == case.different
    tables.table(
        "Memory, MB",
        ("what", "callbacks", "handled", "early", "at the end", "growth"),
        [
            (
                name,
                f"{cases[name].callbacks:,}",
                f"{memory.handled:,}",
                f"{memory.early:.1f}",
                f"{memory.late:.1f}",
                f"{memory.late - memory.early:+.1f}",
            )
            for name, memory in found.items()
        ],
    )
    return [
        Target(
            f"growth over {cases[name].callbacks:,} callbacks, {name}",
            f"{memory.late - memory.early:+.1f} MB",
            f"at most {MAX_GROWTH} MB",
            memory.late - memory.early <= MAX_GROWTH,
        )
        for name, memory in found.items()
    ]


async def _compare(rounds: int, count: int) -> list[Compared]:
    with running("hooks") as hooks, running("bare") as bare, other_core():
        servers = {server.side: server for server in (hooks, bare)}
        templates = {encoding: Template.of(encoding) for encoding in _ENCODINGS}
        compared = [Compared(encoding, {side: [] for side in _SIDES}) for encoding in _ENCODINGS]
        sent = 0
        for number in range(rounds + 1):
            for one in compared:
                # Each goes first in every other round.
                for side in _SIDES[:: 1 if number % 2 else -1]:
                    taken = await post(servers[side], templates[one.encoding], sent, count)
                    if number:  # the first is for imports and caches
                        one.taken[side].append(taken)
                sent += count
        return compared


def measure(case: MemoryCase) -> Memory:
    """Give callbacks to the application."""
    return asyncio.run(_measure(case))


async def _measure(case: MemoryCase) -> Memory:
    hooks, handled = application(MemoryClaims(most=_REMEMBERED))
    template = Template.of("json")
    early = 0.0
    for number in range(case.callbacks):
        if number == case.early:
            early = _resident()
        await give(hooks, template, number % case.different)
    return Memory(early, _resident(), handled[0])


def _resident() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
