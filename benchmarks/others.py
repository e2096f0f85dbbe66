"""Limiters of other libraries, as one writes them around a request.

The libraries are in the extra `bench`, and imported when one of them is asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks.server import ACCOUNT
from benchmarks.traffic import RATE

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from limits.aio.storage import Storage

Take: TypeAlias = Callable[[], Awaitable[object]]
"""Returns when one request may go."""

_POLLS: Final = 0.5  # token intervals between two tries of who has to try again


def limits_polled(per: float, storage: Storage | None = None) -> Take:
    """Ask the moving window of `limits` until it says yes; by default it is kept in memory."""
    from limits import RateLimitItemPerSecond  # noqa: PLC0415
    from limits.aio.storage import MemoryStorage  # noqa: PLC0415
    from limits.aio.strategies import MovingWindowRateLimiter  # noqa: PLC0415

    limiter = MovingWindowRateLimiter(storage or MemoryStorage())
    budget = RateLimitItemPerSecond(RATE, round(per))

    async def take() -> None:
        while not await limiter.hit(budget, ACCOUNT):  # noqa: ASYNC110 - it only says no
            await asyncio.sleep(per / RATE * _POLLS)

    return take


def in_line(take: Take) -> Take:
    """Let one task ask at a time, first come, first served: a thousand that poll are a herd."""
    one = asyncio.Lock()

    async def take_in_turn() -> None:
        async with one:
            await take()

    return take_in_turn


def pyrate(per: float, stack: AsyncExitStack) -> Take:
    """Wait for pyrate-limiter, which keeps its window in memory and its waiters in line."""
    from pyrate_limiter import Limiter, Rate  # noqa: PLC0415

    limiter = stack.enter_context(Limiter(Rate(RATE, round(per * 1000))))

    async def take() -> None:
        await limiter.try_acquire_async(ACCOUNT)

    return take
