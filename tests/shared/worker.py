"""A process that sends as much as its limiter lets it, until it is killed or told to end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import time

from exotel_async import AsyncExotel, Priority, RateLimit, RateLimited
from exotel_async.redis import Fallback, SharedTokenBucket


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--valkey", required=True)
    parser.add_argument("--exotel", required=True)
    parser.add_argument("--limit", type=int, required=True)
    parser.add_argument("--per", type=float, required=True)
    parser.add_argument("--exchange", type=float, required=True)
    parser.add_argument("--fallback", type=float)
    parser.add_argument("--clock-off", type=float, default=0.0)
    options = parser.parse_args()
    if options.clock_off:
        right = time.time
        time.time = lambda: right() + options.clock_off
    asyncio.run(work(options))


async def work(options: argparse.Namespace) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with (
        SharedTokenBucket(
            options.valkey,
            RateLimit(options.limit, per=options.per),
            account="acme1",
            exchange=options.exchange,
            on_outage=Fallback(share=options.fallback) if options.fallback else None,
        ) as limiter,
        AsyncExotel(
            account_sid="acme1",
            api_key="emulator-key",
            api_token="emulator-token",
            base_url=options.exotel,
            rate_limit=limiter,
        ) as exotel,
    ):
        bulk = exotel.with_options(priority=Priority.BULK).numbers

        async def one() -> None:
            while not ended.is_set():
                with contextlib.suppress(RateLimited):
                    await bulk.lookup("+919812300001")

        workers = [asyncio.create_task(one()) for _ in range(32)]
        await ended.wait()
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


if __name__ == "__main__":
    main()
