"""Calls by their SIDs, and waiting for their ends: what they cost in requests and in time."""

from __future__ import annotations

import random
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from benchmarks import processes, tables
from benchmarks.asking import Asked, Case, Form, Waited, WaitingCase, Way, ask, wait
from benchmarks.switchboard import Switchboard, opened
from benchmarks.tables import Target
from benchmarks.traffic import MINUTE, RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLS: Final = 10_000
GOING_ON: Final = 1_000
WAITING: Final = 1_000
MAX_FOR_FINISHED: Final = 102
MAX_IN_A_ROUND: Final = 10

_MAX_WITH_LIVE: Final = (CALLS // 100 + GOING_ON) * 1.02
_ROUND_TRIP: Final = 0.05  # seconds, of a window of a minute


def report(*, quick: bool) -> list[Target]:
    """Print the tables; return the targets."""
    per, looped = (2.4, 500) if quick else (6.0, 2_000)
    return [*_finished(per, looped), *_with_live(per), *_waiting(quick=quick)]


def _finished(per: float, looped: int) -> list[Target]:
    tables.heading(
        "lookups: finished calls",
        f"{CALLS:,} finished calls by SID, against an emulator in another process: {RATE} in "
        f"W = {per:g} s, sliding log, round trips of",
        f"{_ROUND_TRIP * 1e3:g} ms x W/60. The loop asks as `exotel` and `exotelpy` do, for one "
        "SID after another with a synchronous client,",
        f"and again 1 s x W/60 after a 429. It was run for {looped:,} SIDs; its figures for "
        f"{CALLS:,} are {CALLS / looped:.3g} times those, which",
        f"flatters it: its first {RATE} wait for nothing. At 200 a minute: the time, times 60/W.",
    )
    ways = {Way.GET_MANY: CALLS, Way.GATHER: CALLS, Way.LOOP: looped}
    done = {way: _ask(way, per, over=number) for way, number in ways.items()}
    whole = done[Way.LOOP].seconds * CALLS / looped
    tables.table(
        f"{CALLS:,} finished calls",
        ("asked by", "SIDs", "requests", "429s", "s", "at 200/minute, s", "of the loop"),
        [_row(way, ways[way], done[way], per, whole) for way in ways],
    )
    return [
        Target(
            f"{CALLS:,} finished calls by {way.value}",
            f"{done[way].requests} requests, {done[way].refused} 429s; "
            f"{done[way].seconds / whole:.1%} of the loop's time",
            f"at most {MAX_FOR_FINISHED}; all found, no 429",
            done[way].requests <= MAX_FOR_FINISHED
            and done[way].found == CALLS
            and not done[way].refused,
        )
        for way in (Way.GET_MANY, Way.GATHER)
    ]


def _row(way: Way, number: int, asked: Asked, per: float, whole: float) -> tuple[str, ...]:
    """Show one way; `whole` is the loop's time for all calls."""
    scale = CALLS / number
    seconds = asked.seconds * scale
    return (
        way.value,
        f"{number:,}",
        f"{asked.requests:,}" + ("" if scale == 1 else f" → {asked.requests * scale:,.0f}"),
        f"{asked.refused:,}",
        f"{asked.seconds:.1f}",
        f"{seconds * MINUTE / per:,.0f}",
        f"{seconds / whole:.1%}",
    )


def _with_live(per: float) -> list[Target]:
    tables.heading(
        "lookups: calls going on",
        f"The same for {CALLS:,} SIDs of which {GOING_ON:,} go on, in any order: the list leaves "
        "those out, so that each costs one more.",
    )
    ways = (Way.GET_MANY, Way.GATHER)
    over = CALLS - GOING_ON
    with ExitStack() as stack:
        cases = [_case(stack, way, per, over=over, going_on=GOING_ON) for way in ways]
        done = dict(zip(ways, processes.run_all(ask, cases, at_once=2), strict=True))
    tables.table(
        f"{over:,} finished calls and {GOING_ON:,} that go on",
        ("asked by", "requests", "429s", "s", "at 200/minute, s", "a request for each, s"),
        [
            (
                way.value,
                f"{asked.requests:,}",
                f"{asked.refused:,}",
                f"{asked.seconds:.1f}",
                f"{asked.seconds * MINUTE / per:,.0f}",
                f"{CALLS / RATE * MINUTE:,.0f} (computed)",
            )
            for way, asked in done.items()
        ],
    )
    return [
        Target(
            f"{CALLS:,} calls, 10 % going on, by {way.value}",
            f"{asked.requests:,} requests, {asked.refused} 429s",
            f"at most {_MAX_WITH_LIVE:,.0f}; all found, no 429",
            asked.requests <= _MAX_WITH_LIVE and asked.found == CALLS and not asked.refused,
        )
        for way, asked in done.items()
    ]


def _case(stack: ExitStack, way: Way, per: float, *, over: int, going_on: int = 0) -> Case:
    scale = per / MINUTE
    board = Switchboard(over=over, going_on=going_on, per=per, response=_ROUND_TRIP * scale)
    service = stack.enter_context(opened(board))
    sids = [*service.over, *service.going_on]
    random.Random(0).shuffle(sids)
    return Case(way=way, base_url=service.base_url, sids=sids, per=per)


def _ask(way: Way, per: float, *, over: int) -> Asked:
    with ExitStack() as stack:
        return processes.run(ask, _case(stack, way, per, over=over))


def _waiting(*, quick: bool) -> list[Target]:
    interval, seconds = (0.4, 2.6) if quick else (1.0, 12.0)
    tables.heading(
        "lookups: waiting",
        f"{WAITING:,} calls dialled and waited for while they go on, first poll after "
        f"{interval:g} s, for {seconds:g} s; then a status callback",
        f"for each is given to `resolve`. Then {WAITING:,} more whose callbacks come before the "
        "first poll. No budget: what counts are the requests.",
    )
    with opened(Switchboard(rate=10**9)) as service:
        cases = [
            WaitingCase(
                form=form,
                base_url=service.base_url,
                number=WAITING,
                interval=interval,
                seconds=seconds,
            )
            for form in Form
        ]
        done = dict(zip(Form, processes.run_all(wait, cases, at_once=1), strict=True))
    tables.table(
        f"Requests of {WAITING:,} waiting calls",
        ("waited for by", "in each poll round", "from the first callback on", "callbacks only"),
        [
            (
                form.value,
                " ".join(map(str, waited.rounds)),
                str(waited.told),
                str(waited.told_only),
            )
            for form, waited in done.items()
        ],
    )
    return [target for form, waited in done.items() for target in _targets(form, waited)]


def _targets(form: Form, waited: Waited) -> Sequence[Target]:
    most, told = max(waited.rounds, default=0), waited.told + waited.told_only
    return (
        Target(
            f"a poll round of {WAITING:,} in {form.value}",
            f"{most} requests at most, {len(waited.rounds)} rounds",
            f"at most {MAX_IN_A_ROUND}, several rounds",
            len(waited.rounds) > 1 and most <= MAX_IN_A_ROUND,
        ),
        Target(
            f"callbacks for {WAITING:,} in {form.value}",
            f"{told} requests",
            "none; all waits end",
            told == 0 and waited.ended == 2 * WAITING,
        ),
    )
