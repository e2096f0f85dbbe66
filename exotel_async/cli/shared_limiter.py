"""What commands report about a budget that is shared with other processes."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from exotel_async import AsyncExotel, RateLimiter, TokenBucket
from exotel_async.cli.terminal import drawing, ignoring_lost_output, note

if TYPE_CHECKING:
    from exotel_async.redis import SharedTokenBucket


def shared_limiter(exotel: AsyncExotel) -> SharedTokenBucket | None:
    """Return a session's limiter if it shares its budget with other processes, else None."""
    return _if_shared(exotel.limiter)


def _if_shared(limiter: RateLimiter) -> SharedTokenBucket | None:
    if isinstance(limiter, TokenBucket):
        return None
    from exotel_async.redis import SharedTokenBucket  # noqa: PLC0415 - it needs an extra

    return limiter if isinstance(limiter, SharedTokenBucket) else None


async def clear_pauses(exotel: AsyncExotel) -> str:
    """End the pauses of the account's budgets (calls and ExoPhones); return a text that reports it.

    Raises:
        LimiterUnavailable: the server of the shared limiter cannot be reached.
        ConfigurationError: the server cannot be used.
    """
    budgets = {
        "the account's requests": shared_limiter(exotel),
        "the account's requests for ExoPhones": _if_shared(exotel.exophones.limiter),
    }
    shared = {name: limiter for name, limiter in budgets.items() if limiter is not None}
    if not shared:
        return "no pause to clear: EXOTEL_RATE_LIMIT_URL is not set, and no budget is shared"
    ended = []
    for requests, limiter in shared.items():
        left = await limiter.clear_pause()
        if left > 0:
            until = clock(datetime.now(UTC) + timedelta(seconds=left))
            ended.append(f"{requests} would have been paused for {left:.0f} s more, until {until}")
    if not ended:
        return "no pause to clear: the account's requests are not paused"
    return f"cleared: {'; '.join(ended)}"


def clock(moment: datetime) -> str:
    """Return a moment as text, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


@asynccontextmanager
async def reporting_outages(exotel: AsyncExotel) -> AsyncIterator[None]:
    """While the block runs, print a note when requests begin to wait for the limiter's server."""
    limiter = shared_limiter(exotel)
    if limiter is None:
        yield
        return
    noted = False

    def look() -> None:
        nonlocal noted
        now = limiter.statistics()
        waiting = now.waiting_interactive + now.waiting_bulk > 0
        # One failure may be a restart of the server; with a valid lease no request waits for it.
        waits = waiting and not now.in_contact and now.round_trips > 1 and now.valid_for <= 0
        if waits and not noted:
            with ignoring_lost_output(sys.stderr):
                note(
                    "The server in EXOTEL_RATE_LIMIT_URL cannot be reached. "
                    "Requests wait for it, half a minute at most."
                )
        noted = waits

    async with drawing(look, every=0.25):
        yield
