"""Requests on their way: when each asked, was let go and was answered, and the rate they make."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from attrs import define, frozen

from benchmarks.server import Server
from exotel_async import Permit, Priority, RateLimit, TokenBucket
from exotel_async.emulator import RateWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exotel_async import LimiterStatistics, RequestOutcome

RATE: Final = 200
MINUTE: Final = 60.0
SIDE_BY_SIDE: Final = 6
"""Load generators at the same time, each with its own emulator: they mostly wait."""

_PERMITS: Final = RATE - 1


@frozen
class Kind:
    """One way in which the service may count."""

    name: str
    window: RateWindow
    count_refusals: bool = False

    def server(
        self,
        per: float,
        seed: int,
        *,
        retry_after: bool = False,
        response_scale: float | None = None,
    ) -> Server:
        """Describe an emulator that counts so, its response times scaled with its window."""
        return Server(
            window=self.window,
            count_refusals=self.count_refusals,
            rate=RATE,
            per=per,
            retry_after="exact" if retry_after else None,
            response_scale=per / MINUTE if response_scale is None else response_scale,
            seed=seed,
        )


COUNTER: Final = Kind("sliding counter", RateWindow.SLIDING_COUNTER)
LOG: Final = Kind("sliding log", RateWindow.SLIDING_LOG)
KINDS: Final = (
    Kind("fixed", RateWindow.FIXED),
    LOG,
    Kind("sliding log, refusals count", RateWindow.SLIDING_LOG, count_refusals=True),
    COUNTER,
    Kind("token bucket 200", RateWindow.TOKEN_BUCKET),
    Kind("leaky, burst 20", RateWindow.LEAKY),
)


@define
class Sent:
    """One request: when it asked, was let go, and had its answer."""

    priority: Priority
    asked: float
    granted: float | None = None
    finished: float | None = None
    status: int | None = None


class Recorder:
    """The SDK's limiter, with every request that passes written down."""

    def __init__(self, rate: RateLimit, *, fifo: bool = False) -> None:
        """Make it; `fifo` lets all wait in one line."""
        self._bucket = TokenBucket(rate)
        self._fifo = fifo
        self.sent: list[Sent] = []

    async def acquire(
        self,
        priority: Priority = Priority.INTERACTIVE,
        max_wait: float | None = None,
        *,
        retry: bool = False,
    ) -> Permit:
        """Wait for leave to send one request."""
        loop = asyncio.get_running_loop()
        sent = Sent(priority, loop.time())
        self.sent.append(sent)
        line = Priority.BULK if self._fifo else priority
        permit = await self._bucket.acquire(line, max_wait, retry=retry)
        sent.granted = loop.time()
        return _Recorded(permit, sent)

    def statistics(self) -> LimiterStatistics:
        """Return what the limiter is doing at this moment."""
        return self._bucket.statistics()


@frozen
class _Recorded:
    _permit: Permit
    _sent: Sent

    def finish(self, outcome: RequestOutcome) -> None:
        self._sent.finished = asyncio.get_running_loop().time()
        self._sent.status = outcome.status
        self._permit.finish(outcome)

    def release(self) -> None:
        self._permit.release()


@frozen
class Steady:
    """What came through in whole windows, the first one left out.

    Attributes:
        windows: how many there were; 0: too few requests to tell.
        response: mean seconds from grant to answer.
        rate: accepted requests a second.
        ceiling: L = 199 / (W + mean response).
    """

    windows: int
    response: float
    rate: float
    ceiling: float

    @property
    def of_ceiling(self) -> float:
        """The rate as a part of L."""
        return self.rate / self.ceiling


def steady(sent: Sequence[Sent], per: float) -> Steady:
    """Count what was accepted, by the moment it was let go."""
    done = [
        (one.granted, one.finished - one.granted)
        for one in sent
        if one.granted is not None and one.finished is not None and one.status == 200
    ]
    first, last = min(done)[0], max(done)[0]
    windows = max(0, int((last - first) / per) - 1)
    inside = sum(per <= granted - first < (windows + 1) * per for granted, _ in done)
    response = sum(took for _, took in done) / len(done)
    return Steady(
        windows, response, inside / (windows * per) if windows else 0.0, _PERMITS / (per + response)
    )
