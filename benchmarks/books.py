"""An emulator in a process of its own, with calls of half a year in it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from attrs import frozen

from benchmarks import child
from benchmarks.server import ACCOUNT, EXOPHONE, KEY, TOKEN
from benchmarks.traffic import MINUTE
from exotel_async.emulator import Dial, Emulator

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

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


def opened(book: Book) -> AbstractContextManager[str]:
    """Run the emulator in a child process. Gives its base URL once all calls are in it."""
    return child.running(_emulator, _fill, book)


def _emulator(book: Book) -> Emulator:
    half = book.response / 2
    return Emulator(
        account_sid=ACCOUNT,
        api_key=KEY,
        api_token=TOKEN,
        exophones=(EXOPHONE,),
        rate=book.rate,
        per=book.per,
        latency=(lambda _: (half, half)) if half else None,
    )


def _fill(book: Book, ready: Emulator) -> str:
    apart = (DAYS * 86_400 - 2 * _YOUNGEST) / book.calls
    for number in range(book.calls, 0, -1):
        ready.add_call(_DIAL, ago=timedelta(seconds=_YOUNGEST + apart * number))
    return ready.base_url
