"""The emulator in a process of its own, so that its CPU is not the load generator's."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import signal
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import httpx
from attrs import frozen

from exotel_async.emulator import Emulator, RateWindow, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from random import Random

    Latency = Callable[[Random], tuple[float, float]]

ACCOUNT: Final = "acme1"
KEY: Final = "emulator-key"
TOKEN: Final = "emulator-token"
EXOPHONE: Final = "08030000000"

_STALLED: Final = 0.01  # of all requests
_STALL: Final = 2.0
_SHORTEST, _LONGEST = 0.02, 0.4
_MEDIAN, _SIGMA = 0.09, 0.6


@frozen(kw_only=True)
class Server:
    """What the emulator is told; lengths in real seconds.

    Attributes:
        window: how it counts.
        count_refusals: whether what it refuses counts as well.
        rate: requests for each `per`.
        per: W, the length of its window.
        retry_after: whether a 429 says when there is room again.
        response_scale: the length of a response is drawn for a minute's window and multiplied by
            this.
        response: the length of every response instead; 0: it answers as fast as it can.
        seed: of the response times.
    """

    window: RateWindow = RateWindow.SLIDING_LOG
    count_refusals: bool = False
    rate: int = 200
    per: float = 60.0
    retry_after: Literal["exact"] | None = None
    response_scale: float | None = None
    response: float = 0.0
    seed: int = 0


def response_time(scale: float, random: Random) -> tuple[float, float]:
    """Draw one response time: log-normal, 20 to 400 ms, one in a hundred stalled for 2 s.

    The request reaches the service at any moment of it: returned are the way in and the way out.
    """
    if random.random() < _STALLED:
        whole = _STALL
    else:
        drawn = random.lognormvariate(math.log(_MEDIAN), _SIGMA)
        whole = min(_LONGEST, max(_SHORTEST, drawn))
    way_in = random.random() * whole
    return way_in * scale, (whole - way_in) * scale


@contextmanager
def running(server: Server) -> Iterator[str]:
    """Run the emulator in a child process. Yields its base URL."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(server, there))
    child.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        child.join()


async def refused_so_far(base_url: str) -> int:
    """Ask the emulator how many requests it has answered 429."""
    async with httpx.AsyncClient(trust_env=False) as client:
        statistics = (await client.get(f"{base_url}/_emulator/statistics")).json()
    return int(statistics["refused"])


def _latency(server: Server) -> Latency | None:
    if server.response_scale is not None:
        return partial(response_time, server.response_scale)
    return (lambda _: (server.response, 0.0)) if server.response else None


def _child(server: Server, parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its parent
    asyncio.run(_serve(server, parent))


async def _serve(server: Server, parent: Connection) -> None:
    emulator = Emulator(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        exophones=(EXOPHONE,),
        window=server.window,
        count_refusals=server.count_refusals,
        rate=server.rate,
        per=server.per,
        retry_after=server.retry_after,
        seed=server.seed,
        latency=_latency(server),
    )
    serving = asyncio.create_task(
        serve(emulator, on_ready=lambda ready: parent.send(ready.base_url))
    )
    # Readable means that the other end is closed, be it by its process's death.
    asyncio.get_running_loop().add_reader(parent.fileno(), serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()
