"""An emulator in a process of its own, with calls of half a year in it."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen

from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from benchmarks.traffic import MINUTE
from exotel_async.emulator import Dial, Emulator, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

DAYS: Final = 180
PLENTY: Final = 1_000_000
"""Requests, or calls, that no benchmark comes to."""

_YOUNGEST: Final = 600.0  # seconds: all are over
_DIAL: Final = Dial(from_="09812300002", to="09812300001", caller_id=EXOPHONE)


@frozen(kw_only=True)
class Book:
    """What the emulator is told; lengths in real seconds.

    Attributes:
        calls: how many it has, spread evenly over `DAYS`.
        rate: requests for each `per`.
        per: W, the length of its window.
        response: the length of every response, its own work not counted; a request reaches it
            halfway.
    """

    calls: int
    rate: int = PLENTY
    per: float = MINUTE
    response: float = 0.0


@contextmanager
def opened(book: Book) -> Iterator[str]:
    """Run the emulator in a child process. Yields its base URL once all calls are in it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(book, there))
    child.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        child.join()


def _child(book: Book, parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its parent
    asyncio.run(_serve(book, parent))


async def _serve(book: Book, parent: Connection) -> None:
    half = book.response / 2
    emulator = Emulator(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        exophones=(EXOPHONE,),
        rate=book.rate,
        per=book.per,
        latency=(lambda _: (half, half)) if half else None,
    )

    def fill(ready: Emulator) -> None:
        apart = (DAYS * 86_400 - 2 * _YOUNGEST) / book.calls
        for number in range(book.calls, 0, -1):
            ready.add_call(_DIAL, ago=timedelta(seconds=_YOUNGEST + apart * number))
        parent.send(ready.base_url)

    serving = asyncio.create_task(serve(emulator, on_ready=fill))
    # Readable means that the other end is closed, be it by its process's death.
    asyncio.get_running_loop().add_reader(parent.fileno(), serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()
