"""What the emulator answers in a second, and in a second of its CPU, beside a bare Starlette route.

Both are served in a process of their own, by uvicorn with httptools on asyncio's loop, and asked by
the same clients over connections that stay open. The route says `{"Call": {"Sid": ...}}` and
nothing else: it reads no credentials, no form and no rate.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import signal
import time
from base64 import b64encode
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import uvicorn
from attrs import frozen
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks import tables
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from benchmarks.tables import Spread, Target
from exotel_async.emulator import Dial, Emulator, Scenario
from exotel_async.emulator.server import bind

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from multiprocessing.connection import Connection

    from starlette.requests import Request
    from starlette.responses import Response

LEAST: Final = {"read": 0.5, "dial": 0.35}
"""Shares of the bare route's requests for each second of CPU."""
LONGEST_START: Final = 0.05
"""Seconds from the call to the first answer, after the import."""

_CLIENTS: Final = 16
_REQUESTS, _QUICK_REQUESTS = 6000, 1600
_ROUNDS, _QUICK_ROUNDS = 5, 2
_PLENTY: Final = 10**9
_AUTHORIZATION: Final = b64encode(f"{KEY}:{TOKEN}".encode()).decode()
_ROOT: Final = f"/v1/Accounts/{ACCOUNT}/Calls"


@frozen(kw_only=True)
class Rate:
    """How many requests were answered.

    Attributes:
        second: in one of time.
        cpu_second: in one of the server's CPU.
    """

    second: float
    cpu_second: float


class Server:
    """A server in a child process."""

    def __init__(self, base_url: str, sid: str, pipe: Connection) -> None:
        """Take over what a child has told: where it listens, and a call that can be read."""
        self.base_url = base_url
        self.sid = sid
        self._pipe = pipe

    def cpu(self) -> float:
        """Seconds of CPU it has used so far."""
        self._pipe.send(None)
        used: float = self._pipe.recv()
        return used


def report(*, quick: bool) -> list[Target]:
    """Measure, print the table, and tell what is reached."""
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    requests = _QUICK_REQUESTS if quick else _REQUESTS
    tables.heading(
        "The emulator beside a bare Starlette route",
        f"{rounds} rounds of {requests} requests by {_CLIENTS} clients, the two taking turns.",
    )
    rates: dict[str, list[Rate]] = {"bare route": [], "read": [], "dial": []}
    with _running(_serve_bare) as bare, _running(_serve_emulator) as emulated:
        for _ in range(rounds):
            rates["bare route"].append(_measure(bare, _read(bare.sid), requests))
            rates["read"].append(_measure(emulated, _read(emulated.sid), requests))
            rates["dial"].append(_measure(emulated, _dial, requests))
    tables.table(
        "Requests answered: median (least-most)",
        ["", "in a second", "in a second of CPU", "of the bare route's"],
        [_row(name, measured, rates["bare route"]) for name, measured in rates.items()],
    )
    starts = Spread.of([asyncio.run(_start()) for _ in range(rounds)])
    reached = [_share(name, rates) for name in LEAST]
    reached.append(
        Target(
            "from Emulator() to its first answer, after the import",
            f"{starts.show('.4f')} s",
            f"at most {LONGEST_START} s",
            starts.most <= LONGEST_START,
        )
    )
    return reached


def _shares(measured: list[Rate], bare: list[Rate]) -> Spread:
    return Spread.of(
        [one.cpu_second / of.cpu_second for one, of in zip(measured, bare, strict=True)]
    )


def _row(name: str, measured: list[Rate], bare: list[Rate]) -> list[str]:
    return [
        name,
        Spread.of([rate.second for rate in measured]).show(".0f"),
        Spread.of([rate.cpu_second for rate in measured]).show(".0f"),
        _shares(measured, bare).show(),
    ]


def _share(name: str, rates: Mapping[str, list[Rate]]) -> Target:
    share = _shares(rates[name], rates["bare route"])
    return Target(
        f"a {name}'s share of the bare route, for each second of CPU",
        share.show(),
        f"at least {LEAST[name]}",
        share.median >= LEAST[name],
    )


