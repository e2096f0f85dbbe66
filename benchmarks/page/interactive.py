"""An interactive request behind a batch: how long it takes."""

from __future__ import annotations

import asyncio
import statistics
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import frozen

from benchmarks import bare, processes
from benchmarks.page.bulk import OURS
from benchmarks.page.figures import Figure, Figures
from benchmarks.server import ACCOUNT, KEY, TOKEN, running
from benchmarks.traffic import LOG, MINUTE, RATE, SIDE_BY_SIDE
from exotel_async import AsyncExotel, Priority, RateLimit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.page.settings import Settings

    Lookup = Callable[[str], Awaitable[object]]

ONE_LINE: Final = f"{OURS}, one line"
_FIRST, _GAP = 0.5, 0.1  # windows until the first, and between two
_WAYS: Final = (
    bare.Way.LIMITER,
    bare.Way.SAFE_LIMITER,
    bare.Way.LIMITS,
    bare.Way.PYRATE,
)


@frozen
class Case:
    """One batch.

    Attributes:
        way: who sends it; None: the SDK.
        priorities: whether the SDK's batch has the bulk priority.
    """

    way: bare.Way | None
    per: float
    batch: int
    asked: int
    priorities: bool = True


def measure(settings: Settings) -> Figures:
    """Measure each way."""
    per, batch, asked = settings.per, settings.batch, settings.asked
    cases = {
        OURS: Case(None, per, batch, asked),
        ONE_LINE: Case(None, per, batch, asked, priorities=False),
        **{way.name: Case(way, per, batch, asked) for way in _WAYS},
    }
    waits = processes.run_all(run, cases.values(), at_once=SIDE_BY_SIDE)
    unit = "s of a 60 s window"
    return {
        name: {
            "median": Figure(statistics.median(one) * MINUTE / per, unit),
            "longest": Figure(max(one) * MINUTE / per, unit),
        }
        for name, one in zip(cases, waits, strict=True)
    }


def run(case: Case) -> list[float]:
    """Return how long each interactive request took, from asking to its response."""
    with running(LOG.server(case.per, seed=0)) as base_url:
        return asyncio.run(_ours(case, base_url) if case.way is None else _other(case, base_url))


async def _ours(case: Case, base_url: str) -> list[float]:
    async with AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=base_url,
        rate_limit=RateLimit(RATE, per=case.per),
    ) as exotel:
        priority = Priority.BULK if case.priorities else Priority.INTERACTIVE
        return await _waits(
            partial(exotel.numbers.lookup, priority=priority), exotel.numbers.lookup, case
        )


async def _other(case: Case, base_url: str) -> list[float]:
    assert case.way is not None
    async with bare.opened(case.way, case.per, base_url) as sender:
        return await _waits(sender.lookup, sender.lookup, case)


async def _waits(bulk: Lookup, interactive: Lookup, case: Case) -> list[float]:
    time = asyncio.get_running_loop().time
    batch = [asyncio.ensure_future(bulk(bare.number(index))) for index in range(case.batch)]

    async def ask(index: int) -> float:
        await asyncio.sleep(case.per * (_FIRST + _GAP * index))
        asked = time()
        await interactive(bare.number(case.batch + index))
        return time() - asked

    waits = await asyncio.gather(*(ask(index) for index in range(case.asked)))
    for one in batch:
        one.cancel()
    await asyncio.gather(*batch, return_exceptions=True)
    return waits
