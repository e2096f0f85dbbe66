"""A ledger whose answers the test writes, and a limiter that talks to it.

The budget is 60 a minute, one token a second, and the time is virtual.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import redis

from exotel_async import Priority, RateLimit
from exotel_async.limiter.protocol import Permit
from exotel_async.redis import SharedTokenBucket
from tests.redis.virtual import VirtualServer, held

RATE = RateLimit(60, per=60)
EPOCH = "first:1"
OPEN = {"epoch": 0, "row": 0, "state": "open", "left": 0}
ACCOUNT = {
    "processes": {},
    "permits": 59,
    "used": 0,
    "interactive": 0,
    "bulk": 0,
    "paused": 0,
    "opens": 0,
    "learned": 0,
}
ANSWER = {
    "epoch": EPOCH,
    "pace": 0,
    "burst": 0,
    "ahead": 0,
    "charge": 0,
    "more": False,
    "again": -1,
    "give": 0,
    "short": 0,
    "hurry": False,
    "contended": False,
    "gate": OPEN,
    "strict": False,
    "learned": 0,
    "processes": 1,
    "account": ACCOUNT,
}


def seconds(number: float) -> int:
    """So many, as they go over the wire."""
    return round(number * 1e6)


class ScriptedLedger(VirtualServer):
    """A server whose ledger answers as the test has written."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self.said: list[dict[str, Any]] = []
        """What it was told."""
        self.answer: dict[str, Any] = dict(ANSWER)
        self.once: dict[str, Any] = {}
        """What is different in the next answer."""
        self.grants: Sequence[float] = ()
        """In how many seconds the permits of the next answer are free."""

    def run_script(self, key: str, text: str) -> str:
        message = json.loads(text)
        self.said.append(message)
        grants, self.grants = self.grants, ()
        numbers = {
            "seq": message["seq"],
            "held": message["held"] + len(grants),
            "waiting": message["interactive"],
        }
        once, self.once = self.once, {}
        return json.dumps(
            self.answer | numbers | {"granted": [seconds(left) for left in grants]} | once
        )

    def tell(self, **news: Any) -> None:
        """Tell everybody something."""
        self.publish(json.dumps({"epoch": EPOCH, "hurry": False} | news))

    async def with_permits(self, number: int, **options: Any) -> SharedTokenBucket:
        """A limiter that holds so many, of which nothing was said yet."""
        self.grants = [0.0] * number
        limiter = await self.opened(options.pop("rate", RATE), **options)
        assert held(limiter) == number
        self.said.clear()
        return limiter


Play = Callable[[Callable[[ScriptedLedger], Awaitable[None]]], None]


class Waiting:
    """Requests that wait, or have got through."""

    def __init__(self, limiter: SharedTokenBucket, number: int, priority: Priority) -> None:
        self._tasks = [asyncio.create_task(limiter.acquire(priority)) for _ in range(number)]

    @property
    def granted(self) -> list[Permit]:
        return [task.result() for task in self._tasks if task.done()]

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
