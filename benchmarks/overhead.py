"""What the SDK costs over bare httpx, and by httpx2: CPU for each request, or what shares one."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx
import httpx2
from attrs import frozen

from benchmarks import tables
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from benchmarks.switchboard import Open, Switchboard, opened
from benchmarks.tables import Spread, Target
from exotel_async import AsyncExotel, RateLimit, Timeouts, __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from types import ModuleType

MAX_CPU: Final = 1.25
MAX_REQUESTS: Final = 0.2
SIDE_BY_SIDE: Final = 8

_FROM, _TO = "09810000001", "09810000002"
_IN_FLIGHT: Final = 64
_CONNECTIONS: Final = _IN_FLIGHT + 8  # as many as the session's own client has
# The budget is never used up: what is measured is the work for a request, not the wait.
_NO_LIMIT: Final = RateLimit(10**6, per=1, burst=10**4)


@frozen
class Pair:
    """The same in two ways.

    Attributes:
        name: what is done.
        side_by_side: how many times at once.
        ask: does it once, through the SDK.
        against: does it once in the other way.
        sent: how many requests `ask` has sent so far.
    """

    name: str
    side_by_side: int
    ask: Callable[[], Awaitable[object]]
    against: Callable[[], Awaitable[object]]
    sent: Callable[[], int]


@frozen
class Compared:
    """One pair: CPU for each time it is done, in microseconds, and requests of the first way."""

    name: str
    side_by_side: int
    cpu: Spread
    against: Spread
    ratio: Spread
    requests: float


async def measure(rounds: int, requests: int) -> tuple[list[Compared], list[Compared]]:
    """Compare each pair: the SDK with bare httpx, and by httpx2 with by httpx."""
    with opened(Switchboard(over=SIDE_BY_SIDE, rate=10**9, per=1.0)) as emulator:
        async with _pairs(emulator) as pairs:
            bare = [await _compare(pair, rounds, requests) for pair in pairs]
        async with _libraries(emulator) as pairs:
            return bare, [await _compare(pair, rounds, requests) for pair in pairs]


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
        "makes it wait. One",
        f"get is for a call in progress; {SIDE_BY_SIDE} are for completed calls, and may share "
        "requests.",
        f"Runs: {rounds} rounds of {requests} requests each, SDK and httpx in turn; "
        "median (least-most); the ratio is that of the rounds.",
    )
    compared, libraries = asyncio.run(measure(rounds, requests))
    tables.table(
        "CPU for each, µs",
        ("what", "side by side", "SDK", "bare httpx", "ratio", "requests of the SDK"),
        [
            (
                c.name,
                str(c.side_by_side),
                c.cpu.show(".0f"),
                c.against.show(".0f"),
                c.ratio.show(),
                f"{c.requests:.2f}",
            )
            for c in compared
        ],
    )
    tables.table(
        "CPU for each, µs, by httpx2 and by httpx, in turn: through the SDK, and bare",
        ("what", "side by side", "httpx2", "httpx", "ratio"),
        [
            (
                c.name,
                str(c.side_by_side),
                c.cpu.show(".0f"),
                c.against.show(".0f"),
                c.ratio.show(),
            )
            for c in libraries
        ],
    )
    shared = compared[2]
    return [
        Target(
            f"requests of {shared.name}, {SIDE_BY_SIDE} side by side",
            f"{shared.requests:.2f} each",
            f"at most {MAX_REQUESTS}",
            shared.requests <= MAX_REQUESTS,
        ),
        *(
            Target(
                f"CPU of {c.name}, {'one at a time' if c.side_by_side == 1 else '8 side by side'}",
                f"{c.ratio.median:.2f} of httpx",
                f"at most {MAX_CPU}",
                c.ratio.median <= MAX_CPU,
            )
            for c in compared
        ),
    ]


@asynccontextmanager
async def sessions(base_url: str) -> AsyncIterator[tuple[AsyncExotel, httpx.AsyncClient]]:
    """Open a session of the SDK and a client of httpx with the same settings."""
    async with _session(base_url, "httpx") as exotel, _client(httpx) as client:
        yield exotel, client


def _session(base_url: str, library: Literal["httpx", "httpx2"]) -> AsyncExotel:
    return AsyncExotel(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        base_url=base_url,
        rate_limit=_NO_LIMIT,
        max_in_flight=_IN_FLIGHT,
        http_client=library,
    )


def _client(library: ModuleType) -> Any:
    timeouts = Timeouts()
    return library.AsyncClient(
        auth=library.BasicAuth(KEY, TOKEN),
        headers={"User-Agent": f"exotel-async/{__version__}", "Accept": "application/json"},
        timeout=library.Timeout(
            connect=timeouts.connect, read=timeouts.read, write=timeouts.write, pool=None
        ),
        limits=library.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
    )


@asynccontextmanager
async def _pairs(emulator: Open) -> AsyncIterator[Sequence[Pair]]:
    account = f"{emulator.base_url}/v1/Accounts/{ACCOUNT}"
    async with sessions(emulator.base_url) as (exotel, client):
        call = await exotel.calls.connect(_FROM, _TO, caller_id=EXOPHONE)
        over, bare_over = cycle(emulator.over), cycle(emulator.over)
        form = {"From": _FROM, "To": _TO, "CallerId": EXOPHONE}

        async def bare_get(sid: str) -> Any:
            return (await client.get(f"{account}/Calls/{sid}.json")).json()

        async def get_over() -> Any:
            return await exotel.calls.get(next(over))

        async def bare_get_over() -> Any:
            return await bare_get(next(bare_over))

        connect = partial(exotel.calls.connect, _FROM, _TO, caller_id=EXOPHONE)

        async def bare_connect() -> Any:
            return (await client.post(f"{account}/Calls/connect.json", data=form)).json()

        def sent() -> int:
            return exotel.limiter.statistics().granted

        get = partial(exotel.calls.get, call.sid)
        yield (
            Pair("calls.get", 1, get, partial(bare_get, call.sid), sent),
            Pair("calls.connect", 1, connect, bare_connect, sent),
            Pair("calls.get", SIDE_BY_SIDE, get_over, partial(_shielded, bare_get_over), sent),
            Pair("calls.connect", SIDE_BY_SIDE, connect, partial(_shielded, bare_connect), sent),
        )


@asynccontextmanager
async def _libraries(emulator: Open) -> AsyncIterator[Sequence[Pair]]:
    url = f"{emulator.base_url}/v1/Accounts/{ACCOUNT}/Calls/connect.json"
    form = {"From": _FROM, "To": _TO, "CallerId": EXOPHONE}
    async with (
        _session(emulator.base_url, "httpx2") as new,
        _session(emulator.base_url, "httpx") as old,
        _client(httpx2) as bare_new,
        _client(httpx) as bare_old,
    ):
        by_new, by_old = (
            partial(exotel.calls.connect, _FROM, _TO, caller_id=EXOPHONE) for exotel in (new, old)
        )

        async def bare(client: Any) -> Any:
            return (await client.post(url, data=form)).json()

        def sent() -> int:
            return new.limiter.statistics().granted

        yield [
            *(Pair("calls.connect", many, by_new, by_old, sent) for many in (1, _IN_FLIGHT)),
            *(
                Pair("bare POST", many, partial(bare, bare_new), partial(bare, bare_old), sent)
                for many in (1, _IN_FLIGHT)
            ),
        ]


async def _compare(pair: Pair, rounds: int, requests: int) -> Compared:
    side_by_side, requests = pair.side_by_side, max(requests, pair.side_by_side)
    for ask in (pair.ask, pair.against):
        await cpu(ask, side_by_side, requests)  # connections, caches
    took: list[float] = []
    against_took: list[float] = []
    sent = pair.sent()
    for number in range(rounds):
        # Each goes first in every other round.
        order = [(pair.ask, took), (pair.against, against_took)][:: 1 if number % 2 else -1]
        gc.collect()
        for ask, into in order:
            into.append(await cpu(ask, side_by_side, requests))
    return Compared(
        pair.name,
        side_by_side,
        Spread.of(took),
        Spread.of(against_took),
        Spread.of([one / other for one, other in zip(took, against_took, strict=True)]),
        (pair.sent() - sent) / (rounds * (requests // side_by_side * side_by_side)),
    )


async def _shielded(ask: Callable[[], Awaitable[object]]) -> object:
    async def exchange() -> object:
        return await ask()

    return await asyncio.shield(asyncio.create_task(exchange()))


async def cpu(ask: Callable[[], Awaitable[object]], side_by_side: int, requests: int) -> float:
    """Return the microseconds of CPU for one of the requests."""

    async def worker() -> None:
        for _ in range(requests // side_by_side):
            await ask()

    began = time.process_time()
    await asyncio.gather(*(worker() for _ in range(side_by_side)))
    return (time.process_time() - began) / (requests // side_by_side * side_by_side) * 1e6
