"""A server that says what it is told to, to the byte, as no service that works would."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from exotel_async import AsyncExotel, RetryPolicy

GIVEN: dict[str, Any] = {"account_sid": "acme1", "api_key": "key-77aa", "api_token": "token-0f3a"}


def call(**fields: object) -> dict[str, object]:
    """Make the document of a call that was just placed."""
    known = {"Sid": "0a1b2c3d4e5f60718293a4b5c6d71a3j", "Status": "in-progress"}
    return {"Call": known | fields}


def answer(
    document: object = None, *, status: str = "200 OK", headers: str = "", body: bytes | None = None
) -> bytes:
    """Make a whole answer of HTTP/1.1."""
    content = json.dumps(document).encode() if body is None else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


@define
class Connection:
    """One connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes] = field(factory=list)
    """Head and body of each request."""

    async def request(self) -> bytes:
        """Read the next request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            (
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ),
            0,
        )
        whole = head + await self.reader.readexactly(length)
        self.requests.append(whole)
        return whole

    async def say(self, *what: bytes) -> None:
        """Send bytes, all in one write."""
        self.writer.write(b"".join(what))
        await self.writer.drain()


@define
class RawServer:
    """Where it is, and what has come."""

    url: str
    connections: list[Connection] = field(factory=list)

    @property
    def requests(self) -> list[bytes]:
        """All requests."""
        return [request for one in self.connections for request in one.requests]

    def session(self, **options: Any) -> AsyncExotel:
        """Make a session with it that tries again soon."""
        settings = GIVEN | {"base_url": self.url, "retry": RetryPolicy(backoff=0.01)}
        return AsyncExotel(**(settings | options))


CERTIFICATE: Final = Path(__file__).with_name("localhost.pem")
"""For localhost, with its key: it opens nothing but tests, and is valid till 2126."""


@asynccontextmanager
async def raw_server(
    serve: Callable[[Connection], Awaitable[object]], *, tls: bool = False
) -> AsyncIterator[RawServer]:
    """Serve each connection until it is closed."""
    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE)
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        connection = Connection(reader, writer)
        served.connections.append(connection)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await serve(connection)
        finally:
            tasks.discard(task)
            writer.close()

    async with await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        served = RawServer(f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}")
        try:
            yield served
        finally:
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
