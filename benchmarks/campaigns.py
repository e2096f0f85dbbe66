"""Campaigns: the budget they use, what the ledger costs, long lists, and who is beside them."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import dialing, processes, tables
from benchmarks.exchange import Exchange, counted, opened
from benchmarks.tables import Spread, Target
from benchmarks.traffic import MINUTE, RATE
from tests.support import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.exchange import Came

OF_CEILING: Final = 0.99
MAX_CPU: Final = 4.0  # ms for each attempt
MAX_MEMORY: Final = 50.0  # MB
LEAST_ADDED: Final = 20_000  # a second
LONGEST_TURN: Final = 20.0  # ms
LONGEST_STATISTICS: Final = 0.2  # seconds
LATEST: Final = 2.0  # seconds

_SQLITE, _POSTGRES = "SQLite", "PostgreSQL"
_FEW: Final = 10_000
_DIALLED: Final = 500


def report(per: float, contacts: int | None, parts: Sequence[str], *, quick: bool) -> list[Target]:
    """Print the tables; return the targets."""
    reached: list[Target] = []
    if "budget" in parts:
        reached += _budget(per, contacts or (500 if quick else 1_000))
    if "lists" in parts:
        reached += _lists(100_000 if quick else 1_000_000)
    if "beside" in parts:
        reached += _beside(per, 2 if quick else 5)
    if "retries" in parts:
        reached += _retries(10_000 if quick else 100_000, 30 if quick else 90)
    return reached


@contextmanager
def _file() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="campaigns-") as folder:
        yield str(Path(folder) / "campaigns.db")


def _budget(per: float, contacts: int) -> list[Target]:
    tables.heading(
        "campaigns: budget",
        f"{contacts:,} contacts who all answer, channels not binding, no callbacks: the end of "
        "each call is polled.",
        f"The emulator is another process: {RATE} in W = {per:g} s, sliding log, and what takes "
        "time at Exotel takes W/60 of it",
        "(calls of 18 to 140 s, responses log-normal 20 to 400 ms, 1 % stalled for 2 s).",
        "% of L: dials and polls that the emulator counted in whole windows, after the first and "
        "before the last dial, against",
        "L = 199 / (W + mean response), from the permit to the answer: what the ledger takes "
        "in between does not scale with W.",
        "CPU: process_time, and thread_time of the ledger's threads, for each contact.",
        "`connect_many` dials and polls as many, without a ledger. PostgreSQL runs without fsync.",
    )
    with (
        _file() as file,
        postgres.running() as server,
        opened(Exchange(per=per)) as one,
        opened(Exchange(per=per)) as two,
        opened(Exchange(per=per)) as three,
    ):
        places = {
            _SQLITE: (one, file),
            _POSTGRES: (two, server.new_database()),
            "connect_many": (three, None),
        }
        cases = [
            dialing.Case(base_url=base_url, per=per, contacts=contacts, place=place)
            for base_url, place in places.values()
        ]
        results = processes.run_all(dialing.dial, cases, at_once=1)
        seen = [counted(base_url).requests for base_url, _ in places.values()]
    rates = [
        _of_ceiling(one, result.response, per) for one, result in zip(seen, results, strict=True)
    ]
    tables.table(
        "One campaign",
        (
            "dialled by",
            "ended",
            "requests",
            "429s",
            "s",
            "windows",
            "response, ms",
            "% of L",
            "CPU, ms",
            "the ledger's",
        ),
        [
            (
                name,
                f"{result.rung:,}",
                f"{len(requests):,}",
                str(sum(request.refused for request in requests)),
                f"{result.seconds:.1f}",
                str(windows),
                f"{result.response * 1e3:.0f}",
                f"{of_ceiling:.2%}",
                f"{result.cpu:.2f}",
                f"{result.ledger_cpu:.2f}",
            )
            for name, result, requests, (windows, of_ceiling) in zip(
                places, results, seen, rates, strict=True
            )
        ],
    )
    reached = []
    for name, result, requests, (windows, of_ceiling) in zip(
        places, results, seen, rates, strict=True
    ):
        if name not in {_SQLITE, _POSTGRES}:
            continue
        refused = sum(request.refused for request in requests)
        reached += [
            Target(
                f"budget used by a campaign, {name}",
                f"{of_ceiling:.2%} of L over {windows} windows; {result.rung:,} ended, "
                f"{refused} 429s",
                f"at least {OF_CEILING:.0%}; all ended, no 429",
                of_ceiling >= OF_CEILING and result.rung == contacts and not refused,
            ),
            Target(
                f"CPU of the ledger for each attempt, {name}",
                f"{result.ledger_cpu:.2f} ms",
                f"at most {MAX_CPU:g} ms",
                result.ledger_cpu <= MAX_CPU,
            ),
        ]
    return reached


def _of_ceiling(requests: Sequence[Came], response: float, per: float) -> tuple[int, float]:
    """Return how many whole windows there were, and the rate in them by L."""
    dials = [one.at for one in requests if one.dials is not None]
    first, last = dials[0] + MINUTE, dials[-1]
    windows = int((last - first) / MINUTE)
    if windows < 1:
        return 0, 0.0
    until = first + windows * MINUTE
    inside = sum(first <= one.at < until and not one.refused for one in requests)
    return windows, inside / (windows * MINUTE) * (per + response) * (MINUTE / per) / (RATE - 1)


def _lists(most: int) -> list[Target]:
    tables.heading(
        "campaigns: lists",
        f"`Dialer.add` of {_FEW:,} and {most:,} contacts from a generator, each with a key and "
        "three fields, the numbers in no order;",
        f"then {_DIALLED:,} of them are dialled, without a budget. CPU for each row, of the "
        "event loop's thread (which makes the",
        "contacts as well) and of the ledger's; the longest turn of the loop by its thread's CPU; "
        "the most memory of the process,",
        "and what Python had allocated while they were dialled.",
    )
    results: dict[tuple[str, int], dialing.Added] = {}
    with postgres.running() as server:
        for contacts in (_FEW, most):
            for name in (_SQLITE, _POSTGRES):
                with _file() as file, opened(Exchange()) as base_url:
                    place = file if name == _SQLITE else server.new_database()
                    results[name, contacts] = processes.run(
                        dialing.add,
                        dialing.ListCase(
                            base_url=base_url, place=place, contacts=contacts, dialled=_DIALLED
                        ),
                    )
    tables.table(
        "One list",
        (
            "contacts",
            "ledger",
            "rows/s",
            "loop, µs",
            "ledger, µs",
            "longest turn, ms",
            "statistics, ms",
            "resident, MB",
            "allocated, MB",
        ),
        [
            (
                f"{contacts:,}",
                name,
                f"{one.rate:,.0f}",
                f"{one.cpu[0]:.1f}",
                f"{one.cpu[1]:.1f}",
                f"{one.held:.1f}",
                f"{one.statistics * 1e3:.1f}",
                f"{one.resident:.1f}",
                f"{one.allocated:.1f}",
            )
            for (name, contacts), one in results.items()
        ],
    )
    reached = []
    for name in (_SQLITE, _POSTGRES):
        small, large = results[name, _FEW], results[name, most]
        grown = max(large.resident - small.resident, large.allocated - small.allocated)
        reached += [
            Target(
                f"adding {most:,} contacts, {name}",
                f"{large.rate:,.0f} a second",
                f"at least {LEAST_ADDED:,}",
                large.rate >= LEAST_ADDED,
            ),
            Target(
                f"longest turn of the loop meanwhile, {name}",
                f"{large.held:.1f} ms",
                f"under {LONGEST_TURN:g} ms",
                large.held < LONGEST_TURN,
            ),
            Target(
                f"statistics of {most:,} contacts, {name}",
                f"{large.statistics * 1e3:.1f} ms",
                f"under {LONGEST_STATISTICS * 1e3:g} ms",
                large.statistics < LONGEST_STATISTICS,
            ),
            Target(
                f"memory from {_FEW:,} to {most:,} contacts, {name}",
                f"{grown:+.1f} MB",
                f"at most +{MAX_MEMORY:g} MB",
                grown <= MAX_MEMORY,
            ),
        ]
    return reached


def _beside(per: float, windows: int) -> list[Target]:
    interval = per / RATE
    tables.heading(
        "campaigns: interactive",
        f"numbers.lookup at interactive priority, at random, beside a campaign in W = {per:g} s: "
        "their wait in limiter.acquire.",
        f"Once with the ledger for itself, once with another connection that locks it for "
        f"{dialing.LOCKED:g} s, again and again.",
        f"Runs: one of {windows} windows each, at the same time.",
    )
    names = ("free", "locked by another connection")
    with (
        _file() as one,
        _file() as two,
        opened(Exchange(per=per)) as near,
        opened(Exchange(per=per)) as far,
    ):
        cases = [
            dialing.BesideCase(
                base_url=base_url, place=place, per=per, windows=windows, locked=locked
            )
            for base_url, place, locked in ((near, one, False), (far, two, True))
        ]
        results = processes.run_all(dialing.beside, cases, at_once=2)
    rows = []
    reached = []
    for name, result in zip(names, results, strict=True):
        waits = sorted(result.waits)
        p99 = waits[int(len(waits) * 0.99)]
        spread = Spread.of([wait * 1e3 for wait in waits])
        rows.append(
            (name, str(len(waits)), str(result.dials), spread.show(".1f"), f"{p99 * 1e3:.1f}")
        )
        reached.append(
            Target(
                f"wait of an interactive request beside a campaign, ledger {name}, p99",
                f"{p99 / interval:.2f} token intervals ({p99 * 1e3:.1f} ms)",
                "at most 1",
                p99 <= interval,
            )
        )
    tables.table(
        f"Wait of interactive requests, ms (one token comes each {interval * 1e3:g} ms)",
        ("the ledger is", "asked", "the campaign's", "median (least-most)", "p99"),
        rows,
    )
    return reached


def _retries(waiting: int, seconds: float) -> list[Target]:
    tables.heading(
        "campaigns: retries",
        f"At the real rate, {RATE} in 60 s: one contact is busy whenever they are dialled, and "
        f"dialled again {dialing.RETRIED_AFTER.total_seconds():g} s later,",
        f"while {waiting:,} wait for their first attempt. From the moment each retry is due by the "
        "ledger until it arrives, by the emulator's clock.",
        f"Runs: one of {seconds:g} s.",
    )
    with _file() as file, opened(Exchange(per=MINUTE)) as base_url:
        result = processes.run(
            dialing.retry,
            dialing.RetryCase(base_url=base_url, place=file, waiting=waiting, seconds=seconds),
        )
    spread = Spread.of(result.late)
    tables.table(
        "From due until dialled, s",
        ("retries", "first attempts meanwhile", "median (least-most)"),
        [(str(len(result.late)), str(result.others), spread.show())],
    )
    return [
        Target(
            f"the latest of {len(result.late)} retries beside {waiting:,} first attempts",
            f"{spread.most:.2f} s",
            f"at most {LATEST:g} s",
            spread.most <= LATEST,
        )
    ]
