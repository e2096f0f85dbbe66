"""A recording as it comes: `exotel.calls.open_recording`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final, Self

import anyio

from exotel_async.errors import ConfigurationError
from exotel_async.http.closing import CLOSED

if TYPE_CHECKING:
    from exotel_async.http.pipeline import Pipeline
    from exotel_async.http.receive import Sink

_LEFT: Final = "the block of this recording was left"


class Recording:
    """A recording that is open: read it with ``async for``, in its block.

    It is asked for when the block is entered, and open when its first bytes are there. Nothing is
    read ahead of the program but what the connection holds, and leaving the block ends it.
    """

    def __init__(self, pipeline: Pipeline, fetch: Callable[[Sink], Awaitable[None]]) -> None:
        self._pipeline = pipeline
        self._fetch = fetch
        self._scope = anyio.CancelScope()
        self._begun: tuple[_Handover, asyncio.Task[None]] | None = None

    @property
    def content_type(self) -> str | None:
        """What it is, as its host says: `audio/mpeg`. None if that says nothing."""
        return self._opened()[0].content_type

    @property
    def size(self) -> int | None:
        """How many bytes it has. None if its host does not say; `max_size` holds all the same."""
        return self._opened()[0].size

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            ExotelError: as `download_recording` does.
        """
        if self._begun is not None:
            raise RuntimeError("a recording can be read once: open it again")
        task = self._pipeline.own(self._see_through)
        handover = _Handover()
        self._begun = handover, task
        try:
            first = asyncio.wait({task, handover.opened}, return_when=asyncio.FIRST_COMPLETED)
            await self._pipeline.wait(first)
            if not handover.opened.done():
                await _result(task)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """Return the next bytes.

        Raises:
            RequestTimeout: the connection was lost, or stalled, or was too slow.
            DecodeError: it is larger than `max_size`.
            ConfigurationError: the session is closed.
        """
        handover, task = self._opened()
        try:
            return await self._pipeline.wait(handover.chunks.receive())
        except anyio.ClosedResourceError:
            raise RuntimeError(_LEFT) from None
        except anyio.EndOfStream:
            await _result(task)
            if self._scope.cancel_called:  # what came is not all of it
                raise RuntimeError(_LEFT) from None
            raise StopAsyncIteration from None

    def _opened(self) -> tuple[_Handover, asyncio.Task[None]]:
        if self._begun is None:
            raise RuntimeError("use it in `async with`")
        return self._begun

    async def _see_through(self) -> None:
        handover, _ = self._opened()
        with self._scope, self._pipeline.reports.operation("calls.open_recording"):
            try:
                await self._fetch(handover)
            finally:
                handover.end()

    async def _close(self) -> None:
        handover, task = self._opened()
        self._scope.cancel()
        handover.chunks.close()
        # Who leaves does not want to know what went wrong after that.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
        # An answer that has not begun is not waited for; a connection is given back first.
        if handover.opened.done():
            with anyio.CancelScope(shield=True):
                await asyncio.wait({task})


class _Handover:
    """Hands on what comes, and takes no more before that is taken."""

    failure: Final = None

    def __init__(self) -> None:
        self._send, self.chunks = anyio.create_memory_object_stream[bytes](0)
        self.opened: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()
        self.content_type: str | None = None
        self.size: int | None = None

    @property
    def spent(self) -> bool:
        """Whether something was handed on, so that no other try may begin."""
        return self.opened.done()

    def headed(self, headers: Mapping[str, str]) -> None:
        """Take note of what its host says of the file."""
        length = headers.get("content-length", "")
        self.content_type = headers.get("content-type")
        self.size = int(length) if length.isascii() and length.isdigit() else None

    async def write(self, chunk: bytes) -> None:
        """Hand on."""
        if not self.opened.done():
            self.opened.set_result(None)
        await self._send.send(chunk)

    async def discard(self) -> None:
        """Do nothing: what was handed on is not here."""

    def end(self) -> None:
        """Let the reader know that nothing more comes."""
        self._send.close()


async def _result(task: asyncio.Task[None]) -> None:
    """Raise what has ended a task, if anything has."""
    await asyncio.wait({task})
    if task.cancelled():
        raise ConfigurationError(CLOSED)
    task.result()
