"""How often one call moves from one folder of the package to another: how far its reader walks.

Counted by a profile function: each time a function begins, or a coroutine goes on, that stands in
another folder than the last one did. Coming back is not counted. What is not of the package, like
httpx and the event loop, is passed over, and so is the emulator.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

import exotel_async
from benchmarks import tables
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from benchmarks.tables import Target
from exotel_async import AsyncExotel, RateLimit
from exotel_async.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

MOST: Final = {"connect": 25, "get": 26, "list": 43}
"""Half of what they were when all files stood in one folder: 51, 53 and 87 changes of file."""

_ROOT: Final = Path(exotel_async.__file__).parent
_FROM, _TO = "09810000001", "09810000002"
# The budget is never used up: timers that fire meanwhile are no part of a call.
_NO_LIMIT: Final = RateLimit(10**6, per=1, burst=10**4)


@frozen
class Walk:
    """One call, and the folders it went through."""

    name: str
    folders: tuple[str, ...]

    @property
    def changes(self) -> int:
        """How often it moved from one folder to another."""
        return len(self.folders) - 1


async def measure() -> list[Walk]:
    """Follow one call of each kind, when the session has made one of each before."""
    async with (
        Emulator(
            account_sid=ACCOUNT, api_key=KEY, api_token=TOKEN, rate=10**9, per=1.0
        ) as emulator,
        AsyncExotel(
            account_sid=ACCOUNT,
            api_key=KEY,
            api_token=TOKEN,
            base_url=emulator.base_url,
            rate_limit=_NO_LIMIT,
        ) as exotel,
    ):
        call = await exotel.calls.connect(_FROM, _TO, caller_id=EXOPHONE)

        async def connect() -> object:
            return await exotel.calls.connect(_FROM, _TO, caller_id=EXOPHONE)

        async def get() -> object:
            return await exotel.calls.get(call.sid)

        async def read_list() -> object:
            return [found async for found in exotel.calls.list()]

        calls = {"connect": connect, "get": get, "list": read_list}
        for each in calls.values():
            await each()
        return [Walk(name, await _follow(each)) for name, each in calls.items()]


def report() -> list[Target]:
    """Print the walks; return the targets."""
    tables.heading(
        "walks",
        "Folders of exotel_async that one call enters, one after the other, by sys.setprofile; "
        "those of the emulator are left out.",
    )
    walks = asyncio.run(measure())
    for walk in walks:
        tables.console.print(f"{walk.name}: {' > '.join(walk.folders)}", markup=False)
    return [
        Target(
            f"changes of folder in one {walk.name}",
            str(walk.changes),
            f"at most {MOST[walk.name]}",
            walk.changes <= MOST[walk.name],
        )
        for walk in walks
    ]


async def _follow(call: Callable[[], Awaitable[object]]) -> tuple[str, ...]:
    folders: list[str] = []

    def entered(frame: FrameType, event: str, _: Any) -> None:
        folder = _folder(frame.f_code.co_filename) if event == "call" else None
        if folder is not None and folders[-1:] != [folder]:
            folders.append(folder)

    sys.setprofile(entered)
    try:
        await call()
    finally:
        sys.setprofile(None)
    return tuple(folders)


def _folder(file: str) -> str | None:
    """Return the folder that a file of the SDK stands in, or the file itself if in none."""
    path = Path(file)
    if path.is_relative_to(_ROOT) and not path.is_relative_to(_ROOT / "emulator"):
        return path.relative_to(_ROOT).parts[0]
    return None
