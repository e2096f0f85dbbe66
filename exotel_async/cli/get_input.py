"""Lines of a file, a pipe or a terminal, read as they come, without blocking the event loop."""

from __future__ import annotations

import asyncio
import codecs
import os
import stat
from collections.abc import AsyncIterator
from typing import Final

_CHUNK: Final = 65_536
_LONGEST: Final = 65_536  # characters of a line; for input without line breaks, like /dev/zero


class CannotRead(Exception):
    """The input cannot be read. The text says why."""


class Lines:
    """The lines of an open file, except those that are empty or begin with #.

    Iterating over them may raise `CannotRead`.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        known = os.fstat(descriptor)
        self._size = known.st_size if stat.S_ISREG(known.st_mode) else None
        self._read = 0

    @property
    def share(self) -> float | None:
        """The share that has been read, 0 to 1; None if the length is not known."""
        return self._read / self._size if self._size else None

    async def __aiter__(self) -> AsyncIterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        rest = ""
        while chunk := await self._next_chunk():
            *lines, rest = (rest + decoder.decode(chunk)).split("\n")
            if len(rest) > _LONGEST:
                raise CannotRead(f"a line has more than {_LONGEST:,} characters")
            for line in lines:
                if content := _content(line):
                    yield content
        if content := _content(rest + decoder.decode(b"", final=True)):
            yield content

    async def _next_chunk(self) -> bytes:
        if self._size is None:
            await self._something_to_read()
        await asyncio.sleep(0)  # input that is always ready must not delay Ctrl-C
        try:
            chunk = os.read(self._descriptor, _CHUNK)
        except OSError as error:
            raise CannotRead(error.strerror or str(error)) from error
        self._read += len(chunk)
        return chunk

    async def _something_to_read(self) -> None:
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        try:
            loop.add_reader(self._descriptor, ready.set_result, None)
        except (OSError, NotImplementedError):
            return  # reading it never blocks, or this system cannot wait for it
        try:
            await ready
        finally:
            loop.remove_reader(self._descriptor)


def _content(line: str) -> str | None:
    text = line.strip()
    return None if text.startswith("#") else text
