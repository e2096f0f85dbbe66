"""Receiving a file from another host, with limits for its size and its slowness."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

import anyio
from attrs import field, frozen

from exotel_async.masking import redact

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

_PAGES: Final = ("text/", "application/xml", "application/json")
_PAGE_SUFFIXES: Final = ("+xml", "+json")
_PAGE_BEGINS: Final = (b"<", b"{")
_BEFORE_A_PAGE: Final = b" \t\r\n\xef\xbb\xbf"  # white space, and the byte order mark of UTF-8
_LOOKED_AT: Final = 1024
_PAGE: Final = "it is a page of text"
_SLOWEST: Final = 1024  # bytes per second: roughly the rate at which its audio plays


@frozen(kw_only=True)
class Download:
    """The facts about one attempt to fetch a file.

    Attributes:
        host: the host it was requested from, and its port if one was given.
        written: whether a byte of the request may have reached the host.
        status: the HTTP status; None if there was no response.
        headers: the response headers, names in lower case, without our secrets.
        size: bytes of the file, if it is complete.
        is_complete: whether the status is 200 and all of the file was received.
        refused: whether we refused to fetch it: a retry would have the same result.
        problem: what went wrong, in words; "" if nothing did.
    """

    host: str = ""
    written: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    size: int = 0
    is_complete: bool = False
    refused: bool = False
    problem: str = field(default="", converter=redact)


@frozen(kw_only=True)
class Bounds:
    """The limits for a file from another host.

    Attributes:
        size: the maximum size of the file in bytes; None: unlimited.
        idle: a period of waiting in seconds, in which at least a KiB per second must arrive; None:
            the session's read timeout.
    """

    size: int | None = None
    idle: float | None = None


class Sink(Protocol):
    """The destination of a file while it is received."""

    @property
    def failure(self) -> Exception | None:
        """The exception of the last write, if this destination was its cause."""

    @property
    def cannot_restart(self) -> bool:
        """Whether it cannot discard what it received, so that no retry is possible."""

    def got_headers(self, headers: Mapping[str, str]) -> None:
        """Receive the response headers, names in lower case, before each attempt's first bytes."""

    async def write(self, chunk: bytes) -> object:
        """Write the next bytes of the file."""

    async def discard(self) -> None:
        """Discard what was written: the file is incomplete."""


class Refused(Exception):
    """The file is not acceptable. The text says why."""


def check_head(headers: Mapping[str, str], most: int | None) -> None:
    """Raise Refused if the response headers (names in lower case) rule a file out.

    `most` is in bytes; None: unlimited.

    Raises:
        Refused: it is compressed, too large, or a text page, such as a host's login page.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith(_PAGES) or media_type.endswith(_PAGE_SUFFIXES):
        raise Refused(_PAGE)
    encoding, length = headers.get("content-encoding", ""), headers.get("content-length", "")
    # A small compressed file may fill the disk when it is decompressed.
    if not {part.strip().lower() for part in encoding.split(",")} <= {"", "identity"}:
        raise Refused("it came compressed, though it was asked for as it is")
    if length.isascii() and length.isdigit():
        _check_size(int(length), most)


async def receive(
    pieces: AsyncIterator[bytes],
    write: Callable[[bytes], Awaitable[object]],
    *,
    most: int | None,
    idle: float,
    sniff: bool = False,
) -> int:
    """Pass all pieces to `write`, and return the number of bytes.

    There is a minimum rate, because a host that keeps sending very slowly would occupy a download
    slot for ever. `sniff` is whether to check if the file begins like a text page, because its
    headers do not say what it is.

    Raises:
        Refused: it is too large, or begins like a text page.
        TimeoutError: less than a KiB per second arrived during `idle` seconds of waiting.
    """
    clock = asyncio.get_running_loop().time
    size, waited, came, held = 0, 0.0, 0, b""
    while True:
        began = clock()
        with anyio.move_on_after(idle - waited) as scope:
            piece = await anext(pieces, None)
        if scope.cancelled_caught:
            raise TimeoutError(f"{came} bytes in {idle:g} s, and no more")
        if piece is None:
            if held:
                await write(held)
            return size
        size, came, waited = size + len(piece), came + len(piece), waited + clock() - began
        if came >= _SLOWEST * idle:
            came, waited = 0, 0.0
        _check_size(size, most)
        if sniff:
            held += piece
            begin = held.lstrip(_BEFORE_A_PAGE)
            if begin.startswith(_PAGE_BEGINS):
                raise Refused(_PAGE)
            if not begin and len(held) < _LOOKED_AT:
                continue
            piece, held, sniff = held, b"", False
        await write(piece)


def _check_size(size: int, most: int | None) -> None:
    if most is not None and size > most:
        raise Refused(f"it has more than max_size={most:,} bytes")
