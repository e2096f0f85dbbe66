"""Status callbacks on their way: who sends them as fast as they are taken, and who takes them."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import signal
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import uvicorn
from attrs import field, frozen
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from exotel_async.emulator.encoding import encode
from exotel_async.webhooks import ExotelWebhooks, MemoryClaims, StatusCallback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

Side = Literal["hooks", "bare"]
Encoding = Literal["multipart", "json", "urlencoded"]

CONNECTIONS: Final = 16
_SECRET: Final = "a-secret-for-the-benchmark"
_PATHS: Final[dict[Side, str]] = {"hooks": f"/{_SECRET}/status_callback", "bare": "/ended"}
_PLACE: Final = b"f" * 32  # of the SID
PAYLOAD: Final[dict[str, Any]] = {
    "CallSid": _PLACE.decode(),
    "EventType": "terminal",
    "DateCreated": "2026-03-02 11:20:05",
    "DateUpdated": "2026-03-02 11:21:12",
    "Status": "completed",
    "To": "+919812300001",
    "From": "+919812300002",
    "PhoneNumberSid": "08030000000",
    "StartTime": "2026-03-02 11:20:05",
    "EndTime": "2026-03-02 11:21:10",
    "Direction": "outbound-api",
    "RecordingUrl": "https://recordings.example/acme1/call.mp3",
    "ConversationDuration": 41,
    "CustomField": "order-7",
    "Legs": [
        {"OnCallDuration": 60, "Status": "completed", "AnsweredBy": "NA"},
        {"OnCallDuration": 41, "Status": "completed", "AnsweredBy": "HUMAN"},
    ],
}
"""The long form as VOICE_V1 6.2 has it."""


@frozen
class Taken:
    """How one batch was taken.

    Attributes:
        per_second: callbacks.
        p99: of what each took, in milliseconds.
        cpu: of the server for each, in microseconds.
    """

    per_second: float
    p99: float
    cpu: float


@frozen
class Server:
    """One side in its process."""

    side: Side
    port: int
    pipe: Connection

    def used(self) -> tuple[int, float]:
        """Ask how many callbacks it has handled, and for the seconds of CPU it has used."""
        self.pipe.send("how many?")
        handled, seconds = self.pipe.recv()
        return handled, seconds


@frozen
class Template:
    """A callback as it is on the wire, but for its SID."""

    content_type: str
    before: bytes
    after: bytes = field(repr=False)

    @classmethod
    def of(cls, encoding: Encoding) -> Template:
        """Write the payload in that encoding."""
        content_type, body = encode(PAYLOAD, encoding, boundary="6f5d3a1b9c2e4870b1d2")
        before, _, after = body.partition(_PLACE)
        return cls(content_type, before, after)

    def body(self, number: int) -> bytes:
        """Return the one of that number."""
        return b"%b%032x%b" % (self.before, number, self.after)

    def head(self, path: str) -> bytes:
        """Return what stands before any of them."""
        return (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Exotel\r\nAccept: */*\r\n"
            f"Content-Type: {self.content_type}\r\nContent-Length: {len(self.body(0))}\r\n\r\n"
        ).encode()


def application(claims: MemoryClaims | None = None) -> tuple[ExotelWebhooks, list[int]]:
    """Make the hooks, and the place where their handler counts."""
    hooks, handled = ExotelWebhooks(_SECRET, claims=claims), [0]

    @hooks.status_callback
    async def ended(event: StatusCallback) -> None:
        handled[0] += event.is_final

    return hooks, handled


@contextmanager
def running(side: Side) -> Iterator[Server]:
    """Serve one side by uvicorn in a process of its own, on the first core."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(side, there))
    child.start()
    there.close()
    try:
        yield Server(side, here.recv(), here)
    finally:
        here.close()
        child.join()


@contextmanager
def other_core() -> Iterator[None]:
    """Keep this process off the core the server has, where there is another one."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(all_cores)[1:]) or all_cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


async def post(server: Server, template: Template, first: int, count: int) -> Taken:
    """Post so many different callbacks, on each connection the next one upon the answer."""
    loop = asyncio.get_running_loop()
    head = template.head(_PATHS[server.side])
    numbers = iter(range(first, first + count))
    took: list[float] = []
    handled, cpu = server.used()
    began = time.perf_counter()
    senders: list[_Sender] = []
    for _ in range(CONNECTIONS):
        sender = _Sender(head, template, numbers, took)
        await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", server.port)  # type: ignore[misc]
        senders.append(sender)
    await asyncio.gather(*(sender.over for sender in senders))
    lasted = time.perf_counter() - began
    handled_by_then, cpu_by_then = server.used()
    assert len(took) == handled_by_then - handled == count
    return Taken(
        per_second=count / lasted,
        p99=sorted(took)[math.ceil(0.99 * count) - 1] * 1e3,
        cpu=(cpu_by_then - cpu) / count * 1e6,
    )


async def give(hooks: ExotelWebhooks, template: Template, number: int) -> None:
    """Give one callback to the application, as a server would. It must be answered with 200."""
    statuses: list[int | None] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": template.body(number)}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status"))

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": _PATHS["hooks"],
        "query_string": b"",
        "headers": [(b"content-type", template.content_type.encode())],
    }
    await hooks(scope, receive, send)
    assert statuses == [200, None]


class _Sender(asyncio.Protocol):
    """One connection."""

    def __init__(
        self, head: bytes, template: Template, numbers: Iterator[int], took: list[float]
    ) -> None:
        self._head, self._template, self._numbers, self._took = head, template, numbers, took
        self._sent = 0.0
        self._transport: Any = None
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        # Neither side's answer has a body, so that each comes in one piece.
        if not data.startswith(b"HTTP/1.1 200 ") or not data.endswith(b"\r\n\r\n"):
            self.over.set_exception(RuntimeError(f"answered {data[:80]!r}"))
            self._transport.close()
            return
        self._took.append(time.perf_counter() - self._sent)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_exception(exc or ConnectionError("the server has closed"))

    def _next(self) -> None:
        number = next(self._numbers, None)
        if number is None:
            self.over.set_result(None)
            self._transport.close()
            return
        request = self._head + self._template.body(number)
        self._sent = time.perf_counter()
        self._transport.write(request)


def _child(side: Side, parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its parent
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    hooks, handled = application()

    async def read_only(request: Request) -> Response:
        handled[0] += 1
        await request.body()
        return Response()

    bare = Starlette(routes=[Route(_PATHS["bare"], read_only, methods=["POST"])])
    bound = socket.create_server(("127.0.0.1", 0), backlog=1024)
    app: Any = hooks if side == "hooks" else bare
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    parent.send(bound.getsockname()[1])

    def asked() -> None:
        try:
            parent.recv()
        except EOFError:
            server.should_exit = True
            asyncio.get_running_loop().remove_reader(parent.fileno())
        else:
            parent.send((handled[0], time.process_time()))

    async def serve() -> None:
        asyncio.get_running_loop().add_reader(parent.fileno(), asked)
        await server.serve(sockets=[bound])

    asyncio.run(serve())
