"""`exotel-async demo`: a batch of numbers dialled and read back within the budget.

It runs on an emulator in the same process. Credentials, address and limiters are passed to the
session, so that no variable of the environment can lead it to the real service, or to a server on
which others share their budget.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from attrs import define, field, frozen

from exotel_async import (
    AsyncExotel,
    ExotelError,
    LimiterStatistics,
    Priority,
    RateLimit,
    TokenBucket,
)
from exotel_async.cli.demo_display import DemoStanding
from exotel_async.cli.demo_report import show_report, show_start, summary
from exotel_async.cli.demo_state import Board, Dial, Stage
from exotel_async.cli.progress import progress
from exotel_async.cli.service import LIMIT
from exotel_async.cli.terminal import Exit, drawing, err, out, show_json
from exotel_async.emulator import Emulator

_AGENT: Final = "+918040000001"
_EXOPHONE: Final = "08030000000"
# Seconds of the emulator's clock. Length and price come some two minutes after a call's end.
_READ_EVERY: Final = 30.0
_READ_SETTLING_EVERY: Final = 60.0
_MOST_READS: Final = 40


@frozen(kw_only=True)
class Plan:
    """What the demo is asked to do.

    Attributes:
        calls: how many numbers it dials.
        speed: seconds of the emulator's clock to each real one.
        seed: what becomes of the calls.
    """

    calls: int
    speed: float
    seed: int

    @property
    def budget(self) -> RateLimit:
        """200 requests in each minute of the emulator's clock."""
        return RateLimit(LIMIT, per=60 / self.speed)


@define(eq=False)
class Run:
    """One run of the demo; what it holds stays readable when it is cut short."""

    plan: Plan
    board: Board = field(init=False)
    emulator: Emulator = field(init=False)

    def __attrs_post_init__(self) -> None:
        plan = self.plan
        self.board = Board([Dial(number) for number in numbers(plan.calls)])
        self.emulator = Emulator(
            rate=LIMIT, speed=plan.speed, seed=plan.seed, latency=_scaled_latency(plan.speed)
        )

    async def go(self, watch: Callable[[Board, LimiterStatistics], None]) -> None:
        """Dial all, read all back, and let `watch` see it while it happens."""
        board, emulator = self.board, self.emulator
        async with (
            emulator,
            AsyncExotel(
                account_sid=emulator.account_sid,
                api_key=emulator.api_key,
                api_token=emulator.api_token,
                base_url=emulator.base_url,
                rate_limit=TokenBucket(self.plan.budget),
                exophone_rate_limit=TokenBucket(),
                on_orphaned_call=board.adopt,
            ) as exotel,
            drawing(lambda: watch(board, exotel.limiter.statistics())),
        ):
            board.start()
            bulk = exotel.with_options(priority=Priority.BULK)
            await asyncio.gather(*(self._follow(bulk, dial) for dial in board.dials))

    async def _follow(self, exotel: AsyncExotel, dial: Dial) -> None:
        """Dial one number, and read the call until all is known of it."""
        try:
            call = await exotel.calls.connect(dial.number, _AGENT, caller_id=_EXOPHONE)
            dial.taken(call)
            for _ in range(_MOST_READS):
                pause = _READ_EVERY if dial.stage is Stage.GOING_ON else _READ_SETTLING_EVERY
                await asyncio.sleep(pause / self.plan.speed)
                dial.taken(await exotel.calls.get(call.sid, details=True))
                if dial.stage is Stage.SETTLED:
                    break
        except ExotelError as error:
            dial.failed(error)


def numbers(count: int) -> Sequence[str]:
    """That many different phone numbers, which nobody is going to ring."""
    return [f"+9198{index:08d}" for index in range(12_300_001, 12_300_001 + count)]


def demo(plan: Plan, *, as_json: bool) -> Exit:
    """Run the demo, and say what came of it, in the end as a line of JSON if that is wanted."""
    # Cut off by Ctrl-C, the emulator's server may think that something is wrong.
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    run = Run(plan)
    interrupted = False
    console = err if as_json else out
    try:
        show_start(console, calls=plan.calls, speed=plan.speed, limit=LIMIT)
        with progress(console) as show:
            asyncio.run(run.go(lambda board, limiter: show(DemoStanding(board, limiter, LIMIT))))
    except KeyboardInterrupt:
        interrupted = True
    totals = run.emulator.statistics() if run.emulator.base_url else None
    show_report(console, run.board, totals, speed=plan.speed, limit=LIMIT, interrupted=interrupted)
    if as_json:
        show_json(summary(run.board, totals))
    if interrupted:
        return Exit.INTERRUPTED
    complete = run.board.count(Stage.SETTLED) == plan.calls
    return Exit.OK if complete and totals is not None and not totals.refused else Exit.FAILED


def _scaled_latency(speed: float) -> Callable[[Random], tuple[float, float]]:
    """Answers after some 20 to 400 ms of the emulator's clock, as over the internet."""

    def latency(random: Random) -> tuple[float, float]:
        whole = min(0.4, max(0.02, random.lognormvariate(-2.4, 0.6))) / speed
        return whole / 2, whole / 2

    return latency
