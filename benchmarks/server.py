"""The emulator as a server under load, with the response times of the internet."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

import httpx
from attrs import frozen

from benchmarks import child
from exotel_async.emulator import Emulator, RateWindow

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
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


def running(server: Server) -> AbstractContextManager[str]:
    """Run the emulator in a child process. Gives its base URL."""
    return child.running(_emulator, _base_url, server)


async def refused_so_far(base_url: str) -> int:
    """Ask the emulator how many requests it has answered 429."""
    async with httpx.AsyncClient(trust_env=False) as client:
        statistics = (await client.get(f"{base_url}/_emulator/statistics")).json()
    return int(statistics["refused"])


def _latency(server: Server) -> Latency | None:
    if server.response_scale is not None:
        return partial(response_time, server.response_scale)
    return (lambda _: (server.response, 0.0)) if server.response else None


def _emulator(server: Server) -> Emulator:
    return Emulator(
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


def _base_url(_: Server, ready: Emulator) -> str:
    return ready.base_url
