"""Bare httpx against the same emulators: what one writes without the SDK."""

from __future__ import annotations

import asyncio
import enum
import random
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import httpx
from aiolimiter import AsyncLimiter
from attrs import frozen

from benchmarks import others
from benchmarks.server import ACCOUNT, KEY, TOKEN, refused_so_far, running
from benchmarks.traffic import MINUTE, RATE, Sent, steady
from exotel_async import Priority

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.others import Take
    from benchmarks.traffic import Kind, Steady

PATIENCE: Final = 3.0
_CONNECTIONS: Final = 72
_TIMEOUT: Final = httpx.Timeout(30, pool=None)
# b + 60 r = 200: no window can see more, at 95 % of the budget.
_SAFE_BURST, _SAFE_PER = 10, 3.158


class Way(enum.Enum):
    """What keeps to the budget."""

    LIMITER = "AsyncLimiter(200, {per:g})"
    SAFE_LIMITER = "AsyncLimiter(10, {safe_per:.3g})"
    LIMITS = "limits, moving window, polling"
    PYRATE = "pyrate-limiter, in memory"
    RETRY_ONLY = "retry on 429 only"

    def label(self, per: float) -> str:
        """Name it as it is written for that window."""
        return self.value.format(per=per, safe_per=_SAFE_PER * per / MINUTE)

    def take(self, per: float, stack: AsyncExitStack) -> Take | None:
        """Return what lets one request go, if there is a limiter."""
        match self:
            case Way.LIMITER:
                return AsyncLimiter(RATE, per).acquire
            case Way.SAFE_LIMITER:
                return AsyncLimiter(_SAFE_BURST, _SAFE_PER * per / MINUTE).acquire
            case Way.LIMITS:
                return others.in_line(others.limits_polled(per))
            case Way.PYRATE:
                return others.pyrate(per, stack)
            case Way.RETRY_ONLY:
                return None


@frozen
class Case:
    """So many requests against one emulator in one of the ways."""

    kind: Kind
    per: float
    way: Way
    requests: int


@frozen
class BatchResult:
    """How a batch of requests went.

    Attributes:
        refused: answers 429.
        done: requests that got through.
        of_ideal: the time it took, by the ideal one.
    """

    refused: int
    done: int
    of_ideal: float


@frozen
class Ended(BatchResult):
    """How it went in one of the ways.

    Attributes:
        steady: the rate in the middle of it.
        stopped: whether it was stopped for taking too long.
    """

    steady: Steady
    stopped: bool

    def show(self, ceiling: float) -> str:
        """Return it for a cell.

        Args:
            ceiling: L. Not by its own responses: a burst makes them queue for connections.
        """
        rate = f"{self.steady.rate / ceiling:.1%}" if self.steady.windows else "-"
        end = f"stopped, {self.done:,} done" if self.stopped else f"{self.of_ideal:.2f}"
        return f"{self.refused:,} / {rate} / {end}"


def number(index: int) -> str:
    """Return an Indian phone number, another one for each index."""
    return f"09{800_000_000 + index}"


@frozen
class Sender:
    """Sends lookups in one of the ways, and keeps what it has sent."""

    per: float
    _client: httpx.AsyncClient
    _take: Take | None
    sent: list[Sent]

    async def lookup(self, phone: str) -> None:
        """Send one until it is not refused."""
        time = asyncio.get_running_loop().time
        asked, refusals = time(), 0
        url = f"/v1/Accounts/{ACCOUNT}/Numbers/{phone}.json"
        while True:
            if self._take is not None:
                await self._take()
            record = Sent(Priority.BULK, asked, time())
            response = await self._client.get(url)
            record.finished, record.status = time(), response.status_code
            self.sent.append(record)
            if response.status_code != 429:
                return
            most = min(MINUTE, 2.0**refusals) * self.per / MINUTE
            refusals += 1
            await asyncio.sleep(random.uniform(0, most))


@asynccontextmanager
async def opened(way: Way, per: float, base_url: str) -> AsyncIterator[Sender]:
    """Open a client that sends in one of the ways."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=base_url,
                auth=(KEY, TOKEN),
                limits=httpx.Limits(
                    max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
                ),
                timeout=_TIMEOUT,
            )
        )
        yield Sender(per, client, way.take(per, stack), [])


def run(case: Case) -> Ended:
    """Measure one case."""
    with running(case.kind.server(case.per, seed=0)) as base_url:
        return asyncio.run(_run(case, base_url))


async def _run(case: Case, base_url: str) -> Ended:
    loop = asyncio.get_running_loop()
    ideal = case.requests / RATE * case.per
    async with opened(case.way, case.per, base_url) as sender:
        began = loop.time()
        tasks = [
            asyncio.create_task(sender.lookup(number(index))) for index in range(case.requests)
        ]
        _, late = await asyncio.wait(tasks, timeout=PATIENCE * ideal)
        took = loop.time() - began
        refused = await refused_so_far(base_url)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Ended(
        refused,
        case.requests - len(late),
        took / ideal,
        steady(sender.sent, case.per),
        bool(late),
    )
