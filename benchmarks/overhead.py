"""What the SDK costs over bare httpx: CPU for each request."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import httpx
from attrs import frozen

from benchmarks import tables
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN, Server, running
from benchmarks.tables import Spread, Target
from exotel_async import AsyncExotel, RateLimit, Timeouts, __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

MOST_CPU: Final = 1.25
SIDE_BY_SIDE: Final = 8

_FROM, _TO = "09810000001", "09810000002"
_IN_FLIGHT: Final = 64
_CONNECTIONS: Final = _IN_FLIGHT + 8  # as many as the session's own client has
# The budget is never used up: what is measured is the work for a request, not the wait.
_NO_LIMIT: Final = RateLimit(10**6, per=1, burst=10**4)


@frozen
class Pair:
    """The same request through the SDK and through bare httpx."""

    name: str
    sdk: Callable[[], Awaitable[object]]
    bare: Callable[[], Awaitable[object]]


@frozen
class Compared:
    """CPU for each request of one pair, in microseconds."""

    name: str
    side_by_side: int
    sdk: Spread
    bare: Spread
    ratio: Spread


async def measure(rounds: int, requests: int) -> list[Compared]:
    """Compare each request one at a time and side by side."""
    with running(Server(rate=10**9, per=1.0)) as base_url:
        async with _pairs(base_url) as pairs:
            return [
                await _compare(pair, side_by_side, rounds, requests)
                for side_by_side in (1, SIDE_BY_SIDE)
                for pair in pairs
            ]


def report(*, quick: bool) -> list[Target]:
    """Print the tables; return the targets."""
    rounds, requests = (80, 24) if quick else (300, 24)
    tables.heading(
        "overhead",
        "CPU (process_time) for each request through AsyncExotel, against bare httpx and "
        "response.json() with the same",
        "path, headers, Basic auth, timeouts and pool, both on one emulator in another process; "
        f"{SIDE_BY_SIDE} side by side:",
        "against httpx inside asyncio.shield(asyncio.create_task(...)). The SDK's budget never "
        "makes it wait.",
        f"Runs: {rounds} rounds of {requests} requests each, SDK and httpx in turn; "
        "median (least-most); the ratio is that of the rounds.",
    )
    compared = asyncio.run(measure(rounds, requests))
    tables.table(
        "CPU for each request, µs",
        ("request", "side by side", "SDK", "bare httpx", "ratio"),
        [
            (c.name, str(c.side_by_side), c.sdk.show(".0f"), c.bare.show(".0f"), c.ratio.show())
            for c in compared
        ],
    )
    return [
        Target(
            f"CPU of {c.name}, {'one at a time' if c.side_by_side == 1 else '8 side by side'}",
            f"{c.ratio.median:.2f} of httpx",
            f"at most {MOST_CPU}",
            c.ratio.median <= MOST_CPU,
        )
        for c in compared
    ]


@asynccontextmanager
async def _pairs(base_url: str) -> AsyncIterator[Sequence[Pair]]:
    timeouts = Timeouts()
    account = f"{base_url}/v1/Accounts/{ACCOUNT}"
    async with (
        AsyncExotel(
            account_sid=ACCOUNT,
            api_key=KEY,
            api_token=TOKEN,
            base_url=base_url,
            rate_limit=_NO_LIMIT,
            max_in_flight=_IN_FLIGHT,
        ) as exotel,
        httpx.AsyncClient(
            auth=httpx.BasicAuth(KEY, TOKEN),
            headers={"User-Agent": f"exotel-async/{__version__}", "Accept": "application/json"},
            timeout=httpx.Timeout(
                connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=None
            ),
            limits=httpx.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
            ),
        ) as client,
    ):
        call = await exotel.calls.connect(_FROM, _TO, caller_id=EXOPHONE)
        form = {"From": _FROM, "To": _TO, "CallerId": EXOPHONE}

        async def bare_get() -> Any:
            return (await client.get(f"{account}/Calls/{call.sid}.json")).json()

        async def bare_connect() -> Any:
            return (await client.post(f"{account}/Calls/connect.json", data=form)).json()

        yield (
            Pair("calls.get", partial(exotel.calls.get, call.sid), bare_get),
            Pair(
                "calls.connect",
                partial(exotel.calls.connect, _FROM, _TO, caller_id=EXOPHONE),
                bare_connect,
            ),
        )


async def _compare(pair: Pair, side_by_side: int, rounds: int, requests: int) -> Compared:
    bare = pair.bare if side_by_side == 1 else partial(_shielded, pair.bare)
    for ask in (pair.sdk, bare):
        await _cpu(ask, side_by_side, requests)  # connections, caches
    sdk_took: list[float] = []
    bare_took: list[float] = []
    for number in range(rounds):
        # Each goes first in every other round.
        order = [(pair.sdk, sdk_took), (bare, bare_took)][:: 1 if number % 2 else -1]
        gc.collect()
        for ask, took in order:
            took.append(await _cpu(ask, side_by_side, requests))
    return Compared(
        pair.name,
        side_by_side,
        Spread.of(sdk_took),
        Spread.of(bare_took),
        Spread.of([sdk / bare for sdk, bare in zip(sdk_took, bare_took, strict=True)]),
    )


async def _shielded(ask: Callable[[], Awaitable[object]]) -> object:
    async def exchange() -> object:
        return await ask()

    return await asyncio.shield(asyncio.create_task(exchange()))


async def _cpu(ask: Callable[[], Awaitable[object]], side_by_side: int, requests: int) -> float:
    """Return the microseconds of CPU for one of the requests."""

    async def worker() -> None:
        for _ in range(requests // side_by_side):
            await ask()

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(side_by_side)))
    return (time.process_time() - began) / (requests // side_by_side * side_by_side) * 1e6
