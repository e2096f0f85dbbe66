"""A file as it comes from another host: how large it may be, and how slow."""

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
_SLOWEST: Final = 1024  # bytes a second: about what its sound takes to be played


@frozen(kw_only=True)
class Download:
    """What is certain about one try to fetch a file.

    Attributes:
        host: the host it was asked of, and its port if one was given.
        written: whether a byte of the request may have reached the host.
        status: the HTTP status; None where no answer came.
        headers: the answer's header fields, names in lower case, without our secrets.
        size: bytes of the file, if it is whole.
        whole: whether the status is 200 and all of the file came.
        refused: whether we refused to fetch it: another try would end in the same.
        problem: what went wrong, in words; "" where nothing did.
    """

    host: str = ""
    written: bool = False
    status: int | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    size: int = 0
    whole: bool = False
    refused: bool = False
    problem: str = field(default="", converter=redact)


@frozen(kw_only=True)
class Bounds:
    """The limits for a file from another host.

    Attributes:
        size: bytes the file may have; None: any number.
        idle: seconds of waiting in which a KiB must come for each of them; None: as many as the
            session waits for a piece of an answer.
    """

    size: int | None = None
    idle: float | None = None


class Sink(Protocol):
    """What takes a file while it comes."""

    @property
    def failure(self) -> Exception | None:
        """What it raised at the last write, if that was not for the file's sake."""

    @property
    def spent(self) -> bool:
        """Whether it cannot give back what it took, so that no other try may begin."""

    def headed(self, headers: Mapping[str, str]) -> None:
        """Take the head of the answer, names in lower case, before each try's first bytes."""

    async def write(self, chunk: bytes) -> object:
        """Take the next bytes of the file."""

    async def discard(self) -> None:
        """Drop what came: the file is not whole."""


class Refused(Exception):
    """The file is not what was asked for. The text says in what."""


def check_head(headers: Mapping[str, str], most: int | None) -> None:
    """Refuse a file by what the head of its answer says, names in lower case.

    `most` is in bytes; None: any number.

    Raises:
        Refused: it is encoded, too large, or a page, as a host sends that wants a login.
    """
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type.startswith(_PAGES) or media_type.endswith(_PAGE_SUFFIXES):
        raise Refused(_PAGE)
    encoding, length = headers.get("content-encoding", ""), headers.get("content-length", "")
    # What is small on the wire may fill a disk when it is inflated.
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
    """Hand on what comes, to its end; return how many bytes that was.

    What keeps sending, but hardly anything, would else keep its place for ever. `sniff` is whether
    to look if it begins like a page, for its head does not say what it is.

    Raises:
        Refused: it is too large, or begins like a page.
        TimeoutError: less than a KiB a second has come while `idle` seconds were spent waiting.
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
