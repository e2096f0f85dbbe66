"""A budget that is shared with other processes, as far as a command has to speak of it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from exotel_async import AsyncExotel, TokenBucket
from exotel_async.cli.terminal import drawing, note, whoever_listens

if TYPE_CHECKING:
    from exotel_async.redis import SharedTokenBucket


def shared_limiter(exotel: AsyncExotel) -> SharedTokenBucket | None:
    """Return a session's limiter if its budget is shared; None: it is this process's own."""
    limiter = exotel.limiter
    if isinstance(limiter, TokenBucket):
        return None
    from exotel_async.redis import SharedTokenBucket  # noqa: PLC0415 - it needs an extra

    return limiter if isinstance(limiter, SharedTokenBucket) else None


async def cleared(exotel: AsyncExotel) -> str:
    """End the account's pause, and say what there was to end.

    Raises:
        LimiterUnavailable: the server of the shared budget cannot be reached.
        ConfigurationError: it cannot be used.
    """
    limiter = shared_limiter(exotel)
    if limiter is None:
        return "no pause to clear: EXOTEL_RATE_LIMIT_URL is not set, and no budget is shared"
    left = await limiter.clear_pause()
    if left <= 0:
        return "no pause to clear: the account's requests do not pause"
    until = clock(datetime.now(UTC) + timedelta(seconds=left))
    return f"cleared: the account's requests were to pause for {left:.0f} s more, until {until}"


def clock(moment: datetime) -> str:
    """Write a moment with its zone."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@asynccontextmanager
async def telling_of_outages(exotel: AsyncExotel) -> AsyncIterator[None]:
    """Say so, while the block runs, when requests begin to wait for the server of the budget."""
    limiter = shared_limiter(exotel)
    if limiter is None:
        yield
        return
    told = False

    def look() -> None:
        nonlocal told
        now = limiter.statistics()
        waiting = now.waiting_interactive + now.waiting_bulk > 0
        # One failure may be a server that restarts, and nobody waits while there is a lease.
        waits = waiting and not now.in_contact and now.round_trips > 1 and now.valid_for <= 0
        if waits and not told:
            with whoever_listens(sys.stderr):
                note(
                    "The server in EXOTEL_RATE_LIMIT_URL cannot be reached. "
                    "Requests wait for it, half a minute at most."
                )
        told = waits

    async with drawing(look, every=0.25):
        yield
