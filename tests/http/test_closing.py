"""Closing a session that is cancelled meanwhile, again and again."""

from __future__ import annotations

import asyncio

import pytest

from exotel_async.http.closing import Lifetime


async def test_however_often_it_is_cancelled_it_ends_when_all_has_ended() -> None:
    ended: list[str] = []

    async def leave() -> None:
        await asyncio.sleep(0)
        ended.append("connections")

    async def exchange() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(10):  # its own clean-up takes a few turns of the loop
                await asyncio.sleep(0)
            ended.append("exchange")

    lifetime = Lifetime(set(), leave)
    lifetime.start(exchange())
    closing = asyncio.create_task(lifetime.aclose(grace=60))
    for _ in range(5):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert ended == ["exchange", "connections"]
