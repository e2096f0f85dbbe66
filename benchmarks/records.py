"""Call records: the budget a list uses, the memory it takes, and what decoding a page costs."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from benchmarks import processes, tables
from benchmarks.books import DAYS, Book, opened
from benchmarks.readers import PAGE, Case, DecodingCase, Reading, decode, read, turns
from benchmarks.tables import Target
from benchmarks.traffic import MINUTE, RATE

OF_CEILING: Final = 0.99
OF_CEILING_SLOW: Final = 0.97
MAX_MEMORY: Final = 10  # MB
MAX_DECODING: Final = 8.0
LONGEST_TURN: Final = 5.0  # ms

_USUAL, _SLOW = "50 ms", "1 s"
_TRIPS: Final = {_USUAL: 0.05, _SLOW: 1.0}
_SIDE_BY_SIDE: Final = 4
_FEW: Final = 10_000


def report(*, quick: bool) -> list[Target]:
    """Print the tables; return the targets."""
    # What the programs themselves take for a page does not scale: a short window asks too much.
    per, calls = (6.0, 65_000) if quick else (12.0, 100_000)
    most, rounds = (50_000, 200) if quick else (1_000_000, 1_000)
    return [*_budget(per, calls), *_memory(most), *_decoding(rounds)]


def _budget(per: float, calls: int) -> list[Target]:
    scale = per / MINUTE
    tables.heading(
        "records: budget",
        f"calls.list over {DAYS} days, {calls:,} records, {PAGE} on a page, against emulators in "
        "other processes:",
        f"{RATE} in W = {per:g} s, sliding log, round trips of {_USUAL} and {_SLOW} times W/60.",
        "% of L: accepted requests in whole windows after the first, against L = 199 / (W + mean "
        "response).",
        "% of 200/W: all accepted requests in all the time, against the account's budget.",
        "The plain loop over httpx asks for the next page when it has the one before, and again "
        "1 s x W/60 after a 429.",
        "The two lists of everything run at the same time, and after them the others, which read "
        "a part.",
    )
    books = {
        trip: Book(calls=calls, rate=RATE, per=per, response=seconds * scale)
        for trip, seconds in _TRIPS.items()
    }
    part = calls // 20
    with opened(books[_USUAL]) as near, opened(books[_SLOW]) as far:
        usual, slow = processes.run_all(
            read,
            [
                Case(base_url=near, per=per),
                Case(base_url=far, per=per, windows=_SIDE_BY_SIDE),
            ],
            at_once=2,
        )
        with (
            opened(evolve(books[_USUAL], calls=calls // 4)) as plain_near,
            opened(evolve(books[_SLOW], calls=part)) as plain_far,
        ):
            one, near_loop, far_loop = processes.run_all(
                read,
                [
                    Case(base_url=far, per=per, limit=part),
                    Case(base_url=plain_near, per=per, windows=None),
                    Case(base_url=plain_far, per=per, windows=None),
                ],
                at_once=3,
            )
    found = [
        (_USUAL, "calls.list()", usual),
        (_USUAL, "plain loop", near_loop),
        (_SLOW, f"calls.list(concurrency={_SIDE_BY_SIDE})", slow),
        (_SLOW, "calls.list()", one),
        (_SLOW, "plain loop", far_loop),
    ]
    tables.table(
        "One list",
        ("round trip", "read by", "records", "requests", "429s", "s", "% of L", "% of 200/W"),
        [_row(trip, by, reading, per) for trip, by, reading in found],
    )
    return [
        _rate(_USUAL, usual, calls, OF_CEILING),
        _rate(f"{_SLOW}, windows={_SIDE_BY_SIDE}", slow, calls, OF_CEILING_SLOW),
    ]


def _row(trip: str, by: str, one: Reading, per: float) -> tuple[str, ...]:
    return (
        trip,
        by,
        f"{one.calls:,}",
        f"{one.requests:,}",
        str(one.refused),
        f"{one.seconds:.1f}",
        f"{one.steady.of_ceiling:.2%}" if one.steady.windows else "-",
        f"{(one.requests - one.refused) / one.seconds / RATE * per:.1%}",
    )


def _rate(trip: str, one: Reading, calls: int, least: float) -> Target:
    return Target(
        f"budget used by a list, round trips of {trip}",
        f"{one.steady.of_ceiling:.2%} of L over {one.steady.windows} windows; "
        f"{one.calls:,} records, {one.refused} 429s",
        f"at least {least:.0%}; all records, no 429",
        one.steady.of_ceiling >= least and one.calls == calls and not one.refused,
    )


def _memory(most: int) -> list[Target]:
    tables.heading(
        "records: memory",
        f"The most memory (VmHWM) of a fresh process that reads {_FEW:,} and {most:,} records over "
        f"{DAYS} days,",
        "the emulator in another; no budget and no round trip: as fast as both can.",
    )
    peaks: dict[int, list[Reading]] = {1: [], _SIDE_BY_SIDE: []}
    for calls in (_FEW, most):
        with opened(Book(calls=calls)) as base_url:
            for windows, readings in peaks.items():
                one = processes.run(read, Case(base_url=base_url, windows=windows))
                if one.calls != calls:
                    raise RuntimeError(f"{one.calls:,} of {calls:,} records came")
                readings.append(one)
    tables.table(
        "Reading everything",
        ("records", "windows", "most memory, MB", "requests", "s"),
        [
            (f"{r.calls:,}", str(windows), f"{r.memory:.1f}", f"{r.requests:,}", f"{r.seconds:.1f}")
            for windows, readings in peaks.items()
            for r in readings
        ],
    )
    return [
        Target(
            f"memory from {_FEW:,} to {most:,} records, windows={windows}",
            f"{large.memory - small.memory:+.1f} MB",
            f"at most +{MAX_MEMORY} MB",
            large.memory - small.memory <= MAX_MEMORY,
        )
        for windows, (small, large) in peaks.items()
    ]


def _decoding(rounds: int) -> list[Target]:
    tables.heading(
        "records: decoding",
        f"CPU (process_time) for a page of {PAGE} calls as the emulator writes it: wire.read_page "
        "and json.loads in turn,",
        f"in one process; {rounds} rounds, median (least-most); the ratio is that of the rounds. "
        "Then a list is read,",
        "and each turn of the event loop is timed by its thread's CPU: the longest for each page.",
    )
    with opened(Book(calls=_FEW)) as base_url:
        decoded = {
            name: processes.run(
                decode, DecodingCase(base_url=base_url, rounds=rounds, details=details)
            )
            for name, details in (("as usual", False), ("with details", True))
        }
        blocked = processes.run(turns, base_url)
    tables.table(
        "One page, µs",
        ("page", "kB", "read_page", "json.loads", "ratio"),
        [
            (name, f"{d.bytes / 1e3:.0f}", d.page.show(".0f"), d.loads.show(".0f"), d.ratio.show())
            for name, d in decoded.items()
        ],
    )
    return [
        *(
            Target(
                f"CPU to decode a page, {name}",
                f"{d.ratio.median:.2f} of json.loads",
                f"at most {MAX_DECODING:g}",
                d.ratio.median <= MAX_DECODING,
            )
            for name, d in decoded.items()
        ),
        Target(
            f"longest turn of the loop, {blocked.pages} pages of {PAGE}",
            f"{blocked.longest:.2f} ms (median of pages {blocked.median:.2f})",
            f"under {LONGEST_TURN:g} ms",
            blocked.longest < LONGEST_TURN,
        ),
    ]