def _measure(server: Server, make: Callable[[int], bytes], requests: int) -> Rate:
    asyncio.run(_load(server.base_url, make, _CLIENTS * 4))  # warm
    used, began = server.cpu(), time.perf_counter()
    asyncio.run(_load(server.base_url, make, requests))
    took = time.perf_counter() - began
    return Rate(second=requests / took, cpu_second=requests / (server.cpu() - used))


async def _load(base_url: str, make: Callable[[int], bytes], requests: int) -> None:
    numbers = itertools.count()
    each = requests // _CLIENTS
    async with asyncio.TaskGroup() as group:
        for _ in range(_CLIENTS):
            group.create_task(_client(base_url, make, numbers, each))


async def _client(
    base_url: str, make: Callable[[int], bytes], numbers: Iterator[int], requests: int
) -> None:
    """Ask one request after the other. A client that does more would be the slower side."""
    where = urlsplit(base_url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    for _ in range(requests):
        writer.write(make(next(numbers)))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200 "), head
        length = head.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
    writer.close()
    await writer.wait_closed()


def _read(sid: str) -> Callable[[int], bytes]:
    asked = _head(f"GET {_ROOT}/{sid}.json")
    return lambda _: asked


def _dial(number: int) -> bytes:
    body = f"From=0981{number:07d}&To=0982{number:07d}&CallerId={EXOPHONE}"
    more = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
    return _head(f"POST {_ROOT}/connect.json", more) + body.encode()


def _head(line: str, more: str = "") -> bytes:
    return (
        f"{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {_AUTHORIZATION}\r\n"
        f"Accept: */*\r\nUser-Agent: benchmark\r\n{more}\r\n"
    ).encode()


async def _start() -> float:
    """Seconds until a new emulator has answered once."""
    began = time.perf_counter()
    async with Emulator(account_sid=ACCOUNT, api_key=KEY, api_token=TOKEN) as emulator:
        asked = _head(f"GET /v1/Accounts/{ACCOUNT}/Balance.json")
        await _client(emulator.base_url, lambda _: asked, itertools.count(), 1)
        return time.perf_counter() - began


@contextmanager
def _running(serve: Callable[[Connection], object]) -> Iterator[Server]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=serve, args=(there,))
    child.start()
    there.close()
    try:
        base_url, sid = here.recv()
        yield Server(base_url, sid, here)
    finally:
        here.close()
        child.join()


def _serve_emulator(parent: Connection) -> None:
    async def run() -> None:
        async with Emulator(
            account_sid=ACCOUNT,
            api_key=KEY,
            api_token=TOKEN,
            exophones=(EXOPHONE,),
            rate=_PLENTY,
            scenario=Scenario.all_answered(),
        ) as emulator:
            dial = Dial(from_="09812300001", to="09812300002", caller_id=EXOPHONE)
            call = emulator.add_call(dial, ago=timedelta(hours=1))
            parent.send((emulator.base_url, call.sid))
            await _until_closed(parent)

    _run(run)


def _serve_bare(parent: Connection) -> None:
    async def read(request: Request) -> Response:
        return JSONResponse({"Call": {"Sid": request.path_params["sid"]}})

    async def run() -> None:
        bound = bind("127.0.0.1", 0)
        app = Starlette(routes=[Route(f"{_ROOT}/{{sid}}.json", read)])
        config = uvicorn.Config(
            app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        host, port = bound.getsockname()
        parent.send((f"http://{host}:{port}", "0" * 32))
        await _until_closed(parent)
        server.should_exit = True
        await serving

    _run(run)


def _run(run: Callable[[], Coroutine[object, object, None]]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its parent
    asyncio.run(run())


async def _until_closed(parent: Connection) -> None:
    """Tell the CPU used so far as often as asked, until the other end is closed."""
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def tell() -> None:
        try:
            parent.recv()
            parent.send(time.process_time())
        except (EOFError, OSError):
            loop.remove_reader(parent.fileno())
            closed.set()

    loop.add_reader(parent.fileno(), tell)
    await closed.wait()
