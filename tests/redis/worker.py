"""A process that sends as much as its limiter lets it, until it is killed or told to end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time

from attrs import evolve

from exotel_async import (
    AsyncExotel,
    ConnectionFailed,
    Priority,
    RateLimit,
    RateLimited,
    RequestTimeout,
    Timeouts,
)
from exotel_async.redis import Fallback, SharedTokenBucket
from exotel_async.redis.messages import LeaseTerms


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--valkey", required=True)
    parser.add_argument("--exotel", required=True)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--per", type=float, required=True)
    parser.add_argument("--exchange", type=float, required=True)
    parser.add_argument("--settle", type=float, required=True)
    parser.add_argument("--fallback", type=float)
    parser.add_argument("--clock-off", type=float, default=0.0)
    options = parser.parse_args()
    if options.clock_off:
        right = time.time
        time.time = lambda: right() + options.clock_off
    settle_for(options.settle)
    asyncio.run(work(options))


def settle_for(seconds: float) -> None:
    """Have a new ledger wait that long, which a small `per` would have as short as it may be."""
    terms_of = LeaseTerms.of
    LeaseTerms.of = lambda rate, exchange: evolve(  # type: ignore[method-assign]
        terms_of(rate, exchange), settle=seconds
    )


async def work(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    longest = options.exchange
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with (
        SharedTokenBucket(
            options.valkey,
            RateLimit(options.limit, per=options.per),
            account="acme1",
            exchange=longest,
            on_outage=Fallback(share=options.fallback) if options.fallback else None,
        ) as limiter,
        AsyncExotel(
            account_sid="acme1",
            api_key="emulator-key",
            api_token="emulator-token",
            base_url=options.exotel,
            rate_limit=limiter,
            # Together no longer than what the limiter is told: a session would raise it.
            timeout=Timeouts(
                connect=0.2 * longest,
                read=0.2 * longest,
                write=0.2 * longest,
                exchange=0.8 * longest,
            ),
        ) as exotel,
    ):
        bulk = exotel.with_options(priority=Priority.BULK).numbers

        async def one() -> None:
            while not ended.is_set():
                # Beside others that are busy an answer may take longer than there is.
                with contextlib.suppress(RateLimited, RequestTimeout, ConnectionFailed):
                    await bulk.lookup("+919812300001")

        workers = [asyncio.create_task(one()) for _ in range(32)]
        await ended.wait()
        for worker in workers:
            worker.cancel()
        for outcome in await asyncio.gather(*workers, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
        hold = limiter._lease.terms.hold
        if abs(hold - longest - options.per) > 0.001:
            raise AssertionError(f"what the dead held is back after {hold} s")


if __name__ == "__main__":
    main()
