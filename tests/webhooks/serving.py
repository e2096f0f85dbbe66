"""An ASGI application on a real socket, by uvicorn, as it is served to Exotel."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import httpx
import uvicorn

from exotel_async.emulator.server import bind
from exotel_async.webhooks import ExotelWebhooks
from tests.conftest import SOON, TLS

SECRET = "correct-horse-battery-staple"
OTHER = "another-secret-that-is-long"


class _Server(uvicorn.Server):
    """One that leaves signals to the test run, and looks sooner whether it is to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        while not self.should_exit:
            await asyncio.sleep(0.005)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Do as uvicorn does, which sleeps for 0.1 s each time it looks whether all have left."""
        if self.config.timeout_graceful_shutdown is not None:
            await super().shutdown(sockets)
            return
        for listener in [*self.servers, *(sockets or ())]:
            listener.close()
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        while state.connections or state.tasks:
            await asyncio.sleep(0.005)
        await self.lifespan.shutdown()


@attrs.frozen
class Served:
    """A server, and a client of it."""

    url: str
    """Without a path."""
    client: httpx.AsyncClient
    server: uvicorn.Server

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parsed = httpx.URL(self.url)
        return parsed.host, parsed.port or 80

    async def raw(self, request: bytes, *, seconds: float = SOON) -> bytes:
        """Send bytes on a connection of their own; what comes back until it ends."""
        reader, writer = await asyncio.open_connection(*self.address)
        try:
            async with asyncio.timeout(seconds):
                with contextlib.suppress(ConnectionError):
                    writer.write(request)
                    await writer.drain()
                return await reader.read()
        finally:
            writer.close()


def reserve() -> tuple[socket.socket, str]:
    """A place to serve at, and its URL: for those who must tell it before they serve."""
    bound = bind("127.0.0.1", 0)
    return bound, f"http://127.0.0.1:{bound.getsockname()[1]}"


@asynccontextmanager
async def serving(
    app: Any, *, bound: socket.socket | None = None, **options: Any
) -> AsyncIterator[Served]:
    """Serve an application."""
    bound = bound or reserve()[0]
    # Older versions of uvicorn take WebSockets by a module that warns of its deprecation.
    usual = {"log_config": None, "access_log": False, "proxy_headers": False, "ws": "none"}
    config = uvicorn.Config(app, **(usual | options))
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    try:
        async with asyncio.timeout(SOON):
            while not server.started:
                assert not task.done(), "it did not start"
                await asyncio.sleep(0.005)
        async with httpx.AsyncClient(base_url=url, trust_env=False, verify=TLS) as client:
            yield Served(url, client, server)
    finally:
        server.should_exit = True
        await task


def new_hooks(**options: Any) -> ExotelWebhooks:
    """An application without handlers."""
    settings: dict[str, Any] = {"base_url": "https://app.example/exotel"}
    return ExotelWebhooks(options.pop("secret", SECRET), **(settings | options))


def path(kind: str, name: str | None = None, *, secret: str = SECRET) -> str:
    """The path of a handler of an application that is served at the root."""
    return f"/{secret}/{kind}" if name is None else f"/{secret}/{kind}/{name}"
