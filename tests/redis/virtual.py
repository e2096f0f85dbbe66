"""A server of the shared limiter in virtual time: an hour of several processes takes none.

The ledger is the real script in a real Valkey, told the time instead of asking for it. What is
simulated is the way there: how long it takes, and whether there is one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
import redis
import redis.asyncio as aioredis

from exotel_async import Priority, RateLimit, RequestOutcome
from exotel_async.redis import SharedTokenBucket
from exotel_async.redis import messages as lease_messages
from exotel_async.redis.server import SCRIPT
from tests.support import virtual_time

WAY = 0.001
"""Seconds from a process to the server, and the same back."""

MOST = 100
"""Messages in a second: few processes with little to say never come near it."""

OK = RequestOutcome(status=200)
BULK, INTERACTIVE = Priority.BULK, Priority.INTERACTIVE

Run = Callable[[Callable[["VirtualServer"], Awaitable[None]]], None]


def now() -> float:
    return asyncio.get_running_loop().time()


async def send(limiter: SharedTokenBucket, priority: Priority = INTERACTIVE) -> float:
    """Send a request that is answered at once, and return how long it waited."""
    began = now()
    (await limiter.acquire(priority)).finish(OK)
    return now() - began


def held(limiter: SharedTokenBucket) -> int:
    return limiter.statistics().window_size


def at_a_time_of_ours(script: str) -> str:
    """The script, told the time and the server's run instead of asking for them."""
    changed = script.replace("redis.call('TIME')", "{ARGV[2], ARGV[3]}").replace(
        "string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')", "ARGV[4]"
    )
    assert changed.count("ARGV") == script.count("ARGV") + 3
    return changed


def told_to_us(script: str) -> str:
    """The script, leaving what it publishes in a list, and told how many listen."""
    changed = script.replace("redis.call('PUBLISH', KEYS[1], ", "redis.call('RPUSH', 'told', ")
    changed = changed.replace("redis.call('PUBSUB', 'NUMSUB', KEYS[1])[2]", "tonumber(ARGV[5])")
    assert changed.count("'told'") == script.count("'PUBLISH'")
    assert changed.count("ARGV") == script.count("ARGV") + 1
    return changed


class _Listener:
    """What a process hears of what is published."""

    def __init__(self, server: VirtualServer) -> None:
        self._server = server
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def subscribe(self, key: str) -> None:
        assert key.startswith("exotel_async:{acme1}:")
        self._server.subscribed.append(asyncio.get_running_loop().time())
        await self._server.pass_on_the_way()
        if self._server.forbids_to_listen:
            raise redis.exceptions.NoPermissionError("it is not let")
        await asyncio.sleep(self._server.begins_after)
        self._server.listeners.append(self)
        self.tell({"type": "subscribe", "data": 1})

    async def get_message(self, timeout: float) -> dict[str, Any] | None:
        try:
            async with asyncio.timeout(timeout):
                message = await self._heard.get()
        except TimeoutError:
            return None
        if message["type"] == "lost":
            raise redis.ConnectionError("the connection was lost")
        return message

    async def ping(self) -> None:
        await self._server.pass_on_the_way()
        if not self._server.is_deaf:
            self.tell({"type": "pong", "data": ""})

    async def aclose(self) -> None:
        if self in self._server.listeners:
            self._server.listeners.remove(self)

    def tell(self, message: dict[str, Any]) -> None:
        asyncio.get_running_loop().call_later(WAY, self._heard.put_nowait, message)


class _Pool(aioredis.ConnectionPool):
    """Its kind tells the limiter that connections are to be left to the client."""


class _Client(aioredis.Redis):
    """A client of one's own, as a limiter takes it."""

    def __init__(self, server: VirtualServer) -> None:
        super().__init__(connection_pool=_Pool(host="virtual"))
        self._server = server
        self.is_cut = False

    async def evalsha(self, sha: str, numkeys: int, *words: Any) -> str:
        self._server.tried.append(asyncio.get_running_loop().time())
        if self.is_cut:
            raise redis.ConnectionError("it is cut off")
        await self._server.pass_on_the_way()
        while self._server.is_slow:
            await asyncio.sleep(1)
        answer = self._server.says or self._server.run_script(*words)
        await asyncio.sleep(WAY)
        return answer

    def pubsub(self, **_: Any) -> Any:
        return _Listener(self._server)


