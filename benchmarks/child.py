"""An emulator in a process of its own, so that its CPU is not the load generator's."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from exotel_async.emulator import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from exotel_async.emulator import Emulator

C = TypeVar("C")
R = TypeVar("R")


@contextmanager
def running(
    make: Callable[[C], Emulator], ready: Callable[[C, Emulator], R], case: C
) -> Iterator[R]:
    """Run an emulator in a child process, until the block is left.

    Args:
        make: makes it, there.
        ready: prepares it once it listens, there; what it returns is yielded here.
        case: what both are told.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=_child, args=(make, ready, case, there))
    child.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        child.join()


def _child(
    make: Callable[[C], Emulator], ready: Callable[[C, Emulator], R], case: C, parent: Connection
) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its parent
    asyncio.run(_serve(make, ready, case, parent))


async def _serve(
    make: Callable[[C], Emulator], ready: Callable[[C, Emulator], R], case: C, parent: Connection
) -> None:
    serving = asyncio.create_task(
        serve(make(case), on_ready=lambda emulator: parent.send(ready(case, emulator)))
    )
    # Readable means that the other end is closed, be it by its process's death.
    asyncio.get_running_loop().add_reader(parent.fileno(), serving.cancel)
    await asyncio.wait([serving])
    if not serving.cancelled():
        serving.result()
