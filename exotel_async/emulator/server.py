"""The socket: uvicorn's HTTP/1.1 protocol in the running loop, without `uvicorn.Server`.

It uses the protocol on httptools: the one in pure Python takes most of a request's CPU time.

`uvicorn.Server` installs signal handlers, configures logging and is slow to stop; a guest in the
user's event loop must do none of these.
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

_UPGRADE = re.compile(rb"\r\nUpgrade:", re.IGNORECASE)
_UNFINISHED = re.compile(rb"[\r\n]+\Z|\r[^\r]*\Z")
BACKLOG = 4096
KEEP_ALIVE = 75.0
"""Real seconds. Longer than any client's, so that it is the client that closes idle connections."""
TLS_SHUTDOWN_TIMEOUT = 1.0
"""Real seconds a client has to complete the TLS shutdown before the connection is closed."""


class _State(ServerState):
    """State shared by the connections of a listener."""

    def __init__(self) -> None:
        super().__init__()
        self.accepting = False
        self.lost = asyncio.Event()
        """Set whenever a connection ends."""


class _Protocol(HttpToolsProtocol):
    """Passes its transport to the app, and writes no access log."""

    def __init__(self, config: Config, state: _State) -> None:
        super().__init__(config=config, server_state=state, app_state={})
        self.access_log = False
        self._state = state
        self._in_head = True
        self._unfinished_line = b""
        """The unfinished last line of an incomplete head: perhaps half a header's name."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {"transport": transport}
        if not self._state.accepting:
            # Accepted just before the listener closed.
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._state.lost.set()

    def data_received(self, data: bytes) -> None:
        super().data_received(
            self._hide_upgrade(self._unfinished_line + data) if self._in_head else data
        )

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_head = True
        super().on_message_complete()

    def _hide_upgrade(self, data: bytes) -> bytes:
        """Hide a header `Upgrade`, which Java's client sends: httptools reads no body of a request
        that has one."""
        head, end, body = data.partition(b"\r\n\r\n")
        ready = head if end else _UNFINISHED.sub(b"", head)
        self._unfinished_line = head[len(ready) :]
        return _UPGRADE.sub(b"\r\nIgnored:", ready) + end + body


class _TlsServer:
    """Like `loop.create_server(ssl=...)`, but can also close connections in their handshake."""

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
        """Stop accepting connections, and close those whose handshake is not complete."""
        unfinished = list(self._handshakes.values())
        await _cancel([self._accepting, *self._handshakes])
        for connection in (self._socket, *unfinished):  # a task not yet begun has closed nothing
            connection.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
            except OSError:  # the client has left, or this process has too many open files
                await asyncio.sleep(0.1)
                continue
            task = loop.create_task(self._shake_hands(connection))
            self._handshakes[task] = connection
            task.add_done_callback(self._handshakes.pop)

    async def _shake_hands(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        # Raised if the client does not trust the certificate, does not speak TLS, or has left.
        with contextlib.suppress(OSError):
            await loop.connect_accepted_socket(
                self._new, connection, ssl=self._context, ssl_shutdown_timeout=TLS_SHUTDOWN_TIMEOUT
            )


class Listener:
    """Serves an ASGI app on one port; can be suspended, and resumed on the same port."""

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
        """Whether only this computer can reach it."""
        return ip_address(self._address[0]).is_loopback

    async def open(self) -> None:
        """Start accepting connections."""
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
        """Refuse connections and reset the open ones; the port stays bound.

        It may be suspended already: it accepts connections again once it was resumed as often.
        """
        self._suspended += 1
        if self._suspended == 1:
            await self._stop()
            self._socket = bind(*self._address[:2])

    async def resume(self) -> None:
        """Undo one `suspend`; the last one accepts connections again."""
        self._suspended -= 1
        if not self._suspended:
            await self.open()

    async def close(self) -> None:
        """Close the listener and its connections, and cancel the requests in progress."""
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
        # Only now: a request that has lost its connection may end without a response.
        await _cancel(self._state.tasks)


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks, and wait until they have ended."""
    ending = list(tasks)
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket bound to that address that does not listen yet."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio disables Nagle's algorithm only if the protocol is given; it delays responses: 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


def drop(transport: Transport, *, reset: bool) -> None:
    """Close a connection: what was written is still sent, unless it is reset."""
    if not reset:
        transport.close()
        return
    # A linger time of zero makes close() send RST.
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()