class VirtualServer:
    """The server, and the processes that share a budget through it."""

    def __init__(self, client: redis.Redis) -> None:
        client.flushdb()
        self._client = client
        self._script = client.register_script(told_to_us(at_a_time_of_ours(SCRIPT)))
        self._run = "first"
        self._stack = AsyncExitStack()
        self._clients: dict[SharedTokenBucket, _Client] = {}
        self.is_down = False
        self.is_slow = False
        """Whether it does not answer for the time being."""
        self.says: str | None = None
        """What it answers instead of asking the ledger."""
        self.is_deaf = False
        """Whether it does not answer those that listen."""
        self.forbids_to_listen = False
        self.begins_after = 0.0
        """In how many seconds more those that listen hear that they do."""
        self.asked = 0
        """How often anybody has sent a message."""
        self.tried: list[float] = []
        """When anybody has tried to send one."""
        self.subscribed: list[float] = []
        """When anybody has tried to listen."""
        self._seconds: Counter[int] = Counter()
        self.listeners: list[_Listener] = []

    async def opened(self, rate: RateLimit, **options: Any) -> SharedTokenBucket:
        """A limiter as another process would have it, which is in contact."""
        return await self._stack.enter_async_context(self.made(rate, **options))

    def made(self, rate: RateLimit, **options: Any) -> SharedTokenBucket:
        """A limiter as another process would have it."""
        name = f"process {len(self._clients) + 1}"
        settings: dict[str, Any] = {"account": "acme1", "name": name, "exchange": 10.0}
        client = _Client(self)
        limiter = SharedTokenBucket(client, rate, **(settings | options))
        self._clients[limiter] = client
        return limiter

    def cut_off(self, limiter: SharedTokenBucket) -> None:
        """Have one of them reach it no more, as if it had been killed."""
        self._clients[limiter].is_cut = True

    def stop(self) -> None:
        """Have nobody reach it."""
        self.is_down = True
        for listener in self.listeners:
            listener.tell({"type": "lost"})
        self.listeners.clear()

    def start(self, *, data: str = "kept") -> None:
        """Have it reached again, as the same run with what it knew, or as another one."""
        self.is_down = False
        if data != "kept":
            self._run = f"run at {asyncio.get_running_loop().time()}"
            self._client.flushdb()

    def publish(self, message: object) -> None:
        """Have somebody say something to all of them."""
        for listener in self.listeners:
            listener.tell({"type": "message", "data": message})

    async def pass_on_the_way(self) -> None:
        await asyncio.sleep(WAY)
        if self.is_down:
            raise redis.ConnectionError("nobody is there")

    def run_script(self, key: str, text: str) -> str:
        self.asked += 1
        self._seconds[int(asyncio.get_running_loop().time())] += 1
        now = 1_000_000 + asyncio.get_running_loop().time()
        micro = int(now % 1 * 1_000_000)
        words: list[str | int] = [text, int(now), micro, self._run, len(self.listeners)]
        answer = self._script(keys=[key], args=words)
        for message in self._client.lrange("told", 0, -1):
            self.publish(message)
        self._client.delete("told")
        return str(answer, "utf-8") if isinstance(answer, bytes) else str(answer)

    async def aclose(self) -> None:
        await self._stack.aclose()
        assert max(self._seconds.values(), default=0) <= MOST, "they never stop talking"


def run(
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    main: Callable[[Any], Awaitable[None]],
    kind: type[VirtualServer] = VirtualServer,
) -> None:
    """Run something with a server, in virtual time, and close its limiters."""

    async def with_server() -> None:
        loop = asyncio.get_running_loop()
        clock = SimpleNamespace(monotonic=loop.time, clock_gettime=lambda _: loop.time())
        monkeypatch.setattr(lease_messages, "time", clock)
        server = kind(client)
        try:
            await main(server)
        finally:
            await server.aclose()
            monkeypatch.setattr(lease_messages, "time", time)

    virtual_time.run(with_server())
