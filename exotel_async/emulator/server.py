"""The socket: uvicorn's HTTP/1.1 protocol in the running loop, without its server around it.

It is the one that reads with httptools: the other, in pure Python, is most of a request's CPU.

`uvicorn.Server` installs signal handlers, configures logging and takes its time to stop; a guest in
somebody's loop must do none of these.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    import ssl
    from asyncio import Server, Transport
    from collections.abc import Awaitable, Callable, Collection

_OFFER = re.compile(rb"\r\nUpgrade:", re.IGNORECASE)
_UNFINISHED = re.compile(rb"[\r\n]+\Z|\r[^\r]*\Z")
BACKLOG = 4096
KEEP_ALIVE = 75.0
"""Real seconds. Longer than any client's, so that it is the client who drops idle connections."""
TLS_SHUTDOWN_TIMEOUT = 1.0
"""Real seconds a client has for its half of the end of TLS; without it the connection is closed."""


class _State(ServerState):
    """What the connections of a listener share."""

    def __init__(self) -> None:
        super().__init__()
        self.accepting = False
        self.lost = asyncio.Event()
        """Set by each connection that ends."""


class _Protocol(HttpToolsProtocol):
    """Puts its transport where the app finds it, and writes no access log."""

    def __init__(self, config: Config, state: _State) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self.access_log = False
        self._state = state
        self._in_head = True
        self._held = b""
        """The last line of a head that has not all come: half a name, perhaps."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {"transport": transport}
        if not self._state.accepting:
            # It was accepted just before the listener closed.
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._state.lost.set()

    def data_received(self, data: bytes) -> None:
        super().data_received(self._without_offer(self._held + data) if self._in_head else data)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def _without_offer(self, data: bytes) -> bytes:
        """Of a request that offers another protocol, as Java's client does, httptools reads no
        body: that it does so is kept from it."""
        head, end, body = data.partition(b"\r\n\r\n")
        ready = head if end else _UNFINISHED.sub(b"", head)
        self._held = head[len(ready) :]
        return _OFFER.sub(b"\r\nIgnored:", ready) + end + body


class _TlsServer:
    """`loop.create_server(ssl=...)`, but for handshakes that never end: those can be ended, too."""

    def __init__(
        self, listening: socket.socket, context: ssl.SSLContext, new: Callable[[], _Protocol]
    ) -> None:
        self._socket = listening
        self._context = context
        self._new = new
        self._handshakes: dict[asyncio.Task[None], socket.socket] = {}
        self._socket.listen(BACKLOG)
        self._socket.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept())

    async def close(self) -> None:
        """Take no more connections, and close those whose handshake has not ended."""
        unfinished = list(self._handshakes.values())
        await _cancel([self._accepting, *self._handshakes])
        for connection in (self._socket, *unfinished):  # a task that had not begun has closed none
            connection.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError:  # it is gone already, or this process has too many open files
                await asyncio.sleep(0.1)
                continue
            task = loop.create_task(self._shake_hands(connection))
            self._handshakes[task] = connection
            task.add_done_callback(self._handshakes.pop)

    async def _shake_hands(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        # It raises where the client does not trust us, speaks no TLS, or has left.
        with contextlib.suppress(OSError):
            await loop.connect_accepted_socket(
                self._new, connection, ssl=self._context, ssl_shutdown_timeout=TLS_SHUTDOWN_TIMEOUT
            )


class Listener:
    """Serves an ASGI app on one port; can stop and come back on the same port."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        bound: socket.socket,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._address = bound.getsockname()
        self._socket = bound
        self._config = Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            # True, or uvicorn would silence its logger for the whole process.
            access_log=True,
            proxy_headers=False,
            timeout_keep_alive=int(KEEP_ALIVE),
        )
        self._config.load()
        self._state = _State()
        self._suspended = 0
        self._server: Server | None = None
        self._tls_server: _TlsServer | None = None

    @property
    def loopback_only(self) -> bool:
        """Whether no other computer can reach it."""
        return ip_address(self._address[0]).is_loopback

    async def open(self) -> None:
        """Take connections."""
        loop = asyncio.get_running_loop()
        self._state.accepting = True
        if self._tls is not None:
            self._tls_server = _TlsServer(self._socket, self._tls, self._new_protocol)
        else:
            self._server = await loop.create_server(
                self._new_protocol, sock=self._socket, backlog=BACKLOG
            )

    def _new_protocol(self) -> _Protocol:
        return _Protocol(self._config, self._state)

    async def suspend(self) -> None:
        """Refuse connections and reset those there are; the port stays ours.

        It may be suspended already: it takes connections again once it has been resumed as often.
        """
        self._suspended += 1
        if self._suspended == 1:
            await self._stop()
            self._socket = bind(*self._address[:2])

    async def resume(self) -> None:
        """Take connections again."""
        self._suspended -= 1
        if not self._suspended:
            await self.open()

    async def close(self) -> None:
        """End all: the listener, the connections, and the requests in progress."""
        await self._stop()
        self._socket.close()

    async def _stop(self) -> None:
        self._state.accepting = False
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._tls_server is not None:
            await self._tls_server.close()
            self._tls_server = None
        for connection in list(self._state.connections):
            connection.transport.abort()
        while self._state.connections:
            self._state.lost.clear()
            await self._state.lost.wait()
        # Only now: a request that has lost its connection may end without an answer.
        await _cancel(self._state.tasks)


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    """Let them end."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def bind(host: str, port: int) -> socket.socket:
    """A socket on that address that does not listen yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle off only where the protocol is named; with it answers take 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


def drop(transport: Transport, *, reset: bool) -> None:
    """Close a connection: what was written still leaves, unless it is reset."""
    if not reset:
        transport.close()
        return
    # Lingering for no time at all is what makes close() send RST.
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()
