"""CPU for each request, as a part of that of bare httpx in the same round."""

from __future__ import annotations

import asyncio
import gc
import statistics
from contextlib import AsyncExitStack
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

from aiolimiter import AsyncLimiter
from attrs import frozen

from benchmarks.overhead import SIDE_BY_SIDE, cpu, sessions
from benchmarks.page.figures import Figure, Figures
from benchmarks.server import ACCOUNT, KEY, TOKEN
from benchmarks.switchboard import Open, Switchboard, opened
from benchmarks.traffic import MINUTE, RATE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from benchmarks.page.settings import Settings

    Ask = Callable[[], Awaitable[object]]

REQUESTS: Final = 24  # in each round
_HTTPX: Final = "httpx"


def measure(settings: Settings) -> Figures:
    """Compare all, one request at a time and several side by side."""
    return asyncio.run(_measure(settings.rounds))


@frozen
class Compared:
    """The CPU of each way: by that of httpx in the same round, and in microseconds."""

    ratios: Mapping[str, float]
    microseconds: Mapping[str, float]


async def _measure(rounds: int) -> Figures:
    with opened(Switchboard(over=SIDE_BY_SIDE, rate=10**9, per=1.0)) as emulator:
        async with AsyncExitStack() as stack:
            ways = await _ways(emulator, stack)
            alone = await _compare(ways, 1, rounds)
            together = await _compare(ways, SIDE_BY_SIDE, rounds)
    unit = "of bare httpx's CPU (process_time)"
    share = alone.microseconds["by_default"] * 1e-6 * RATE / MINUTE * 100
    return {
        "side_by_side": Figure(SIDE_BY_SIDE, "requests at a time"),
        "rounds": Figure(rounds, "rounds"),
        "of_a_core": Figure(share, "% of a core, at 200 requests a minute"),
        "ways": {
            name: {
                "alone": Figure(alone.ratios[name], unit),
                "together": Figure(together.ratios[name], unit),
            }
            for name in ways
            if name != _HTTPX
        },
    }


async def _ways(emulator: Open, stack: AsyncExitStack) -> Mapping[str, Ask]:
    import aiohttp  # noqa: PLC0415 - it needs the extra `bench`

    from benchmarks.page import twilio_client  # noqa: PLC0415

    exotel, httpx_client = await stack.enter_async_context(sessions(emulator.base_url))
    limiter = AsyncLimiter(10**6, 1)  # it is never used up
    twilio = await stack.enter_async_context(twilio_client.opened(emulator.base_url))
    aiohttp_client = await stack.enter_async_context(
        aiohttp.ClientSession(auth=aiohttp.BasicAuth(KEY, TOKEN))
    )
    calls = f"{emulator.base_url}/v1/Accounts/{ACCOUNT}/Calls"
    sids = cycle(emulator.over)

    async def by_default() -> Any:
        return await exotel.calls.get(next(sids))

    async def uncoalesced() -> Any:
        return await exotel.calls.get(next(sids), coalesce=False)

    async def by_httpx() -> Any:
        return (await httpx_client.get(f"{calls}/{next(sids)}.json")).json()

    async def by_aiolimiter() -> Any:
        async with limiter:
            return await by_httpx()

    async def by_twilio() -> Any:
        return await twilio.calls(next(sids)).fetch_async()

    async def by_aiohttp() -> Any:
        async with aiohttp_client.get(f"{calls}/{next(sids)}.json") as response:
            return await response.json()

    return {
        "by_default": by_default,
        "uncoalesced": uncoalesced,
        _HTTPX: by_httpx,
        "httpx_again": by_httpx,
        "aiolimiter": by_aiolimiter,
        "twilio": by_twilio,
        "aiohttp": by_aiohttp,
    }


async def _compare(ways: Mapping[str, Ask], side_by_side: int, rounds: int) -> Compared:
    order = list(ways)
    took: dict[str, list[float]] = {name: [] for name in ways}
    for ask in ways.values():
        await cpu(ask, side_by_side, REQUESTS)  # connections, caches
    for _ in range(rounds):
        order.append(order.pop(0))  # each goes first in turn
        gc.collect()
        for name in order:
            took[name].append(await cpu(ways[name], side_by_side, REQUESTS))
    return Compared(
        {
            name: statistics.median(
                one / bare for one, bare in zip(those, took[_HTTPX], strict=True)
            )
            for name, those in took.items()
        },
        {name: statistics.median(those) for name, those in took.items()},
    )
