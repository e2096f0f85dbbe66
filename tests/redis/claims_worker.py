"""A process that serves webhooks, as one of several workers that share a store of claims."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

import uvicorn

from exotel_async.redis import ValkeyClaims
from exotel_async.webhooks import ExotelWebhooks, StatusCallback, handlers

HANGS = "hangs"
"""The custom field of a call whose event is handled for as long as the process lives."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--valkey", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--event-timeout", type=float, required=True)
    parser.add_argument("--lease-more", type=float, required=True)
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    handlers._LEASE_MARGIN = options.lease_more  # type: ignore[misc]
    asyncio.run(serve(options))


def noting(path: Path) -> Callable[[str, StatusCallback], None]:
    """Writes lines that come whole, though several processes write."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(word: str, event: StatusCallback) -> None:
        os.write(file, f"{word} {os.getpid()} {event.sid}\n".encode())

    return note


async def serve(options: argparse.Namespace) -> None:
    note = noting(options.log)
    async with ValkeyClaims(options.valkey, name="shop") as claims:
        hooks = ExotelWebhooks(options.secret, claims=claims, event_timeout=options.event_timeout)

        @hooks.status_callback
        async def handle(event: StatusCallback) -> None:
            note("begins", event)
            if event.custom_field == HANGS and not options.log.with_suffix(".killed").exists():
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            note("handled", event)

        config = uvicorn.Config(hooks, port=options.port, log_config=None, access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    main()
